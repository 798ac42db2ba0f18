package billing_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/billing"
	"till/internal/problem"
)

func reading(n int) map[string]int { return map[string]int{"read checkout": n} }

// ask reads a session and fails the test if that fails.
func (s *service) ask(t *testing.T, c billing.Caller, id string) billing.CheckoutSession {
	t.Helper()
	session, err := s.Checkout(t.Context(), c, id)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestPollingIsOneReadASecond(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	alice := s.caller(t, "alice")
	s.stripe.since()
	for range 100 {
		s.ask(t, alice, "cs_test_1")
	}
	same(t, "within a second", s.stripe.since(), reading(1))

	s.pass(time.Second)
	s.stripe.edit("cs_test_1", func(c *billing.CheckoutSession) { c.Status = new("expired") })
	if got := s.ask(t, alice, "cs_test_1"); *got.Status != "expired" {
		t.Errorf("after a second the session is still %s", *got.Status)
	}
	s.pass(29 * time.Second)
	s.ask(t, alice, "cs_test_1")
	same(t, "one that is over", s.stripe.since(), reading(1))
	s.pass(time.Second)
	s.ask(t, alice, "cs_test_1")
	same(t, "half a minute later", s.stripe.since(), reading(1))

	// What Stripe cannot find, or cannot say, is asked for no more often.
	for range 10 {
		_, err := s.Checkout(t.Context(), alice, "cs_test_999")
		same(t, "unknown", verdictOf(t, err), notFound)
	}
	same(t, "unknown", s.stripe.since(), reading(1))
}

// Nobody learns from how long an answer takes whether somebody else has asked.
func TestOwnersShareNoRead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "bob", request(t, `{"plan":"pro"}`))
	s.ask(t, s.caller(t, "alice"), "cs_test_1")
	s.stripe.since()
	for range 3 {
		_, err := s.Checkout(t.Context(), s.caller(t, "bob"), "cs_test_1")
		same(t, "another's", verdictOf(t, err), notFound)
	}
	same(t, "calls", s.stripe.since(), reading(1))
}

// One read serves all who wait, and goes on when the first of them hangs up.
func TestWhoWaitsIsServedByOneRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.buys(t, "alice", request(t, `{"plan":"pro"}`))
		alice := s.caller(t, "alice")
		s.stripe.since()
		s.stripe.existing.reading = func(ctx context.Context) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				t.Error("the read was cancelled")
			}
		}
		impatient, hangUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.Checkout(impatient, alice, "cs_test_1")
			gone <- err
		}()
		synctest.Wait()
		served := make(chan error, 50)
		for range cap(served) {
			go func() {
				_, err := s.Checkout(t.Context(), alice, "cs_test_1")
				served <- err
			}()
		}
		synctest.Wait()
		hangUp()
		same(t, "who hung up", verdictOf(t, <-gone), verdict{problem.UpstreamTimeout, nil})
		for range cap(served) {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
		same(t, "calls", s.stripe.since(), reading(1))
	})
}

func TestAPanicWhileReadingIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.stripe.existing.reading = func(context.Context) { panic("as no code of ours should") }
	_, err := s.Checkout(t.Context(), s.caller(t, "alice"), "cs_test_1")
	same(t, "answer", verdictOf(t, err), verdict{problem.Internal, nil})
}

// A read that began before a change does not answer after it.
func TestAChangeIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.buys(t, "alice", request(t, `{"plan":"pro"}`))
		alice := s.caller(t, "alice")
		s.ask(t, alice, "cs_test_1")
		if _, err := s.ExpireCheckout(t.Context(), alice, "cs_test_1", billing.Nothing{}); err != nil {
			t.Fatal(err)
		}
		if got := s.ask(t, alice, "cs_test_1"); *got.Status != "expired" || got.NextPollAfterMS != nil {
			t.Errorf("after it was expired, the session is %s", *got.Status)
		}

		s.buys(t, "alice", request(t, `{"plan":"pro"}`))
		s.ask(t, alice, "cs_test_2")
		s.pass(500 * time.Millisecond)
		s.stripe.existing.changeErr = refused(stripeError{text: "no answer", silent: true})
		if _, err := s.ExpireCheckout(t.Context(), alice, "cs_test_2", billing.Nothing{}); err == nil {
			t.Fatal("no error")
		}
		s.stripe.edit("cs_test_2", func(c *billing.CheckoutSession) { c.Status = new("expired") })
		if got := s.ask(t, alice, "cs_test_2"); *got.Status != "expired" {
			t.Error("what may have changed the session was not looked behind")
		}
	})
}

func TestAnOwnersNewCustomerDoesNotInheritReads(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	alice := s.caller(t, "alice")
	s.ask(t, alice, "cs_test_1")
	s.stripe.mu.Lock()
	s.stripe.lost = []string{"cus_1"}
	s.stripe.mu.Unlock()
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.stripe.since()
	_, err := s.Checkout(t.Context(), alice, "cs_test_1")
	same(t, "the old customer's session", verdictOf(t, err), notFound)
	same(t, "calls", s.stripe.since(), map[string]int(nil))
}

func TestErrorsOfAReadAreItsOwn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.stripe.existing.reading = func(ctx context.Context) {
		if ctx.Err() != nil {
			t.Error("a caller's end is the read's")
		}
	}
	if _, err := s.Checkout(ctx, s.caller(t, "alice"), "cs_test_1"); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.ask(t, s.caller(t, "alice"), "cs_test_1")
}
