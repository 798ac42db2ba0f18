package billing_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/problem"
)

// boutique is a service with plans whose sessions can be changed in every way, and a
// session of each for alice: cs_test_1 of boutique, cs_test_2 of pro, cs_test_3 of seats.
func boutique(t *testing.T, page string) *service {
	t.Helper()
	many := &catalog.Quantity{Default: 2, Min: 1, Max: 5}
	s := newService(t, func(c *config) {
		c.plans = append(c.plans, catalog.Plan{
			Name: "boutique", Mode: catalog.ModePayment,
			LineItems: []catalog.LineItem{
				{Price: catalog.PriceRef{ID: "price_shirt"}, Name: "shirt", Quantity: many, Params: params{"tax_rates": []any{"txr_1"}}},
				{Price: catalog.PriceRef{ID: "price_mug"}, Name: "mug"},
				{Price: catalog.PriceRef{ID: "price_gone"}, Name: "hat"},
			},
			Accepts: []catalog.Field{catalog.FieldMetadata, catalog.FieldLineItems},
			ShippingOptions: map[string]params{
				"slow": {"shipping_rate": "shr_1"},
				"fast": {"shipping_rate_data": params{"display_name": "Fast", "fixed_amount": params{"amount": int64(900), "currency": "eur"}}},
				"a":    {"shipping_rate": "shr_a"}, "b": {"shipping_rate": "shr_b"}, "c": {"shipping_rate": "shr_c"}, "d": {"shipping_rate": "shr_d"},
			},
			Params: params{
				"ui_mode": "custom", "metadata": params{"source": "web"},
				"shipping_address_collection": params{"allowed_countries": []any{"DE", "AT"}},
			},
		}, catalog.Plan{
			Name: "seats", Mode: catalog.ModeSubscription,
			LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Quantity: many}, {Price: catalog.PriceRef{LookupKey: "calls"}}},
			Accepts:   []catalog.Field{catalog.FieldLineItems}, Params: params{"ui_mode": "custom"},
		})
	})
	for i, plan := range []string{"boutique", "pro", "seats"} {
		s.buys(t, "alice", request(t, `{"plan":"pro"}`))
		s.stripe.edit(fmt.Sprintf("cs_test_%d", i+1), func(c *billing.CheckoutSession) {
			c.UIMode, c.Metadata = &page, map[string]string{"till_plan": plan, "till_subject": "alice", "source": "web", "ref": "1"}
		})
	}
	s.stripe.since()
	return s
}

func (s *service) update(t *testing.T, id, body string) error {
	t.Helper()
	var req billing.UpdateRequest
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		t.Fatal(err)
	}
	_, err := s.UpdateCheckout(t.Context(), s.caller(t, "alice"), id, req)
	return err
}

const shipTo = `{"collected_information":{"shipping_details":{"name":"Ann","address":{"line1":"Am Markt 1","country":"DE"%s}}}}`

