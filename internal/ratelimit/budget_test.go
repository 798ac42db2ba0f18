package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// one is a replica alone in the world.
func one(o BudgetOptions) (*world, *replica) {
	w := newWorld(1)
	o.Replicas = max(1, o.Replicas)
	o.Account = max(o.Account, o.PerEndpoint)
	if o.Endpoints == nil {
		o.Endpoints = []string{"a"}
	}
	return w, w.start(o, false)
}

// A budget of 25 is used, and never exceeded, by however many wait.
func TestABudgetIsUsed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		most, replicas int
		part           float64
	}{{25, 1, 0.88}, {25, 3, 0.93}, {25, 100, 0.9}, {100, 1, 0.86}, {1, 1, 0.95}} {
		w, r := one(BudgetOptions{PerEndpoint: row.most, Replicas: row.replicas})
		w.load(200, 60*time.Second, func() { r.call("a", "ann", 6*time.Second, nil) })
		w.run(60 * time.Second)
		share := max(1, row.most/row.replicas)
		if n, from := most(w.sent["a"]); n > share {
			t.Errorf("%+v: %d calls in the second from %v", row, n, from)
		}
		if got, want := len(w.sent["a"]), row.part*60*float64(row.most)/float64(row.replicas); float64(got) < want {
			t.Errorf("%+v: %d calls in a minute, want %v", row, got, want)
		}
	}
}

// What the replicas have, be it own shares or the pool, is never more than the quota.
func TestQuotas(t *testing.T) {
	t.Parallel()
	for most := 1; most <= 120; most++ {
		for replicas := 1; replicas <= 60; replicas++ {
			q := quota{most, replicas}
			rate, burst := q.own()
			own := burst + rate*window.Seconds()
			if rate <= 0 || burst < 1 || own > float64(q.share()+1)+1e-9 && own > 2 {
				t.Fatalf("%+v: %v tokens of its own in a window", q, own)
			}
			for donors := 1; donors <= replicas; donors++ {
				_, _, burst := q.pool()
				pool := burst + q.pooled(donors)*poolWindow.Seconds()
				bound := float64(most - (replicas-donors)*q.share() + 1)
				if q.pooled(donors) <= 0 || burst < 1 || q.share() > 0 && pool > bound+1e-9 || pool > float64(most+1)+1e-9 {
					t.Fatalf("%+v, %d in the pool: %v tokens in a window", q, donors, pool)
				}
			}
		}
	}
}

// Owners take turns, whatever each of them wants.
func TestOwnersTakeTurns(t *testing.T) {
	t.Parallel()
	w, r := one(BudgetOptions{PerEndpoint: 10})
	var order []string
	call := func(owner string) {
		r.call("a", owner, 6*time.Second, func(_ time.Duration, err error) {
			if err == nil {
				order = append(order, owner)
			}
		})
	}
	for range 5 {
		call("eve")
	}
	for _, owner := range []string{"ann", "ann", "bob", ""} {
		call(owner)
	}
	w.run(time.Second / 2)
	call("joe")
	w.run(10 * time.Second)
	// Who comes for the first time is before who has had a turn, but for every fourth.
	want := []string{"eve", "ann", "bob", "eve", "", "joe", "ann", "eve", "eve", "eve"}
	if !slices.Equal(order, want) {
		t.Errorf("served in the order %q, want %q", order, want)
	}
}

