package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

// raw is what Stripe itself says of an object.
func (h *house) raw(t *testing.T, path string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.sandbox.URL+"/v1/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var object map[string]any
	if err := json.UnmarshalRead(res.Body, &object); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return object
}

// sessionFields are what the owner is shown of Stripe's session.
const sessionFields = `id object url client_secret ui_mode mode status payment_status currency amount_subtotal amount_total created
	expires_at livemode locale success_url cancel_url return_url customer customer_account subscription payment_intent setup_intent
	invoice metadata`

// TestEveryFieldComesBack: in every mode and state, the owner sees of a session what
// Stripe says of it, and nothing else.
func TestEveryFieldComesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	seen := map[string]bool{}
	for _, body := range []string{
		`{"plan":"pro","quantity":3,"locale":"de","metadata":{"ref":"42"},"cancel_url":"https://app.example.com/no"}`,
		`{"plan":"tshirt"}`, `{"plan":"save-card"}`, `{"plan":"embedded","return_url":"https://app.example.com/back"}`, `{"plan":"boutique"}`,
	} {
		id := h.post("/checkout", alice, body).text(t, "id")
		for _, step := range []string{"open", "complete"} {
			if step == "complete" {
				h.control(http.MethodPost, "checkout/"+id+"/complete", "{}")
			}
			stripe, shown := h.raw(t, "checkout/sessions/"+id), map[string]any{}
			if err := json.Unmarshal(h.get("/checkout/"+id, alice).body, &shown); err != nil {
				t.Fatal(err)
			}
			delete(shown, "next_poll_after_ms")
			want := map[string]any{}
			for _, name := range strings.Fields(sessionFields) {
				want[name] = stripe[name]
				seen[name] = seen[name] || stripe[name] != nil
			}
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Errorf("%s, %s (-Stripe's +shown):\n%s", body, step, diff)
			}
		}
		items, err := decodeAny(h.get("/checkout/"+id+"/line_items", alice).body)
		if err != nil {
			t.Fatal(err)
		}
		shown := items.(map[string]any)["data"].([]any)
		for i, one := range h.raw(t, "checkout/sessions/"+id+"/line_items")["data"].([]any) {
			for name, value := range shown[i].(map[string]any) {
				if name != "price" && !cmp.Equal(value, one.(map[string]any)[name]) {
					t.Errorf("%s: %s of a line item is %v, and Stripe says %v", body, name, value, one.(map[string]any)[name])
				}
			}
		}
	}
	for _, name := range strings.Fields(sessionFields) {
		if !seen[name] && name != "customer_account" && name != "invoice" {
			t.Errorf("%s was never anything but null", name)
		}
	}
}

// TestPollingFromManyWindows: however many ask, Stripe hears once a second at most.
func TestPollingFromManyWindows(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{polls: true})
	alice := h.token("alice")
	id := h.post("/checkout", alice, `{"plan":"pro"}`).text(t, "id")
	began := time.Now()
	var windows sync.WaitGroup
	for range 20 {
		windows.Go(func() {
			for range 5 {
				want(t, h.get("/checkout/"+id, alice), http.StatusOK, "")
			}
		})
	}
	windows.Wait()
	most := 1 + int(time.Since(began)/time.Second)
	if n := h.stripeCalls("checkout.sessions.retrieve"); n < 1 || n > most {
		t.Errorf("%d reads for 100 polls, want at most %d", n, most)
	}
	want(t, h.post("/checkout/"+id+"/expire", alice, ""), http.StatusOK, "")
	if got := h.get("/checkout/"+id, alice).text(t, "status"); got != "expired" {
		t.Errorf("after it was expired, the session is %s", got)
	}
}

// TestUpdatesUnderEveryVersion: the update is younger than the version that stripe-go
// speaks, and ui_mode has changed its spelling since.
func TestUpdatesUnderEveryVersion(t *testing.T) {
	t.Parallel()
	for version, page := range map[string]string{"": "custom", "2025-03-31.basil": "custom", "2026-08-26.dahlia": "elements"} {
		plans := testPlans()
		boutique := plans[len(plans)-1]
		boutique.Params = catalog.Params{"ui_mode": page, "shipping_address_collection": catalog.Params{"allowed_countries": []any{"DE"}}}
		h := newHouse(t, settings{version: version, plans: []catalog.Plan{boutique}})
		alice := h.token("alice")
		id := h.post("/checkout", alice, `{"plan":"boutique","metadata":{"gone":"1"}}`).text(t, "id")
		res := h.patch("/checkout/"+id, alice, everyChange)
		want(t, res, http.StatusOK, "")
		metadata, _ := res.member(t, "metadata").(map[string]any)
		if metadata["ref"] != "44" || metadata["gone"] != nil || metadata["till_plan"] != "boutique" {
			t.Errorf("%s: metadata is %v", version, metadata)
		}
		if got := res.text(t, "ui_mode"); got != page || got != h.get("/checkout/"+id, alice).text(t, "ui_mode") {
			t.Errorf("%s: ui_mode is %q, want %q", version, got, page)
		}
		// Three shirts, and the delivery.
		if got := res.member(t, "amount_total"); got != 3*2500.0+500 {
			t.Errorf("%s: the total is %v", version, got)
		}
		items := h.get("/checkout/"+id+"/line_items", alice)
		if got := fmt.Sprint(items.member(t, "data")); !strings.Contains(got, "price:shirt quantity:3") {
			t.Errorf("%s: the items are %s", version, got)
		}
	}
}

