package billing_test

import (
	"fmt"
	"strings"
	"testing"

	"till/internal/catalog"
	"till/internal/problem"
)

// withPlan adds plans to those of the tests.
func withPlan(more ...catalog.Plan) func(*config) {
	return func(c *config) { c.plans = append(c.plans, more...) }
}

// bundle is a plan whose caller chooses: seats, with an add-on, a fee and calls.
func bundle() catalog.Plan {
	return catalog.Plan{
		Name: "bundle", Mode: catalog.ModeSubscription,
		LineItems: []catalog.LineItem{
			{Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Name: "seats", Quantity: &catalog.Quantity{Default: 3, Min: 2, Max: 9}},
			{Price: catalog.PriceRef{ID: "price_mug"}, Params: params{"adjustable_quantity": params{"enabled": true}}},
			{Price: catalog.PriceRef{LookupKey: "calls"}, Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 9}},
		},
		Accepts: []catalog.Field{catalog.FieldLineItems},
	}
}

func TestCallersChooseOfThePlansItems(t *testing.T) {
	t.Parallel()
	mug := func(quantity int64) params {
		return params{"price": "price_mug", "quantity": quantity, "adjustable_quantity": params{"enabled": true}}
	}
	for body, want := range map[string][]any{
		`{"plan":"bundle"}`: {
			params{"price": "price_pro", "quantity": int64(3)}, mug(1), params{"price": "price_meter"},
		},
		`{"plan":"bundle","line_items":[{"price":"seats"}]}`:                       {params{"price": "price_pro", "quantity": int64(3)}},
		`{"plan":"bundle","line_items":[{"price":"seats","quantity":9}]}`:          {params{"price": "price_pro", "quantity": int64(9)}},
		`{"plan":"bundle","line_items":[{"price":"price_mug"},{"price":"calls"}]}`: {mug(1), params{"price": "price_meter"}},
		`{"plan":"bundle","line_items":[{"price":"calls"},{"price":"seats"}]}`:     {params{"price": "price_meter"}, params{"price": "price_pro", "quantity": int64(3)}},
		`{"plan":"bundle","line_items":[{"price":"seats","quantity":2},{"price":"calls"},{"price":"price_mug"}]}`: {
			params{"price": "price_pro", "quantity": int64(2)}, params{"price": "price_meter"}, mug(1),
		},
	} {
		s := newService(t, withPlan(bundle()))
		same(t, body, s.buys(t, "alice", request(t, body)).Params["line_items"], any(want))
	}
}

