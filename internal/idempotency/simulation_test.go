package idempotency_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/problem"
	"till/internal/store/storetest"
)

// A process dies before or after each of its steps, with every accident at Stripe;
// then others come. One session is all that is ever handed out.
func TestDyingAtEveryStepMakesNoSecondSession(t *testing.T) {
	t.Parallel()
	for what := allWell; what < accidents; what++ {
		for n := 1; n <= 5; n++ {
			for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
				t.Run(fmt.Sprint(int(what), n, int(fault)), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { dieAndRecover(t, what, n, fault) })
				})
			}
		}
	}
}

func dieAndRecover(t *testing.T, what accident, n int, fault storetest.Fault) {
	w := newWorld()
	w.stripe.does(what)
	dying := w.replicaOn(t, storetest.FaultyKeys{Store: w.store, Next: dyingAt(n, fault)})
	first, err := dying.do(t.Context(), keyed("b"))
	if sent, _ := w.stripe.counts(); n <= 2 && sent > 0 {
		t.Error("Stripe was called before the row was known to be written")
	}
	w.plan = "another price"
	if err != nil {
		// Its caller tries again at once, and elsewhere.
		if id, err := w.replica(t).do(t.Context(), keyed("b")); err == nil {
			first = id
		}
	}
	w.stripe.next = nil
	time.Sleep(time.Minute)
	w.stripe.late.Wait()
	id := w.replica(t).opens(t, "b")
	if first != "" && id != first {
		t.Errorf("got %s, and before that %s", id, first)
	}
	if got := w.replica(t).opens(t, "b"); got != id {
		t.Errorf("got %s, and before that %s", got, id)
	}
	if len(w.stripe.made)-w.stripe.spoil != 1 {
		t.Errorf("%d sessions, %d of them by calls that failed for ever", len(w.stripe.made), w.stripe.spoil)
	}
}

// TestSimulation lets several replicas with their accidents meet the same request, by
// seeds. Whoever gets a session gets the same one, and Stripe has no other, but for
// those that it made and then failed.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(500)
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		if t.Failed() {
			return
		}
		synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
	}
}

// chance is drawn by goroutines whose order the bubble's time gives.
type chance struct {
	mu sync.Mutex
	*rand.Rand
}

func (c *chance) draw(n int) int { c.mu.Lock(); defer c.mu.Unlock(); return c.IntN(n) }

func simulate(t *testing.T, seed uint64) {
	w := newWorld()
	dice := &chance{Rand: rand.New(rand.NewPCG(seed, 1))}
	w.stripe.delay = time.Duration(dice.draw(40_000)) * time.Millisecond
	w.stripe.next = func() accident {
		if dice.draw(2) == 0 {
			return allWell
		}
		return accident(dice.draw(int(accidents)))
	}
	var (
		mu   sync.Mutex
		seen = map[string]bool{}
		all  sync.WaitGroup
	)
	for range 2 + dice.draw(4) {
		pause := time.Duration(dice.draw(1000))*time.Millisecond + time.Duration(dice.draw(1000))
		all.Go(func() {
			for range 4 {
				time.Sleep(pause + time.Duration(dice.draw(30_000))*time.Millisecond)
				id, _ := w.replicaOn(t, w.flaky(dice)).do(t.Context(), keyed("b"))
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	w.stripe.late.Wait()
	w.stripe.next = nil
	time.Sleep(2 * time.Minute) // leases and the pause between renewals
	last, err := w.replica(t).do(t.Context(), keyed("b"))
	if err != nil {
		t.Errorf("seed %d: it does not end well: %v", seed, err)
	}
	seen[last] = true
	delete(seen, "")
	if len(seen) != 1 || len(w.stripe.made)-w.stripe.spoil != 1 {
		t.Errorf("seed %d: handed out %v; Stripe has %d, %d of them by calls that failed for ever",
			seed, seen, len(w.stripe.made), w.stripe.spoil)
	}
	w.replica(t).fails(t, "c", problem.IdempotencyKeyReused)
}

// flaky is the store to a process that may lose it at any step, and takes its time.
func (w *world) flaky(dice *chance) storetest.FaultyKeys {
	dying := func(context.Context, storetest.Operation) storetest.Fault { return storetest.None }
	if dice.draw(3) == 0 {
		dying = dyingAt(1+dice.draw(5), storetest.Fault(1+dice.draw(2)))
	}
	return storetest.FaultyKeys{Store: w.store, Next: func(ctx context.Context, op storetest.Operation) storetest.Fault {
		time.Sleep(time.Duration(dice.draw(500))*time.Millisecond + time.Duration(dice.draw(1000)))
		return dying(ctx, op)
	}}
}