// G09: one owner asks a thousand times a second beside fifty who want to buy something.
func TestAHostileOwner(t *testing.T) {
	t.Parallel()
	type result struct {
		good, all int
		took      []time.Duration
	}
	run := func(hostile float64) (honest, background result, spent int) {
		w, r := one(BudgetOptions{PerEndpoint: 25, Account: 100, Endpoints: []string{"a", "b"}})
		const long = 10 * time.Minute
		count := func(into *result) func(time.Duration, error) {
			// Stripe takes its time.
			stripe := w.between(150*time.Millisecond, 450*time.Millisecond)
			return func(waited time.Duration, err error) {
				into.all++
				if err == nil {
					into.good++
					into.took = append(into.took, waited+stripe)
				}
			}
		}
		for i := range 50 {
			w.load(0.2, long, func() { r.call("a", fmt.Sprint("honest-", i), 6*time.Second, count(&honest)) })
		}
		w.load(0.5, long, func() { r.call("a", "", 6*time.Second, count(&background)) })
		w.load(hostile, long, func() {
			r.call("a", "eve", 6*time.Second, func(_ time.Duration, err error) {
				if err == nil {
					spent++
				}
			})
		})
		w.run(long + 10*time.Second)
		if n, from := most(w.sent["a"]); n > 25 {
			t.Errorf("%d calls in the second from %v", n, from)
		}
		return honest, background, spent
	}
	before, _, _ := run(0)
	honest, background, spent := run(1000)
	success := float64(honest.good) / float64(honest.all)
	p99, was := quantile(honest.took, 0.99), quantile(before.took, 0.99)
	t.Logf("50 honest owners: %.4f of %d succeed, p99 %v (%v without the hostile one, %.2f times); background: %d of %d; the hostile one got %d of 600,000",
		success, honest.all, p99, was, float64(p99)/float64(was), background.good, background.all, spent)
	if success < 0.999 || p99 > was*3/2 {
		t.Error("the honest ones notice")
	}
	if background.good < background.all*999/1000 {
		t.Error("background work starves")
	}
}

// More calls than the budget has, from many: after a moment nobody waits for long, and as
// many are served as ever. A rush that passes is waited for.
func TestACrowdThatStaysDoesNotWait(t *testing.T) {
	t.Parallel()
	w, r := one(BudgetOptions{PerEndpoint: 25, Account: 100, Endpoints: []string{"a"}})
	var late, served, sentAway int
	n := 0
	call := func(from time.Duration) {
		n++
		// Some come for the first time, and some again and again.
		who := n
		if n%2 == 0 {
			who = n % 200
		}
		r.call("a", fmt.Sprint("caller-", who), 6*time.Second, func(waited time.Duration, err error) {
			switch {
			case w.now < from:
			case err != nil:
				sentAway++
			case waited > shortWait+turns*time.Second/20:
				late++
			default:
				served++
			}
		})
	}
	for range 40 {
		call(0)
	}
	w.run(3 * time.Second)
	if served+late != 40 {
		t.Errorf("%d of a rush of 40 are served", served+late)
	}
	late, served, sentAway = 0, 0, 0
	settled := w.now + 5*time.Second
	w.load(100, w.now+20*time.Second, func() { call(settled) })
	w.run(w.now + 20*time.Second)
	if served < 300 || late > served/100 || sentAway < served {
		t.Errorf("in 15 seconds %d are served in time, %d late, %d are sent away", served, late, sentAway)
	}
	w.run(w.now + 5*time.Second)
	late, served, sentAway = 0, 0, 0
	for range 40 {
		call(0)
	}
	w.run(w.now + 3*time.Second)
	if served+late != 40 {
		t.Errorf("afterwards %d of a rush of 40 are served", served+late)
	}
}

