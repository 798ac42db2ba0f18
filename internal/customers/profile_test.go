package customers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

var ada = customers.Profile{Email: "ada@example.com", Name: "Ada Lovelace"}

// tells is what a request does: the customer first, then what is new.
func (r replica) tells(t testing.TB, owner customers.Owner, p customers.Profile) {
	t.Helper()
	r.Tell(t.Context(), owner, r.customer(t, owner), p)
}

// heard holds what Stripe was told so far.
func (w *world) heard(t testing.TB, want ...customers.Profile) {
	t.Helper()
	w.stripe.mu.Lock()
	defer w.stripe.mu.Unlock()
	if diff := cmp.Diff(want, w.stripe.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// The same person's profile over several visits, on a warm cache and on a cold one.
func TestAProfileIsSentOnceAndThenWhatChanged(t *testing.T) {
	t.Parallel()
	for _, warm := range []bool{true, false} {
		w := newWorld()
		s := w.replica(t)
		var want []customers.Profile
		for i, visit := range []struct{ is, sent customers.Profile }{
			{ada, ada},
			{ada, customers.Profile{}},
			{customers.Profile{}, customers.Profile{}}, // a token without them
			{customers.Profile{Name: "Ada King"}, customers.Profile{Name: "Ada King"}},
			{customers.Profile{Email: ada.Email}, customers.Profile{}},
			{customers.Profile{Email: ada.Email, Name: "Ada King"}, customers.Profile{}},
			{customers.Profile{Email: "ADA@example.com", Name: "Ada King"}, customers.Profile{Email: "ADA@example.com"}},
			{ada, ada}, // back to what it was
		} {
			if !warm {
				s = w.replica(t)
			}
			s.tells(t, alice, visit.is)
			if visit.sent != (customers.Profile{}) {
				want = append(want, visit.sent)
			}
			w.heard(t, want...)
			if t.Failed() {
				t.Fatalf("warm %t, visit %d", warm, i)
			}
		}
		w.expect(t, 1, 0, 1)
	}
}

// The operator's database has no need of anybody's address.
func TestWhatWasSentIsKeptAsAFingerprint(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, bob := w.replica(t), storetest.Owner("bob")
	s.tells(t, alice, ada)
	s.tells(t, bob, ada)
	a, b := w.record(t, alice).Sent, w.record(t, bob).Sent
	if a.Email == "" || a.Name == "" || a.Email == a.Name || a.Email == b.Email || a.Name == b.Name {
		t.Errorf("got %+v and %+v, want a fingerprint for each value of each owner", a, b)
	}
	for _, part := range []string{"ada", "Ada", "example", "Lovelace"} {
		if strings.Contains(fmt.Sprint(a), part) {
			t.Errorf("got %+v, with %s in it", a, part)
		}
	}
	if got := s.customer(t, alice).Sent; got != a {
		t.Errorf("the customer says %+v, the row %+v", got, a)
	}
}

func TestAPersonWithoutAProfileCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	c := w.replica(t).customer(t, alice)
	silent := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
		t.Errorf("the store was asked to %s", op)
		return storetest.None
	}), customers.Options{})
	silent.Tell(t.Context(), alice, c, customers.Profile{})
	w.heard(t)
}

// Stripe says that it is no e-mail address, today as yesterday.
func TestARefusedValueIsNotSentAgainUntilItChanges(t *testing.T) {
	t.Parallel()
	w, d := newWorld(), &diary{}
	s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
	w.stripe.tell = func(context.Context) error {
		return upstream(problem.UpstreamError, &stripeError{text: "email_invalid", refused: true})
	}
	bad := customers.Profile{Email: "not an address"}
	s.tells(t, alice, bad)
	s.tells(t, alice, bad)
	w.replica(t).tells(t, alice, bad)
	w.heard(t, bad)
	if d.lines("level=WARN") != 1 || d.lines("email_invalid") != 1 {
		t.Errorf("want it said once, got %s", d)
	}
	w.stripe.tell = nil
	good := customers.Profile{Email: "ada@example.com"}
	s.tells(t, alice, good)
	s.tells(t, alice, good)
	w.heard(t, bad, good)
}

func TestAnOutageIsFollowedByAnotherTry(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"500":              upstream(problem.UpstreamError, errors.New("500")),
		"an answer lost":   upstream(problem.UpstreamTimeout, context.DeadlineExceeded),
		"not by Stripe":    upstream(problem.UpstreamError, &stripeError{text: "a proxy's 403"}),
		"nothing we know":  errors.New("?"),
		"the caller's own": context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			s := w.replica(t)
			w.stripe.tell = func(context.Context) error { return err }
			s.tells(t, alice, ada)
			s.tells(t, alice, ada)
			if r := w.record(t, alice); r.Sent != (customers.Sent{}) {
				t.Errorf("got %+v, want nothing noted", r.Sent)
			}
			w.stripe.tell = nil
			s.tells(t, alice, ada)
			s.tells(t, alice, ada)
			w.heard(t, ada, ada, ada)
		})
	}
}