func TestUpdatesSendWhatThePlanAllows(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]params{
		`{"metadata":{"ref":"","color":"blue"}}`: {"metadata": params{"ref": "", "color": "blue"}},
		`{"shipping_options":["fast","slow"]}`: {"shipping_options": []any{
			params{"shipping_rate_data": params{"display_name": "Fast", "fixed_amount": params{"amount": int64(900), "currency": "eur"}}},
			params{"shipping_rate": "shr_1"},
		}},
		fmt.Sprintf(shipTo, ""): {"collected_information": params{"shipping_details": params{
			"name": "Ann", "address": params{"line1": "Am Markt 1", "country": "DE"},
		}}},
		fmt.Sprintf(shipTo, `,"line2":"2. Stock","city":"Bonn","state":"NW","postal_code":"53111"`): {"collected_information": params{"shipping_details": params{
			"name": "Ann", "address": params{
				"line1": "Am Markt 1", "line2": "2. Stock", "city": "Bonn", "state": "NW", "postal_code": "53111", "country": "DE",
			},
		}}},
		`{"line_items":[{"price":"mug"},{"price":"shirt","quantity":5}]}`: {"line_items": []any{
			params{"price": "price_mug", "quantity": int64(1)},
			params{"price": "price_shirt", "quantity": int64(5), "tax_rates": []any{"txr_1"}},
		}},
		`{"line_items":[{"price":"shirt"}],"metadata":{"a":"b"}}`: {
			"line_items": []any{params{"price": "price_shirt", "quantity": int64(2), "tax_rates": []any{"txr_1"}}},
			"metadata":   params{"a": "b"},
		},
	} {
		s := boutique(t, "custom")
		if err := s.update(t, "cs_test_1", body); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		same(t, body, s.stripe.existing.changes[0].Params, want)
		same(t, body, s.stripe.since(), map[string]int{"read checkout": 1, "update checkout": 1})
	}
	s := boutique(t, "elements")
	if err := s.update(t, "cs_test_3", `{"line_items":[{"price":"calls"},{"price":"pro_monthly","quantity":1}]}`); err != nil {
		t.Fatal(err)
	}
	same(t, "metered", s.stripe.existing.changes[0].Params, params{"line_items": []any{
		params{"price": "price_meter"}, params{"price": "price_pro", "quantity": int64(1)},
	}})
}