// A call whose turn cannot come in time is told at once, and when to come again.
func TestTurnsThatComeTooLate(t *testing.T) {
	t.Parallel()
	w, r := one(BudgetOptions{PerEndpoint: 1, Replicas: 4})
	var waits []time.Duration
	var refused error
	for _, owner := range []string{"ann", "bob"} {
		r.call("a", owner, 6*time.Second, func(waited time.Duration, err error) {
			if err != nil {
				refused = err
				return
			}
			waits = append(waits, waited)
		})
	}
	refusal, ok := errors.AsType[*Refusal](refused)
	if !ok || refusal.reason != reasonLate || refusal.RetryAfter < 2*time.Second || refusal.RetryAfter > 3*time.Second {
		t.Fatalf("got %v", refused)
	}
	w.run(refusal.RetryAfter)
	r.call("a", "bob", 6*time.Second, func(waited time.Duration, err error) {
		if err != nil {
			t.Errorf("back at the time said: %v", err)
		}
		waits = append(waits, waited)
	})
	w.run(time.Minute)
	if len(waits) != 2 {
		t.Errorf("%d were served", len(waits))
	}
	// When less is left than thought, who waits in vain is told while waiting.
	refused = nil
	w.run(2 * time.Minute)
	r.call("a", "ann", 6*time.Second, nil)
	r.call("a", "bob", 5*time.Second, func(waited time.Duration, err error) {
		if waited > 5*time.Second+2*sweep {
			t.Errorf("told after %v", waited)
		}
		refused = err
	})
	r.budget.endpoints[0].Limited(false)
	w.run(3 * time.Minute)
	if refused == nil {
		t.Error("a call is sent after its time")
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	w, r := one(BudgetOptions{PerEndpoint: 1000})
	var why []reason
	call := func(owner string) {
		r.call("a", owner, time.Hour, func(_ time.Duration, err error) {
			if refusal, ok := errors.AsType[*Refusal](err); ok {
				why = append(why, refusal.reason)
			}
		})
	}
	for range maxOwnerWaiting + 3 {
		call("eve")
	}
	if want := []reason{reasonOwner, reasonOwner, reasonOwner}; !slices.Equal(why, want) {
		t.Errorf("got %v, want %v", why, want)
	}
	for i := range 2 * maxWaiting {
		call(fmt.Sprint(i))
	}
	e := r.budget.Endpoint("a")
	if e.queue.n != maxWaiting || why[len(why)-1] != reasonFull {
		t.Errorf("%d wait", e.queue.n)
	}
	w.run(time.Minute)
	if e.queue.n != 0 || len(e.queue.lines) != 0 || r.budget.waiting != 0 {
		t.Errorf("%d wait, of %d owners, and nobody is left", e.queue.n, len(e.queue.lines))
	}
}

// Half of the rate is left after a 429, once a second, and all of it ten seconds later.
func TestBudgetsAfterA429(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		w, r := one(BudgetOptions{PerEndpoint: 25, Endpoints: []string{"a", "b"}})
		w.run(time.Minute)
		perSecond := func() float64 {
			before, began := len(w.sent["a"]), w.now
			w.load(100, w.now+time.Second, func() { r.call("a", "ann", 100*time.Millisecond, nil) })
			w.run(began + time.Second)
			return float64(len(w.sent["a"]) - before)
		}
		e := r.budget.Endpoint("a")
		for range 100 {
			e.Limited(all)
		}
		if n := perSecond(); n < 9 || n > 15 {
			t.Errorf("%v calls in the second after, want about 12", n)
		}
		if other := r.budget.Endpoint("b").throttle.factor(r.clock()); other != 1 {
			t.Errorf("another endpoint has %v of its rate left", other)
		}
		for range 60 {
			e.Limited(all)
			w.run(w.now + time.Second)
		}
		if part := r.budget.least(); part < 0.1 || part > 0.21 {
			t.Errorf("after a minute of 429s, %v of the rate is left", part)
		}
		if n := perSecond(); n < 1 {
			t.Error("nothing at all is sent")
		}
		w.run(w.now + 9*time.Second)
		if part, n := r.budget.least(), perSecond(); part != 1 || n < 21 {
			t.Errorf("ten seconds after the last, %v of the rate is left, and %v calls are sent", part, n)
		}
	}
}

// The pool is shared as the own shares are, and more so: what one does not need, another
// has.
func TestThePoolServesWhoNeedsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(7)
	o := BudgetOptions{PerEndpoint: 25, Account: 100, Replicas: 10, Endpoints: []string{"a", "b"}}
	for range o.Replicas {
		w.start(o, true)
	}
	w.run(5 * time.Second)
	r, began := w.replicas[0], len(w.sent["a"])
	w.load(100, 65*time.Second, func() { r.call("a", "ann", 6*time.Second, nil) })
	w.run(65 * time.Second)
	if n := len(w.sent["a"]) - began; n < 22*60 {
		t.Errorf("%d calls in a minute by the only one who wants some", n)
	}
	// A 429 that one of them gets is heard by all.
	w.run(2 * time.Minute)
	r.budget.Endpoint("a").Limited(false)
	for _, other := range w.replicas {
		w.load(10, w.now+time.Second, func() { other.call("a", "bob", 6*time.Second, nil) })
	}
	before := len(w.sent["a"])
	w.run(w.now + time.Second)
	if n := len(w.sent["a"]) - before; n > 16 {
		t.Errorf("%d calls in the second after a 429", n)
	}
	// What is evicted starts empty.
	w.run(w.now + time.Minute)
	w.pool = newPool()
	before = len(w.sent["a"])
	for range 10 {
		for i := range 5 {
			w.replicas[i].call("a", "joe", 6*time.Second, nil)
		}
	}
	w.run(w.now + 100*time.Millisecond)
	if n := len(w.sent["a"]) - before; n > 3 {
		t.Errorf("%d calls at once from a pool that was just forgotten", n)
	}
}

