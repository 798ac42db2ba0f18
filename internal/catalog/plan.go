// Package catalog decides what may be sold: named plans (Checkout templates)
// and portals (Billing Portal templates), what a caller may fill in, and which
// Stripe prices stand behind them. It knows nothing of callers, customers or
// URLs, and it reaches Stripe only through the PriceSource it is given.
package catalog

import (
	"cmp"
	"slices"
	"time"
)

// Mode is Stripe's Checkout Session mode.
type Mode string

// Stripe's three modes.
const (
	ModePayment      Mode = "payment"
	ModeSetup        Mode = "setup"
	ModeSubscription Mode = "subscription"
)

func (m Mode) known() bool {
	return slices.Contains([]Mode{ModePayment, ModeSetup, ModeSubscription}, m)
}

// Field is a member of a checkout request that a plan may accept.
type Field string

// The fields a plan can accept.
const (
	FieldQuantity      Field = "quantity"
	FieldLineItems     Field = "line_items"
	FieldSuccessURL    Field = "success_url"
	FieldCancelURL     Field = "cancel_url"
	FieldReturnURL     Field = "return_url"
	FieldUIMode        Field = "ui_mode"
	FieldLocale        Field = "locale"
	FieldCurrency      Field = "currency"
	FieldPromotionCode Field = "promotion_code"
	FieldMetadata      Field = "metadata"
)

// Fields lists every acceptable field, in the order of the documentation.
var fields = []Field{
	FieldQuantity, FieldLineItems, FieldSuccessURL, FieldCancelURL, FieldReturnURL,
	FieldUIMode, FieldLocale, FieldCurrency, FieldPromotionCode, FieldMetadata,
}

// Fields returns every field a plan can accept.
func Fields() []Field { return slices.Clone(fields) }

// Params holds Stripe parameters by Stripe's own names, as they stand in the
// configuration: strings, booleans, int64, float64, []any and nested Params
// (as map[string]any).
type Params = map[string]any

// PriceRef names a Stripe price: exactly one of ID and LookupKey is set.
type PriceRef struct {
	ID        string
	LookupKey string
}

// String returns the id or the lookup key.
func (r PriceRef) String() string {
	if r.ID != "" {
		return r.ID
	}
	return r.LookupKey
}

// Quantity bounds what a caller may ask for. All three are positive and
// Min ≤ Default ≤ Max.
type Quantity struct {
	Default, Min, Max int64
}

// LineItem is one price of a plan.
type LineItem struct {
	Price PriceRef
	// Name is what callers know the item by; "" for the price's lookup key or id.
	Name string
	// Quantity is nil when the caller has no say: a licensed price is then sold
	// once, a metered one without a quantity.
	Quantity *Quantity
	// Params are Stripe's other line item parameters (adjustable_quantity, …).
	Params Params
	// Unchecked are parameters that this version does not know. Settled adds them.
	Unchecked Params
}

// Plan is a named Checkout template.
type Plan struct {
	Name      string
	Mode      Mode
	LineItems []LineItem
	Accepts   []Field
	Params    Params
	// Once asks for at most one live subscription of this plan per customer.
	Once bool
	// TrialOnce drops the trial for customers who have had one.
	TrialOnce bool
	// Currencies are those a caller may choose from, in lower case; empty leaves it to
	// Stripe to know which ones the prices have.
	Currencies []string
	// UIModes are those a caller may choose from, in the spelling of before 2026-03-25;
	// empty for all that the template suits.
	UIModes []string
	// ShippingOptions are Stripe's shipping options by the names that callers know
	// them by. An update may choose among them.
	ShippingOptions map[string]Params
	// ExpiresAfter is how long a session is open; 0 for Stripe's 24 hours.
	ExpiresAfter time.Duration
	// Unchecked are parameters that this version does not know. Settled adds them.
	Unchecked Params
}

// Alias is what callers know the item by.
func (i LineItem) Alias() string { return cmp.Or(i.Name, i.Price.LookupKey, i.Price.ID) }

// AcceptsField reports whether a caller may send f.
func (p Plan) AcceptsField(f Field) bool { return slices.Contains(p.Accepts, f) }

// Refuse is the value of a portal's policies that leaves a caller without a customer.
const Refuse = "refuse"

// Portal is a named Billing Portal template.
type Portal struct {
	Name   string
	Params Params
	// Unchecked are parameters that this version does not know. Settled adds them.
	Unchecked Params
	// Flows are the deep-link flows a caller may ask for.
	Flows []string
	// Coupons are the ids of those that a flow may offer or apply.
	Coupons []string
	// MissingCustomer is what becomes of a caller who has no customer yet: "create"
	// (or "") or "refuse".
	MissingCustomer string
	// DeletedCustomer is what becomes of a caller whose customer is gone at Stripe:
	// "recreate" (or "") or "refuse".
	DeletedCustomer string
}
