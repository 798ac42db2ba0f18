package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"till/internal/sandbox"
)

func TestControlIsLocalOnly(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, remote, host, header string
		status                     int
	}{
		{"loopback", "127.0.0.1:4711", "localhost:8080", "", 200},
		{"loopback by number", "127.0.0.1:4711", "127.0.0.1", "", 200},
		{"loopback v6", "[::1]:4711", "[::1]:8080", "", 200},
		{"own page", "127.0.0.1:4711", "localhost", "Origin: http://localhost:3000", 200},
		{"same origin", "127.0.0.1:4711", "localhost", "Sec-Fetch-Site: same-origin", 200},
		{"other machine", "192.0.2.1:4711", "localhost", "", 403},
		{"private network", "10.0.0.5:4711", "localhost", "", 403},
		{"no address", "", "localhost", "", 403},
		{"rebound name", "127.0.0.1:4711", "evil.example:8080", "", 403},
		{"name that begins well", "127.0.0.1:4711", "localhost.evil.example", "", 403},
		{"no host", "127.0.0.1:4711", "", "", 403},
		{"foreign origin", "127.0.0.1:4711", "localhost", "Origin: https://evil.example", 403},
		{"null origin", "127.0.0.1:4711", "localhost", "Origin: null", 403},
		{"cross-site", "127.0.0.1:4711", "localhost", "Sec-Fetch-Site: cross-site", 403},
		{"through a proxy", "127.0.0.1:4711", "localhost", "X-Forwarded-For: 192.0.2.1", 403},
	}
	calls := []struct{ method, path, body string }{
		{"GET", "/sandbox/v1/state", ""},
		{"GET", "/sandbox/v1/requests", ""},
		{"GET", "/v1/clock", ""},
		{"POST", "/sandbox/v1/clock", `{"advance":"1s"}`},
		{"POST", "/v1/reset", ""},
		{"DELETE", "/sandbox/v1/faults", ""},
	}
	for _, tt := range tests {
		for _, c := range calls {
			t.Run(tt.name+" "+c.path, func(t *testing.T) {
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				r.RemoteAddr, r.Host = tt.remote, tt.host
				if name, value, ok := strings.Cut(tt.header, ": "); ok {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				if w.Code != tt.status {
					t.Errorf("got %d, want %d: %s", w.Code, tt.status, w.Body)
				}
			})
		}
	}
}

