package billing

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"till/internal/catalog"
	"till/internal/problem"
)

// Offer is a plan as a caller may buy it.
type Offer struct {
	Name      string          `json:"name"`
	Mode      catalog.Mode    `json:"mode"`
	LineItems []OfferedItem   `json:"line_items"`
	Accepts   []catalog.Field `json:"accepts"`
	// Currencies are those to choose from; empty where there is no choice, or where
	// only Stripe knows which ones the prices have.
	Currencies []string `json:"currencies"`
	// UIMode is the page that a session has unless another one is asked for, and UIModes
	// those that can be, in the spelling of before 2026-03-25.
	UIMode  string   `json:"ui_mode"`
	UIModes []string `json:"ui_modes"`
	// ShippingOptions are the names that an update may choose from.
	ShippingOptions []string `json:"shipping_options"`
	// Once says that it can be had only once at a time.
	Once bool `json:"once"`
}

// OfferedItem is one price of a plan, by Stripe's names and in Stripe's units.
type OfferedItem struct {
	// Price is the catalogue's name of it, for line_items.
	Price string `json:"price"`
	// Quantity is nil when the caller has no say.
	Quantity *OfferedQuantity `json:"quantity"`
	Currency string           `json:"currency"`
	// UnitAmount is nil for prices that have none: tiers, parts of the minor unit,
	// what the customer wants to give.
	UnitAmount *int64     `json:"unit_amount"`
	Recurring  *Recurring `json:"recurring"`
}

// OfferedQuantity is how many can be bought.
type OfferedQuantity struct {
	Default int64 `json:"default"`
	Min     int64 `json:"min"`
	Max     int64 `json:"max"`
}

// Recurring is how often a price is charged.
type Recurring struct {
	Interval      string `json:"interval"`
	IntervalCount int64  `json:"interval_count"`
	UsageType     string `json:"usage_type"`
}

// Offers lists the plans that can be bought at the moment, by name. One whose price
// is gone at Stripe is left out.
func (s *Service) Offers(_ context.Context, _ Caller, _ Nothing) (List[Offer], error) {
	if !s.o.Catalog.Resolved() {
		return List[Offer]{}, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: time.Second,
			Err: errors.New("the prices have not been read from Stripe yet"),
		}
	}
	offers := []Offer{}
	for _, plan := range s.o.Catalog.Plans() {
		if items, ok := s.offered(plan); ok {
			offers = append(offers, offerOf(plan, items))
		}
	}
	return listOf(offers), nil
}

func offerOf(plan catalog.Plan, items []OfferedItem) Offer {
	o := Offer{
		Name: plan.Name, Mode: plan.Mode, LineItems: items, Accepts: append([]catalog.Field{}, plan.Accepts...),
		Currencies: []string{}, UIMode: plan.UIMode(), UIModes: plan.Pages(), Once: plan.Once,
		ShippingOptions: append([]string{}, slices.Sorted(maps.Keys(plan.ShippingOptions))...),
	}
	if plan.AcceptsField(catalog.FieldCurrency) {
		o.Currencies = append(o.Currencies, plan.Currencies...)
	}
	return o
}

// offered returns the plan's items with the prices of the moment; false when one of
// them cannot be sold.
func (s *Service) offered(plan catalog.Plan) ([]OfferedItem, bool) {
	items := make([]OfferedItem, 0, len(plan.LineItems))
	for _, item := range plan.LineItems {
		price, ok := s.o.Catalog.Price(item.Price)
		if !ok {
			return nil, false
		}
		out := OfferedItem{Price: item.Alias(), Currency: price.Currency}
		if q := item.Quantity; q != nil {
			out.Quantity = &OfferedQuantity{Default: q.Default, Min: q.Min, Max: q.Max}
		}
		if price.HasUnitAmount {
			out.UnitAmount = &price.UnitAmount
		}
		if price.Recurring {
			out.Recurring = &Recurring{Interval: price.Interval, IntervalCount: price.IntervalCount, UsageType: "licensed"}
			if price.Metered {
				out.Recurring.UsageType = "metered"
			}
		}
		items = append(items, out)
	}
	return items, true
}

// aliasOf returns the catalogue's name of Stripe's price, the plan's own before any
// other; nil when it has none.
func (s *Service) aliasOf(price ID, planName *string) *string {
	plans := s.o.Catalog.Plans()
	if planName != nil {
		if own, ok := s.o.Catalog.Plan(*planName); ok {
			plans = append([]catalog.Plan{own}, plans...)
		}
	}
	for _, plan := range plans {
		for _, item := range plan.LineItems {
			if known, ok := s.o.Catalog.Price(item.Price); ok && known.ID == string(price) {
				alias := item.Alias()
				return &alias
			}
		}
	}
	return nil
}
