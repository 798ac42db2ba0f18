package handlers_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"till/internal/catalog"
)

// testPortals are one with every flow, and one without.
func testPortals() []catalog.Portal {
	return []catalog.Portal{
		{Name: "default", Flows: catalog.Flows(), Coupons: []string{"welcome10", "SAVE20"}},
		{Name: "customers-only", MissingCustomer: catalog.Refuse},
	}
}

// subscribes buys the plan and returns the subscription.
func (h *house) subscribes(token string) string {
	h.t.Helper()
	created := h.post("/checkout", token, `{"plan":"pro","quantity":3}`)
	want(h.t, created, http.StatusCreated, "")
	h.control(http.MethodPost, "checkout/"+created.text(h.t, "id")+"/complete", "{}")
	return h.get("/checkout/"+created.text(h.t, "id"), token).text(h.t, "subscription")
}

var completions = map[string]string{
	"none":                `null`,
	"portal_homepage":     `{"type":"portal_homepage"}`,
	"hosted_confirmation": `{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":"Thank you."}}`,
	"redirect":            `{"type":"redirect","redirect":{"return_url":"https://app.example.com/done"}}`,
}

// Every flow with every ending, through the whole service, at a Stripe that judges them.
func TestFlowsAtStripe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	h.heard = newLedger(t).hear
	alice := h.token("alice")
	sub := h.subscribes(alice)
	for kind, members := range map[string]string{
		"payment_method_update": ``,
		"subscription_cancel":   `,"retention":{"type":"coupon_offer","coupon_offer":{"coupon":"welcome10"}}`,
		"subscription_update":   `,"subscription":"` + sub + `"`,
		"subscription_update_confirm": `,"items":[{"price":"pro_monthly","quantity":7}],
			"discounts":[{"promotion_code":"WELCOME10"}]`,
	} {
		for name, completion := range completions {
			flow := `{"type":"` + kind + `"` + members
			if name != "none" {
				flow += `,"after_completion":` + completion
			}
			res := h.post("/portal", alice, `{"flow":`+flow+`}}`)
			want(t, res, http.StatusCreated, "")
			got, _ := res.member(t, "flow").(map[string]any)
			wantFlow(t, got, kind, sub, name)
		}
	}
	if n := h.stripeCalls("subscriptions.list"); n != 2*len(completions) {
		t.Errorf("%d subscriptions lists", n)
	}
}

func wantFlow(t *testing.T, got map[string]any, kind, sub, completion string) {
	t.Helper()
	ends, _ := got["after_completion"].(map[string]any)
	if completion == "none" {
		completion = "portal_homepage" // Stripe's own
	}
	if got["type"] != kind || ends["type"] != completion {
		t.Errorf("%s, %s: got %v", kind, completion, got)
	}
	for _, part := range []string{"subscription_cancel", "subscription_update", "subscription_update_confirm"} {
		shown, _ := got[part].(map[string]any)
		if (shown != nil) != (part == kind) || shown != nil && shown["subscription"] != sub {
			t.Errorf("%s: %s is %v", kind, part, shown)
		}
	}
	var message, target any
	if m, _ := ends["hosted_confirmation"].(map[string]any); m != nil {
		message = m["custom_message"]
	}
	if m, _ := ends["redirect"].(map[string]any); m != nil {
		target = m["return_url"]
	}
	if (message == "Thank you.") != (completion == "hosted_confirmation") || (target == "https://app.example.com/done") != (completion == "redirect") {
		t.Errorf("%s, %s: got %v", kind, completion, ends)
	}
}

var ofRequest = regexp.MustCompile(`"request_id":"[^"]*"`)

// Another's subscription and one that does not exist are the same, byte for byte.
func TestFlowsOfAnothersSubscription(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice, bob := h.token("alice"), h.token("bob")
	own, other := h.subscribes(alice), h.subscribes(bob)
	answers := map[string][]byte{}
	for name, id := range map[string]string{
		"another's": other, "unknown": "sub_1Unknown", "malformed": "../customers", "a customer": "cus_1", "of live mode": "sub_live_1",
	} {
		for _, kind := range []string{`"subscription_cancel"`, `"subscription_update"`, `"subscription_update_confirm","items":[{}],"discounts":[{"coupon":"welcome10"}]`} {
			res := h.post("/portal", alice, fmt.Sprintf(`{"flow":{"type":%s,"subscription":%q}}`, kind, id))
			want(t, res, http.StatusUnprocessableEntity, "validation_failed")
			if got := res.pointer(t); got != "/flow/subscription" {
				t.Errorf("%s: pointer %s", name, got)
			}
			answers[name+kind] = ofRequest.ReplaceAll(res.body, nil)
			if strings.Contains(string(res.body), id) {
				t.Errorf("%s: the id is repeated", name)
			}
		}
	}
	first := answers[`unknown"subscription_cancel"`]
	for name, body := range answers {
		if !bytes.Equal(body, first) {
			t.Errorf("%s can be told apart: %s", name, body)
		}
	}
	want(t, h.post("/portal", alice, `{"flow":{"type":"subscription_cancel","subscription":"`+own+`"}}`), http.StatusCreated, "")
	// Who has several must say which.
	h.subscribes(alice)
	res := h.post("/portal", alice, `{"flow":{"type":"subscription_cancel"}}`)
	if want(t, res, http.StatusUnprocessableEntity, "validation_failed"); res.pointer(t) != "/flow/subscription" {
		t.Errorf("got %s", res.body)
	}
	// Nobody becomes a customer by it.
	want(t, h.post("/portal", h.token("carol"), `{"flow":{"type":"subscription_cancel"}}`), http.StatusConflict, "no_customer")
}

