package billing

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
)

// opening is how one kind of session is opened.
type opening[T any] struct {
	// route and keep are those of the caller's key.
	route idempotency.Route
	keep  time.Duration
	// version is the Stripe-Version that a request with a key is frozen at, for a
	// customer or for an account in the place of one.
	version func(isAccount bool) string
	// judge decides what the caller asks for. It is asked once, and not at all for
	// a request that was decided before.
	judge func(context.Context) (order, error)
	// send makes a session at Stripe. repeated says that an earlier request may have
	// been sent: its session is then the answer.
	send func(ctx context.Context, n NewSession, repeated bool) (T, error)
	// read returns a session that is there already, as it is now.
	read func(ctx context.Context, id string, customer customers.Customer, repeated bool) (T, error)
}

// order is what a caller asks for, once it was judged.
type order struct {
	policy policy
	// fill writes the template for the customer.
	fill func(context.Context, customers.Customer) (filled, error)
}

// filled is a template without blanks: the parameters to send, or the id of a
// session that is the answer already.
type filled struct {
	params  catalog.Params
	session string
}

// opener opens one session for one caller.
type opener[T any] struct {
	opening[T]
	s *Service
	c Caller
	// order is nil until it is judged, customer zero until one is known.
	order    *order
	customer customers.Customer
	// sentFor is the customer that was last named to Stripe, and gone one who surely
	// is no more.
	sentFor customers.Customer
	gone    string
}

// open opens a session for the caller. When Stripe answers that the customer it names
// is gone, and the policy has nothing against it, the caller gets another one and
// the session a second try; there is no third.
func open[T any](ctx context.Context, s *Service, c Caller, how opening[T]) (T, error) {
	var none T
	o := &opener[T]{opening: how, s: s, c: c}
	answer, err := o.try(ctx)
	if !isCustomerGone(err) {
		return answer, err
	}
	order, judgeErr := o.judged(ctx)
	switch {
	case judgeErr != nil:
		return none, judgeErr
	case order.policy.refuseDeleted || o.sentFor.IsAccount:
		return none, s.o.Customers.Refuse(err)
	}
	if err := s.o.Gate.Confirm(ctx); err != nil {
		return none, err
	}
	if o.customer, err = s.o.Customers.Heal(ctx, c.owner, o.sentFor); err != nil {
		return none, err
	}
	o.gone = o.sentFor.ID
	s.o.Customers.Tell(ctx, c.owner, o.customer, c.profile)
	return o.try(ctx)
}

// try makes one attempt, under the caller's key if there is one.
func (o *opener[T]) try(ctx context.Context) (T, error) {
	if o.c.key != "" {
		owner := o.c.owner
		return idempotency.Do(ctx, o.s.o.Idempotency, idempotency.Request{
			ID:   o.c.key.ID(o.route, owner.ID, strconv.FormatBool(owner.Livemode), owner.Issuer, string(owner.Kind), owner.Subject),
			Body: o.c.body, Keep: o.keep, Gone: o.gone,
		}, o.freeze, o.thawed)
	}
	f, err := o.filled(ctx)
	if err != nil {
		var none T
		return none, err
	}
	if f.session != "" {
		return o.read(ctx, f.session, o.customer, false)
	}
	// A fresh key for each attempt: Stripe would replay an earlier session for a day.
	return o.sent(ctx, NewSession{
		IdempotencyKey: rand.Text(), Params: f.params, Customer: o.customer.ID, IsAccount: o.customer.IsAccount,
	}, false)
}

func (o *opener[T]) sent(ctx context.Context, n NewSession, repeated bool) (T, error) {
	n.Livemode, o.sentFor = o.c.owner.Livemode, n.customer()
	return o.send(ctx, n, repeated)
}

// filled is the caller's order for the caller's customer.
func (o *opener[T]) filled(ctx context.Context) (filled, error) {
	order, err := o.judged(ctx)
	if err != nil {
		return filled{}, err
	}
	if o.customer.ID == "" {
		resolve := o.s.o.Customers.Ensure
		if order.policy.refuseMissing {
			resolve = o.s.o.Customers.Require
		}
		if o.customer, err = resolve(ctx, o.c.owner); err != nil {
			return filled{}, err
		}
		o.s.o.Customers.Tell(ctx, o.c.owner, o.customer, o.c.profile)
	}
	// What fill asks of Stripe names the customer too.
	o.sentFor = o.customer
	return order.fill(ctx, o.customer)
}

func (o *opener[T]) judged(ctx context.Context) (order, error) {
	if o.order == nil {
		judged, err := o.judge(ctx)
		if err != nil {
			return order{}, err
		}
		o.order = &judged
	}
	return *o.order, nil
}

// freeze is what a repeat of the request will send.
func (o *opener[T]) freeze(ctx context.Context) (idempotency.Frozen, error) {
	f, err := o.filled(ctx)
	if err != nil {
		return idempotency.Frozen{}, err
	}
	params, err := freeze(f.params)
	return idempotency.Frozen{Params: params, Version: o.version(o.customer.IsAccount), Customer: o.customer.ID, Session: f.session}, err
}

// thawed sends what was frozen.
func (o *opener[T]) thawed(ctx context.Context, call idempotency.Call) (T, error) {
	params, err := thaw(call.Params)
	if err != nil {
		var none T
		return none, err
	}
	n := NewSession{
		IdempotencyKey: call.StripeKey, Params: params, Version: call.Version,
		Customer: call.Customer, IsAccount: params["customer_account"] != nil,
	}
	if call.Session != "" {
		return o.read(ctx, call.Session, n.customer(), call.Repeated)
	}
	return o.sent(ctx, n, call.Repeated)
}
