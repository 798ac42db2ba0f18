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