// A form can ask for a flow, too, as far as it has no lists.
func TestFlowsOfForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.form("/portal", alice, "flow%5Btype%5D=payment_method_update&flow%5Bsubscription%5D="), http.StatusSeeOther, "")
	want(t, h.form("/portal", alice, "flow%5Btype%5D="), http.StatusSeeOther, "")
	sub := h.subscribes(alice)
	want(t, h.form("/portal", alice, "flow%5Btype%5D=subscription_cancel&flow%5Bsubscription%5D="+sub+
		"&flow%5Bafter_completion%5D%5Btype%5D=redirect&flow%5Bafter_completion%5D%5Bredirect%5D%5Breturn_url%5D=https://app.example.com/done"), http.StatusSeeOther, "")
	for body, status := range map[string]int{
		"flow=subscription_cancel":                                         400,
		"flow%5Bitems%5D%5B0%5D%5Bprice%5D=pro_monthly":                    400,
		"flow%5Btype%5D=subscription_cancel&flow%5Bsubscription%5D=sub_2x": 422,
	} {
		if res := h.form("/portal", alice, body); res.status != status {
			t.Errorf("%s: got %d, want %d", body, res.status, status)
		}
	}
}

// What only the operator can mend is a 503 for the caller, and an order in the log.
func TestAPortalThatNobodyHasSetUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/portal", alice, ""), http.StatusCreated, "")
	h.configure("features[subscription_cancel][enabled]=false")
	h.subscribes(alice)
	want(t, h.post("/portal", alice, `{"flow":{"type":"subscription_cancel"}}`), http.StatusServiceUnavailable, "dependency_unavailable")
	h.logged("enable subscription_cancel there")

	h.control(http.MethodDelete, "portal_settings", "")
	res := h.post("/portal", alice, "")
	want(t, res, http.StatusServiceUnavailable, "dependency_unavailable")
	if res.header.Get("Retry-After") != "60" || strings.Contains(string(res.body), "Dashboard") {
		t.Errorf("got %v %s", res.header, res.body)
	}
	h.logged("save the customer portal's settings in the Dashboard")
}

func (h *house) logged(text string) {
	h.t.Helper()
	if !strings.Contains(h.logs.String(), text) {
		h.t.Errorf("the log does not say %q: %s", text, h.logs)
	}
}

// configure changes the account's portal settings, as the Dashboard does.
func (h *house) configure(form string) {
	h.t.Helper()
	h.stripe("/v1/billing_portal/configurations/bpc_sandbox_default", form)
}

// stripe is a write of the operator's own at Stripe.
func (h *house) stripe(path, form string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.sandbox.URL+path, strings.NewReader(form))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		h.t.Fatalf("%s %s: %s", path, form, res.Status)
	}
}

// The examples of openapi.yaml work as they stand there, but for the ids.
func TestExamplesOfPortals(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	book := newLedger(t)
	h.heard = book.hear
	h.stripe("/v1/coupons", "id=SAVE20&percent_off=20&duration=once")
	h.stripe("/v1/promotion_codes", "coupon=SAVE20&code=SPRING")
	op := book.doc.Paths.Value("/portal").Post
	example := regexp.MustCompile(`sub_\w+`)
	for name, ref := range op.RequestBody.Value.Content["application/json"].Examples {
		if err := op.RequestBody.Value.Content["application/json"].Schema.Value.VisitJSON(ref.Value.Value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		body, err := json.Marshal(ref.Value.Value)
		if err != nil {
			t.Fatal(err)
		}
		caller := h.token("alice-" + name)
		sub := h.subscribes(caller)
		want(t, h.post("/portal", caller, example.ReplaceAllString(string(body), sub)), http.StatusCreated, "")
	}
}
