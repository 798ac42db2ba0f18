package customers_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// nothingKnown is what is read of the time while Stripe has not answered yet.
func nothingKnown() (customers.Moment, bool) { return customers.Moment{}, false }

// stale is what is read of the time when the last answer was long ago and the
// host's clock stood still since.
func stale(at time.Time) func() (customers.Moment, bool) {
	return func() (customers.Moment, bool) { return customers.At(at), true }
}

func TestAFirstVisitOnAWarmServiceAsksNobodyForTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	for _, o := range owners(5) {
		s.ensures(t, o)
	}
	lost := w.gone(t, s, alice)
	s.heals(t, alice, lost)
	if w.stripe.asked != 0 {
		t.Errorf("asked for the time %d times", w.stripe.asked)
	}
}

func TestTheTimeIsAskedForBeforeTheFirstAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.read = nothingKnown
	down := true
	w.stripe.clock = func(context.Context) error {
		if creates, _, _ := w.stripe.calls(); creates > 0 {
			t.Error("the time is asked for after the call")
		}
		if down {
			return upstream(problem.UpstreamTimeout, context.DeadlineExceeded)
		}
		return nil
	}
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamTimeout)
	if rows := w.store.Records(); len(rows) != 0 {
		t.Errorf("somebody was reserved at no time: %+v", rows)
	}
	w.expect(t, 0, 0, 0)
	down = false
	s.ensures(t, alice)
	w.expect(t, 1, 0, 1)
	if r := w.record(t, alice); r.FirstAttemptAt.IsZero() || r.ReservedAt.IsZero() {
		t.Errorf("got %+v, want the times of the attempt", r)
	}
}

// A row that was reserved and never sent: without the time there is no attempt.
func TestWithoutTheTimeAReservationIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.reserves(t, alice)
	before := w.record(t, alice)
	w.stripe.read = nothingKnown
	w.stripe.clock = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
	w.replica(t).fails(t, alice, problem.UpstreamError)
	if got := w.record(t, alice); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
	w.expect(t, 0, 0, 0)
}

// Also with a time at hand: that one may be of a host that was suspended.
func TestAReplayAsksForTheTimeFirst(t *testing.T) {
	t.Parallel()
	for what, existing := range map[accident]int{silence: 1, neverArrives: 0} {
		w := newWorld()
		w.stripe.create = once(what)
		s := w.replica(t)
		if _, err := s.Ensure(t.Context(), alice); err == nil {
			t.Fatal("got a customer")
		}
		before := w.record(t, alice)
		w.stripe.clock = func(context.Context) error { return upstream(problem.UpstreamTimeout, context.DeadlineExceeded) }
		s.fails(t, alice, problem.UpstreamTimeout)
		if got := w.record(t, alice); got != before {
			t.Errorf("got %+v, want %+v", got, before)
		}
		w.expect(t, 1, 0, existing)
		w.stripe.clock = nil
		s.ensures(t, alice)
		w.expect(t, 2, 0, 1)
		if w.stripe.asked != 2 {
			t.Errorf("asked for the time %d times, want once for each replay", w.stripe.asked)
		}
	}
}

// One question is enough for all the steps of one visit.
func TestAVisitAsksForTheTimeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	spent(t, w)
	asked := w.stripe.asked
	w.replica(t).ensures(t, alice) // looks up, supersedes, sends
	w.expect(t, 3, 2, 1)
	if got := w.stripe.asked - asked; got != 1 {
		t.Errorf("asked %d times, want 1", got)
	}
}

func TestWaitingForAKeyAsksForTheTimeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		w.stripe.create = func(context.Context) accident { return takesItForever }
		w.replica(t).fails(t, alice, problem.DependencyUnavailable)
		if creates, _, _ := w.stripe.calls(); creates < 3 || w.stripe.asked != 1 {
			t.Errorf("asked for the time %d times, for %d calls", w.stripe.asked, creates)
		}
	})
}

func TestAKeyThatGrewOldUnseenIsLookedUpAndNotSent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		what  accident
		lists int
	}{"created": {silence, 1}, "not created": {neverArrives, 2}} {
		w := newWorld()
		w.stripe.create = once(tc.what)
		s := w.replica(t)
		if _, err := s.Ensure(t.Context(), alice); err == nil {
			t.Fatal("got a customer")
		}
		w.stripe.read = stale(w.now().Add(time.Minute))
		w.advance(25 * time.Hour)
		key := w.record(t, alice).IdempotencyKey
		s.ensures(t, alice)
		sent := 0
		for _, c := range w.stripe.sent {
			if c.IdempotencyKey == key {
				sent++
			}
		}
		if _, lists, existing := w.stripe.calls(); sent != 1 || lists != tc.lists || existing != 1 {
			t.Errorf("%s: sent the old key %d times, %d lists, %d customers", name, sent, lists, existing)
		}
	}
}

