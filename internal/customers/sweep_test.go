package customers_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

func owners(n int) (all []customers.Owner) {
	for i := range n {
		all = append(all, storetest.Owner("user-"+strconv.Itoa(i)))
	}
	return all
}

func (r replica) sweeps(t testing.TB) {
	t.Helper()
	if err := r.Sweep(t.Context(), alice.Account); err != nil {
		t.Fatal(err)
	}
}

// settled returns how many of the owners have a customer.
func (w *world) settled(t testing.TB, owners ...customers.Owner) (n int) {
	t.Helper()
	for _, o := range owners {
		if w.record(t, o).State == customers.Active {
			n++
		}
	}
	return n
}

// runs lets the sweeper run until the bubble, or stop, ends it.
func (r replica) runs(t *testing.T, account func() (customers.Account, error)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx, account); err != nil {
			t.Errorf("the sweeper ended with %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func known() (customers.Account, error) { return alice.Account, nil }

// Jitter that is none: a pass each 2.5 s.
func steady(time.Duration) time.Duration { return 0 }

func TestEverybodyReservedGetsACustomerWithoutComingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	all := owners(250)
	w.reserves(t, all[:150]...)
	w.stripe.create = func(context.Context) accident { return silence }
	for _, o := range all[150:] {
		w.replica(t).fails(t, o, problem.UpstreamTimeout)
	}
	w.stripe.create = nil
	w.advance(16 * time.Second)
	s := w.replica(t)
	for _, want := range []int{100, 200, 250, 250} {
		s.sweeps(t)
		if got := w.settled(t, all...); got != want {
			t.Errorf("got %d settled, want %d", got, want)
		}
	}
	w.expect(t, 350, 0, 250)
	s.counted(t, map[string]int{"created": 150, "replayed": 100})
	for _, o := range all {
		if got := w.stripe.ofOwner(o); len(got) != 1 || w.record(t, o).CustomerID != got[0] {
			t.Errorf("%s: got customers %v", o.Subject, got)
		}
	}
}

// What the sweeper settled is known without another look.
func TestTheSweepersWorkIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.reserves(t, alice)
	w.advance(16 * time.Second)
	s := w.replica(t)
	s.sweeps(t)
	s.ensures(t, alice)
	s.counted(t, map[string]int{"created": 1, "cache": 1})
}

func TestRequestsAreLeftAloneForFifteenSeconds(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, bob := w.replica(t), storetest.Owner("bob")
	w.reserves(t, alice)
	w.stripe.create = once(neverArrives)
	s.fails(t, bob, problem.UpstreamError)
	w.advance(10 * time.Second)
	w.stripe.create = once(neverArrives)
	s.fails(t, bob, problem.UpstreamError) // an attempt is heard of too

	w.advance(5 * time.Second)
	s.sweeps(t)
	w.expect(t, 2, 0, 0)
	w.advance(time.Millisecond)
	s.sweeps(t)
	if w.settled(t, alice) != 1 || w.settled(t, bob) != 0 {
		t.Error("of the two, only the older was due")
	}
	w.advance(10 * time.Second)
	s.sweeps(t)
	w.expect(t, 4, 0, 2)
}

// Whoever finds nothing before the minute is over looks again after it, and what
// is there is adopted at once.
func TestTheSweeperTakesNothingForAbsentWithinTheMinute(t *testing.T) {
	t.Parallel()
	for what, least := range map[accident]time.Duration{failsFirst: time.Minute, failsLast: 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := goingWorld()
			begin := time.Now()
			w.stripe.create = once(what)
			s := w.replica(t)
			s.fails(t, alice, problem.UpstreamError)
			s.runs(t, known)
			for w.settled(t, alice) == 0 && time.Since(begin) < 2*time.Minute {
				time.Sleep(time.Second)
			}
			if took := time.Since(begin); took < least || took > least+15*time.Second {
				t.Errorf("accident %d: settled after %v, want soon after %v", what, took, least)
			}
			if got := w.stripe.ofOwner(alice); len(got) != 1 || w.record(t, alice).CustomerID != got[0] {
				t.Errorf("got customers %v and %+v", got, w.record(t, alice))
			}
		})
	}
}

