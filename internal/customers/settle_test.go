package customers_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// once returns what, and then that all is well.
func once(what accident) func(context.Context) accident {
	return func(context.Context) accident {
		defer func() { what = allWell }()
		return what
	}
}

// dyingAt lets n-1 operations through, fails the n-th one with fault and all after
// it: the process has died there.
func dyingAt(n int, fault storetest.Fault) func(context.Context, storetest.Operation) storetest.Fault {
	return func(context.Context, storetest.Operation) storetest.Fault {
		n--
		switch {
		case n > 0:
			return storetest.None
		case n == 0:
			return fault
		default:
			return storetest.Before
		}
	}
}

// Each operation of the store, failed before and after it took effect; what is
// at Stripe by then is what the protocol says.
func TestAProcessThatDiesAnywhereIsFollowedByOneThatFinishes(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{0, time.Second, 2 * time.Minute, 22 * time.Hour, 25 * time.Hour, 30 * 24 * time.Hour} {
		for n := 1; n <= 4; n++ {
			for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
				t.Run(fmt.Sprintf("operation %d, fault %d, %v later", n, fault, later), func(t *testing.T) {
					t.Parallel()
					w := newWorld()
					dying := w.replicaOn(t, w.faulty(dyingAt(n, fault)), customers.Options{})
					dying.fails(t, alice, problem.DependencyUnavailable)
					if creates, _, _ := w.stripe.calls(); creates > 0 && n < 4 {
						t.Error("Stripe was called before the attempt was known to be written")
					}
					w.advance(later)
					id := w.replica(t).ensures(t, alice)
					if got := w.replica(t).ensures(t, alice); got != id {
						t.Errorf("got %s, then %s", id, got)
					}
					if got := w.stripe.ofOwner(alice); len(got) != 1 || got[0] != id {
						t.Errorf("got customers %v, want %s alone", got, id)
					}
				})
			}
		}
	}
}

// The same with what may happen to the call: whatever it was, within a few tries
// and a few minutes there is one customer.
func TestACallThatEndsAnyhowIsFollowedByOneCustomer(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]accident{
		"never arrived": neverArrives, "failed first": failsFirst, "failed last": failsLast, "silence": silence,
	} {
		for _, later := range []time.Duration{0, time.Second, 61 * time.Second, 22 * time.Hour, 23 * time.Hour, 25 * time.Hour, 30 * 24 * time.Hour} {
			t.Run(fmt.Sprintf("%s, %v later", name, later), func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				w.stripe.create = once(what)
				if id, err := w.replica(t).Ensure(t.Context(), alice); err == nil {
					t.Fatalf("got %s", id)
				}
				w.advance(later)
				s := w.replica(t)
				id, err := s.Ensure(t.Context(), alice)
				for try := 0; err != nil && try < 2; try++ {
					p, _ := errors.AsType[*problem.Error](err)
					if p.RetryAfter <= 0 || p.RetryAfter > time.Minute+time.Second {
						t.Fatalf("got %v, retry after %v", err, p.RetryAfter)
					}
					w.advance(p.RetryAfter)
					id, err = s.Ensure(t.Context(), alice)
				}
				if got := w.stripe.ofOwner(alice); err != nil || len(got) != 1 || got[0] != id {
					t.Errorf("got %s, %v, customers %v", id, err, got)
				}
			})
		}
	}
}

func TestACustomerBehindAReplayedErrorIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = once(failsLast)
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamError)
	if r := w.record(t, alice); r.KeySpent {
		t.Error("a first 500 may still be answered otherwise: the key is not spent")
	}
	// The replay says that the call has ended: what it made is there to be found.
	w.advance(time.Second)
	if id := s.ensures(t, alice); id != "cus_0001" {
		t.Errorf("got %s, want the first customer", id)
	}
	w.expect(t, 2, 1, 1)
	if r := w.record(t, alice); r.Generation != 1 || r.State != customers.Active {
		t.Errorf("got %+v, want the first generation active", r)
	}
}

func TestACertainAbsenceStartsTheNextGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = once(failsFirst)
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamError)
	w.advance(20 * time.Second)
	// The replay spends the key. That nothing is found counts a minute after the
	// call that failed, and the sends that met its answer do not put that off.
	if again := s.fails(t, alice, problem.DependencyUnavailable); again != 40*time.Second {
		t.Errorf("retry after %v, want the rest of the minute", again)
	}
	w.expect(t, 2, 1, 0)
	w.advance(40 * time.Second)
	id := s.ensures(t, alice)
	w.expect(t, 3, 2, 1)
	keys := w.stripe.keysSent()
	if len(keys) != 2 {
		t.Fatalf("got %d keys, want 2", len(keys))
	}
	r := w.record(t, alice)
	if r.Generation != 2 || r.CustomerID != id || r.IdempotencyKey != keys[1] || r.KeySpent || !r.ReservedAt.Equal(w.now()) {
		t.Errorf("got %+v, want a fresh second generation", r)
	}
	if got := w.stripe.customers[0].Metadata["till_generation"]; got != "2" {
		t.Errorf("the customer is of generation %s, want 2", got)
	}
}

func TestTheKeyIsTrustedForTwentyThreeHours(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                     string
		what                     accident
		age                      time.Duration
		creates, lists, existing int
		result                   string
		generation               int
	}{
		{"created, young", silence, 23*time.Hour - time.Millisecond, 2, 0, 1, "replayed", 1},
		{"created, old", silence, 23 * time.Hour, 1, 1, 1, "adopted", 1},
		{"created, and long forgotten", silence, 25 * time.Hour, 1, 1, 1, "adopted", 1},
		{"not created, young", neverArrives, 23*time.Hour - time.Millisecond, 2, 0, 1, "created", 1},
		{"not created, old", neverArrives, 23 * time.Hour, 2, 2, 1, "created", 2},
		{"not created, and long forgotten", neverArrives, 25 * time.Hour, 2, 2, 1, "created", 2},
	} {
		w := newWorld()
		w.stripe.create = once(tc.what)
		if _, err := w.replica(t).Ensure(t.Context(), alice); err == nil {
			t.Fatal("got a customer")
		}
		w.advance(tc.age)
		s := w.replica(t)
		s.ensures(t, alice)
		t.Run(tc.name, func(t *testing.T) {
			w.expect(t, tc.creates, tc.lists, tc.existing)
			s.counted(t, map[string]int{tc.result: 1})
			if r := w.record(t, alice); r.Generation != tc.generation {
				t.Errorf("got generation %d, want %d", r.Generation, tc.generation)
			}
		})
	}
}

// The age counts from the first send, not from the reservation: a row that was
// never sent has a key that Stripe has never seen.
func TestAReservationThatWasNeverSentIsNotOld(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.replicaOn(t, w.faulty(dyingAt(2, storetest.After)), customers.Options{}).fails(t, alice, problem.DependencyUnavailable)
	w.advance(1000 * time.Hour)
	w.replica(t).ensures(t, alice)
	w.expect(t, 1, 0, 1)
}

// A try of the 22nd hour does not make the key younger, and that nothing is found
// counts only when that try has surely ended.
func TestLateTriesDoNotProlongTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = func(context.Context) accident { return neverArrives }
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamError)
	w.advance(23*time.Hour - time.Second)
	s.fails(t, alice, problem.UpstreamError)
	w.advance(time.Second)
	if again := s.fails(t, alice, problem.DependencyUnavailable); again != 59*time.Second {
		t.Errorf("retry after %v, want 59s", again)
	}
	w.expect(t, 2, 1, 0)
	w.stripe.create = nil
	w.advance(59 * time.Second)
	s.ensures(t, alice)
	w.expect(t, 3, 2, 1)
}

func spent(t *testing.T, w *world) {
	t.Helper()
	w.stripe.create = once(failsFirst)
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamError)
	s.fails(t, alice, problem.DependencyUnavailable)
	w.advance(61 * time.Second)
	if r := w.record(t, alice); !r.KeySpent {
		t.Fatalf("got %+v, want a spent key", r)
	}
}

func TestAFailedLookUpCreatesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	spent(t, w)
	before := w.record(t, alice)
	w.stripe.list = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
	s := w.replica(t)
	for range 3 {
		s.fails(t, alice, problem.UpstreamError)
	}
	w.expect(t, 2, 4, 0)
	if got := w.record(t, alice); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
	w.stripe.list = nil
	s.ensures(t, alice)
	w.expect(t, 3, 5, 1)
}