func TestANoteThatFailsMeansAnotherTry(t *testing.T) {
	t.Parallel()
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		w, broken := newWorld(), true
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if broken && op == storetest.NoteSent {
				return fault
			}
			return storetest.None
		}), customers.Options{})
		s.tells(t, alice, ada)
		broken = false
		s.tells(t, alice, ada)
		s.tells(t, alice, ada)
		w.heard(t, ada, ada)
	}
}

// Nobody waits long for what he can do without, and nobody is refused for it.
func TestASlowStripeIsToldLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(), &diary{}
		s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
		c := s.customer(t, alice)
		w.stripe.tell = func(ctx context.Context) error {
			<-ctx.Done()
			return upstream(problem.UpstreamTimeout, ctx.Err())
		}
		begin := time.Now()
		s.Tell(t.Context(), alice, c, ada)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want 3 s", took)
		}
		if d.lines("level=WARN") != 1 || d.lines("customer="+c.ID) != 1 {
			t.Errorf("got %s", d)
		}
		for _, secret := range []string{ada.Email, ada.Name, "Ada", alice.Subject, alice.Issuer} {
			if d.lines(secret) != 0 {
				t.Errorf("the log has %q: %s", secret, d)
			}
		}
	})
}

func TestACallerWhoHangsUpDoesNotEndTheTelling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.replica(t)
		c := s.customer(t, alice)
		w.stripe.tell = func(ctx context.Context) error {
			select {
			case <-time.After(2 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		begin := time.Now()
		s.Tell(ctx, alice, c, ada)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v, want 1 s", took)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.record(t, alice).Sent == (customers.Sent{}) {
			t.Error("what was sent is not noted")
		}
	})
}

func TestSeveralAtOnceTellOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.replica(t)
		c := s.customer(t, alice)
		w.stripe.tell = func(context.Context) error {
			time.Sleep(time.Second)
			return nil
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { s.Tell(t.Context(), alice, c, ada) })
		}
		wg.Wait()
		w.heard(t, ada)
	})
}

func TestAHealedCustomerIsToldAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	s.tells(t, alice, ada)
	lost := w.gone(t, s, alice)
	c := s.heals(t, alice, lost)
	s.Tell(t.Context(), alice, c, ada)
	s.tells(t, alice, ada)
	w.heard(t, ada, ada)
	if diff := cmp.Diff([]string{lost.ID, c.ID}, w.stripe.toldTo); diff != "" {
		t.Errorf("who was told (-want +got):\n%s", diff)
	}
}

// Who still holds the lost customer tells that one; nothing of it is noted for
// the new one, and the new one stays known.
func TestTellingALostCustomerSpoilsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	c := s.heals(t, alice, lost)
	w.stripe.tell = func(context.Context) error {
		return upstream(problem.UpstreamError, &stripeError{text: "resource_missing", refused: true})
	}
	s.Tell(t.Context(), alice, lost, ada)
	if got := w.record(t, alice); got.Sent != (customers.Sent{}) || got.CustomerID != c.ID {
		t.Errorf("got %+v, want the new customer, told nothing", got)
	}
	if got := s.ensures(t, alice); got != c.ID {
		t.Errorf("got %s, want %s", got, c.ID)
	}
	w.stripe.tell = nil
	s.tells(t, alice, ada)
	if got := w.stripe.toldTo[len(w.stripe.toldTo)-1]; got != c.ID {
		t.Errorf("told %s, want %s", got, c.ID)
	}
}

// A refused e-mail address takes the name with it.
func TestARefusedAddressDoesNotTakeTheNameWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	w.stripe.tell = func(context.Context) error {
		if p := w.stripe.told[len(w.stripe.told)-1]; p.Email != "" {
			return upstream(problem.UpstreamError, &stripeError{text: "email_invalid", refused: true})
		}
		return nil
	}
	bad := customers.Profile{Email: "not an address", Name: "Ada"}
	s.tells(t, alice, bad)
	s.tells(t, alice, bad)
	for _, p := range w.stripe.told {
		if p == (customers.Profile{Name: "Ada"}) {
			return
		}
	}
	t.Errorf("the name was never told: %+v", w.stripe.told)
}

// What is tried alone may meet an outage; then nothing of it is known.
func TestAnOutageAfterARefusalIsFollowedByAnotherTry(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	calls := 0
	w.stripe.tell = func(context.Context) error {
		if calls++; calls == 1 {
			return upstream(problem.UpstreamError, &stripeError{text: "email_invalid", refused: true})
		}
		return upstream(problem.UpstreamError, errors.New("500"))
	}
	s.tells(t, alice, ada)
	if r := w.record(t, alice); r.Sent != (customers.Sent{}) {
		t.Errorf("got %+v, want nothing noted", r.Sent)
	}
	w.stripe.tell = nil
	s.tells(t, alice, ada)
	s.tells(t, alice, ada)
	w.heard(t, ada, customers.Profile{Email: ada.Email}, ada)
}
