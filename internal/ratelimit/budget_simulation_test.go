package ratelimit

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	budgetSeed  = flag.Uint64("budget.seed", 0, "run the simulation of this seed alone")
	budgetSeeds = flag.Uint64("budget.seeds", 30, "how many seeds to simulate; half with -short")
)

// However Redis fails, and for whom: in no second do all replicas together send more than
// the budget, or one each where they are more than that.
func TestTheBudgetIsNeverExceeded(t *testing.T) {
	t.Parallel()
	first, end := uint64(1), *budgetSeeds+1
	if testing.Short() {
		end = *budgetSeeds/2 + 1
	}
	if *budgetSeed != 0 {
		first, end = *budgetSeed, *budgetSeed+1
	}
	sent, phases := 0, map[phase]int{}
	for seed := first; seed < end && !t.Failed(); seed++ {
		sent += misfortunes(t, seed, phases)
	}
	t.Logf("%d seeds, %d calls sent, switches %v", end-first, sent, phases)
	for _, p := range []phase{alone, joining, together, doubtful} {
		if end-first >= 30 && phases[p] < 10 {
			t.Errorf("the replicas were hardly ever in state %d", p)
		}
	}
}

func misfortunes(t *testing.T, seed uint64, phases map[phase]int) (sent int) {
	t.Helper()
	w := newWorld(seed)
	rates, sizes := []int{1, 5, 25, 25, 25, 100}, []int{1, 2, 3, 3, 7, 10, 13, 24, 26, 40}
	o := BudgetOptions{
		PerEndpoint: rates[w.random.IntN(len(rates))], Replicas: sizes[w.random.IntN(len(sizes))],
		Endpoints: []string{"a", "b", "c"},
	}
	o.Account = o.PerEndpoint * (1 + 3*w.random.IntN(2))
	w.redis.clock = w.between(-time.Hour, time.Hour)
	const long = 30 * time.Second
	for range o.Replicas {
		w.after(w.between(0, 2*time.Second), func() {
			r := w.start(o, true)
			w.crowd(r, long)
		})
	}
	w.after(2*time.Second, func() { w.misfortune(o, long, phases) })
	w.run(long + 10*time.Second)
	for endpoint, times := range w.sent {
		bound := max(o.PerEndpoint, o.Replicas)
		if endpoint == "" {
			bound = max(o.Account, o.Replicas)
		}
		n, from := most(times)
		if n > bound {
			t.Errorf("seed %d: %d calls to %q in the second from %v, of %+v\nagain with: go test ./internal/ratelimit -run NeverExceeded -v -budget.seed=%[1]d",
				seed, n, endpoint, from, o)
		}
	}
	return len(w.sent[""])
}

// crowd is more calls than there is room for, from time to time.
func (w *world) crowd(r *replica, until time.Duration) {
	for _, endpoint := range []string{"a", "a", "b", "c"} {
		rate := w.random.ExpFloat64() * 3 * float64(r.budget.endpoint.most) / float64(r.budget.endpoint.replicas)
		w.load(rate, until, func() {
			r.call(endpoint, fmt.Sprint("owner-", w.random.IntN(5)), 6*time.Second, nil)
		})
	}
}

// misfortune has something happen, and something else later.
func (w *world) misfortune(o BudgetOptions, until time.Duration, phases map[phase]int) {
	for _, r := range w.replicas {
		phases[r.budget.shared.phase]++
	}
	if w.now > until {
		return
	}
	r := w.replicas[w.random.IntN(len(w.replicas))]
	soon := w.between(10*time.Millisecond, 3*time.Second)
	back := func(link *health) { w.after(soon, func() { *link = health{clock: link.clock} }) }
	switch w.random.IntN(14) {
	case 0:
		w.redis.dead = true
		back(&w.redis)
	case 1, 2:
		w.redis.frozen = true
		w.after(soon, w.thaw)
	case 3:
		w.redis.slow = w.between(0, 60*time.Millisecond)
		back(&w.redis)
	case 4:
		w.redis.nonsense = true
		back(&w.redis)
	case 5:
		w.pool.evict(w.random.IntN(3))
	case 6:
		w.pool = newPool()
	case 7, 8:
		r.link.dead = true
		back(&r.link)
	case 9:
		r.link.slow = w.between(0, 60*time.Millisecond)
		back(&r.link)
	case 10:
		r.link.lost = w.random.Float64()
		back(&r.link)
	case 11:
		if !r.gone {
			r.stop()
			w.crowd(w.start(o, true), until)
		}
	case 12:
		// Less than this forward is not noticed.
		w.redis.clock += []time.Duration{w.between(-slack, 0), w.between(slack, time.Second)}[w.random.IntN(2)]
	case 13:
		e := r.budget.endpoints[w.random.IntN(3)]
		e.Limited(w.random.IntN(3) == 0)
	}
	w.after(w.between(0, 2*time.Second), func() { w.misfortune(o, until, phases) })
}
