//go:build contract

package contract_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestWhatTheServiceSends drives every use of Stripe that the service has, and wants
// Stripe's own schema to take each request.
func TestWhatTheServiceSends(t *testing.T) {
	t.Parallel()
	old, now := builds()[0], builds()[1]
	program := buildService(t)
	for name, set := range map[string]setting{
		"2023-10-16": {build: old, subjects: "plain"},
		"2026-08-26.dahlia, the service's default": {build: now, subjects: "plain"},
		"2026-08-26.dahlia, configured":            {build: now, version: now.version, subjects: "sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, program, set)
			h.drive(set)
			h.judge(set)
		})
	}
}

// drive makes the service use Stripe in every way it can.
func (h *house) drive(set setting) {
	h.t.Helper()
	alice := h.token("alice")
	h.driveExisting()
	for _, body := range append(checkouts(), checkoutsOf[set.build.version]...) {
		if id, ok := h.want(http.StatusCreated, http.MethodPost, "/checkout", alice, body).body["id"].(string); ok {
			h.want(http.StatusOK, http.MethodGet, "/checkout/"+id, alice, "")
		}
	}
	h.want(http.StatusCreated, http.MethodPost, "/checkout", alice, `{"plan":"pay-open","promotion_code":"WELCOME 10 %"}`)
	for _, body := range []string{
		"",
		`{}`,
		`{"return_url":"https://app.example.com/account?tab=billing&x=1#invoices","locale":"en-AU"}`,
		`{"portal":"configured"}`,
		`{"portal":"configured","return_url":"https://app.example.com/elsewhere","locale":"zh-HK"}`,
	} {
		h.want(http.StatusCreated, http.MethodPost, "/portal", alice, body)
	}
	// Customers whose names need escaping, or are longer than a client_reference_id.
	for _, subject := range []string{"auth0|5f7c+8=9&a[b]", "Zoë %41 {CHECKOUT_SESSION_ID}", strings.Repeat("s", 250)} {
		h.want(http.StatusCreated, http.MethodPost, "/checkout", h.token(subject), `{"plan":"subscribe"}`)
	}
}

func checkouts() []string {
	return []string{
		`{"plan":"pay"}`, `{"plan":"subscribe"}`, `{"plan":"save"}`,
		`{"plan":"pay-open"}`,
		`{"plan":"pay-open","quantity":50,"locale":"de","currency":"eur","metadata":{"order":"4711","note":"a&b=c [d] é"},
			"success_url":"https://app.example.com/done/{CHECKOUT_SESSION_ID}?from=cart&x=1#top",
			"cancel_url":"https://app.example.com/cart?items=1,2"}`,
		`{"plan":"subscribe-open","quantity":3,"locale":"pt-BR","metadata":{"workspace":"ws_1842"},
			"success_url":"https://app.example.com/billing?session_id={CHECKOUT_SESSION_ID}"}`,
		`{"plan":"save-open","locale":"fr-CA","currency":"cad","metadata":{"reason":"renewal"},
			"success_url":"https://app.example.com/saved","cancel_url":"https://app.example.com/"}`,
		`{"plan":"pay-rich","metadata":{"order":"4712"}}`,
		`{"plan":"subscribe-rich","metadata":{"k":"v"}}`, `{"plan":"subscribe-code"}`,
		`{"plan":"save-rich","success_url":"https://app.example.com/saved?s={CHECKOUT_SESSION_ID}"}`,
	}
}

var checkoutsOf = map[string][]string{
	"2023-10-16": {
		`{"plan":"pay-embedded"}`, `{"plan":"subscribe-embedded"}`, `{"plan":"pay-hosted"}`,
		`{"plan":"pay-embedded","return_url":"https://app.example.com/back?session={CHECKOUT_SESSION_ID}"}`,
	},
	"2026-08-26.dahlia": {`{"plan":"pay-new"}`, `{"plan":"subscribe-new"}`},
}

