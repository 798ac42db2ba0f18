package customers_test

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// together runs call n times at once and wants one answer.
func together(t *testing.T, n int, call func(i int) (string, error)) string {
	t.Helper()
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
		ids   = make([]string, n)
		errs  = make([]error, n)
	)
	for i := range n {
		wg.Go(func() {
			<-start
			ids[i], errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("got customers %q and %q", ids[0], id)
		}
	}
	return ids[0]
}

func TestAHundredAtOnceMakeOneCall(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	together(t, 100, func(int) (string, error) { return s.Ensure(t.Context(), alice) })
	w.expect(t, 1, 0, 1)
	if got := len(w.store.Records()); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

func TestReplicasRacingMakeOneCustomer(t *testing.T) {
	t.Parallel()
	for round := range 50 {
		w := newWorld()
		replicas := []replica{w.replica(t), w.replica(t), w.replica(t)}
		id := together(t, 30, func(i int) (string, error) { return replicas[i%3].Ensure(t.Context(), alice) })
		if _, _, existing := w.stripe.calls(); existing != 1 {
			t.Fatalf("round %d: got %d customers, want 1", round, existing)
		}
		if r := w.record(t, alice); r.State != customers.Active || r.CustomerID != id {
			t.Fatalf("round %d: got %+v, want %s active", round, r, id)
		}
	}
}

// The second replica finds the key in use, waits, and replays it.
func TestAKeyInUseIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.create = func(context.Context) accident { return answersLate }
		w.stripe.delay = func() time.Duration { return 3 * time.Second }
		a, b := w.replica(t), w.replica(t)
		begin := time.Now()
		together(t, 2, func(i int) (string, error) { return []replica{a, b}[i].Ensure(t.Context(), alice) })
		if took := time.Since(begin); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("took %v, want just over 3 s", took)
		}
		creates, _, existing := w.stripe.calls()
		if existing != 1 || creates > 30 {
			t.Errorf("got %d customers by %d calls, want 1 by a few", existing, creates)
		}
		if keys := w.stripe.keysSent(); len(keys) != 1 {
			t.Errorf("got %d keys, want 1", len(keys))
		}
	})
}

func TestAKeyInUseForeverIsUnavailableAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.create = func(context.Context) accident { return takesItForever }
		s, begin := w.replica(t), time.Now()
		if again := s.fails(t, alice, problem.DependencyUnavailable); again <= 0 {
			t.Error("no Retry-After")
		}
		if took := time.Since(begin); took > 12500*time.Millisecond {
			t.Errorf("took %v, want at most 12.5 s", took)
		}
		if creates, _, _ := w.stripe.calls(); creates > 60 {
			t.Errorf("got %d calls, want few", creates)
		}
		if r := w.record(t, alice); r.State != customers.Reserved || r.Generation != 1 || r.KeySpent {
			t.Errorf("got %+v, want the first reservation", r)
		}
	})
}

func TestACallerHangingUpFailsNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.create = func(context.Context) accident { return answersLate }
		w.stripe.delay = func() time.Duration { return 5 * time.Second }
		s := w.replica(t)
		first, hangUp := context.WithCancel(t.Context())
		errs, ids := make(chan error, 1), make(chan string, 9)
		go func() {
			_, err := s.Ensure(first, alice)
			errs <- err
		}()
		synctest.Wait()
		for range cap(ids) {
			go func() {
				id, err := s.Ensure(t.Context(), alice)
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		synctest.Wait()
		hangUp()
		if p, ok := errors.AsType[*problem.Error](<-errs); !ok || !errors.Is(p, context.Canceled) {
			t.Errorf("got %v, want a problem about the caller's own cancellation", p)
		}
		for range cap(ids) {
			if id := <-ids; id != "cus_0001" {
				t.Errorf("got %q, want cus_0001", id)
			}
		}
		w.expect(t, 1, 0, 1)
	})
}

func TestTheWorkEndsAlsoWhenEverybodyHangsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.create = func(context.Context) accident { return answersLate }
		w.stripe.delay = func() time.Duration { return 2 * time.Second }
		s := w.replica(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Ensure(ctx, alice); err == nil {
			t.Error("got a customer before Stripe answered")
		}
		time.Sleep(2 * time.Second)
		if r := w.record(t, alice); r.State != customers.Active {
			t.Errorf("got %+v, want it active", r)
		}
		w.expect(t, 1, 0, 1)
	})
}

func TestAStripeThatNeverAnswersIsATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.create = func(context.Context) accident { return neverCompletes }
		s, begin := w.replica(t), time.Now()
		s.fails(t, alice, problem.UpstreamTimeout)
		if took := time.Since(begin); took != 12*time.Second {
			t.Errorf("took %v, want 12 s", took)
		}
		if r := w.record(t, alice); r.State != customers.Reserved || r.FirstAttemptAt.IsZero() {
			t.Errorf("got %+v, want the attempted reservation", r)
		}
	})
}

func TestADatabaseThatNeverAnswersIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.replicaOn(t, w.faulty(func(ctx context.Context, _ storetest.Operation) storetest.Fault {
			<-ctx.Done()
			return storetest.None
		}), customers.Options{Deadline: 3 * time.Second})
		begin := time.Now()
		s.fails(t, alice, problem.DependencyUnavailable)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want the configured 3 s", took)
		}
		w.expect(t, 0, 0, 0)
	})
}