// What has to wait does not keep the others waiting.
func TestTheSweeperWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		s := w.replica(t)
		begin := time.Now()
		for i := range 10 {
			w.stripe.create = once(failsFirst)
			s.fails(t, storetest.Owner("spent-"+strconv.Itoa(i)), problem.UpstreamError)
		}
		w.reserves(t, alice)
		s.runs(t, known)
		for w.settled(t, alice) == 0 && time.Since(begin) < 2*time.Minute {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("waited %v behind those who have to", took)
		}
		time.Sleep(75*time.Second - time.Since(begin))
		if _, _, existing := w.stripe.calls(); existing != 11 {
			t.Errorf("after 75 s %d of 11 owners have a customer", existing)
		}
	})
}

// A request may look at 20 pages; the rest is the sweeper's.
func TestTheSweeperLooksFurtherThanARequest(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.pageSize = 5
	w.stripe.create = once(silence)
	s := w.replica(t)
	s.fails(t, alice, problem.UpstreamTimeout)
	for range 400 {
		w.stripe.have(map[string]string{"till_subject": "somebody"})
	}
	w.advance(24 * time.Hour)
	if again := s.fails(t, alice, problem.DependencyUnavailable); again != time.Minute {
		t.Errorf("retry after %v, want 1m0s", again)
	}
	w.expect(t, 1, 20, 401)
	s.sweeps(t)
	w.expect(t, 1, 20+81, 401)
	if id := s.ensures(t, alice); id != "cus_0001" {
		t.Errorf("got %s, want the orphan", id)
	}
}

func TestThreeFailuresEndAPass(t *testing.T) {
	t.Parallel()
	w := newWorld()
	all := owners(10)
	w.reserves(t, all...)
	w.advance(time.Minute)
	w.stripe.create = func(context.Context) accident { return neverArrives }
	s := w.replica(t)
	s.sweeps(t)
	w.expect(t, 3, 0, 0)
	s.sweeps(t) // others than those who have failed already
	w.expect(t, 6, 0, 0)
	if keys := w.stripe.keysSent(); len(keys) != 6 {
		t.Errorf("got %d owners tried, want 6", len(keys))
	}
	w.stripe.create = nil
	s.sweeps(t)
	if got := w.settled(t, all...); got != 4 {
		t.Errorf("got %d settled, want the 4 who had not failed yet", got)
	}
	w.advance(time.Minute)
	w.replica(t).sweeps(t) // another process has no reason to pause
	if got := w.settled(t, all...); got != 10 {
		t.Errorf("got %d settled, want all", got)
	}
}

// Two failures are no outage: the others are settled in the same pass.
func TestAFewFailuresKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld()
	all := owners(10)
	w.reserves(t, all...)
	w.advance(time.Minute)
	calls := 0
	w.stripe.create = func(context.Context) accident {
		if calls++; calls <= 2 {
			return refusesForever
		}
		return allWell
	}
	w.replica(t).sweeps(t)
	if got := w.settled(t, all...); got != 8 {
		t.Errorf("got %d settled, want 8", got)
	}
}

func TestWhatFailsIsTriedAfterEverLongerPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		spent(t, w)
		s := w.replicaOn(t, w.store, customers.Options{Jitter: steady})
		begin := time.Now()
		var (
			mu    sync.Mutex
			gaps  []string
			until time.Duration
		)
		w.stripe.list = func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			now := time.Since(begin)
			gaps, until = append(gaps, (now-until).String()), now
			return upstream(problem.UpstreamError, errors.New("500"))
		}
		stop := s.runs(t, known)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]string{"2.5s", "5s", "10s", "20s", "30s", "30s"}, gaps); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		w.stripe.list = nil
		w.replica(t).sweeps(t)
		if w.settled(t, alice) != 1 {
			t.Error("the failures left something behind")
		}
	})
}

// badRows puts rows that nobody can have reserved.
func (w *world) badRows(t testing.TB, all ...customers.Owner) {
	t.Helper()
	w.reserves(t, all...)
	for _, o := range all {
		r := w.record(t, o)
		r.Params = "metadata%5Btill_subject%5D=mallory"
		w.store.Put(r)
	}
}