// expected are the operations without which the test would prove less than it says.
var expected = []string{
	"GET /v1/account", "GET /v1/prices", "GET /v1/prices/{id}", "GET /v1/promotion_codes", "POST /v1/customers",
	"POST /v1/checkout/sessions payment", "POST /v1/checkout/sessions subscription", "POST /v1/checkout/sessions setup",
	"GET /v1/checkout/sessions/{id}", "POST /v1/billing_portal/sessions",
	"GET /v1/checkout/sessions", "GET /v1/checkout/sessions/{id}/line_items", "POST /v1/checkout/sessions/{id}/expire",
	"GET /v1/subscriptions", "GET /v1/subscriptions/{id}",
}

// judge looks through the journal: what is refused, what is missing, what it was.
func (h *house) judge(set setting) {
	h.t.Helper()
	h.judgeEach(set)
	seen, sent, total := map[string]int{}, map[string]bool{}, 0
	for _, x := range h.proxy.exchanges() {
		total++
		seen[x.operation()]++
		for name := range x.form() {
			if top, _, _ := strings.Cut(name, "["); x.method == http.MethodPost && x.path == "/v1/checkout/sessions" {
				sent[top] = true
			}
		}
	}
	for _, name := range expected {
		if seen[name] == 0 {
			h.t.Errorf("never sent: %s", name)
		}
	}
	var counts strings.Builder
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&counts, "\n  %s ×%d", name, seen[name])
	}
	h.t.Logf("%d requests judged:%s", total, counts.String())
	h.t.Logf("parameters of Checkout never sent: %v", unsent(set.build.spec(h.t), sent))
	h.t.Logf("answers patched:%s", h.proxy.summary())
}

// judgeEach fails the test for every request that either judge refuses.
func (h *house) judgeEach(set setting) {
	h.t.Helper()
	spec, version := set.build.spec(h.t), set.version
	if version == "" {
		version = "2023-10-16" // stripe-go v76's
	}
	for _, x := range h.proxy.exchanges() {
		if x.status >= 400 {
			h.t.Errorf("stripe-mock refuses %s: %d %s\nsent: %s", x.operation(), x.status, x.answer, x.readable())
		}
		if err := spec.judge(x); err != nil {
			h.t.Errorf("the specification refuses %s: %v\nsent: %s", x.operation(), err, x.readable())
		}
		for _, problem := range x.headers(version) {
			h.t.Errorf("%s: %s", x.operation(), problem)
		}
	}
}

// unsent are the parameters of POST /v1/checkout/sessions that no plan here has.
func unsent(s *spec, sent map[string]bool) []string {
	var out []string
	_, create := s.operation(http.MethodPost, "/v1/checkout/sessions")
	for name := range bodySchema(create).Properties {
		if !sent[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// headers are what is wrong with those that every request has.
func (x *exchange) headers(version string) []string {
	var wrong []string
	want := func(holds bool, format string, args ...any) {
		if !holds {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	want(x.header.Get("Stripe-Version") == version, "Stripe-Version is %q, want %q", x.header.Get("Stripe-Version"), version)
	want(x.header.Get("Authorization") == "Bearer "+stripeKey, "the key is not sent as a bearer token")
	key := x.header.Get("Idempotency-Key")
	if x.method == http.MethodPost {
		want(key != "" && len(key) <= 255, "Idempotency-Key %q, want 1 to 255 characters", key)
		want(x.header.Get("Content-Type") == "application/x-www-form-urlencoded", "Content-Type is %q", x.header.Get("Content-Type"))
	} else {
		want(key == "", "Idempotency-Key on a %s", x.method)
		want(x.body == "", "a body on a %s", x.method)
	}
	return wrong
}

// readable is what was sent, without the escapes.
func (x *exchange) readable() string {
	text, err := url.QueryUnescape(x.query + x.body)
	if err != nil {
		return x.query + x.body
	}
	return text
}