func TestWithoutADatabaseStripeIsNotCalled(t *testing.T) {
	t.Parallel()
	for _, broken := range []storetest.Operation{storetest.Find, storetest.Reserve, storetest.Attempt} {
		w := newWorld()
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if op == broken {
				return storetest.Before
			}
			return storetest.None
		}), customers.Options{})
		for range 3 {
			if again := s.fails(t, alice, problem.DependencyUnavailable); again <= 0 {
				t.Errorf("%s: no Retry-After", broken)
			}
		}
		w.expect(t, 0, 0, 0)
		s.counted(t, map[string]int{"failed": 3})
		_, err := s.Find(t.Context(), alice)
		if broken == storetest.Find && (err == nil || errors.Is(err, customers.ErrNoRecord)) {
			t.Errorf("find: got %v, want an error that is not an answer", err)
		}
	}
}

func TestAHitAsksNobodyUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var asked atomic.Int64
		s := w.replicaOn(t, w.faulty(func(context.Context, storetest.Operation) storetest.Fault {
			asked.Add(1)
			return storetest.None
		}), customers.Options{CacheAge: time.Minute})
		id := s.ensures(t, alice)
		before := asked.Load()
		for range 10 {
			time.Sleep(5 * time.Second) // reading does not make it younger
			if got := s.ensures(t, alice); got != id {
				t.Errorf("got %s, want %s", got, id)
			}
			if got, err := s.Find(t.Context(), alice); got != id || err != nil {
				t.Errorf("got %s, %v, want %s", got, err, id)
			}
		}
		if got := asked.Load(); got != before {
			t.Errorf("hits made %d calls of the store", got-before)
		}
		time.Sleep(11 * time.Second)
		s.ensures(t, alice)
		if got := asked.Load(); got != before+1 {
			t.Errorf("after its age a mapping made %d calls of the store, want 1", got-before)
		}
		w.expect(t, 1, 0, 1)
		s.counted(t, map[string]int{"created": 1, "cache": 10, "store": 1})
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var asked atomic.Int64
	s := w.replicaOn(t, w.faulty(func(context.Context, storetest.Operation) storetest.Fault {
		asked.Add(1)
		return storetest.None
	}), customers.Options{CacheSize: 10})
	for i := range 1000 {
		s.ensures(t, storetest.Owner(strconv.Itoa(i)))
	}
	before := asked.Load()
	for i := range 1000 {
		s.ensures(t, storetest.Owner(strconv.Itoa(i)))
	}
	if got := asked.Load() - before; got < 900 {
		t.Errorf("%d of 1,000 owners were not in a cache of 10", got)
	}
	w.expect(t, 1000, 0, 1000)
}

func TestFindNeverCallsStripe(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, other := w.replica(t), w.replica(t)
	none := func(why string) {
		t.Helper()
		if id, err := s.Find(t.Context(), alice); !errors.Is(err, customers.ErrNoRecord) || id != "" {
			t.Errorf("%s: got %q, %v, want ErrNoRecord", why, id, err)
		}
	}
	none("no row")
	if got := len(w.store.Records()); got != 0 {
		t.Errorf("looking wrote %d rows", got)
	}
	w.stripe.create = func(context.Context) accident { return silence }
	other.fails(t, alice, problem.UpstreamTimeout)
	none("a reserved row")
	w.expect(t, 1, 0, 1)

	w.stripe.create = nil
	id := other.ensures(t, alice) // not hidden by anything that s remembers
	if got, err := s.Find(t.Context(), alice); got != id || err != nil {
		t.Errorf("got %q, %v, want %s", got, err, id)
	}
	w.expect(t, 2, 0, 1)
}

func TestEachResultIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	s.counted(t, map[string]int{})
	s.ensures(t, alice)
	s.ensures(t, alice)
	s.counted(t, map[string]int{"created": 1, "cache": 1})

	second := w.replica(t)
	second.ensures(t, alice)
	second.counted(t, map[string]int{"store": 1})

	bob := storetest.Owner("bob")
	w.stripe.create = func(context.Context) accident { return silence }
	second.fails(t, bob, problem.UpstreamTimeout)
	w.stripe.create = nil
	second.ensures(t, bob)
	second.counted(t, map[string]int{"store": 1, "failed": 1, "replayed": 1})

	carol := storetest.Owner("carol")
	w.stripe.create = func(context.Context) accident { return silence }
	s.fails(t, carol, problem.UpstreamTimeout)
	w.stripe.create = nil
	w.advance(25 * time.Hour)
	s.ensures(t, carol)
	s.counted(t, map[string]int{"created": 1, "cache": 1, "failed": 1, "adopted": 1})

	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, family := range families {
		series[family.GetName()] = len(family.GetMetric())
	}
	want := map[string]int{
		"till_customer_resolutions_total": 8, "till_customer_reservations": 4, "till_customer_mappings": 1,
		"till_customer_orphans_total": 1, "till_customer_duplicates_total": 1,
	}
	if diff := cmp.Diff(want, series); diff != "" {
		t.Errorf("series that are there from the start (-want +got):\n%s", diff)
	}
}

func TestMetricsOfTheSameNameAreRefused(t *testing.T) {
	t.Parallel()
	w, registry := newWorld(), prometheus.NewRegistry()
	first, err := customers.New(w.store, w.stripe, registry, customers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := customers.New(w.store, w.stripe, registry, customers.Options{}); err == nil {
		t.Error("two services count in one registry")
	}
}

func TestOwnersHaveCustomersOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	seen := map[string]customers.Owner{}
	for _, o := range variants() {
		id := s.ensures(t, o)
		if other, taken := seen[id]; taken {
			t.Errorf("%+v and %+v share %s", o, other, id)
		}
		seen[id] = o
	}
	for id, o := range maps.All(seen) {
		if got := s.ensures(t, o); got != id {
			t.Errorf("%+v: got %s, want %s", o, got, id)
		}
	}
	if diff := cmp.Diff(len(variants()), len(w.stripe.keysSent())); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}