// A Redis that is gone costs a moment; the own shares are there after it, and the pool
// when it is back.
func TestRedisComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(3)
	o := BudgetOptions{PerEndpoint: 25, Account: 100, Replicas: 3, Endpoints: []string{"a"}}
	var failed int
	var waits []time.Duration
	for range o.Replicas {
		r := w.start(o, true)
		w.load(3, 70*time.Second, func() {
			r.call("a", fmt.Sprint("owner-", w.random.IntN(20)), 6*time.Second, func(waited time.Duration, err error) {
				if err != nil {
					failed++
				}
				waits = append(waits, waited)
			})
		})
	}
	in := func(p phase) int {
		n := 0
		for _, r := range w.replicas {
			if r.budget.shared.phase == p {
				n++
			}
		}
		return n
	}
	w.run(5 * time.Second)
	if in(together) != 3 {
		t.Error("the replicas do not find each other")
	}
	w.redis.frozen = true
	w.run(7 * time.Second)
	if in(alone) != 3 {
		t.Error("two seconds after Redis froze, somebody waits for it")
	}
	w.run(30 * time.Second)
	w.thaw()
	w.run(36 * time.Second)
	if in(together) != 3 {
		t.Error("six seconds after Redis is back, somebody is alone")
	}
	w.redis.nonsense = true
	w.run(50 * time.Second)
	w.redis.nonsense = false
	w.run(80 * time.Second)
	if failed > 0 || quantile(waits, 0.97) > 250*time.Millisecond || quantile(waits, 1) > time.Second {
		t.Errorf("%d of %d calls failed; they waited %v (p97), %v at most", failed, len(waits), quantile(waits, 0.97), quantile(waits, 1))
	}
	if n, from := most(w.sent["a"]); n > 25 {
		t.Errorf("%d calls in the second from %v", n, from)
	}
}

// The queue against the plainest thing that takes turns like that.
func TestQueuesAgainstPlainLists(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	var q queue
	plain := &plainQueue{lines: map[string][]*waiter{}}
	for step := range 50000 {
		owner := fmt.Sprint(random.IntN(8))
		switch random.IntN(9) {
		case 0, 1, 2, 3:
			w := &waiter{until: time.Duration(random.IntN(1000))}
			q.push(owner, w)
			plain.push(owner, w)
		case 4, 5, 6, 7:
			if got, want := q.pop(), plain.pop(); got != want {
				t.Fatalf("step %d: it was another one's turn", step)
			}
		default:
			if line := plain.lines[owner]; len(line) > 0 {
				w := line[random.IntN(len(line))]
				plain.remove(owner, w)
				if !q.remove(w) || q.remove(w) {
					t.Fatalf("step %d: not removed once", step)
				}
			}
		}
		for owner, line := range plain.lines {
			if q.waiting(owner) != len(line) {
				t.Fatalf("step %d: %d of an owner wait, want %d", step, q.waiting(owner), len(line))
			}
		}
		if q.n != plain.n() || q.n != q.fresh.calls+q.round.calls || len(q.lines) != len(plain.fresh)+len(plain.round) {
			t.Fatalf("step %d: %d wait, of %d owners", step, q.n, len(q.lines))
		}
	}
	q.late(500, func(w *waiter) {
		if w.until >= 500 {
			t.Error("taken out before its time is over")
		}
	})
	for w := q.pop(); w != nil; w = q.pop() {
		if w.until < 500 {
			t.Error("left in after its time is over")
		}
	}
}

type plainQueue struct {
	lines        map[string][]*waiter
	fresh, round []string
	run          int
}

func (p *plainQueue) n() (n int) {
	for _, line := range p.lines {
		n += len(line)
	}
	return n
}

func (p *plainQueue) push(owner string, w *waiter) {
	if !slices.Contains(p.fresh, owner) && !slices.Contains(p.round, owner) {
		p.fresh = append(p.fresh, owner)
	}
	p.lines[owner] = append(p.lines[owner], w)
}

