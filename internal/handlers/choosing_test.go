package handlers_test

import (
	"net/http"
	"testing"

	"till/internal/catalog"
)

// choosing are plans whose callers have much to choose.
func choosing() []catalog.Plan {
	return []catalog.Plan{
		{
			Name: "team", Mode: catalog.ModeSubscription,
			LineItems: []catalog.LineItem{
				{Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Name: "seats", Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 50}},
				{Price: catalog.PriceRef{LookupKey: "tshirt"}, Name: "shirt"},
				{Price: catalog.PriceRef{LookupKey: "api_calls"}},
			},
			Accepts: []catalog.Field{
				catalog.FieldLineItems, catalog.FieldUIMode, catalog.FieldCurrency, catalog.FieldSuccessURL, catalog.FieldReturnURL,
			},
			Currencies: []string{"usd"},
			Params:     catalog.Params{"custom_text": catalog.Params{"submit": catalog.Params{"message": "Hi"}}},
		},
		{
			Name: "single", Mode: catalog.ModeSubscription, Once: true, TrialOnce: true,
			LineItems: []catalog.LineItem{{
				Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 50},
			}},
			Accepts: []catalog.Field{catalog.FieldQuantity},
			Params:  catalog.Params{"subscription_data": catalog.Params{"trial_period_days": int64(14)}},
		},
	}
}

func TestWhatCallersChooseArrives(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for body, want := range map[string]struct {
		mode   string
		amount float64
		secret bool
	}{
		`{"plan":"team"}`: {"hosted", 4500, false},
		`{"plan":"team","line_items":[{"price":"seats","quantity":3}]}`:                                                {"hosted", 6000, false},
		`{"plan":"team","line_items":[{"price":"shirt"},{"price":"seats"}],"currency":"usd","ui_mode":"hosted"}`:       {"hosted", 4500, false},
		`{"plan":"team","ui_mode":"embedded","line_items":[{"price":"api_calls"}]}`:                                    {"embedded", 0, true},
		`{"plan":"team","ui_mode":"custom","return_url":"https://app.example.com/x","line_items":[{"price":"seats"}]}`: {"custom", 2000, true},
	} {
		res := h.post("/checkout", alice, body)
		if res.status != http.StatusCreated {
			t.Errorf("%s: %d %s", body, res.status, res.body)
			continue
		}
		if res.text(t, "ui_mode") != want.mode || res.member(t, "amount_total") != want.amount ||
			(res.text(t, "client_secret") != "") != want.secret || (res.text(t, "url") == "") != want.secret {
			t.Errorf("%s: got %s", body, res.body)
		}
	}
}

// One subscription and one trial each, as Stripe has it.
func TestASubscriptionThatIsSoldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	first := h.post("/checkout", alice, `{"plan":"single"}`)
	want(t, first, http.StatusCreated, "")
	id := first.text(t, "id")
	before := h.stripeCalls("")
	if again := h.post("/checkout", alice, `{"plan":"single"}`); again.text(t, "id") != id || again.text(t, "url") != first.text(t, "url") {
		t.Errorf("the same was asked for: got %d %s", again.status, again.body)
	}
	if calls := h.stripeCalls("") - before; calls != 3 {
		t.Errorf("handing out cost %d calls, want 3", calls)
	}
	other := h.post("/checkout", alice, `{"plan":"single","quantity":2}`)
	want(t, other, http.StatusCreated, "")
	if got := h.get("/checkout/"+id, alice).text(t, "status"); got != "expired" {
		t.Errorf("the first session is %s", got)
	}
	h.control(http.MethodPost, "checkout/"+other.text(t, "id")+"/complete", "{}")
	want(t, h.post("/checkout", alice, `{"plan":"single"}`), http.StatusConflict, "already_subscribed")

	// Another plan with a trial: it was had.
	bob := h.token("bob")
	trial := h.post("/checkout", bob, `{"plan":"pro"}`)
	h.control(http.MethodPost, "checkout/"+trial.text(t, "id")+"/complete", "{}")
	want(t, h.post("/checkout", bob, `{"plan":"single"}`), http.StatusConflict, "already_subscribed") // by its price
	h.control(http.MethodPost, "faults", `{"operation":"subscriptions.list","kind":"rate_limit"}`)
	want(t, h.post("/checkout", h.token("carol"), `{"plan":"single"}`), http.StatusServiceUnavailable, "overloaded")
	h.control(http.MethodDelete, "faults", "")
}

// A browser that has sent a form cannot go to a page that there is none of; so there
// is to be no session either.
func TestAFormForAPlanWithoutAPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	before := h.stripeCalls("")
	for _, body := range []string{"plan=embedded", "plan=team&ui_mode=embedded", "plan=team&ui_mode=custom"} {
		res := h.form("/checkout", alice, body)
		if code, pointer := res.page(t); res.status != http.StatusUnprocessableEntity || code != "catalog_not_allowed" || pointer != "/plan" {
			t.Errorf("%s: got %d %s %s", body, res.status, code, pointer)
		}
	}
	if calls := h.stripeCalls("") - before; calls != 0 {
		t.Errorf("%d calls reached Stripe", calls)
	}
	want(t, h.form("/checkout", alice, "plan=team&ui_mode=hosted"), http.StatusSeeOther, "")
}
