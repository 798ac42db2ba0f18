package stripeclient

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// CheckoutSessions implements billing.Stripe.
func (c *Client) CheckoutSessions(ctx context.Context, l billing.Listing) (billing.List[billing.CheckoutSession], error) {
	return pageOf(ctx, c, opCheckoutList, "/v1/checkout/sessions", l, func(a billing.CheckoutSession) error {
		return c.checkExisting(a, string(a.ID), l.Customer, l.Livemode)
	})
}

// pageOf reads one page of what a customer has. A list without a customer would be
// everybody's.
func pageOf[T any](ctx context.Context, c *Client, op operation, path string, l billing.Listing, check func(T) error) (billing.List[T], error) {
	if !catalog.ValidID(l.Customer.ID) {
		return billing.List[T]{}, problem.New(problem.Internal, errCustomer)
	}
	params := maps.Clone(l.Params)
	if params == nil {
		params = catalog.Params{}
	}
	params[l.Customer.Param()] = l.Customer.ID
	return page(ctx, c, call{op: op, path: path, version: c.versionFor(op, l.Customer.IsAccount)}, params, check)
}

// page reads one page of a list and no other: stripe-go's iterators would go on to
// the last one, and turn round the pages before a cursor.
func page[T any](ctx context.Context, c *Client, k call, params catalog.Params, check func(T) error) (billing.List[T], error) {
	query, err := encode(params)
	if err != nil {
		return billing.List[T]{}, problem.New(problem.Internal, err)
	}
	k.method, k.form = http.MethodGet, query
	a, err := do(ctx, c, k, func(a list[T]) error { return a.check(check) })
	if err != nil {
		return billing.List[T]{}, err
	}
	return billing.List[T]{Object: a.body.Object, Data: a.body.Data, HasMore: *a.body.HasMore}, nil
}

// checkExisting judges an answer about a session that exists.
func (c *Client) checkExisting(a billing.CheckoutSession, id string, customer customers.Customer, livemode bool) error {
	if err := object(string(a.ID), a.Object, "checkout.session", a.Livemode, livemode); err != nil {
		return err
	}
	switch {
	case string(a.ID) != id:
		return errID
	case !customer.Has(string(a.Customer), string(a.CustomerAccount)):
		return errCustomer
	case a.URL != nil:
		return c.hosts.check(*a.URL)
	default:
		return nil
	}
}

// UpdateCheckoutSession implements billing.Stripe.
func (c *Client) UpdateCheckoutSession(ctx context.Context, n billing.Change) (billing.CheckoutSession, error) {
	return c.change(ctx, n, call{op: opCheckoutUpdate, version: c.updateVersion(n)}, nil)
}

// ExpireCheckoutSession implements billing.Stripe.
func (c *Client) ExpireCheckoutSession(ctx context.Context, n billing.Change) (billing.CheckoutSession, error) {
	return c.change(ctx, n, call{op: opCheckoutExpire, path: "/expire", version: c.versionFor(opCheckoutExpire, n.Customer.IsAccount)}, func(a billing.CheckoutSession) error {
		if a.Status == nil || *a.Status != "expired" {
			return errStatus
		}
		return nil
	})
}

// change makes a call about one session; k says which, and its path is what comes
// behind the session's.
func (c *Client) change(ctx context.Context, n billing.Change, k call, check func(billing.CheckoutSession) error) (billing.CheckoutSession, error) {
	if !catalog.ValidID(n.Session) || !catalog.ValidID(n.Customer.ID) {
		return billing.CheckoutSession{}, problem.New(problem.Internal, errID)
	}
	body, err := encode(n.Params)
	if err != nil {
		return billing.CheckoutSession{}, problem.New(problem.Internal, err)
	}
	k.method, k.path, k.form, k.key = http.MethodPost, "/v1/checkout/sessions/"+n.Session+k.path, body, n.IdempotencyKey
	// An address that Stripe does not like is quoted in what it says about it.
	k.personal = n.Params["collected_information"] != nil
	a, err := do(ctx, c, k, func(a billing.CheckoutSession) error {
		if err := c.checkExisting(a, n.Session, n.Customer, n.Livemode); err != nil || check == nil {
			return err
		}
		return check(a)
	})
	if err != nil {
		return billing.CheckoutSession{}, err
	}
	a.body.UIMode = c.respelled(a.body.UIMode)
	return a.body, nil
}

// updateSince has the version that brought each parameter of the update, and with
// metadata the update itself: changelog/acacia/2024-09-30/checkout-update-method,
// acacia/2025-02-24/checkout-sessions-collected-info,
// basil/2025-03-31/checkout-session-shipping-options-update-param and
// clover/2025-12-15/update-line-items. All are from before ui_mode was renamed.
var updateSince = map[string]string{
	"metadata":              "2024-09-30.acacia",
	"collected_information": "2025-02-24.acacia",
	"shipping_options":      "2025-03-31.basil",
	"line_items":            "2025-12-15.clover",
}

