package billing

import (
	"context"
	"crypto/rand"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// Nothing is a request that says nothing.
type Nothing struct{}

// ExpireCheckout expires one of the caller's sessions. One that is not open (any
// more) is session_not_open, however often it is asked.
func (s *Service) ExpireCheckout(ctx context.Context, c Caller, id string, _ Nothing) (CheckoutSession, error) {
	session, err := s.owned(ctx, c, id)
	if err != nil {
		return CheckoutSession{}, err
	}
	if !isOpen(session) {
		return CheckoutSession{}, problem.New(problem.SessionNotOpen, nil)
	}
	return s.changed(ctx, c, session, nil, s.o.Stripe.ExpireCheckoutSession)
}

// changed makes a change of a session that is the caller's, and forgets what was
// known of the session, whatever comes of it.
func (s *Service) changed(
	ctx context.Context, c Caller, session CheckoutSession, params catalog.Params,
	call func(context.Context, Change) (CheckoutSession, error),
) (CheckoutSession, error) {
	id := string(session.ID)
	after, err := call(ctx, Change{
		IdempotencyKey: rand.Text(), Session: id, Params: params,
		Customer: customerOf(session), Livemode: c.owner.Livemode,
	})
	s.reads.drop(readKey{c.owner, id})
	if err == nil {
		after.NextPollAfterMS = nextPoll(after)
		return after, nil
	}
	if !isRefused(err) {
		return CheckoutSession{}, err
	}
	// Why Stripe says no is seen by the session's state, not by Stripe's words.
	now, gone := s.owned(ctx, c, id)
	switch {
	case hasCode(gone, problem.NotFound):
		return CheckoutSession{}, gone
	case gone == nil && !isOpen(now):
		return CheckoutSession{}, problem.New(problem.SessionNotOpen, err)
	default:
		return CheckoutSession{}, err
	}
}

// customerOf is whose session it is: never two at once.
func customerOf(s CheckoutSession) customers.Customer {
	if s.CustomerAccount != "" {
		return customers.Customer{ID: string(s.CustomerAccount), IsAccount: true}
	}
	return customers.Customer{ID: string(s.Customer)}
}

// isOpen reports whether the session is open as far as Stripe has said.
func isOpen(s CheckoutSession) bool { return s.Status == nil || *s.Status == "open" }
