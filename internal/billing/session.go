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
	if !validSessionID(id) {
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
	if string(session.Customer) != customer.ID || session.Livemode != c.owner.Livemode {
		s.metrics.foreign.Inc()
		return CheckoutSession{}, problem.New(problem.NotFound, nil)
	}
	session.NextPollAfterMS = nextPoll(session)
	return session, nil
}

// validSessionID judges the shape only: ids are opaque, but one that is empty or
// has a dot or a slash would reach another path at Stripe.
func validSessionID(id string) bool {
	if len(id) == 0 || len(id) > 255 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
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
