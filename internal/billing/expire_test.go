package billing_test

import (
	"testing"

	"till/internal/billing"
	"till/internal/problem"
)

var notOpen = verdict{problem.SessionNotOpen, nil}

func TestExpiringIsForOpenSessions(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	alice := s.caller(t, "alice")
	expire := func(id string) (billing.CheckoutSession, error) {
		return s.ExpireCheckout(t.Context(), alice, id, billing.Nothing{})
	}
	got, err := expire("cs_test_1")
	if err != nil || *got.Status != "expired" || got.NextPollAfterMS != nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	same(t, "calls", s.stripe.since(), map[string]int{"read checkout": 1, "expire checkout": 1})
	change := s.stripe.existing.changes[0]
	if change.IdempotencyKey == "" || change.Session != "cs_test_1" || change.Customer.ID != "cus_1" || !change.Livemode {
		t.Errorf("sent %+v", change)
	}
	for range 3 {
		_, err := expire("cs_test_1")
		same(t, "again", verdictOf(t, err), notOpen)
	}
	s.stripe.edit("cs_test_2", func(c *billing.CheckoutSession) { c.Status = new("complete") })
	_, err = expire("cs_test_2")
	same(t, "complete", verdictOf(t, err), notOpen)
	same(t, "calls", s.stripe.since(), reading(2))
	for _, id := range []string{"cs_test_3", "cs_test_999", "", "..", "cs_test_1/x"} {
		_, err := expire(id)
		same(t, id, verdictOf(t, err), notFound)
	}
	same(t, "calls", s.stripe.since(), reading(2))
}

// The page was finished, or closed, after the session was last looked at. Stripe says
// no, and why is seen by the state, whatever words it uses.
func TestARefusalIsExplainedByTheState(t *testing.T) {
	t.Parallel()
	no := stripeError{text: "Only Checkout Sessions with a status in [\"open\"]"}
	for name, tc := range map[string]struct {
		err    stripeError
		closes bool
		gone   bool
		want   verdict
		calls  map[string]int
	}{
		"over by now":  {no, true, false, notOpen, map[string]int{"read checkout": 2, "expire checkout": 1}},
		"still open":   {no, false, false, verdict{problem.UpstreamError, nil}, map[string]int{"read checkout": 2, "expire checkout": 1}},
		"gone":         {no, false, true, notFound, map[string]int{"read checkout": 2, "expire checkout": 1}},
		"not refused":  {stripeError{text: "no answer", silent: true}, true, false, verdict{problem.UpstreamError, nil}, map[string]int{"read checkout": 1, "expire checkout": 1}},
		"another word": {stripeError{text: "Nope"}, true, false, notOpen, map[string]int{"read checkout": 2, "expire checkout": 1}},
	} {
		s := withSessions(t)
		s.stripe.existing.changeErr, s.stripe.existing.closes = refused(tc.err), tc.closes
		alice := s.caller(t, "alice")
		s.ask(t, alice, "cs_test_1")
		if tc.gone {
			s.stripe.mu.Lock()
			delete(s.stripe.sessions, "cs_test_1")
			s.stripe.mu.Unlock()
		}
		_, err := s.ExpireCheckout(t.Context(), alice, "cs_test_1", billing.Nothing{})
		same(t, name, verdictOf(t, err), tc.want)
		same(t, name, s.stripe.since(), tc.calls)
	}
}

func TestEveryChangeHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	s.stripe.existing.changeErr = refused(stripeError{text: "no answer", silent: true})
	for range 2 {
		_, err := s.ExpireCheckout(t.Context(), s.caller(t, "alice"), "cs_test_1", billing.Nothing{})
		same(t, "answer", verdictOf(t, err), verdict{problem.UpstreamError, nil})
	}
	if c := s.stripe.existing.changes; len(c) != 2 || c[0].IdempotencyKey == c[1].IdempotencyKey {
		t.Errorf("sent %+v", c)
	}
}