// spanned knows Stripe's time only to lie between early before and late after the
// truth.
type spanned struct {
	*fakeStripe
	early, late time.Duration
}

func (s spanned) Now() (customers.Moment, bool) {
	now := s.now()
	return customers.Moment{Earliest: now.Add(-s.early), Latest: now.Add(s.late)}, true
}

func (s spanned) Time(context.Context) (customers.Moment, error) {
	m, _ := s.Now()
	return m, nil
}

// replicaKnowing is a replica that knows the time only so well.
func (w *world) replicaKnowing(t testing.TB, early, late time.Duration) replica {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := customers.New(w.store, spanned{w.stripe, early, late}, registry, customers.Options{Version: "2023-10-16"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return replica{s, registry}
}

// What is known of the time is a span; a key's age, and the quiet minute, are
// judged by the worse end.
func TestAnUncertainTimeIsJudgedByItsWorseEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		later         time.Duration
		creates, list int
	}{{23*time.Hour - 5*time.Second - time.Millisecond, 2, 0}, {23*time.Hour - 5*time.Second, 1, 1}} {
		w := newWorld()
		w.stripe.create = once(silence)
		s := w.replicaKnowing(t, 3*time.Second, 2*time.Second)
		s.fails(t, alice, problem.UpstreamTimeout)
		r, now := w.record(t, alice), w.now()
		if !r.FirstAttemptAt.Equal(now.Add(-3*time.Second)) || !r.LastAttemptAt.Equal(now.Add(2*time.Second)) || !r.ReservedAt.Equal(r.LastAttemptAt) {
			t.Errorf("got %+v, want the span of the attempt", r)
		}
		w.advance(tc.later)
		s.ensures(t, alice)
		w.expect(t, tc.creates, tc.list, 1)
	}
	w := newWorld()
	w.stripe.create = once(failsFirst)
	s := w.replicaKnowing(t, 3*time.Second, 2*time.Second)
	s.fails(t, alice, problem.UpstreamError)
	if again := s.fails(t, alice, problem.DependencyUnavailable); again != time.Minute {
		t.Errorf("retry after %v, want the minute from the earliest of the first attempt", again)
	}
}

// Every answer says the time anew, to the second: what is left of the quiet minute may
// be the same few milliseconds for as long as that.
func TestTheQuietMinuteEndsThoughTheTimeIsKnownToTheSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		w.advance(w.now().Truncate(time.Second).Add(time.Second + 10*time.Millisecond).Sub(w.now()))
		w.stripe.create = once(failsFirst)
		s := w.replica(t)
		s.fails(t, alice, problem.UpstreamError)
		w.stripe.read = func() (customers.Moment, bool) {
			second := w.now().Truncate(time.Second)
			return customers.Moment{Earliest: second, Latest: second.Add(time.Second)}, true
		}
		w.advance(time.Minute - 9*time.Millisecond)
		s.ensures(t, alice)
	})
}

// The hour between two healings, and the sweeper's 15 seconds, likewise.
func TestHealingsAndSweepsUnderAnUncertainTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replicaKnowing(t, 3*time.Second, 2*time.Second)
	c := s.heals(t, alice, w.gone(t, s, alice))
	if got := w.record(t, alice).HealedAt.Sub(w.now()); got != 2*time.Second {
		t.Errorf("healed %v from now, want the latest that it may be", got)
	}
	w.stripe.loses(c.ID)
	w.advance(10 * time.Minute)
	if p := s.refusesToHeal(t, alice, c, problem.DependencyUnavailable); p.RetryAfter != 50*time.Minute {
		t.Errorf("retry after %v, want 50m0s", p.RetryAfter)
	}

	bob := storetest.Owner("bob")
	w.reserves(t, bob)
	w.advance(18 * time.Second) // 15 of them for certain, and not a millisecond more
	s.sweeps(t)
	if w.settled(t, bob) != 0 {
		t.Error("swept although it may be younger than 15 s")
	}
	w.advance(time.Millisecond)
	s.sweeps(t)
	if w.settled(t, bob) != 1 {
		t.Error("not swept although it is certainly 15 s old")
	}
}

