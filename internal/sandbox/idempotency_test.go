package sandbox_test

import (
	"context"
	"strings"
	"sync"
	"testing"
)

func key(k string) string { return "Idempotency-Key: " + k }

func TestReplay(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.call("POST", "/v1/customers", []string{"name=Ann", "metadata[a]=1"}, key("k"))
	again := s.call("POST", "/v1/customers", []string{"metadata[a]=1", "name=Ann"}, key("k"))
	if again.raw != first.raw || again.status != first.status {
		t.Errorf("replay differs:\n%s\n%s", first.raw, again.raw)
	}
	if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("Idempotent-Replayed: %q, %q", first.header.Get("Idempotent-Replayed"), again.header.Get("Idempotent-Replayed"))
	}
	if again.header.Get("Original-Request") != first.header.Get("Request-Id") || again.header.Get("Request-Id") == first.header.Get("Request-Id") {
		t.Errorf("request ids: %v, %v", first.header, again.header)
	}
	if got := s.count("customers"); got != 1 {
		t.Errorf("%d customers", got)
	}
	// The replay is raw: it does not notice what happened since.
	s.call("DELETE", "/v1/customers/"+first.str("id"), nil)
	if got := s.call("POST", "/v1/customers", []string{"name=Ann", "metadata[a]=1"}, key("k")); got.raw != first.raw {
		t.Errorf("replay after deletion: %s", got.raw)
	}
}

func TestReplayOfErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, fault, path string
		params            []string
		status            int
		replayed          bool
		made              int
	}{
		{"500", `{"operation":"customers.create","kind":"created_then_500","count":1}`, "/v1/customers", []string{"name=A"}, 500, true, 1},
		{"500 that made nothing", `{"operation":"customers.create","kind":"failed_500","count":1}`, "/v1/customers", []string{"name=A"}, 500, true, 0},
		{"key in use", `{"operation":"*","kind":"key_in_use","count":2}`, "/v1/customers", nil, 409, false, 0},
		{"idempotency error", `{"operation":"*","kind":"idempotency_error","count":2}`, "/v1/customers", nil, 400, false, 0},
		{"judged in execution", "", "/v1/billing_portal/sessions", []string{"customer=cus_nobody"}, 400, true, 0},
		{"unknown parameter", "", "/v1/customers", []string{"colour=red"}, 400, false, 0},
		{"bad url", "", "/v1/billing_portal/sessions", []string{"customer=x", "return_url=nope"}, 400, false, 0},
		{"rate limit", `{"operation":"*","kind":"rate_limit","count":2}`, "/v1/customers", nil, 429, false, 0},
		{"lock timeout", `{"operation":"*","kind":"lock_timeout","count":2}`, "/v1/customers", nil, 429, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if tt.fault != "" {
				s.fault(tt.fault)
			}
			first := s.call("POST", tt.path, tt.params, key("k"))
			again := s.call("POST", tt.path, tt.params, key("k"))
			if first.status != tt.status || again.status != tt.status {
				t.Errorf("status %d then %d, want %d", first.status, again.status, tt.status)
			}
			if got := again.header.Get("Idempotent-Replayed") == "true"; got != tt.replayed {
				t.Errorf("replayed %v, want %v", got, tt.replayed)
			}
			if tt.replayed && again.raw != first.raw {
				t.Errorf("replay differs:\n%s\n%s", first.raw, again.raw)
			}
			if got := s.count("customers"); got != tt.made {
				t.Errorf("%d customers, want %d", got, tt.made)
			}
		})
	}
}

func TestUnauthorizedComesBeforeTheKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	if got := s.call("POST", "/v1/customers", nil, key("k"), "Authorization: Bearer foo"); got.status != 401 {
		t.Fatalf("status %d", got.status)
	}
	if got := s.call("POST", "/v1/customers", nil, key("k")); got.status != 200 || got.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("afterwards: %d %s", got.status, got.raw)
	}
}