// An error on the second page is no answer either, whatever the first one had.
func TestAFailureOnALaterPageCreatesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.pageSize = 2
	spent(t, w)
	for i := range 5 {
		w.stripe.have(map[string]string{"n": strconv.Itoa(i)})
	}
	pages := 0
	w.stripe.list = func(context.Context) error {
		if pages++; pages == 2 {
			return upstream(problem.UpstreamTimeout, context.DeadlineExceeded)
		}
		return nil
	}
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamTimeout)
	w.expect(t, 2, 3, 5)
	s.ensures(t, alice)
	w.expect(t, 3, 6, 6)
}

// The orphan is the last of the last page that a request may look at, or one too far.
func TestOnlySoManyPagesAreLookedThrough(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		others, lists int
		found         bool
	}{{0, 1, true}, {4, 1, true}, {5, 2, true}, {99, 20, true}, {100, 20, false}, {500, 20, false}} {
		w := newWorld()
		w.stripe.pageSize = 5
		w.stripe.create = once(silence)
		w.replica(t).fails(t, alice, problem.UpstreamTimeout)
		for range tc.others {
			w.stripe.have(map[string]string{"till_subject": "somebody", "till_generation": "1"})
		}
		w.advance(24 * time.Hour)
		s, before := w.replica(t), w.record(t, alice)
		if tc.found {
			if id := s.ensures(t, alice); id != "cus_0001" {
				t.Errorf("%d others: got %s, want the orphan", tc.others, id)
			}
		} else {
			if again := s.fails(t, alice, problem.DependencyUnavailable); again != time.Minute {
				t.Errorf("%d others: retry after %v, want 1m0s", tc.others, again)
			}
			if got := w.record(t, alice); got != before {
				t.Errorf("%d others: got %+v, want %+v", tc.others, got, before)
			}
		}
		w.expect(t, 1, tc.lists, tc.others+1)
	}
}

// emptyPages is a list of which whole pages are left out by the client.
type emptyPages struct{ customers.Stripe }

func (emptyPages) CustomersCreated(context.Context, time.Time, time.Time, string) ([]customers.Listed, bool, error) {
	return nil, true, nil
}

func TestAnEmptyPageWithMoreBehindItIsNoAbsence(t *testing.T) {
	t.Parallel()
	w := newWorld()
	spent(t, w)
	before := w.record(t, alice)
	s, err := customers.New(w.store, emptyPages{w.stripe}, prometheus.NewRegistry(), customers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Ensure(t.Context(), alice)
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != problem.UpstreamError {
		t.Errorf("got %q, %v, want upstream_error", c.ID, err)
	}
	if got := w.record(t, alice); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
}

// Only a customer with all of the frozen metadata is the owner's, and of several
// the oldest.
func TestWhoIsAdopted(t *testing.T) {
	t.Parallel()
	own := map[string]string{
		"till_issuer": alice.Issuer, "till_kind": "user", "till_subject": "alice", "till_generation": "1", "added_by_hand": "yes",
	}
	but := func(key, value string) map[string]string {
		m := map[string]string{}
		for k, v := range own {
			m[k] = v
		}
		if m[key] = value; value == "" {
			delete(m, key)
		}
		return m
	}
	for name, tc := range map[string]struct {
		at   time.Duration
		have []map[string]string
		want string // "": a new one
	}{
		"its own":                 {0, []map[string]string{own}, "cus_0001"},
		"the oldest":              {0, []map[string]string{but("till_subject", "x"), own, own}, "cus_0002"},
		"not another subject's":   {0, []map[string]string{but("till_subject", "Alice")}, ""},
		"not another issuer's":    {0, []map[string]string{but("till_issuer", "https://id.example.com")}, ""},
		"not the organisation's":  {0, []map[string]string{but("till_kind", "org")}, ""},
		"not another generation":  {0, []map[string]string{but("till_generation", "2")}, ""},
		"not one without a name":  {0, []map[string]string{but("till_subject", ""), nil, {}}, ""},
		"a clock 4 minutes early": {-4 * time.Minute, []map[string]string{own}, "cus_0001"},
		"a clock 4 minutes late":  {4 * time.Minute, []map[string]string{own}, "cus_0001"},
		"not one made before":     {-6 * time.Minute, []map[string]string{own}, ""},
		"one made by attempts that a restored database forgot": {6 * time.Minute, []map[string]string{own}, "cus_0001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.stripe.create = once(neverArrives)
			w.replica(t).fails(t, alice, problem.UpstreamError)
			w.advance(tc.at)
			for _, m := range tc.have {
				w.stripe.have(m)
			}
			w.advance(25 * time.Hour)
			id := w.replica(t).ensures(t, alice)
			if want := tc.want; want != "" && id != want || want == "" && w.record(t, alice).Generation != 2 {
				t.Errorf("got %s in generation %d, want %q", id, w.record(t, alice).Generation, want)
			}
		})
	}
}

