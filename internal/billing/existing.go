package billing

import (
	"context"

	"till/internal/catalog"
	"till/internal/customers"
)

// Existing is what the use cases ask of Stripe about sessions and subscriptions
// that exist. What is said of Stripe holds for it, too: answers were checked, those
// to a Listing also for the customer of everything on the page.
type Existing interface {
	CheckoutSessions(ctx context.Context, l Listing) (List[CheckoutSession], error)
	// CheckoutLineItems lists the line items of a session. Whose it is, is for the
	// caller to judge.
	CheckoutLineItems(ctx context.Context, session string, page catalog.Params) (List[LineItem], error)
	UpdateCheckoutSession(ctx context.Context, c Change) (CheckoutSession, error)
	ExpireCheckoutSession(ctx context.Context, c Change) (CheckoutSession, error)
	Subscriptions(ctx context.Context, l Listing) (List[Subscription], error)
	// SubscriptionOwner returns the customer, or the account in the place of one, whose
	// subscription it is, or an error that satisfies catalog.IsMissing.
	SubscriptionOwner(ctx context.Context, id string, livemode bool) (customer, account ID, err error)
}

// Listing is a call that lists one page of what a customer has.
type Listing struct {
	// Params are filters, limit and cursor by Stripe's names; the customer is not
	// among them.
	Params   catalog.Params
	Customer customers.Customer
	Livemode bool
}

// Change is a call that changes a Checkout Session.
type Change struct {
	// IdempotencyKey is shared by the tries of this one call and by nothing else.
	IdempotencyKey string
	Session        string
	Params         catalog.Params
	// What the answer must say, or it is not believed.
	Customer customers.Customer
	Livemode bool
}

// List is one page, in Stripe's order: the newest first, whichever cursor was used.
type List[T any] struct {
	Object  string `json:"object"`
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
}

func listOf[T any](data []T) List[T] { return List[T]{Object: "list", Data: data} }

func nothing[T any]() List[T] { return listOf([]T{}) }

// LineItem is what Till shows of a line item of a Checkout Session, by Stripe's
// names and in Stripe's units.
type LineItem struct {
	ID     ID     `json:"id"`
	Object string `json:"object"`
	// Price is the catalogue's name of the price, nil when it has none.
	Price          *string `json:"price"`
	Description    *string `json:"description"`
	Quantity       *int64  `json:"quantity"`
	Currency       *string `json:"currency"`
	AmountSubtotal int64   `json:"amount_subtotal"`
	AmountDiscount int64   `json:"amount_discount"`
	AmountTax      int64   `json:"amount_tax"`
	AmountTotal    int64   `json:"amount_total"`
	// PriceID is Stripe's.
	PriceID ID `json:"-"`
}

// Subscription is what Till shows of a subscription: what a page needs to offer the
// portal's flows. Nil is JSON's null.
type Subscription struct {
	ID       ID     `json:"id"`
	Object   string `json:"object"`
	Customer ID     `json:"customer"`
	// CustomerAccount is the account in the place of a customer.
	CustomerAccount ID     `json:"customer_account"`
	Livemode        bool   `json:"livemode"`
	Status          string `json:"status"`
	// Plan is the plan that the session was opened from, as the metadata says.
	Plan              *string            `json:"plan"`
	Created           int64              `json:"created"`
	CurrentPeriodEnd  *int64             `json:"current_period_end"`
	TrialEnd          *int64             `json:"trial_end"`
	CancelAt          *int64             `json:"cancel_at"`
	CancelAtPeriodEnd bool               `json:"cancel_at_period_end"`
	CanceledAt        *int64             `json:"canceled_at"`
	EndedAt           *int64             `json:"ended_at"`
	Items             []SubscriptionItem `json:"items"`
}

// SubscriptionItem is one price of a subscription.
type SubscriptionItem struct {
	ID ID `json:"id"`
	// Price is the catalogue's name of the price, nil when it has none.
	Price    *string `json:"price"`
	Quantity *int64  `json:"quantity"`
	// PriceID is Stripe's.
	PriceID ID `json:"-"`
}