func TestMismatch(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.call("POST", "/v1/customers", []string{"name=Ann"}, key("k"))
	for name, got := range map[string]reply{
		"other value":     s.call("POST", "/v1/customers", []string{"name=Bob"}, key("k")),
		"other parameter": s.call("POST", "/v1/customers", []string{"name=Ann", "phone=1"}, key("k")),
		"other path":      s.call("POST", "/v1/products", []string{"name=Ann"}, key("k")),
		"wrong parameter": s.call("POST", "/v1/customers", []string{"colour=red"}, key("k")),
	} {
		if got.status != 400 || got.str("error", "type") != "idempotency_error" || !strings.Contains(got.raw, "Keys for idempotent requests can only be used") {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	if s.count("customers") != 1 || s.count("products") != 4 {
		t.Error("a refused request made something")
	}
}

func TestKeyFreeAfterRefusedValidation(t *testing.T) {
	t.Parallel()
	s := start(t)
	wantError(t, s.call("POST", "/v1/customers", []string{"colour=red"}, key("k")), 400, "parameter_unknown", "colour")
	wantNoError(t, s.call("POST", "/v1/customers", []string{"name=Ann"}, key("k")))
}

func TestKeyInUse(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fault(`{"operation":"customers.create","kind":"delay","delay":"30s","count":1}`)
	giveUp, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		req := s.request("POST", "/v1/customers", nil, key("k"))
		if _, err := s.do(req.WithContext(giveUp)); err == nil {
			t.Error("the slow request was answered")
		}
	})
	eventually(t, "the slow request holds its key", func() bool {
		return len(s.control("GET", "/sandbox/v1/faults", "").at("data").([]any)) == 0
	})
	eventually(t, "the key is in use", func() bool {
		got := s.call("POST", "/v1/customers", nil, key("k"))
		return got.status == 409 && got.str("error", "code") == "idempotency_key_in_use" && got.str("error", "type") == "invalid_request_error"
	})
	cancel() // the slow caller gives up; its request is executed all the same
	waiting.Wait()
	eventually(t, "the first request's answer is replayed", func() bool {
		got := s.call("POST", "/v1/customers", nil, key("k"))
		return got.status == 200 && got.header.Get("Idempotent-Replayed") == "true"
	})
	if got := s.count("customers"); got != 1 {
		t.Errorf("%d customers", got)
	}
}

func TestKeysArePrunedByTheClock(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.call("POST", "/v1/customers", nil, key("k")).str("id")
	s.advance("23h59m")
	if got := s.call("POST", "/v1/customers", nil, key("k")).str("id"); got != first {
		t.Error("not replayed within 24 hours")
	}
	s.advance("2m")
	if got := s.call("POST", "/v1/customers", nil, key("k")).str("id"); got == first {
		t.Error("replayed after 24 hours")
	}
	if got := s.call("POST", "/v1/customers", []string{"name=x"}, key("k")); got.str("error", "type") != "idempotency_error" {
		t.Errorf("the new key is not held: %s", got.raw)
	}
}

func TestKeysOnlyForPost(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.call("GET", "/v1/customers", nil, key("k"))
	if got := s.call("GET", "/v1/customers", []string{"limit=1"}, key("k")); got.status != 200 || got.header.Get("Idempotent-Replayed") != "" || got.header.Get("Idempotency-Key") != "" {
		t.Errorf("GET: %d %v", got.status, got.header)
	}
	if got := s.call("POST", "/v1/customers", nil, key(strings.Repeat("k", 255))); got.status != 200 {
		t.Errorf("255 characters: %d", got.status)
	}
	if got := s.call("POST", "/v1/customers", nil, key(strings.Repeat("k", 256))); got.status != 400 {
		t.Errorf("256 characters: %d", got.status)
	}
}

func TestOneKeyManyCallers(t *testing.T) {
	t.Parallel()
	s := start(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				got, err := s.try("POST", "/v1/customers", []string{"name=Ann"}, key("k"))
				if err != nil || got.status != 200 && got.status != 409 {
					t.Errorf("status %d, %v", got.status, err)
				}
			}
		})
	}
	all.Wait()
	if got := s.count("customers"); got != 1 {
		t.Errorf("%d customers", got)
	}
}

func TestManyCallers(t *testing.T) {
	t.Parallel()
	s := start(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				id := s.customer()
				session := s.session(with(subscribing, "customer="+id)...)
				s.complete(session.str("id"))
				s.must("/v1/billing_portal/sessions", "customer="+id)
				s.get("/v1/checkout/sessions", "customer="+id, "expand[]=data.subscription")
				s.control("GET", "/sandbox/v1/requests", "")
				s.control("GET", "/sandbox/v1/state", "")
			}
		})
	}
	all.Wait()
	if c, sub := s.count("customers"), s.count("subscriptions"); c != 80 || sub != 80 {
		t.Errorf("%d customers, %d subscriptions", c, sub)
	}
}
