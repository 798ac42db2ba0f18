package billing

import (
	"context"
	"errors"
	"slices"
	"strings"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// Page is the part of a list that is wanted; a nil member was not sent.
type Page struct {
	// Limit is 10 by default and at most 100.
	Limit *int64 `json:"limit"`
	// The cursors are ids of objects of the list, and there may be one of them.
	StartingAfter *string `json:"starting_after"`
	EndingBefore  *string `json:"ending_before"`
}

// cursor returns the id that the page is to begin or to end at, and the name of the
// parameter; "" for the first page.
func (p Page) cursor() (name, id string) {
	switch {
	case p.StartingAfter != nil:
		return "starting_after", *p.StartingAfter
	case p.EndingBefore != nil:
		return "ending_before", *p.EndingBefore
	default:
		return "", ""
	}
}

// Times bounds a moment, in Unix seconds, or names it.
type Times struct {
	At  *int64 `json:"at"`
	GT  *int64 `json:"gt"`
	GTE *int64 `json:"gte"`
	LT  *int64 `json:"lt"`
	LTE *int64 `json:"lte"`
}

// CheckoutQuery is the query of GET /checkout. There is no customer in it: it is
// always the caller's.
type CheckoutQuery struct {
	Page
	Status        *string `json:"status"`
	Created       *Times  `json:"created"`
	PaymentIntent *string `json:"payment_intent"`
	Subscription  *string `json:"subscription"`
	PaymentLink   *string `json:"payment_link"`
}

// SubscriptionQuery is the query of GET /subscriptions.
type SubscriptionQuery struct {
	Page
	Status *string `json:"status"`
}

// CheckoutSessions lists the sessions of the caller's present customer. Who has
// none gets an empty list, and no customer.
func (s *Service) CheckoutSessions(ctx context.Context, c Caller, q CheckoutQuery) (List[CheckoutSession], error) {
	params, err := judgeCheckoutQuery(q)
	if err != nil {
		return List[CheckoutSession]{}, err
	}
	return listed(ctx, s, c, lister[CheckoutSession]{
		page: q.Page, params: params, list: s.o.Stripe.CheckoutSessions,
		owned: func(ctx context.Context, id string) error { _, err := s.owned(ctx, c, id); return err },
	})
}

// Subscriptions lists the subscriptions of the caller's present customer; without
// a status those that are not canceled.
func (s *Service) Subscriptions(ctx context.Context, c Caller, q SubscriptionQuery) (List[Subscription], error) {
	var v verdict
	params := judgePage(&v, q.Page)
	judgeOneOf(&v, params, "status", q.Status, subscriptionStatuses)
	if err := v.err(); err != nil {
		return List[Subscription]{}, err
	}
	page, err := listed(ctx, s, c, lister[Subscription]{
		page: q.Page, params: params, list: s.o.Stripe.Subscriptions,
		owned: func(ctx context.Context, id string) error { return s.ownedSubscription(ctx, c, id) },
	})
	for i := range page.Data {
		sub := &page.Data[i]
		for j := range sub.Items {
			sub.Items[j].Price = s.aliasOf(sub.Items[j].PriceID, sub.Plan)
		}
	}
	return page, err
}

// CheckoutLineItems lists what one of the caller's sessions sells.
func (s *Service) CheckoutLineItems(ctx context.Context, c Caller, id string, q Page) (List[LineItem], error) {
	var v verdict
	params := judgePage(&v, q)
	// What is wrong with a page is the same for every session.
	if err := v.err(); err != nil {
		return List[LineItem]{}, err
	}
	session, err := s.owned(ctx, c, id)
	if err != nil {
		return List[LineItem]{}, err
	}
	page, err := s.o.Stripe.CheckoutLineItems(ctx, id, params)
	if err != nil {
		return List[LineItem]{}, explainPage(err, q)
	}
	for i := range page.Data {
		page.Data[i].Price = s.aliasOf(page.Data[i].PriceID, planOf(session))
	}
	return page, nil
}

// lister is one kind of list.
type lister[T any] struct {
	page   Page
	params catalog.Params
	list   func(context.Context, Listing) (List[T], error)
	// owned refuses a cursor that is none of the caller's, before Stripe takes it.
	owned func(ctx context.Context, id string) error
}

func listed[T any](ctx context.Context, s *Service, c Caller, l lister[T]) (List[T], error) {
	name, cursor := l.page.cursor()
	customer, err := s.o.Customers.Find(ctx, c.owner)
	switch {
	case errors.Is(err, customers.ErrNoRecord) && name != "":
		return List[T]{}, noCursor(name)
	case errors.Is(err, customers.ErrNoRecord):
		return nothing[T](), nil
	case err != nil:
		return List[T]{}, err
	}
	if name != "" {
		if err := l.owned(ctx, cursor); hasCode(err, problem.NotFound) {
			return List[T]{}, noCursor(name)
		} else if err != nil {
			return List[T]{}, err
		}
	}
	page, err := l.list(ctx, Listing{Params: l.params, Customer: customers.Customer{ID: customer.ID, IsAccount: customer.IsAccount}, Livemode: c.owner.Livemode})
	switch {
	case err == nil:
		return page, nil
	case isCustomerGone(err):
		// Of another account, every customer is gone.
		if err := s.o.Gate.Confirm(ctx); err != nil {
			return List[T]{}, err
		}
		return nothing[T](), nil
	case catalog.IsMissing(err) && l.params[paramOf(err)] != nil && paramOf(err) != name:
		// A filter by what does not exist finds as much as one by what is another's.
		return nothing[T](), nil
	default:
		return List[T]{}, explainPage(err, l.page)
	}
}

// noCursor is the same for an unknown cursor and for somebody else's. One's own
// customer may also have been replaced since the page before.
func noCursor(name string) error {
	return problem.At(problem.ValidationFailed, "/"+name, "is not in this list; begin with the first page")
}

// explainPage says what the caller can know of a cursor that Stripe does not take.
func explainPage(err error, p Page) error {
	if name, _ := p.cursor(); name != "" && catalog.IsMissing(err) && paramOf(err) == name {
		return noCursor(name)
	}
	if catalog.IsMissing(err) && paramOf(err) == "" {
		return problem.New(problem.NotFound, nil)
	}
	return err
}

func hasCode(err error, code problem.Code) bool {
	p, ok := errors.AsType[*problem.Error](err)
	return ok && p.Code == code
}

func (s *Service) ownedSubscription(ctx context.Context, c Caller, id string) error {
	customer, err := s.o.Customers.Find(ctx, c.owner)
	if errors.Is(err, customers.ErrNoRecord) {
		return problem.New(problem.NotFound, nil)
	}
	if err != nil {
		return err
	}
	of, account, err := s.o.Stripe.SubscriptionOwner(ctx, id, c.owner.Livemode)
	if catalog.IsMissing(err) {
		return problem.New(problem.NotFound, nil)
	}
	if err == nil && !customer.Has(string(of), string(account)) {
		s.metrics.foreign.Inc()
		return problem.New(problem.NotFound, nil)
	}
	return err
}

const (
	defaultLimit = 10
	maxLimit     = 100
)

// judgePage returns the page as Stripe has it.
func judgePage(v *verdict, p Page) catalog.Params {
	params := catalog.Params{"limit": int64(defaultLimit)}
	if p.Limit != nil {
		params["limit"] = *p.Limit
		if *p.Limit < 1 || *p.Limit > maxLimit {
			v.refuse(problem.ValidationFailed, "/limit", "must be between 1 and 100")
		}
	}
	if p.StartingAfter != nil && p.EndingBefore != nil {
		v.refuse(problem.ValidationFailed, "/ending_before", "cannot be used together with starting_after")
	}
	if name, id := p.cursor(); name != "" {
		params[name] = id
		if !catalog.ValidID(id) {
			v.refuse(problem.ValidationFailed, "/"+name, "is not in this list; begin with the first page")
		}
	}
	return params
}

var (
	checkoutStatuses     = []string{"open", "complete", "expired"}
	subscriptionStatuses = []string{
		"active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid",
	}
)

func judgeCheckoutQuery(q CheckoutQuery) (catalog.Params, error) {
	var v verdict
	params := judgePage(&v, q.Page)
	judgeOneOf(&v, params, "status", q.Status, checkoutStatuses)
	judgeTimes(&v, params, q.Created)
	for _, f := range []struct {
		name string
		id   *string
	}{{"payment_intent", q.PaymentIntent}, {"subscription", q.Subscription}, {"payment_link", q.PaymentLink}} {
		if f.id == nil {
			continue
		}
		params[f.name] = *f.id
		if !catalog.ValidID(*f.id) {
			v.refuse(problem.ValidationFailed, "/"+f.name, "is not an id of Stripe's")
		}
	}
	return params, v.err()
}

func judgeOneOf(v *verdict, params catalog.Params, name string, value *string, known []string) {
	if value == nil {
		return
	}
	params[name] = *value
	if !slices.Contains(known, *value) {
		v.refuse(problem.ValidationFailed, "/"+name, "must be one of "+strings.Join(known, ", "))
	}
}

func judgeTimes(v *verdict, params catalog.Params, t *Times) {
	if t == nil {
		return
	}
	bounds := catalog.Params{}
	for name, second := range map[string]*int64{"gt": t.GT, "gte": t.GTE, "lt": t.LT, "lte": t.LTE} {
		if second == nil {
			continue
		}
		bounds[name] = *second
		judgeSecond(v, "/created/"+name, *second)
	}
	params["created"] = bounds
	if t.At == nil {
		return
	}
	params["created"] = *t.At
	judgeSecond(v, "/created", *t.At)
	if len(bounds) > 0 {
		v.refuse(problem.ValidationFailed, "/created", "cannot be used together with bounds")
	}
}

func judgeSecond(v *verdict, pointer string, second int64) {
	if second < 0 {
		v.refuse(problem.ValidationFailed, pointer, "must not be negative")
	}
}
