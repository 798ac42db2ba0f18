//go:build contract

package contract_test

import (
	"net/http"
	"strings"
	"testing"
)

// A verdict that cannot fail is none: requests that are wrong on purpose go the same
// way, through the same proxy, to the same judges.
func TestTheVerdictCanFail(t *testing.T) {
	t.Parallel()
	const session = "mode=payment&success_url=https%3A%2F%2Fapp.example.com"
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			mock := run(t, "stripe-mock", nil, fromEnv(t, b.mockEnv), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
			p := startProxy(t, "http://"+mock.await(`Listening for HTTP at address: (\S+)`)[1])
			spec := b.spec(t)
			other := map[string]string{"hosted": "hosted_page", "hosted_page": "hosted"}[b.hosted]
			for _, test := range []struct {
				name, method, path, form string
				mock, spec               bool // who refuses
			}{
				{"a right one", "POST", "/v1/checkout/sessions", session, false, false},
				{"ui_mode as this version spells it", "POST", "/v1/checkout/sessions", session + "&ui_mode=" + b.embedded, false, false},
				{"unknown parameter", "POST", "/v1/checkout/sessions", session + "&no_such_parameter=1", true, true},
				{"unknown parameter of a nested object", "POST", "/v1/checkout/sessions", session + "&automatic_tax[enabled]=true&automatic_tax[x]=1", false, true},
				{"missing nested parameter", "POST", "/v1/checkout/sessions", session + "&invoice_creation[invoice_data][footer]=x", true, true},
				{"wrong type", "POST", "/v1/checkout/sessions", session + "&expires_at=tomorrow", true, true},
				{"value out of the enumeration", "POST", "/v1/checkout/sessions", session + "&locale=klingon", true, true},
				{"ui_mode as another version spells it", "POST", "/v1/checkout/sessions", session + "&ui_mode=" + other, true, true},
				{"unknown parameter in a list", "POST", "/v1/checkout/sessions", session + "&line_items[0][price]=p&line_items[0][x]=1", false, true},
				{"unknown parameter of the portal", "POST", "/v1/billing_portal/sessions", "customer=cus_1&x=1", true, true},
				{"unknown parameter of a customer", "POST", "/v1/customers", "x=1", true, true},
				{"unknown filter", "GET", "/v1/prices", "x=1", true, true},
				{"unknown operation", "GET", "/v1/no_such_thing", "", true, true},
			} {
				x := p.ask(t, test.method, test.path, test.form)
				if got := x.status >= 400; got != test.mock {
					t.Errorf("%s: stripe-mock answered %d, want refused: %v\n%s", test.name, x.status, test.mock, x.answer)
				}
				if err := spec.judge(x); (err != nil) != test.spec {
					t.Errorf("%s: the specification says %v, want refused: %v", test.name, err, test.spec)
				}
			}
		})
	}
}

// The same for answers: each of these spoils one that the sandbox gave.
func TestTheVerdictOnAnswersCanFail(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			w := newWalker(t, b)
			w.post("/v1/checkout/sessions", paying(success)...)
			if len(w.found) > 0 {
				t.Fatalf("a right answer: %v", w.found)
			}
			for name, spoil := range map[string]func(session object){
				"missing field":      func(s object) { delete(s, "payment_status") },
				"null":               func(s object) { s["livemode"] = nil },
				"wrong type":         func(s object) { s["expires_at"] = "tomorrow" },
				"no integer":         func(s object) { s["created"] = 1.5 },
				"enumeration":        func(s object) { s["mode"] = "dance" },
				"ui_mode":            func(s object) { s["ui_mode"] = "odd" },
				"nested":             func(s object) { s["automatic_tax"] = object{} },
				"reference":          func(s object) { s["customer"] = object{"object": "price"} },
				"too long":           func(s object) { s["url"] = strings.Repeat("u", 5001) },
				"list without data":  func(s object) { s["line_items"] = object{"object": "list"} },
				"field of nobody's":  func(s object) { s["colour"] = "blue" },
				"field of another's": func(s object) { s["unit_amount"] = 1.0 },
			} {
				got := w.post("/v1/checkout/sessions", paying(success)...)
				spoil(got.body)
				clear(w.found)
				w.judge(&exchange{method: http.MethodPost, path: "/v1/checkout/sessions", body: encode(paying(success))}, got)
				if len(w.found) == 0 {
					t.Errorf("%s: not found", name)
				}
			}
			got := w.call(http.StatusNotFound, http.MethodGet, "/v1/customers/cus_none")
			got.body["error"] = "no"
			clear(w.found)
			w.judge(&exchange{method: http.MethodGet, path: "/v1/customers/cus_none"}, got)
			if len(w.found) == 0 {
				t.Error("an error that is none: not found")
			}
		})
	}
}

// ask sends one request through the proxy and returns what the journal says of it.
func (p *proxy) ask(t *testing.T, method, path, form string) *exchange {
	t.Helper()
	target, body := p.server.URL+path, ""
	if method == http.MethodGet {
		target += "?" + form
	} else {
		body = form
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := roundTrip(req); err != nil {
		t.Fatal(err)
	}
	all := p.exchanges()
	return all[len(all)-1]
}