// updateVersion is the configured version, or the first one that has all of the
// parameters where that is later.
func (c *Client) updateVersion(n billing.Change) string {
	floor := floors[opCheckoutUpdate]
	for name := range n.Params {
		floor = max(floor, updateSince[name])
	}
	if n.Customer.IsAccount {
		floor = max(floor, accountsVersion)
	}
	return c.atLeast(opCheckoutUpdate, floor)
}

// respelled returns a ui_mode in the spelling of the configured version, whichever
// version the answer has.
func (c *Client) respelled(mode *string) *string {
	before, after := []string{"hosted_page", "embedded_page", "elements"}, []string{"hosted", "embedded", "custom"}
	if c.o.Version >= renamedUIModes {
		before, after = after, before
	}
	if mode == nil || !slices.Contains(before, *mode) {
		return mode
	}
	return &after[slices.Index(before, *mode)]
}

type lineItem struct {
	billing.LineItem
	Price struct {
		ID billing.ID `json:"id"`
	} `json:"price"`
}

// CheckoutLineItems implements billing.Stripe.
func (c *Client) CheckoutLineItems(ctx context.Context, session string, params catalog.Params) (billing.List[billing.LineItem], error) {
	if !catalog.ValidID(session) {
		return billing.List[billing.LineItem]{}, problem.New(problem.NotFound, errID)
	}
	raw, err := page(ctx, c, call{op: opCheckoutItems, path: "/v1/checkout/sessions/" + session + "/line_items"}, params, func(a lineItem) error {
		// A line item has no mode of its own.
		return object(string(a.ID), a.Object, "item", false, false)
	})
	if err != nil {
		return billing.List[billing.LineItem]{}, err
	}
	items := make([]billing.LineItem, len(raw.Data))
	for i, one := range raw.Data {
		items[i] = one.LineItem
		items[i].PriceID = one.Price.ID
	}
	return billing.List[billing.LineItem]{Object: raw.Object, Data: items, HasMore: raw.HasMore}, nil
}

// shownSubscription has what is handed on, and of what has Till's names but not Stripe's
// form, Stripe's.
type shownSubscription struct {
	billing.Subscription
	// Plan is Stripe's old word for a price.
	Plan     struct{}          `json:"plan"`
	Metadata map[string]string `json:"metadata"`
	Items    list[shownItem]   `json:"items"`
}

type shownItem struct {
	ID       billing.ID `json:"id"`
	Object   string     `json:"object"`
	Quantity *int64     `json:"quantity"`
	Price    struct {
		ID billing.ID `json:"id"`
	} `json:"price"`
	CurrentPeriodEnd *int64 `json:"current_period_end"`
}

// Subscriptions implements billing.Stripe.
func (c *Client) Subscriptions(ctx context.Context, l billing.Listing) (billing.List[billing.Subscription], error) {
	raw, err := pageOf(ctx, c, opSubscriptionList, "/v1/subscriptions", l, func(a shownSubscription) error {
		if err := object(string(a.ID), a.Object, "subscription", a.Livemode, l.Livemode); err != nil {
			return err
		}
		if !l.Customer.Has(string(a.Customer), string(a.CustomerAccount)) {
			return errCustomer
		}
		return a.Items.check(func(i shownItem) error {
			return object(string(i.ID), i.Object, "subscription_item", false, false)
		})
	})
	if err != nil {
		return billing.List[billing.Subscription]{}, err
	}
	subscriptions := make([]billing.Subscription, len(raw.Data))
	for i, one := range raw.Data {
		subscriptions[i] = one.known()
	}
	return billing.List[billing.Subscription]{Object: raw.Object, Data: subscriptions, HasMore: raw.HasMore}, nil
}

// known is what is handed on. The period's end stands on the items since
// 2025-03-31.basil; of several, the first to come is the one to tell people.
func (s shownSubscription) known() billing.Subscription {
	out := s.Subscription
	if plan, ok := s.Metadata["till_plan"]; ok {
		out.Plan = &plan
	}
	out.Items = make([]billing.SubscriptionItem, len(s.Items.Data))
	for i, one := range s.Items.Data {
		out.Items[i] = billing.SubscriptionItem{ID: one.ID, PriceID: one.Price.ID, Quantity: one.Quantity}
		if end := one.CurrentPeriodEnd; end != nil && (s.CurrentPeriodEnd == nil && (out.CurrentPeriodEnd == nil || *end < *out.CurrentPeriodEnd)) {
			out.CurrentPeriodEnd = end
		}
	}
	return out
}

// SubscriptionOwner implements billing.Stripe.
func (c *Client) SubscriptionOwner(ctx context.Context, id string, livemode bool) (customer, account billing.ID, err error) {
	if !catalog.ValidID(id) {
		return "", "", problem.New(problem.NotFound, errID)
	}
	a, err := do(ctx, c, call{op: opSubscriptionGet, method: http.MethodGet, path: "/v1/subscriptions/" + id},
		func(a shownSubscription) error {
			if string(a.ID) != id {
				return errID
			}
			return object(string(a.ID), a.Object, "subscription", a.Livemode, livemode)
		})
	return a.body.Customer, a.body.CustomerAccount, err
}