// The customer carries what was frozen, not what the configuration says by now.
func TestTheFormOfSubjectsMayChangeMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = once(silence)
	w.replicaOn(t, w.store, customers.Options{SubjectForm: customers.SubjectSHA256}).fails(t, alice, problem.UpstreamTimeout)
	w.advance(25 * time.Hour)
	s := w.replicaOn(t, w.store, customers.Options{SubjectForm: customers.SubjectPlain})
	if id := s.ensures(t, alice); id != "cus_0001" {
		t.Errorf("got %s, want the orphan", id)
	}
	w.expect(t, 1, 1, 1)
}

// The frozen version and parameters are sent again although a newer release would
// write others: Stripe refuses a key with other parameters.
func TestARollingUpdateReplaysWhatWasFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = once(silence)
	w.replica(t).fails(t, alice, problem.UpstreamTimeout)
	s := w.replicaOn(t, w.store, customers.Options{Version: "2026-08-26.dahlia", SubjectForm: customers.SubjectSHA256})
	if id := s.ensures(t, alice); id != "cus_0001" {
		t.Errorf("got %s, want the first", id)
	}
	if w.stripe.sent[0] != w.stripe.sent[1] {
		t.Errorf("sent %+v, then %+v", w.stripe.sent[0], w.stripe.sent[1])
	}
	w.expect(t, 2, 0, 1)
}

// A mismatch of parameters is a mistake of ours. A new key would hide it, and
// could create a second customer.
func TestAMismatchStaysAnError(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = func(context.Context) accident { return refusesForever }
	s := w.replica(t)
	for range 3 {
		s.fails(t, alice, problem.UpstreamError)
		w.advance(2 * time.Minute)
	}
	if keys := w.stripe.keysSent(); len(keys) != 1 {
		t.Errorf("got %d keys, want 1", len(keys))
	}
	w.expect(t, 3, 0, 0)
}

// A database restored from before the reservation: the same key is made again,
// and Stripe still knows it.
func TestALostRowReplaysItsCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld()
	id := w.replica(t).ensures(t, alice)
	w.store = storetest.NewMemory()
	w.advance(20 * time.Hour)
	s := w.replica(t)
	if got := s.ensures(t, alice); got != id {
		t.Errorf("got %s, want %s", got, id)
	}
	w.expect(t, 2, 0, 1)
	s.counted(t, map[string]int{"replayed": 1})
}

// The store may lose an answer at each step of a look-up too.
func TestALookUpThatIsInterruptedIsFinishedLater(t *testing.T) {
	t.Parallel()
	for _, what := range []accident{failsFirst, failsLast} {
		for n := 1; n <= 5; n++ {
			for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
				w := newWorld()
				w.stripe.create = once(what)
				s := w.replica(t)
				s.fails(t, alice, problem.UpstreamError)
				if what == failsFirst {
					s.fails(t, alice, problem.DependencyUnavailable)
				}
				w.advance(61 * time.Second)
				// An adoption needs fewer operations than n may be; then it just succeeds.
				_, _ = w.replicaOn(t, w.faulty(dyingAt(n, fault)), customers.Options{}).Ensure(t.Context(), alice)
				id := w.replica(t).ensures(t, alice)
				if got := w.stripe.ofOwner(alice); len(got) != 1 || got[0] != id {
					t.Errorf("accident %d, operation %d, fault %d: got %s and customers %v", what, n, fault, id, got)
				}
			}
		}
	}
}

// A process notes that the key is spent, and the database has lost the attempt that
// taught it so.
func TestAKeyThatIsSpentWithoutAnAttemptIsLookedBehind(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{true, false} {
		w := newWorld()
		w.reserves(t, alice)
		r := w.record(t, alice)
		r.KeySpent = true
		w.store.Put(r)
		if made {
			w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
		}
		w.advance(61 * time.Second)
		id := w.replica(t).ensures(t, alice)
		if got := w.stripe.ofOwner(alice); len(got) != 1 || got[0] != id {
			t.Errorf("got %s of %v", id, got)
		}
	}
}
