package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"till/internal/sandbox"
)

const dahlia = "2026-08-26.dahlia"

type object = map[string]any

// server is a sandbox on a port, with the calls that tests make of it.
type server struct {
	t *testing.T
	*httptest.Server
	version string
}

func start(t *testing.T) *server {
	t.Helper()
	return startWith(t, sandbox.Options{})
}

func startWith(t *testing.T, opts sandbox.Options) *server {
	t.Helper()
	s, err := sandbox.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s.Handler())
	t.Cleanup(ts.Close)
	ts.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &server{t: t, Server: ts, version: "2023-10-16"}
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	raw    string
	body   object
}

func (r reply) str(path ...string) string {
	s, _ := r.at(path...).(string)
	return s
}

// at follows names and numbers through the answer.
func (r reply) at(path ...string) any { return dig(r.body, path...) }

func dig(v any, path ...string) any {
	for _, step := range path {
		switch now := v.(type) {
		case object:
			v = now[step]
		case []any:
			var i int
			fmt.Sscan(step, &i)
			if i >= len(now) {
				return nil
			}
			v = now[i]
		default:
			return nil
		}
	}
	return v
}

// call makes one API request; params are "name=value" pairs, headers
// "Name: value".
func (s *server) call(method, path string, params []string, headers ...string) reply {
	s.t.Helper()
	got, err := s.try(method, path, params, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (s *server) try(method, path string, params []string, headers ...string) (reply, error) {
	return s.do(s.request(method, path, params, headers...))
}

func (s *server) request(method, path string, params []string, headers ...string) *http.Request {
	form := encode(params)
	target := s.URL + path
	var body io.Reader
	if method == http.MethodPost {
		// A reader of unknown length makes the body chunked, as stripe-go does.
		body = io.MultiReader(strings.NewReader(form))
	} else if form != "" {
		target += "?" + form
	}
	req, err := http.NewRequest(method, target, body)
	if err != nil {
		panic(err)
	}
	if form != "" && method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Authorization", "Bearer sk_test_123")
	req.Header.Set("Stripe-Version", s.version)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return req
}

func (s *server) do(req *http.Request) (reply, error) {
	res, err := s.Client().Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	got := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	json.Unmarshal(raw, &got.body)
	return got, err
}

// encode escapes values and leaves the brackets of names alone.
func encode(params []string) string {
	var out []string
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		out = append(out, name+"="+url.QueryEscape(value))
	}
	return strings.Join(out, "&")
}

func (s *server) get(path string, params ...string) reply {
	s.t.Helper()
	return s.call("GET", path, params)
}

func (s *server) post(path string, params ...string) reply {
	s.t.Helper()
	return s.call("POST", path, params)
}

// must is post that has to succeed.
func (s *server) must(path string, params ...string) reply {
	s.t.Helper()
	got := s.post(path, params...)
	if got.status != 200 {
		s.t.Fatalf("POST %s: status %d: %s", path, got.status, got.raw)
	}
	return got
}

// control makes a control call with a JSON body.
func (s *server) control(method, path, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	got, err := s.do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *server) advance(by string) {
	s.t.Helper()
	if got := s.control("POST", "/sandbox/v1/clock", `{"advance":"`+by+`"}`); got.status != 200 {
		s.t.Fatalf("advancing the clock: %s", got.raw)
	}
}

func (s *server) fault(body string) {
	s.t.Helper()
	if got := s.control("POST", "/sandbox/v1/faults", body); got.status != 200 {
		s.t.Fatalf("installing a fault: %s", got.raw)
	}
}

// count reads how many objects of a kind there are.
func (s *server) count(kind string) int {
	s.t.Helper()
	n, _ := s.control("GET", "/sandbox/v1/state", "").at("counts", kind).(float64)
	return int(n)
}

func (s *server) customer(params ...string) string {
	s.t.Helper()
	return s.must("/v1/customers", params...).str("id")
}

// The parameters of sessions that succeed.
var (
	subscribing = []string{
		"mode=subscription", "success_url=https://app.example/ok?s={CHECKOUT_SESSION_ID}",
		"cancel_url=https://app.example/back", "line_items[0][price]=price_pro_monthly", "line_items[0][quantity]=1",
	}
	paying = []string{
		"mode=payment", "success_url=https://app.example/ok/{CHECKOUT_SESSION_ID}",
		"line_items[0][price]=price_tshirt", "line_items[0][quantity]=2",
	}
	saving = []string{"mode=setup", "success_url=https://app.example/ok", "currency=usd"}
)

func with(base []string, more ...string) []string {
	return append(append([]string{}, base...), more...)
}

// without drops the named parameters.
func without(base []string, names ...string) []string {
	var out []string
	for _, p := range base {
		name, _, _ := strings.Cut(p, "=")
		keep := true
		for _, n := range names {
			keep = keep && name != n
		}
		if keep {
			out = append(out, p)
		}
	}
	return out
}

func (s *server) session(params ...string) reply {
	s.t.Helper()
	return s.must("/v1/checkout/sessions", params...)
}

func (s *server) complete(id string) reply {
	s.t.Helper()
	got := s.control("POST", "/sandbox/v1/checkout/"+id+"/complete", "")
	if got.status != 200 {
		s.t.Fatalf("completing: %s", got.raw)
	}
	return got
}

// wantError checks a refusal's status, code and param.
func wantError(t *testing.T, got reply, status int, code, param string) {
	t.Helper()
	if got.status != status || got.str("error", "code") != code || got.str("error", "param") != param {
		t.Errorf("got %d code %q param %q, want %d %q %q\n%s", got.status,
			got.str("error", "code"), got.str("error", "param"), status, code, param, got.raw)
	}
}

func wantNoError(t *testing.T, got reply) {
	t.Helper()
	if got.status != 200 {
		t.Errorf("got status %d: %s", got.status, got.raw)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func itoa(n int) string { return fmt.Sprint(n) }