func (p *plainQueue) pop() *waiter {
	if p.n() == 0 {
		return nil
	}
	others := slices.ContainsFunc(p.round, func(owner string) bool { return len(p.lines[owner]) > 0 })
	var owner string
	if len(p.fresh) == 0 || p.run >= 3 && others {
		for len(p.lines[p.round[0]]) == 0 {
			p.round = p.round[1:]
		}
		owner, p.round, p.run = p.round[0], p.round[1:], 0
	} else {
		owner, p.fresh = p.fresh[0], p.fresh[1:]
		p.run++
	}
	p.round = append(p.round, owner)
	w := p.lines[owner][0]
	p.remove(owner, w)
	return w
}

func (p *plainQueue) remove(owner string, w *waiter) {
	at := slices.Index(p.lines[owner], w)
	p.lines[owner] = slices.Delete(p.lines[owner], at, at+1)
	if len(p.lines[owner]) == 0 {
		p.fresh = slices.DeleteFunc(p.fresh, func(o string) bool { return o == owner })
	}
	if p.n() == 0 {
		*p = plainQueue{lines: p.lines}
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := NewBudget(BudgetOptions{
			PerEndpoint: 10, Account: 10, Endpoints: []string{"a", "b", "b"}, Replicas: 1, Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, start := For(t.Context(), "ann"), time.Now()
		if err := b.Endpoint("a").Wait(ctx, time.Second); err != nil || time.Since(start) < 100*time.Millisecond {
			t.Errorf("the first call was made after %v: %v", time.Since(start), err)
		}
		hung, cancel := context.WithCancel(ctx)
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := b.Endpoint("b").Wait(hung, time.Second); !errors.Is(err, context.Canceled) || b.waiting != 0 {
			t.Errorf("who hangs up: %v, %d wait", err, b.waiting)
		}
		if err := b.Endpoint("a").Wait(hung, time.Second); !errors.Is(err, context.Canceled) {
			t.Errorf("who has hung up: %v", err)
		}
		if _, ok := errors.AsType[*Refusal](b.Endpoint("a").Wait(ctx, 0)); !ok {
			t.Error("who does not wait is not refused")
		}
		ended := make(chan error)
		go func() { ended <- b.Endpoint("a").Wait(ctx, time.Second) }()
		synctest.Wait()
		b.Close()
		if err := <-ended; !errors.Is(err, ErrBudgetClosed) || !errors.Is(b.Endpoint("a").Wait(ctx, time.Second), ErrBudgetClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestNoBudgetIsNoBound(t *testing.T) {
	t.Parallel()
	b, err := NewBudget(BudgetOptions{})
	if b != nil || err != nil {
		t.Fatalf("got %v, %v", b, err)
	}
	e := b.Endpoint("a")
	if err := e.Wait(t.Context(), 0); err != nil {
		t.Error(err)
	}
	e.Limited(true)
	b.Close()
	for _, o := range []BudgetOptions{
		{PerEndpoint: 1},
		{PerEndpoint: -1, Account: 1, Replicas: 1, Endpoints: []string{"a"}, Metrics: prometheus.NewRegistry()},
		{PerEndpoint: 2, Account: 1, Replicas: 1, Endpoints: []string{"a"}, Metrics: prometheus.NewRegistry()},
		{PerEndpoint: 1, Account: 1, Endpoints: []string{"a"}, Metrics: prometheus.NewRegistry()},
	} {
		if _, err := NewBudget(o); err == nil {
			t.Errorf("%+v is taken for a budget", o)
		}
	}
}

func BenchmarkBudgetOff(b *testing.B) {
	var e *Endpoint
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Wait(b.Context(), time.Second); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBudgetTurnAtOnce is what a call costs that need not wait.
func BenchmarkBudgetTurnAtOnce(b *testing.B) {
	budget, err := NewBudget(BudgetOptions{
		PerEndpoint: 1 << 40, Account: 1 << 40, Endpoints: []string{"a"}, Replicas: 1, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer budget.Close()
	e, ctx := budget.Endpoint("a"), For(b.Context(), "ann")
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Wait(ctx, time.Second); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBudgetQueue is a turn in a queue of a thousand of a hundred owners.
func BenchmarkBudgetQueue(b *testing.B) {
	var q queue
	owners := make([]string, 100)
	for i := range owners {
		owners[i] = fmt.Sprint("owner-", i)
	}
	waiters := make([]waiter, 1000)
	for i := range waiters {
		q.push(owners[i%len(owners)], &waiters[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q.push(owners[i%len(owners)], q.pop())
	}
}