// A span of a quarter of an hour moves no window away from the customer.
func TestAWindowIsAsWideAsTheTimeIsUncertain(t *testing.T) {
	t.Parallel()
	for _, span := range [][2]time.Duration{{15 * time.Minute, 0}, {0, 15 * time.Minute}, {15 * time.Minute, 15 * time.Minute}} {
		w := newWorld()
		w.stripe.create = once(silence)
		s := w.replicaKnowing(t, span[0], span[1])
		s.fails(t, alice, problem.UpstreamTimeout)
		w.advance(25 * time.Hour)
		s.ensures(t, alice)
		w.expect(t, 1, 1, 1)
	}
}

// Stripe's clock is hours, or years, from the host's; all of it still holds.
func TestTheHostsClockDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-20 * 365 * 24 * time.Hour, -25 * time.Hour, 25 * time.Hour, 20 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := goingWorld()
			w.clock.at = time.Now().Add(off) // the bubble's is the host's
			s := w.replica(t)
			bob, carol := storetest.Owner("bob"), storetest.Owner("carol")
			w.stripe.create = func(context.Context) accident { return silence }
			s.fails(t, alice, problem.UpstreamTimeout)
			s.fails(t, bob, problem.UpstreamTimeout)
			w.stripe.create = nil
			if got := w.record(t, alice).FirstAttemptAt; got.Sub(w.now()).Abs() > time.Second {
				t.Errorf("%v off: the attempt was at %v, and Stripe's time is %v", off, got, w.now())
			}
			s.ensures(t, alice) // replayed
			w.expect(t, 3, 0, 2)
			w.advance(23 * time.Hour)
			s.ensures(t, bob) // adopted
			w.expect(t, 3, 1, 2)
			w.reserves(t, carol)
			s.sweeps(t)
			if w.settled(t, carol) != 0 {
				t.Errorf("%v off: swept before its time", off)
			}
			time.Sleep(16 * time.Second)
			s.sweeps(t)
			if w.settled(t, carol) != 1 {
				t.Errorf("%v off: not swept when it was time", off)
			}
			lost := w.gone(t, s, alice)
			c := s.heals(t, alice, lost)
			w.stripe.loses(c.ID)
			if p := s.refusesToHeal(t, alice, c, problem.DependencyUnavailable); p.RetryAfter != time.Hour {
				t.Errorf("%v off: retry after %v, want 1h0m0s", off, p.RetryAfter)
			}
			o := everything()
			o.Since = w.now().Add(-48 * time.Hour)
			if r := w.reconciles(t, o); r.Known != 2 {
				t.Errorf("%v off: got %+v", off, r)
			}
		})
	}
}

// Replicas that know the time differently still make one customer.
func TestReplicasNeedNotAgreeOnTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = once(silence)
	vague, exact := w.replicaKnowing(t, 10*time.Hour, time.Second), w.replica(t)
	vague.fails(t, alice, problem.UpstreamTimeout)
	w.advance(14 * time.Hour) // it may have been a day
	exact.ensures(t, alice)
	w.expect(t, 1, 1, 1)
	if id := vague.ensures(t, alice); id != "cus_0001" {
		t.Errorf("got %s", id)
	}
}

// Without the time, the end of a healing's hour is not known either.
func TestAHealAsksForTheTimeWhenNothingIsKnownOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	before := w.record(t, alice)
	w.stripe.read = nothingKnown
	w.stripe.clock = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
	s.refusesToHeal(t, alice, lost, problem.UpstreamError)
	if got := w.record(t, alice); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
	w.stripe.clock = nil
	s.heals(t, alice, lost)
	if w.record(t, alice).HealedAt.IsZero() {
		t.Error("the time of the healing is not noted")
	}
}

// Between the note of an attempt and the call, the process was stopped. What was
// true of the key then may not be any more.
func TestAProcessThatStoodStillDoesNotSend(t *testing.T) {
	t.Parallel()
	for still, creates := range map[time.Duration]int{12 * time.Second: 1, 12*time.Second + time.Millisecond: 0, 25 * time.Hour: 0} {
		w := newWorld()
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if op == storetest.Attempt {
				w.advance(still)
			}
			return storetest.None
		}), customers.Options{})
		if creates == 0 {
			s.fails(t, alice, problem.UpstreamTimeout)
		} else {
			s.ensures(t, alice)
		}
		w.expect(t, creates, 0, creates)
		w.replica(t).ensures(t, alice)
		if got := w.stripe.ofOwner(alice); len(got) != 1 {
			t.Errorf("stood still for %v: got customers %v", still, got)
		}
	}
}