func TestBadRowsNeitherBlockNorSpam(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := goingWorld(), &diary{}
		bad, good := owners(30)[:10], owners(30)[10:]
		w.badRows(t, bad...)
		time.Sleep(time.Second)
		w.reserves(t, good...)
		time.Sleep(16 * time.Second)
		s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
		s.sweeps(t)
		if got := w.settled(t, good...); got != len(good) {
			t.Errorf("got %d settled in the first pass, want %d", got, len(good))
		}
		s.runs(t, known)
		time.Sleep(59 * time.Minute)
		for _, o := range bad {
			if got := d.lines(w.record(t, o).IdempotencyKey); got != 1 {
				t.Errorf("%s: %d lines within the hour, want 1", o.Subject, got)
			}
		}
		time.Sleep(59 * time.Minute)
		for _, o := range bad {
			if got := d.lines(w.record(t, o).IdempotencyKey); got != 2 {
				t.Errorf("%s: %d lines within two hours, want 2", o.Subject, got)
			}
			if d.lines(o.Subject)+d.lines(o.Issuer) != 0 {
				t.Errorf("%s is named in the log", o.Subject)
			}
		}
		w.expect(t, len(good), 0, len(good))

		// Put right, it is settled without a restart.
		r := w.record(t, bad[0])
		w.store.Put(customers.Record{
			Owner: r.Owner, Generation: 1, State: customers.Reserved, IdempotencyKey: r.IdempotencyKey, Version: r.Version,
			Params: paramsOf(r.Owner, 1), ReservedAt: r.ReservedAt,
		})
		time.Sleep(time.Minute)
		if w.settled(t, bad[0]) != 1 {
			t.Error("a row that was put right is still passed over")
		}
	})
}

func TestTheGaugesSayWhetherAnybodyIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		s := w.replicaOn(t, w.store, customers.Options{Jitter: steady})
		stranger := func(subject string) customers.Owner {
			o := storetest.Owner(subject)
			o.ID = "acct_2"
			return o
		}
		for _, o := range owners(7) {
			s.ensures(t, o)
		}
		s.ensures(t, stranger("x"))
		n := 0
		for age, count := range map[time.Duration]int{
			30 * time.Second: 1, 60*time.Second + 2*time.Millisecond: 1, 59 * time.Minute: 1,
			61 * time.Minute: 2, 22 * time.Hour: 1, 23*time.Hour + time.Second: 3, 1000 * time.Hour: 1,
		} {
			for range count {
				n++
				o := storetest.Owner("reserved-" + strconv.Itoa(n))
				w.reserves(t, o)
				r := w.record(t, o)
				r.ReservedAt = w.now().Add(-age)
				w.store.Put(r)
			}
		}
		w.reserves(t, stranger("y"))
		w.stripe.create = func(context.Context) accident { return neverArrives }
		want := func(ages map[string]float64, mappings float64) {
			t.Helper()
			for label, n := range ages {
				if got := s.metric(t, "till_customer_reservations", label); got != n {
					t.Errorf("%s: got %v, want %v", label, got, n)
				}
			}
			if got := s.metric(t, "till_customer_mappings", ""); got != mappings {
				t.Errorf("got %v mappings, want %v", got, mappings)
			}
		}
		want(map[string]float64{"under_1m": 0, "1m_to_1h": 0, "1h_to_23h": 0, "over_23h": 0}, 0)
		stop := s.runs(t, known)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want(map[string]float64{"under_1m": 1, "1m_to_1h": 2, "1h_to_23h": 3, "over_23h": 4}, 7)
		stop()

		w.stripe.create = nil
		w.replica(t).sweeps(t)
		time.Sleep(20 * time.Second) // those who failed a moment ago
		w.replica(t).sweeps(t)
		s.runs(t, known)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want(map[string]float64{"under_1m": 0, "1m_to_1h": 0, "1h_to_23h": 0, "over_23h": 0}, 7+10)
	})
}

