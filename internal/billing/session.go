package billing

import (
	"context"
	"errors"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// Checkout returns one of the caller's sessions. Another owner's session and an
// unknown one are the same not_found. It may be polled: what Stripe said in the
// second before is good enough.
func (s *Service) Checkout(ctx context.Context, c Caller, id string) (CheckoutSession, error) {
	session, err := s.owned(ctx, c, id)
	if err != nil {
		return CheckoutSession{}, err
	}
	session.NextPollAfterMS = nextPoll(session)
	return session, nil
}

// owned returns a session if it is the caller's, and not_found if it is not. Whose
// it is is judged each time: the caller may have another customer by now.
func (s *Service) owned(ctx context.Context, c Caller, id string) (CheckoutSession, error) {
	if !catalog.ValidID(id) {
		return CheckoutSession{}, problem.New(problem.NotFound, nil)
	}
	customer, err := s.o.Customers.Find(ctx, c.owner)
	if errors.Is(err, customers.ErrNoRecord) {
		return CheckoutSession{}, problem.New(problem.NotFound, nil)
	}
	if err != nil {
		return CheckoutSession{}, err
	}
	session, err := s.reads.get(ctx, readKey{c.owner, id}, func(ctx context.Context) (CheckoutSession, error) {
		return s.o.Stripe.CheckoutSession(ctx, id, c.owner.Livemode)
	})
	if catalog.IsMissing(err) {
		return CheckoutSession{}, problem.New(problem.NotFound, nil)
	}
	if err != nil {
		return CheckoutSession{}, err
	}
	if !customer.Has(string(session.Customer), string(session.CustomerAccount)) || session.Livemode != c.owner.Livemode {
		s.metrics.foreign.Inc()
		return CheckoutSession{}, problem.New(problem.NotFound, nil)
	}
	return session, nil
}

const (
	pollOpen = 2_000
	// A delayed payment method can take days; nobody watches a page that long.
	pollUnpaid = 30_000
)

func nextPoll(s CheckoutSession) *int64 {
	status := ""
	if s.Status != nil {
		status = *s.Status
	}
	after := int64(pollOpen)
	switch {
	case status == "expired", status == "complete" && s.PaymentStatus != "unpaid":
		return nil
	case status == "complete":
		after = pollUnpaid
	}
	return &after
}