// TestSubscriptionsAreBornOfSessions, and are shown as the portal's flows need them.
func TestSubscriptionsAreBornOfSessions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "2026-08-26.dahlia"} {
		h := newHouse(t, settings{version: version})
		alice := h.token("alice")
		id := h.post("/checkout", alice, `{"plan":"pro","quantity":3}`).text(t, "id")
		h.control(http.MethodPost, "checkout/"+id+"/complete", "{}")
		sub := h.get("/checkout/"+id, alice).text(t, "subscription")
		of := func(query string) []any {
			t.Helper()
			data, ok := h.get("/subscriptions"+query, alice).member(t, "data").([]any)
			if !ok {
				t.Fatal("no list")
			}
			return data
		}
		stripe := h.raw(t, "subscriptions/"+sub)
		item := stripe["items"].(map[string]any)["data"].([]any)[0].(map[string]any)
		expect := map[string]any{
			"plan": "pro", "current_period_end": item["current_period_end"],
			"items": []any{map[string]any{"id": item["id"], "price": "pro_monthly", "quantity": 3.0}},
		}
		for _, name := range strings.Fields("id object customer customer_account livemode status created trial_end cancel_at cancel_at_period_end canceled_at ended_at") {
			expect[name] = stripe[name]
		}
		if diff := cmp.Diff([]any{expect}, of("")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", version, diff)
		}
		if n := len(of("?status=trialing")); n != 1 {
			t.Errorf("%d in trial", n)
		}
		h.stripeDelete(t, "subscriptions/"+sub)
		for query, n := range map[string]int{"": 0, "?status=active": 0, "?status=canceled": 1, "?status=ended": 1, "?status=all&limit=1": 1} {
			if got := len(of(query)); got != n {
				t.Errorf("%q: %d, want %d", query, got, n)
			}
		}
		want(t, h.get("/subscriptions?starting_after="+sub, h.token("bob")), http.StatusUnprocessableEntity, "validation_failed")
	}
}

// TestPlansCostNoCall: what may be bought is known.
func TestPlansCostNoCall(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	before := h.stripeCalls("")
	res := h.get("/plans", h.token("alice"))
	want(t, res, http.StatusOK, "")
	if n := h.stripeCalls("") - before; n != 0 {
		t.Errorf("%d calls", n)
	}
	if got := string(res.body); !strings.Contains(got, `"unit_amount":2000,"recurring":{"interval":"month","interval_count":1,"usage_type":"licensed"}`) {
		t.Errorf("got %s", got)
	}
	if n := len(h.customersOf("alice")); n != 0 {
		t.Errorf("%d customers were made", n)
	}
}

// TestPreflightsOfEveryRoute, and the methods that each of them has.
func TestPreflightsOfEveryRoute(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for path, allow := range map[string]string{
		"/checkout": "OPTIONS, GET, HEAD, POST", "/checkout/x": "OPTIONS, GET, HEAD, PATCH", "/checkout/x/expire": "OPTIONS, POST",
		"/checkout/x/line_items": "OPTIONS, GET, HEAD", "/plans": "OPTIONS, GET, HEAD", "/subscriptions": "OPTIONS, GET, HEAD",
	} {
		res := h.send(request{method: "OPTIONS", path: path, header: http.Header{"Origin": {appOrigin}, "Access-Control-Request-Method": {"PATCH"}}})
		if res.status != http.StatusNoContent || !strings.Contains(res.header.Get("Access-Control-Allow-Methods"), "PATCH") {
			t.Errorf("%s: %d %v", path, res.status, res.header)
		}
		wrong := h.send(request{method: "DELETE", path: path, token: h.token("alice")})
		if wrong.status != http.StatusMethodNotAllowed || wrong.header.Get("Allow") != allow {
			t.Errorf("%s: %d, Allow %q", path, wrong.status, wrong.header.Get("Allow"))
		}
	}
}