// Counting everything is for once a minute, and a count that fails leaves the last one.
func TestMappingsAreCountedNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		var mu sync.Mutex
		counts, broken := 0, false
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if op == storetest.CountActive {
				counts++
			}
			if broken && (op == storetest.CountActive || op == storetest.CountReserved) {
				return storetest.Before
			}
			return storetest.None
		}), customers.Options{Jitter: steady})
		s.ensures(t, alice)
		stop := s.runs(t, known)
		time.Sleep(5 * time.Minute)
		stop()
		if counts < 5 || counts > 11 {
			t.Errorf("counted %d times in five minutes", counts)
		}
		mu.Lock()
		broken = true
		mu.Unlock()
		w.reserves(t, storetest.Owner("bob"))
		s.runs(t, known)
		time.Sleep(10 * time.Minute)
		if got := s.metric(t, "till_customer_mappings", ""); got != 1 {
			t.Errorf("got %v mappings, want the 1 that was counted last", got)
		}
		if w.settled(t, storetest.Owner("bob")) != 1 {
			t.Error("a count that fails keeps the sweeper from its work")
		}
	})
}

func TestTheSweeperWaitsForTheAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		w.reserves(t, alice)
		begin := time.Now()
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if time.Since(begin) < time.Minute {
				t.Errorf("the store was asked to %s for an account that is not known", op)
			}
			return storetest.None
		}), customers.Options{})
		s.runs(t, func() (customers.Account, error) {
			if time.Since(begin) < time.Minute {
				return customers.Account{}, errors.New("not known yet")
			}
			return alice.Account, nil
		})
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		w.expect(t, 0, 0, 0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.expect(t, 1, 0, 1)
	})
}

// The account may become another one while the sweeper runs.
func TestTheSweeperFollowsTheAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		bob := storetest.Owner("bob")
		bob.ID = "acct_2"
		w.reserves(t, alice, bob)
		begin := time.Now()
		w.replica(t).runs(t, func() (customers.Account, error) {
			if time.Since(begin) < time.Minute {
				return alice.Account, nil
			}
			return bob.Account, nil
		})
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if w.settled(t, alice) != 1 || w.settled(t, bob) != 0 {
			t.Error("want alice alone settled in the first minute")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if w.settled(t, bob) != 1 {
			t.Error("bob is of the account that it has become")
		}
	})
}

func TestTheSweeperEndsWithItsContextInTheMiddleOfAnything(t *testing.T) {
	t.Parallel()
	for name, stuck := range map[string]func(*world){
		"nothing to do": func(*world) {},
		"a create":      func(w *world) { w.stripe.create = func(context.Context) accident { return neverCompletes } },
		"a key in use":  func(w *world) { w.stripe.create = func(context.Context) accident { return takesItForever } },
		"a spent key":   func(w *world) { w.stripe.create = func(context.Context) accident { return failsFirst } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, d := goingWorld(), &diary{}
				w.reserves(t, owners(5)...)
				time.Sleep(16 * time.Second)
				stuck(w)
				stop := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()}).runs(t, known)
				time.Sleep(20 * time.Second)
				begin, said := time.Now(), d.lines("could not be settled")
				stop()
				if took := time.Since(begin); took > time.Second {
					t.Errorf("ended after %v", took)
				}
				if d.lines("could not be looked after") > 0 || d.lines("could not be settled") > said+1 {
					t.Errorf("the end is called a failure: %s", d)
				}
			})
		})
	}
}

func TestTheSweeperGoesOnAfterAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := goingWorld(), &diary{}
		w.reserves(t, alice)
		begin := time.Now()
		s := w.replicaOn(t, w.faulty(func(context.Context, storetest.Operation) storetest.Fault {
			if time.Since(begin) < time.Minute {
				return storetest.Before
			}
			return storetest.None
		}), customers.Options{Logger: d.logger()})
		s.runs(t, known)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		w.expect(t, 0, 0, 0)
		if d.lines("level=WARN") == 0 {
			t.Error("nobody hears of the outage")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.expect(t, 1, 0, 1)
	})
}

func TestOnlyTheAccountsOwnRowsAreSwept(t *testing.T) {
	t.Parallel()
	w := newWorld()
	account, mode := alice, alice
	account.ID, mode.Livemode = "acct_2", false
	w.reserves(t, alice, account, mode)
	w.advance(time.Hour)
	w.replica(t).sweeps(t)
	w.expect(t, 1, 0, 1)
	if w.settled(t, alice) != 1 || w.settled(t, account, mode) != 0 {
		t.Error("want the row of the account and mode settled, and no other")
	}
}

