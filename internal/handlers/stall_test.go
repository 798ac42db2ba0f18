package handlers_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"till/internal/ratelimit"
)

// refusal is a request that is refused before its body is read.
type refusal struct {
	house   *house
	request string
	status  int
	code    string
}

func refusals(t *testing.T) map[string]refusal {
	t.Helper()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	var now still
	greedy := newHouse(t, settings{limits: ratelimit.Options{OwnerWritesPerMinute: 1, Now: now.now}})
	spent := greedy.token("alice")
	for greedy.post("/portal", spent, "").status != http.StatusTooManyRequests {
		continue
	}
	busy := newHouse(t, settings{limiter: full(t)})
	crowded := newHouse(t, settings{limits: ratelimit.Options{AddressPerMinute: 1, Now: now.now}})
	for crowded.get("/plans", "").status != http.StatusTooManyRequests {
		continue
	}
	json := "Content-Type: application/json\r\n"
	return map[string]refusal{
		"no token":       {h, "POST /checkout HTTP/1.1\r\n" + json, 401, "unauthenticated"},
		"no proof":       {h, "POST /checkout HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nCookie: " + sessionCookie + "=" + alice + "\r\n" + json, 403, "csrf_rejected"},
		"no such page":   {h, "POST /nope HTTP/1.1\r\n" + json, 404, "not_found"},
		"no such method": {h, "PUT /checkout HTTP/1.1\r\n" + json, 405, "method_not_allowed"},
		"no JSON":        {h, "POST /checkout HTTP/1.1\r\nContent-Type: text/plain\r\nAuthorization: Bearer " + alice + "\r\n", 415, "unsupported_media_type"},
		"owner's limit":  {greedy, "POST /checkout HTTP/1.1\r\nAuthorization: Bearer " + spent + "\r\n" + json, 429, "rate_limited"},
		"client's limit": {crowded, "POST /checkout HTTP/1.1\r\n" + json, 429, "rate_limited"},
		"no place":       {busy, "POST /checkout HTTP/1.1\r\n" + json, 503, "overloaded"},
	}
}

// line is a connection to a house.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (h *house) dial(t *testing.T) line {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return line{t, conn, bufio.NewReader(conn)}
}

// ask sends text and returns the answer; last is whether it ends the connection.
func (l line) ask(text string) (res response, last bool) {
	l.t.Helper()
	if _, err := io.WriteString(l.conn, text); err != nil {
		l.t.Fatal(err)
	}
	got, err := http.ReadResponse(l.in, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response{got.StatusCode, got.Header, body}, got.Close
}

// bodies are the two ways to send one of 20 bytes.
var bodies = map[string]struct{ announced, half, rest string }{
	"of known length": {"Content-Length: 20\r\n\r\n", strings.Repeat(" ", 10), strings.Repeat(" ", 10)},
	"in chunks":       {"Transfer-Encoding: chunked\r\n\r\n", "a\r\n" + strings.Repeat(" ", 10), "\r\na\r\n" + strings.Repeat(" ", 10) + "\r\n0\r\n\r\n"},
}

// TestARefusalDoesNotWaitForTheBody: who stalls there is told, and nothing else of his is read.
func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	for name, r := range refusals(t) {
		for kind, b := range bodies {
			for sent, part := range map[string]string{"nothing": "", "half": b.half} {
				t.Run(name+", "+kind+", "+sent, func(t *testing.T) {
					t.Parallel()
					l := r.house.dial(t)
					res, last := l.ask(r.request + "Host: x\r\n" + b.announced + part)
					wantProblem(t, res, r)
					if !last {
						t.Error("the connection goes on within the body")
					}
					if more, err := io.ReadAll(l.in); len(more) > 0 || err != nil {
						t.Errorf("then %q, %v", more, err)
					}
				})
			}
		}
	}
}

// TestARefusalWithTheWholeBodyKeepsTheConnection: also when it comes with the next request,
// or in two parts.
func TestARefusalWithTheWholeBodyKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for name, r := range refusals(t) {
		for kind, b := range bodies {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				l := r.house.dial(t)
				whole := r.request + "Host: x\r\n" + b.announced + b.half + b.rest
				for i := range 3 {
					res, last := l.ask(whole)
					wantProblem(t, res, r)
					if last {
						t.Fatal("the connection ends with answer " + strconv.Itoa(i))
					}
				}
				for i, text := range []string{whole + whole, ""} {
					res, last := l.ask(text)
					wantProblem(t, res, r)
					if last {
						t.Fatal("the connection ends with answer " + strconv.Itoa(i) + " of two at once")
					}
				}
			})
		}
	}
}

func wantProblem(t *testing.T, res response, r refusal) {
	t.Helper()
	want(t, res, r.status, r.code)
	if kind := res.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type is %q", kind)
	}
}