func TestControlOfUnknownSessions(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, act := range []string{"complete", "decline", "expire"} {
		if got := s.control("POST", "/sandbox/v1/checkout/cs_test_x/"+act, ""); got.status != 404 {
			t.Errorf("%s: %d", act, got.status)
		}
	}
	id := s.session(paying...).str("id")
	s.complete(id)
	for _, act := range []string{"complete", "decline", "expire"} {
		if got := s.control("POST", "/v1/checkout/"+id+"/"+act, ""); got.status != 400 {
			t.Errorf("%s of a complete session: %d", act, got.status)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	s := startWith(t, sandbox.Options{Now: func() time.Time { return now }})
	if got := s.control("GET", "/sandbox/v1/clock", "").at("now"); got != 1.8e9 {
		t.Errorf("now %v", got)
	}
	if got := s.control("POST", "/sandbox/v1/clock", `{"advance":"25h"}`).at("now"); got != 1.8e9+90000 {
		t.Errorf("advanced %v", got)
	}
	if got := s.must("/v1/customers").at("created"); got != 1.8e9+90000 {
		t.Errorf("created %v", got)
	}
	for _, bad := range []string{`{"advance":"-1h"}`, `{"advance":"soon"}`, `{"advance":"999999h"}`, `{}`, `{"forward":"1h"}`, ``} {
		if got := s.control("POST", "/sandbox/v1/clock", bad); got.status != 400 {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := start(t)
	account := s.get("/v1/account").str("id")
	s.customer()
	s.call("POST", "/v1/customers", nil, key("k"))
	s.fault(`{"operation":"customers.create","kind":"drop"}`)
	s.advance("1000h")
	s.control("POST", "/sandbox/v1/reset", "")
	if s.count("customers") != 0 || s.count("prices") != 4 {
		t.Error("the state is not the seed")
	}
	if got := s.call("POST", "/v1/customers", []string{"name=x"}, key("k")); got.status != 200 {
		t.Errorf("keys or faults survived: %s", got.raw)
	}
	if got := s.control("GET", "/sandbox/v1/clock", "").at("now").(float64); got > float64(time.Now().Unix()+60) {
		t.Error("the clock did not go back")
	}
	if got := s.get("/v1/account").str("id"); got == account {
		t.Error("the account is the old one, whose customers are gone")
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.call("POST", "/v1/customers", []string{"metadata[a]=1"}, key("k"))
	s.call("POST", "/v1/customers", []string{"metadata[a]=1"}, key("k"))
	s.get("/v1/customers/cus_x")
	s.get("/v1/nothing")
	got := s.control("GET", "/sandbox/v1/requests", "")
	rows := got.at("data").([]any)
	if len(rows) != 4 || got.at("total") != 4.0 {
		t.Fatalf("journal: %s", got.raw)
	}
	for i, want := range []object{
		{"operation": "customers.create", "method": "POST", "path": "/v1/customers", "idempotency_key": "k", "stripe_version": "2023-10-16", "status": 200.0, "replayed": false},
		{"operation": "customers.create", "status": 200.0, "replayed": true},
		{"operation": "customers.retrieve", "path": "/v1/customers/cus_x", "status": 404.0},
		{"operation": "unrecognized", "status": 404.0},
	} {
		for field, value := range want {
			if rows[i].(object)[field] != value {
				t.Errorf("entry %d: %s is %v, want %v", i, field, rows[i].(object)[field], value)
			}
		}
	}
	if dig(rows[0], "params", "metadata[a]") != "1" {
		t.Errorf("params: %v", dig(rows[0], "params"))
	}
	if only := s.control("GET", "/sandbox/v1/requests?operation=customers.retrieve", "").at("data").([]any); len(only) != 1 {
		t.Errorf("%d entries of one operation", len(only))
	}
	if strings.Contains(got.raw, "sk_test_") {
		t.Error("the journal shows the key")
	}
	for range 1000 {
		s.get("/v1/nothing")
	}
	got = s.control("GET", "/sandbox/v1/requests", "")
	if n := len(got.at("data").([]any)); n != 1000 || got.at("total") != 1004.0 {
		t.Errorf("%d entries kept of %v", n, got.at("total"))
	}
}

func TestStateShowsCustomers(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.customer("metadata[till_subject]=ann", "email=ann@example.com")
	got := s.control("GET", "/sandbox/v1/state", "")
	if got.str("customers", "0", "id") != id || got.str("customers", "0", "metadata", "till_subject") != "ann" {
		t.Errorf("state: %s", got.raw)
	}
	for _, kind := range []string{"customers", "checkout_sessions", "subscriptions", "billing_portal_sessions", "prices"} {
		if got.at("counts", kind) == nil {
			t.Errorf("no count of %s", kind)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const op = `"operation":"checkout.sessions.create"`
	tests := []struct {
		name, fault string
		check       func(*testing.T, reply, error)
		made        int
	}{
		{"status", `{` + op + `,"kind":"status","status":503,"headers":{"Stripe-Should-Retry":"true"},"code":"c","message":"m"}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 503, "c", "")
			if r.header.Get("Stripe-Should-Retry") != "true" || r.str("error", "type") != "api_error" {
				t.Errorf("%v %s", r.header, r.raw)
			}
		}, 0},
		{"rate limit", `{` + op + `,"kind":"rate_limit"}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 429, "rate_limit", "")
			if r.header.Get("Stripe-Rate-Limited-Reason") == "" {
				t.Error("no reason")
			}
		}, 0},
		{"lock timeout", `{` + op + `,"kind":"lock_timeout"}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 429, "lock_timeout", "")
			if r.header.Get("Stripe-Rate-Limited-Reason") != "" {
				t.Error("a lock has no such reason")
			}
		}, 0},
		{"lock conflict", `{` + op + `,"kind":"lock_timeout","status":409}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 409, "lock_timeout", "")
		}, 0},
		{"key in use", `{` + op + `,"kind":"key_in_use"}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 409, "idempotency_key_in_use", "")
		}, 0},
		{"idempotency error", `{` + op + `,"kind":"idempotency_error"}`, func(t *testing.T, r reply, err error) {
			if r.status != 400 || r.str("error", "type") != "idempotency_error" {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 0},
		{"failed", `{` + op + `,"kind":"failed_500"}`, func(t *testing.T, r reply, err error) {
			if r.status != 500 || r.str("error", "type") != "api_error" {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 0},
		{"missing", `{` + op + `,"kind":"missing","status":400,"param":"customer"}`, func(t *testing.T, r reply, err error) {
			wantError(t, r, 400, "resource_missing", "customer")
		}, 0},
		{"drop", `{` + op + `,"kind":"drop"}`, wantBroken, 0},
		{"html", `{` + op + `,"kind":"html_502"}`, func(t *testing.T, r reply, err error) {
			if r.status != 502 || !strings.Contains(r.raw, "<html>") {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 0},
		{"created then 500", `{` + op + `,"kind":"created_then_500"}`, func(t *testing.T, r reply, err error) {
			if r.status != 500 || r.str("error", "type") != "api_error" {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 1},
		{"created then silence", `{` + op + `,"kind":"created_then_silence"}`, wantBroken, 1},
		{"truncated", `{` + op + `,"kind":"truncated"}`, wantBroken, 1},
		{"created then reset", `{` + op + `,"kind":"created_then_reset"}`, wantBroken, 1},
		{"garbage", `{` + op + `,"kind":"garbage_200"}`, func(t *testing.T, r reply, err error) {
			if r.status != 200 || r.body != nil {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 1},
		{"empty", `{` + op + `,"kind":"empty_200"}`, func(t *testing.T, r reply, err error) {
			if r.status != 200 || r.raw != "{}" {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 1},
		{"wrong customer", `{"operation":"*","kind":"wrong_customer"}`, func(t *testing.T, r reply, err error) {
			if r.status != 200 || r.str("customer") == "" {
				t.Errorf("%d %s", r.status, r.raw)
			}
		}, 1},
		{"livemode", `{` + op + `,"kind":"flip_livemode"}`, func(t *testing.T, r reply, err error) {
			if r.at("livemode") != true {
				t.Errorf("%s", r.raw)
			}
		}, 1},
		{"foreign url", `{` + op + `,"kind":"foreign_url"}`, func(t *testing.T, r reply, err error) {
			if !strings.HasPrefix(r.str("url"), "https://evil.example/") {
				t.Errorf("%s", r.raw)
			}
		}, 1},
		{"delay", `{` + op + `,"kind":"delay","delay":"20ms"}`, func(t *testing.T, r reply, err error) {
			wantNoError(t, r)
		}, 1},
		{"another operation", `{"operation":"customers.create","kind":"drop"}`, func(t *testing.T, r reply, err error) {
			wantNoError(t, r)
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.fault(tt.fault)
			got, err := s.try("POST", "/v1/checkout/sessions", paying)
			tt.check(t, got, err)
			if n := s.count("checkout_sessions"); n != tt.made {
				t.Errorf("%d sessions, want %d", n, tt.made)
			}
		})
	}
}

func wantBroken(t *testing.T, r reply, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("an answer came: %d %s", r.status, r.raw)
	}
}

func TestSpoiledAnswersReplayWhole(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"created_then_silence", "created_then_reset", "truncated", "garbage_200", "wrong_customer"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.fault(`[{"operation":"customers.create","kind":"` + kind + `","count":1}]`)
			// POST without GetBody and with a body: net/http does not retry it by itself.
			s.try("POST", "/v1/customers", []string{"name=Ann"}, key("k"))
			got := s.call("POST", "/v1/customers", []string{"name=Ann"}, key("k"))
			if got.status != 200 || got.str("name") != "Ann" || got.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("replay: %d %s", got.status, got.raw)
			}
			if n := s.count("customers"); n != 1 {
				t.Errorf("%d customers", n)
			}
		})
	}
}

func TestFaultCounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fault(`[{"operation":"customers.create","kind":"html_502","count":2},{"operation":"*","kind":"status","status":500,"count":1}]`)
	want := []int{502, 502, 500, 200}
	for i, status := range want {
		if got := s.post("/v1/customers"); got.status != status {
			t.Errorf("request %d: %d, want %d", i, got.status, status)
		}
		if i == 0 {
			list := s.control("GET", "/sandbox/v1/faults", "")
			if list.at("data", "0", "remaining") != 1.0 || list.at("data", "1", "remaining") != 1.0 {
				t.Errorf("faults: %s", list.raw)
			}
		}
	}
	s.fault(`{"operation":"*","kind":"html_502"}`)
	s.post("/v1/customers")
	if got := s.post("/v1/customers"); got.status != 502 {
		t.Errorf("count 0 ended: %d", got.status)
	}
	s.control("DELETE", "/sandbox/v1/faults", "")
	if got := s.post("/v1/customers"); got.status != 200 {
		t.Errorf("after clearing: %d", got.status)
	}
	for _, bad := range []string{
		`{}`, `{"operation":"*","kind":"nonsense"}`, `{"operation":"nonsense","kind":"drop"}`,
		`{"operation":"*","kind":"drop","count":-1}`, `{"operation":"*","kind":"status"}`, `{"operation":"*","kind":"delay","delay":"x"}`,
		`[null]`, `nonsense`, `{"operation":"*","kind":"drop","colour":1}`,
	} {
		if got := s.control("POST", "/sandbox/v1/faults", bad); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
}