func TestUpdatesThatThePlanDoesNotAllow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 256)
	keys := func(n int) string {
		some := map[string]string{}
		for i := range n {
			some[fmt.Sprint("k", i)] = "v"
		}
		text, _ := json.Marshal(map[string]any{"metadata": some})
		return string(text)
	}
	for _, tc := range []struct {
		page, id, body string
		code           problem.Code
		pointers       []string
	}{
		{"custom", "cs_test_1", `{}`, problem.ValidationFailed, []string{""}},

		{"custom", "cs_test_1", `{"metadata":{"till_plan":"pro"}}`, problem.ValidationFailed, []string{"/metadata/till_plan"}},
		{"custom", "cs_test_1", `{"metadata":{"till_plan":""}}`, problem.ValidationFailed, []string{"/metadata/till_plan"}},
		{"custom", "cs_test_1", `{"metadata":{"till_x":"","source":""}}`, problem.ValidationFailed, []string{"/metadata/source", "/metadata/till_x"}},
		{"custom", "cs_test_1", `{"metadata":{"a[b]":"c"}}`, problem.ValidationFailed, []string{"/metadata/a[b]"}},
		{"custom", "cs_test_1", `{"metadata":{"":"c"}}`, problem.ValidationFailed, []string{"/metadata/"}},
		{"custom", "cs_test_1", `{"metadata":{"` + long[:82] + `":"c"}}`, problem.ValidationFailed, []string{"/metadata/" + long[:82]}},
		{"custom", "cs_test_1", `{"metadata":{"a":"` + strings.Repeat("v", 501) + `"}}`, problem.ValidationFailed, []string{"/metadata/a"}},
		{"custom", "cs_test_1", keys(45), problem.ValidationFailed, []string{"/metadata"}},
		{"custom", "cs_test_3", `{"metadata":{"a":"b"}}`, problem.CatalogNotAllowed, []string{"/metadata"}},

		{"custom", "cs_test_2", `{"shipping_options":["slow"]}`, problem.CatalogNotAllowed, []string{"/shipping_options"}},
		{"hosted", "cs_test_1", `{"shipping_options":["slow"]}`, problem.ValidationFailed, []string{"/shipping_options"}},
		{"hosted_page", "cs_test_1", `{"shipping_options":["slow"]}`, problem.ValidationFailed, []string{"/shipping_options"}},
		{"embedded", "cs_test_1", `{"shipping_options":[]}`, problem.ValidationFailed, []string{"/shipping_options"}},
		{"embedded", "cs_test_1", `{"shipping_options":["slow","shr_1","slow"]}`, problem.CatalogNotAllowed, []string{"/shipping_options/1", "/shipping_options/2"}},
		{"embedded", "cs_test_1", `{"shipping_options":["a","b","c","d","slow","fast"]}`, problem.ValidationFailed, []string{"/shipping_options"}},

		{"custom", "cs_test_2", fmt.Sprintf(shipTo, ""), problem.CatalogNotAllowed, []string{"/collected_information"}},
		{"hosted", "cs_test_1", fmt.Sprintf(shipTo, ""), problem.ValidationFailed, []string{"/collected_information"}},
		{"embedded", "cs_test_1", `{"collected_information":{}}`, problem.ValidationFailed, []string{"/collected_information/shipping_details"}},
		{"embedded", "cs_test_1", `{"collected_information":{"shipping_details":{}}}`, problem.ValidationFailed, []string{
			"/collected_information/shipping_details/name", "/collected_information/shipping_details/address",
		}},
		{"embedded", "cs_test_1", `{"collected_information":{"shipping_details":{"name":"` + long + `","address":{"line1":"","city":"a\u0000","country":"FR"}}}}`, problem.ValidationFailed, []string{
			"/collected_information/shipping_details/name", "/collected_information/shipping_details/address/line1",
			"/collected_information/shipping_details/address/city", "/collected_information/shipping_details/address/country",
		}},
		{"embedded", "cs_test_1", `{"collected_information":{"shipping_details":{"name":"A","address":{}}}}`, problem.ValidationFailed, []string{
			"/collected_information/shipping_details/address/line1", "/collected_information/shipping_details/address/country",
		}},

		{"embedded", "cs_test_1", `{"line_items":[{"price":"mug"}]}`, problem.ValidationFailed, []string{"/line_items"}},
		{"hosted", "cs_test_1", `{"line_items":[{"price":"mug"}]}`, problem.ValidationFailed, []string{"/line_items"}},
		{"custom", "cs_test_1", `{"line_items":[]}`, problem.ValidationFailed, []string{"/line_items"}},
		{"custom", "cs_test_1", `{"line_items":[{}]}`, problem.ValidationFailed, []string{"/line_items/0/price"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"price_mug"}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"pro_monthly"}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/price"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"hat"}]}`, problem.PlanUnavailable, nil},
		{"custom", "cs_test_1", `{"line_items":[{"price":"mug"},{"price":"mug"}]}`, problem.ValidationFailed, []string{"/line_items/1/price"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"mug","quantity":1}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"shirt","quantity":0},{"price":"mug"}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		{"custom", "cs_test_1", `{"line_items":[{"price":"shirt","quantity":6}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
		// A plan that accepts a quantity has that one item.
		{"custom", "cs_test_2", `{"line_items":[{"price":"pro_monthly","quantity":51}]}`, problem.CatalogNotAllowed, []string{"/line_items/0/quantity"}},
	} {
		s := boutique(t, tc.page)
		err := s.update(t, tc.id, tc.body)
		if err == nil {
			t.Errorf("%s, %s: accepted", tc.page, tc.body)
			continue
		}
		same(t, tc.page+", "+tc.body, verdictOf(t, err), verdict{tc.code, tc.pointers})
		same(t, tc.body, s.stripe.since(), reading(1))
	}
}

// Stripe takes fifty keys, and counts those that the session has.
func TestMetadataCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := boutique(t, "custom")
	full := map[string]string{"till_plan": "boutique"}
	for i := range 48 {
		full[fmt.Sprint("k", i)] = "v"
	}
	s.stripe.edit("cs_test_1", func(c *billing.CheckoutSession) { c.Metadata = maps.Clone(full) })
	if err := s.update(t, "cs_test_1", `{"metadata":{"new":"1","k0":"2"}}`); err != nil {
		t.Errorf("the fiftieth: %v", err)
	}
	same(t, "the fifty-first", verdictOf(t, s.update(t, "cs_test_1", `{"metadata":{"new":"1","newer":"2"}}`)),
		verdict{problem.ValidationFailed, []string{"/metadata"}})
	if err := s.update(t, "cs_test_1", `{"metadata":{"new":"1","newer":"2","k0":""}}`); err != nil {
		t.Errorf("one for another: %v", err)
	}
}

// A subscription without a recurring price would be refused by Stripe.
func TestASubscriptionKeepsARecurringPrice(t *testing.T) {
	t.Parallel()
	s := boutique(t, "custom")
	s.stripe.sells(map[string]catalog.Price{"price_pro": {ID: "price_pro", LookupKey: "pro_monthly", Active: true, Livemode: true}})
	if _, err := s.catalog.Refresh(t.Context(), s.stripe, true); err != nil {
		t.Fatal(err)
	}
	same(t, "verdict", verdictOf(t, s.update(t, "cs_test_3", `{"line_items":[{"price":"pro_monthly"}]}`)),
		verdict{problem.CatalogNotAllowed, []string{"/line_items"}})
}

// A session of a plan that is gone, or of none of ours, can be read and expired.
func TestAPlanThatIsGoneAllowsNothing(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]map[string]string{"gone": {"till_plan": "no such plan"}, "none": nil} {
		s := boutique(t, "custom")
		s.stripe.edit("cs_test_1", func(c *billing.CheckoutSession) { c.Metadata = metadata })
		err := s.update(t, "cs_test_1", `{"metadata":{"a":"b"},"line_items":[{"price":"mug"}]}`)
		same(t, name, verdictOf(t, err), verdict{problem.CatalogNotAllowed, []string{"/metadata", "/line_items"}})
		alice := s.caller(t, "alice")
		s.ask(t, alice, "cs_test_1")
		if _, err := s.ExpireCheckout(t.Context(), alice, "cs_test_1", billing.Nothing{}); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyMetadataOutlivesTheSession(t *testing.T) {
	t.Parallel()
	s := boutique(t, "custom")
	s.stripe.edit("cs_test_1", func(c *billing.CheckoutSession) { c.Status = new("complete") })
	if err := s.update(t, "cs_test_1", `{"metadata":{"a":"b"}}`); err != nil {
		t.Error(err)
	}
	s.stripe.since()
	for _, body := range []string{`{"line_items":[{"price":"mug"}]}`, `{"shipping_options":["slow"],"metadata":{"a":"b"}}`, fmt.Sprintf(shipTo, "")} {
		same(t, body, verdictOf(t, s.update(t, "cs_test_1", body)), notOpen)
	}
	if calls := s.stripe.since(); calls["update checkout"] != 0 {
		t.Errorf("Stripe was called: %v", calls)
	}
}

func TestUpdatesAreForOnesOwnSessions(t *testing.T) {
	t.Parallel()
	s := boutique(t, "custom")
	s.buys(t, "bob", request(t, `{"plan":"pro"}`))
	for _, id := range []string{"cs_test_4", "cs_test_999", "", "..", "cs_test_1/expire"} {
		// What would be wrong with the request does not matter.
		same(t, id, verdictOf(t, s.update(t, id, `{"metadata":{"till_plan":"x"}}`)), notFound)
	}
	if calls := s.stripe.since(); calls["update checkout"] != 0 {
		t.Errorf("Stripe was called: %v", calls)
	}
}

func TestWhatStripeHasAgainstAnUpdate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  stripeError
		want verdict
	}{
		"a country":         {stripeError{param: "collected_information[shipping_details][address][country]"}, verdict{problem.ValidationFailed, []string{"/collected_information"}}},
		"another parameter": {stripeError{param: "line_items[0][price]"}, verdict{problem.UpstreamError, nil}},
		"no parameter":      {stripeError{}, verdict{problem.UpstreamError, nil}},
		"no answer":         {stripeError{param: "collected_information", silent: true}, verdict{problem.UpstreamError, nil}},
	} {
		s := boutique(t, "custom")
		s.stripe.existing.changeErr = refused(tc.err)
		same(t, name, verdictOf(t, s.update(t, "cs_test_1", fmt.Sprintf(shipTo, ""))), tc.want)
	}
	s := boutique(t, "custom")
	s.stripe.existing.changeErr, s.stripe.existing.closes = refused(stripeError{param: "collected_information"}), true
	same(t, "over by now", verdictOf(t, s.update(t, "cs_test_1", fmt.Sprintf(shipTo, ""))), notOpen)
}