func TestWhatIsNoChoice(t *testing.T) {
	t.Parallel()
	both := bundle()
	both.Name, both.LineItems, both.Accepts = "both", both.LineItems[:1], append(both.Accepts, catalog.FieldQuantity)
	item := func(text string) string { return `{"plan":"bundle","line_items":[` + text + `]}` }
	for body, want := range map[string]verdict{
		item(``):                                             {problem.ValidationFailed, []string{"/line_items"}},
		item(`{}`):                                           {problem.ValidationFailed, []string{"/line_items/0/price"}},
		item(`{"quantity":3}`):                               {problem.ValidationFailed, []string{"/line_items/0/price"}},
		item(`{"price":"pro_monthly"}`):                      {problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		item(`{"price":"price_pro"}`):                        {problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		item(`{"price":"Seats"}`):                            {problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		item(`{"price":""}`):                                 {problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		item(`{"price":"price_shirt"}`):                      {problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		item(`{"price":"seats"},{"price":"seats"}`):          {problem.ValidationFailed, []string{"/line_items/1/price"}},
		item(`{"price":"seats","quantity":1}`):               {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"seats","quantity":10}`):              {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"seats","quantity":0}`):               {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"seats","quantity":-3}`):              {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"price_mug","quantity":1}`):           {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"calls","quantity":1}`):               {problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		item(`{"price":"price_mug"}`):                        {problem.CatalogNotAllowed, []string{"/line_items"}},
		item(strings.Repeat(`{"price":"seats"},`, 3) + `{}`): {problem.CatalogNotAllowed, []string{"/line_items"}},
		item(`{"price":"none"},{"price":"seats","quantity":99},{"price":"seats"}`): {problem.CatalogNotAllowed, []string{
			"/line_items/0/price", "/line_items/1/quantity", "/line_items/2/price",
		}},
		`{"plan":"bundle","quantity":3}`:                                      {problem.CatalogNotAllowed, []string{"/quantity"}},
		`{"plan":"both","quantity":3,"line_items":[{"price":"seats"}]}`:       {problem.ValidationFailed, []string{"/quantity"}},
		`{"plan":"shop","line_items":[{"price":"price_mug","quantity":100}]}`: {problem.CatalogNotAllowed, []string{"/line_items"}},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			s := newService(t, withPlan(bundle(), both))
			_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, body))
			same(t, "refusal", verdictOf(t, err), want)
			s.untouched(t)
		})
	}
}

// pages is a plan for every page, with a parameter for each.
func pages(modes ...string) catalog.Plan {
	return catalog.Plan{
		Name: "pages", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_mug"}}},
		Accepts: []catalog.Field{catalog.FieldUIMode, catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldReturnURL},
		UIModes: modes,
		Params: params{
			"success_url": "https://app.example.com/ok", "redirect_on_completion": "if_required", "submit_type": "pay",
			"custom_text": params{"submit": params{"message": "Hi"}}, "locale": "de",
		},
	}
}

func TestEachPageGetsWhatSuitsIt(t *testing.T) {
	t.Parallel()
	text := params{"submit": params{"message": "Hi"}}
	for body, want := range map[string]params{
		`{"plan":"pages"}`: {
			"success_url": "https://app.example.com/ok", "cancel_url": account, "submit_type": "pay", "custom_text": text,
		},
		`{"plan":"pages","ui_mode":"hosted","cancel_url":"https://app.example.com/no"}`: {
			"success_url": "https://app.example.com/ok", "cancel_url": "https://app.example.com/no", "submit_type": "pay", "custom_text": text,
		},
		`{"plan":"pages","ui_mode":"embedded"}`: {
			"ui_mode": "embedded", "return_url": account, "redirect_on_completion": "if_required", "submit_type": "pay", "custom_text": text,
		},
		`{"plan":"pages","ui_mode":"custom","return_url":"https://app.example.com/back"}`: {
			"ui_mode": "custom", "return_url": "https://app.example.com/back",
		},
	} {
		s := newService(t, withPlan(pages()))
		got := s.buys(t, "alice", request(t, body)).Params
		want["mode"], want["customer"], want["client_reference_id"], want["locale"] = "payment", "cus_1", "alice", "de"
		want["line_items"] = []any{params{"price": "price_mug", "quantity": int64(1)}}
		want["metadata"], want["payment_intent_data"] = owned("pages", nil), params{"metadata": owned("pages", nil)}
		same(t, body, got, want)
	}
}

func TestPagesThatAreNotOffered(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]verdict{
		`{"plan":"pages","ui_mode":"custom"}`:        {problem.CatalogNotAllowed, []string{"/ui_mode"}},
		`{"plan":"pages","ui_mode":"elements"}`:      {problem.CatalogNotAllowed, []string{"/ui_mode"}},
		`{"plan":"pages","ui_mode":"embedded_page"}`: {problem.CatalogNotAllowed, []string{"/ui_mode"}},
		`{"plan":"pages","ui_mode":""}`:              {problem.CatalogNotAllowed, []string{"/ui_mode"}},
		`{"plan":"embedded","ui_mode":"embedded"}`:   {problem.CatalogNotAllowed, []string{"/ui_mode"}},
		`{"plan":"pages","ui_mode":"embedded","success_url":"https://app.example.com/"}`: {
			problem.CatalogNotAllowed, []string{"/success_url"},
		},
		`{"plan":"pages","ui_mode":"embedded","cancel_url":"https://app.example.com/","return_url":"https://evil.example/"}`: {
			problem.CatalogNotAllowed, []string{"/cancel_url", "/return_url"},
		},
		`{"plan":"pages","return_url":"https://app.example.com/"}`: {problem.CatalogNotAllowed, []string{"/return_url"}},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			s := newService(t, withPlan(pages("hosted", "embedded")))
			_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, body))
			same(t, "refusal", verdictOf(t, err), want)
			s.untouched(t)
		})
	}
}

func TestCurrenciesAreThePlans(t *testing.T) {
	t.Parallel()
	plan := pages()
	plan.Accepts, plan.Currencies = []catalog.Field{catalog.FieldCurrency}, []string{"usd", "eur"}
	s := newService(t, withPlan(plan))
	for currency, pointer := range map[string]string{"usd": "", "eur": "", "gbp": "/currency", "USD": "/currency", "": "/currency"} {
		body := request(t, fmt.Sprintf(`{"plan":"pages","currency":%q}`, currency))
		if pointer == "" {
			if got := s.buys(t, "alice", body).Params["currency"]; got != currency {
				t.Errorf("%s: sent %v", currency, got)
			}
			continue
		}
		_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), body)
		code := problem.ValidationFailed
		if currency == "gbp" {
			code = problem.CatalogNotAllowed
		}
		same(t, currency, verdictOf(t, err), verdict{code, []string{pointer}})
	}
}