func TestWithoutTheTimeOrTheRowsNothingIsSwept(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"time", "due", "both counts"} {
		w := newWorld()
		w.reserves(t, alice)
		w.advance(time.Minute)
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if broken == "due" && op == storetest.Due || broken == "both counts" && (op == storetest.CountReserved || op == storetest.CountActive) {
				return storetest.Before
			}
			return storetest.None
		}), customers.Options{})
		if broken == "time" {
			w.stripe.read = func() (customers.Moment, bool) { return customers.Moment{}, false }
			w.stripe.clock = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
		}
		err := s.Sweep(t.Context(), alice.Account)
		want := 0
		if broken == "both counts" {
			want = 1
		}
		if (err == nil) != (want == 1) {
			t.Errorf("%s: got %v", broken, err)
		}
		w.expect(t, want, 0, want)
	}
}

// Nothing lasts for ever, also not what never answers.
func TestTheSweeperLeavesARowAfterFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		w.reserves(t, alice)
		time.Sleep(16 * time.Second)
		w.stripe.create = func(context.Context) accident { return neverCompletes }
		begin := time.Now()
		w.replica(t).sweeps(t)
		if took := time.Since(begin); took != 5*time.Minute {
			t.Errorf("took %v, want 5m0s", took)
		}
	})
}

func TestReservationsThatCannotBeCountedStayAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, failing := range []int{1, 2, 4} {
		w := newWorld()
		counts, broken := 0, false
		s := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if op == storetest.CountReserved {
				if counts++; broken && counts == failing {
					return storetest.Before
				}
			}
			return storetest.None
		}), customers.Options{})
		w.reserves(t, alice) // too young to be swept
		s.sweeps(t)
		counts, broken = 0, true
		w.reserves(t, storetest.Owner("bob"))
		s.sweeps(t)
		if got := s.metric(t, "till_customer_reservations", "under_1m"); got != 1 {
			t.Errorf("count %d failed: got %v, want the 1 of before", failing, got)
		}
	}
}

// A failure that is nobody's fault in particular names the row and not the owner.
func TestWhatTheSweeperSays(t *testing.T) {
	t.Parallel()
	w, d := newWorld(), &diary{}
	w.reserves(t, alice)
	w.advance(time.Minute)
	w.stripe.create = func(context.Context) accident { return neverArrives }
	s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
	s.sweeps(t)
	s.counted(t, map[string]int{}) // nobody was refused
	if d.lines(w.record(t, alice).IdempotencyKey) != 1 || d.lines("connection refused") != 1 {
		t.Errorf("got %s", d)
	}
	if d.lines(alice.Subject)+d.lines(alice.Issuer) != 0 {
		t.Errorf("the log names the owner: %s", d)
	}
}

// paramsOf are the frozen parameters of the owner's reservation.
func paramsOf(o customers.Owner, generation int) string {
	return fmt.Sprintf("metadata%%5Btill_generation%%5D=%d&metadata%%5Btill_issuer%%5D=%s&metadata%%5Btill_kind%%5D=%s&metadata%%5Btill_subject%%5D=%s",
		generation, o.Issuer, o.Kind, o.Subject)
}

// Whoever has the key brings it to its end; there are others to settle meanwhile.
func TestTheSweeperDoesNotWaitForAKeyInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		w.reserves(t, alice)
		time.Sleep(16 * time.Second)
		w.stripe.create = func(context.Context) accident { return takesItForever }
		begin := time.Now()
		w.replica(t).sweeps(t)
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited for %v", took)
		}
		w.expect(t, 1, 0, 0)
	})
}

