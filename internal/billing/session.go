package billing

import (
	"context"
	"errors"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// Checkout returns one of the caller's sessions. Another owner's session and an
// unknown one are the same not_found.
func (s *Service) Checkout(ctx context.Context, c Caller, id string) (CheckoutSession, error) {
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
	session, err := s.o.Stripe.CheckoutSession(ctx, id, c.owner.Livemode)
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
	session.NextPollAfterMS = nextPoll(session)
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
