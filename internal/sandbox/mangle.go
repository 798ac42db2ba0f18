package sandbox

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
)

// after spoils a finished answer and says whether it has sent it.
func (f *fault) after(x *exchange, got answer) bool {
	switch f.Kind {
	case "created_then_silence":
		x.struck = true
		hangUp(x)
		return true
	case "truncated":
		x.struck = true
		truncate(x, got)
		return true
	case "created_then_reset":
		x.struck = true
		resetMidway(x, got)
		return true
	case "garbage_200":
		x.struck, got = true, answer{status: http.StatusOK, body: []byte("\x00\x01 this is not JSON <")}
	case "empty_200":
		x.struck, got = true, answer{status: http.StatusOK, body: []byte("{}")}
	case "wrong_customer", "flip_livemode", "foreign_url":
		got.body, x.struck = f.mangle(got.body)
	default:
		return false
	}
	x.write(got)
	return true
}

// mangle changes the object in the answer, or each object of a list, and says
// whether there was one.
func (f *fault) mangle(body []byte) (mangled []byte, changed bool) {
	var o object
	if json.Unmarshal(body, &o) != nil || o["error"] != nil {
		return body, false
	}
	rows, isList := o["data"].([]any)
	if !isList {
		rows = []any{o}
	}
	for _, row := range rows {
		if row, ok := row.(object); ok {
			f.spoil(row)
		}
	}
	return encode(o), len(rows) > 0
}

func (f *fault) spoil(o object) {
	switch f.Kind {
	case "wrong_customer":
		field := "customer"
		if o["object"] == "customer" {
			field = "id"
			o["metadata"] = object{} // his, not the one that was sent
		}
		o[field] = "cus_SomebodyElse00"
	case "flip_livemode":
		o["livemode"] = o["livemode"] != true
	case "foreign_url":
		o["url"] = "https://evil.example/c/pay/" + stringOf(o, "id")
	}
}

func badGateway(x *exchange) {
	x.log(http.StatusBadGateway)
	x.w.Header().Set("Content-Type", "text/html")
	x.w.WriteHeader(http.StatusBadGateway)
	x.w.Write([]byte("<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"))
}

// truncate promises the whole answer and sends half of it.
func truncate(x *exchange, got answer) {
	half(x, got)
	panic(http.ErrAbortHandler)
}

// resetMidway is truncate with a connection that is torn down, not closed.
func resetMidway(x *exchange, got answer) {
	half(x, got)
	tearDown(x)
}

func half(x *exchange, got answer) {
	x.log(0)
	x.headers(got)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(got.body)))
	x.w.WriteHeader(got.status)
	x.w.Write(got.body[:len(got.body)/2])
	_ = http.NewResponseController(x.w).Flush()
}

// reset tears the connection down (RST, where it is TCP).
func reset(x *exchange) {
	x.log(0)
	tearDown(x)
}

func tearDown(x *exchange) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hangUp closes the connection without a word.
func hangUp(x *exchange) {
	x.log(0)
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close()
}
