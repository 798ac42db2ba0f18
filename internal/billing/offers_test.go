package billing_test

import (
	"slices"
	"testing"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/problem"
)

func TestOffersAreWhatCanBeBought(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *config) {
		yearly := catalog.Price{
			ID: "price_year", LookupKey: "team_yearly", Active: true, Livemode: true, Currency: "usd", UnitAmount: 9900, HasUnitAmount: true,
			Recurring: true, Interval: "year", IntervalCount: 2,
		}
		c.stripe.prices["price_year"] = yearly
		c.plans = append(c.plans, catalog.Plan{
			Name: "team", Mode: catalog.ModeSubscription, Once: true,
			LineItems: []catalog.LineItem{
				{Price: catalog.PriceRef{LookupKey: "team_yearly"}, Name: "seat", Quantity: &catalog.Quantity{Default: 3, Min: 2, Max: 9}},
				{Price: catalog.PriceRef{LookupKey: "calls"}},
			},
			Accepts:         []catalog.Field{catalog.FieldLineItems, catalog.FieldCurrency, catalog.FieldUIMode},
			Currencies:      []string{"usd", "eur"},
			UIModes:         []string{"hosted", "custom"},
			ShippingOptions: map[string]params{"slow": {"shipping_rate": "shr_1"}, "fast": {"shipping_rate": "shr_2"}},
		})
	})
	got, err := s.Offers(t.Context(), s.caller(t, "alice"), billing.Nothing{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range got.Data {
		names = append(names, o.Name)
	}
	// The plan whose price is gone is not among them.
	same(t, "names", names, []string{"embedded", "embedded-never", "pro", "save-card", "shop", "team", "usage"})
	team := got.Data[slices.Index(names, "team")]
	same(t, "team", team, billing.Offer{
		Name: "team", Mode: "subscription", Once: true,
		Accepts:    []catalog.Field{"line_items", "currency", "ui_mode"},
		Currencies: []string{"usd", "eur"}, UIMode: "hosted", UIModes: []string{"hosted", "custom"}, ShippingOptions: []string{"fast", "slow"},
		LineItems: []billing.OfferedItem{
			{
				Price: "seat", Quantity: &billing.OfferedQuantity{Default: 3, Min: 2, Max: 9}, Currency: "usd", UnitAmount: new(int64(9900)),
				Recurring: &billing.Recurring{Interval: "year", IntervalCount: 2, UsageType: "licensed"},
			},
			{Price: "calls", Currency: "eur", Recurring: &billing.Recurring{UsageType: "metered"}},
		},
	})
	same(t, "save-card", got.Data[slices.Index(names, "save-card")], billing.Offer{
		Name: "save-card", Mode: "setup", LineItems: []billing.OfferedItem{}, Accepts: []catalog.Field{}, Currencies: []string{},
		UIMode: "hosted", UIModes: []string{"hosted"}, ShippingOptions: []string{},
	})
	s.untouched(t)
}

// Before Stripe has said what the prices are, nothing is known to be gone.
func TestOffersWaitForThePrices(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *config) { c.unresolved = true })
	_, err := s.Offers(t.Context(), s.caller(t, "alice"), billing.Nothing{})
	same(t, "answer", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
}
