package billing_test

import (
	"context"
	"maps"
	"slices"

	"till/internal/billing"
)

// existing is what the fake knows of sessions and subscriptions besides what it has
// created. A set error comes before an answer.
type existing struct {
	subscriptions map[string]billing.Subscription
	items         map[string][]billing.LineItem
	listErr       error
	changeErr     error
	// listings and changes are what was asked.
	listings []billing.Listing
	changes  []billing.Change
	pages    []params
	// reading is called before each read of a session.
	reading func(context.Context)
	// closes says that a session is over by the time it is to be changed.
	closes bool
}

func (f *fakeStripe) CheckoutSessions(_ context.Context, l billing.Listing) (billing.List[billing.CheckoutSession], error) {
	f.count("list checkouts")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.existing.listings = append(f.existing.listings, l)
	page := billing.List[billing.CheckoutSession]{Object: "list", Data: []billing.CheckoutSession{}}
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(f.sessions))) {
		if s := f.sessions[id]; string(s.Customer) == l.Customer.ID {
			page.Data = append(page.Data, s)
		}
	}
	return page, f.existing.listErr
}

func (f *fakeStripe) CheckoutLineItems(_ context.Context, session string, page params) (billing.List[billing.LineItem], error) {
	f.count("list items")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.existing.pages = append(f.existing.pages, page)
	return billing.List[billing.LineItem]{Object: "list", Data: slices.Clone(f.existing.items[session])}, f.existing.listErr
}

func (f *fakeStripe) UpdateCheckoutSession(_ context.Context, c billing.Change) (billing.CheckoutSession, error) {
	f.count("update checkout")
	return f.changing(c, func(*billing.CheckoutSession) {})
}

func (f *fakeStripe) ExpireCheckoutSession(_ context.Context, c billing.Change) (billing.CheckoutSession, error) {
	f.count("expire checkout")
	return f.changing(c, func(s *billing.CheckoutSession) { s.Status = new("expired") })
}

func (f *fakeStripe) changing(c billing.Change, change func(*billing.CheckoutSession)) (billing.CheckoutSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.Params, _ = deepCopy(c.Params).(params)
	f.existing.changes = append(f.existing.changes, c)
	s := f.sessions[c.Session]
	if f.existing.closes {
		s.Status = new("complete")
		f.sessions[c.Session] = s
	}
	if f.existing.changeErr != nil {
		return billing.CheckoutSession{}, f.existing.changeErr
	}
	change(&s)
	f.sessions[c.Session] = s
	return s, nil
}

func (f *fakeStripe) Subscriptions(_ context.Context, l billing.Listing) (billing.List[billing.Subscription], error) {
	f.count("list subscriptions")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.existing.listings = append(f.existing.listings, l)
	page := billing.List[billing.Subscription]{Object: "list", Data: []billing.Subscription{}}
	for _, id := range slices.Sorted(maps.Keys(f.existing.subscriptions)) {
		if s := f.existing.subscriptions[id]; string(s.Customer) == l.Customer.ID {
			s.Items = slices.Clone(s.Items)
			page.Data = append(page.Data, s)
		}
	}
	return page, f.existing.listErr
}

func (f *fakeStripe) SubscriptionOwner(_ context.Context, id string, _ bool) (customer, account billing.ID, err error) {
	f.count("read subscription")
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.existing.subscriptions[id]
	if !ok {
		return "", "", refused(stripeError{text: "resource_missing", missing: true})
	}
	return s.Customer, s.CustomerAccount, nil
}

// edit changes a session behind everybody's back.
func (f *fakeStripe) edit(id string, change func(*billing.CheckoutSession)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	s.Metadata = maps.Clone(s.Metadata)
	change(&s)
	f.sessions[id] = s
}