// One spent key holds up everybody behind it for a minute.
func TestAQuietMinuteHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		all := owners(6)
		var n int
		w.stripe.create = func(context.Context) accident {
			if n++; n <= 5 {
				return failsFirst
			}
			return allWell
		}
		s := w.replica(t)
		for _, o := range all[:5] {
			s.fails(t, o, problem.UpstreamError)
		}
		time.Sleep(time.Second)
		w.reserves(t, all[5])
		begin := time.Now()
		s.runs(t, known)
		for w.settled(t, all[5]) == 0 && time.Since(begin) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("who was only reserved waits for %v behind five spent keys", took)
		}
		for w.settled(t, all...) < 6 && time.Since(begin) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > 3*time.Minute {
			t.Errorf("all are settled after %v", took)
		}
	})
}

// Sends that fail are said each time, and their pauses do not grow.
func TestAFailingSendIsSaidOnceAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := goingWorld(), &diary{}
		w.reserves(t, alice)
		w.stripe.create = func(context.Context) accident { return refusesForever }
		s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
		s.runs(t, known)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if got := d.lines("could not be settled"); got != 1 {
			t.Errorf("said %d times within the hour", got)
		}
		creates, _, _ := w.stripe.calls()
		t.Logf("%d calls in an hour", creates)
		if creates > 59*60/30+10 {
			t.Errorf("%d calls in an hour: the pauses do not grow", creates)
		}
	})
}

// A hundred bad rows are all that a pass reads.
func TestAHundredBadRowsBlockNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		all := owners(131)
		w.badRows(t, all[:130]...)
		time.Sleep(time.Second)
		w.reserves(t, all[130])
		w.replica(t).runs(t, known)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if w.settled(t, all[130]) != 1 {
			t.Error("nobody is settled behind a hundred bad rows")
		}
	})
}

// Look-ups that fail for long are always in front.
func TestLookUpsThatFailForLongStarveNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		all := owners(31)
		w.stripe.create = func(context.Context) accident { return failsFirst }
		s := w.replica(t)
		for _, o := range all[:30] {
			s.fails(t, o, problem.UpstreamError)
			s.fails(t, o, problem.DependencyUnavailable)
		}
		w.stripe.create = nil
		w.stripe.list = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
		time.Sleep(2 * time.Minute)
		w.reserves(t, all[30])
		s.runs(t, known)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if w.settled(t, all[30]) != 1 {
			t.Error("who was only reserved starves behind look-ups that fail")
		}
	})
}

// To wait for the quiet minute is no failure: it ends no pass, and is not said.
func TestWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	w, d := newWorld(), &diary{}
	all := owners(8)
	w.stripe.create = func(context.Context) accident { return failsFirst }
	for _, o := range all[:5] {
		w.replica(t).fails(t, o, problem.UpstreamError)
	}
	w.advance(time.Second)
	w.stripe.create = nil
	w.reserves(t, all[5:]...)
	w.advance(20 * time.Second)
	s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
	s.sweeps(t)
	w.expect(t, 5+5+3, 5, 3)
	if w.settled(t, all...) != 3 || d.String() != "" {
		t.Errorf("got %d settled, and %q", w.settled(t, all...), d)
	}
	for range 3 { // and nothing of it is asked before its time
		w.advance(15*time.Second + time.Millisecond)
		s.sweeps(t)
		w.expect(t, 5+5+3, 5, 3)
	}
	if w.stripe.asked != 5 {
		t.Errorf("asked for the time %d times, want once for each of the five", w.stripe.asked)
	}
	w.advance(15 * time.Second)
	w.replica(t).sweeps(t)
	if w.settled(t, all...) != 8 {
		t.Errorf("got %d settled, want all", w.settled(t, all...))
	}
}

// Replicas meet at the same rows all the time; that is nobody's failure.
func TestSweepersThatMeetAreNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := goingWorld(), &diary{}
		all := owners(20)
		w.reserves(t, all...)
		time.Sleep(16 * time.Second)
		w.stripe.create = func(context.Context) accident { return answersLate }
		w.stripe.delay = func() time.Duration { return time.Second }
		for range 3 {
			w.replicaOn(t, w.store, customers.Options{Logger: d.logger()}).runs(t, known)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := w.settled(t, all...); got != 20 || d.String() != "" {
			t.Errorf("got %d settled, and %q", got, d)
		}
		if _, _, existing := w.stripe.calls(); existing != 20 {
			t.Errorf("got %d customers", existing)
		}
	})
}
