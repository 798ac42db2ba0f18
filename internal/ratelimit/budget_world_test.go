package ratelimit

import (
	"container/heap"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// world is replicas on one clock, with one Redis. Nothing happens in it by itself: what
// happens, and when, is decided by the seed, to the last detail.
type world struct {
	now      time.Duration
	random   *rand.Rand
	events   events
	order    uint64
	replicas []*replica
	pool     *pool
	redis    health
	// waiting are the questions that a frozen Redis will hear when it thaws.
	waiting []func()
	sent    map[string][]time.Duration
}

// health is what is wrong with Redis, or with a replica's way to it.
type health struct {
	dead, frozen bool
	// slow is added to each way; lost is how many answers get lost.
	slow time.Duration
	lost float64
	// nonsense answers what the script does not.
	nonsense bool
	// clock is what the server's clock says more than the world's.
	clock time.Duration
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
	index int
}

type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i]; e[i].index, e[j].index = i, j }
func (e *events) Push(x any)   { v := x.(*event); v.index = len(*e); *e = append(*e, v) }
func (e *events) Pop() any {
	old := *e
	v := old[len(old)-1]
	*e, v.index = old[:len(old)-1], -1
	return v
}

func newWorld(seed uint64) *world {
	return &world{
		random: rand.New(rand.NewPCG(seed, 25)), pool: newPool(), sent: map[string][]time.Duration{},
	}
}

// after has something done later.
func (w *world) after(d time.Duration, do func()) *event {
	w.order++
	e := &event{at: w.now + max(0, d), order: w.order, do: do}
	heap.Push(&w.events, e)
	return e
}

// run lets the time pass.
func (w *world) run(until time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(*event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

type fakeTimer struct {
	w *world
	f func()
	e *event
}

func (t *fakeTimer) Stop() bool {
	if t.e == nil || t.e.index < 0 {
		return false
	}
	heap.Remove(&t.w.events, t.e.index)
	t.e = nil
	return true
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.e = t.w.after(d, t.f)
	return was
}

// replica is one process.
type replica struct {
	w      *world
	budget *Budget
	name   string
	// skew is what this process's clock says more than the world's, and drift how much
	// faster it runs.
	skew  time.Duration
	drift float64
	link  health
	gone  bool
}

func (r *replica) clock() time.Duration {
	return r.skew + r.w.now + time.Duration(float64(r.w.now)*r.drift)
}

var errLost = errors.New("no answer")

// start adds a replica.
func (w *world) start(o BudgetOptions, shared bool) *replica {
	r := &replica{
		w: w, name: fmt.Sprint("replica-", len(w.replicas)),
		skew: time.Duration(w.random.Int64N(int64(time.Hour))), drift: (w.random.Float64() - 0.5) / 5000,
	}
	o.Logger = slog.New(slog.DiscardHandler)
	r.budget = newBudget(o, newBudgetMetrics())
	r.budget.now, r.budget.random = r.clock, w.random.Float64
	r.budget.after = func(d time.Duration, f func()) timer {
		t := &fakeTimer{w: w, f: f}
		t.Reset(d)
		return t
	}
	if shared {
		r.budget.ledger = r
	}
	w.replicas = append(w.replicas, r)
	r.budget.start()
	return r
}

// stop is a process that ends without a word.
func (r *replica) stop() {
	r.gone = true
	r.budget.Close()
}

// ask is the way to Redis and back.
func (r *replica) ask(q question, answered func(answer, error)) {
	w := r.w
	ended := false
	end := func(a answer, err error) {
		if !ended && !r.gone {
			ended = true
			answered(a, err)
		}
	}
	if r.link.dead || w.redis.dead {
		w.after(w.between(50*time.Microsecond, time.Millisecond), func() { end(answer{}, errLost) })
		return
	}
	w.after(patience, func() { end(answer{}, errLost) })
	way := func() time.Duration {
		return w.between(20*time.Microsecond, 2*time.Millisecond) + time.Duration(w.random.Float64()*float64(r.link.slow+w.redis.slow))
	}
	heard := func() {
		if w.redis.dead || w.random.Float64() < r.link.lost/2 {
			return
		}
		a := w.pool.ask(r.name, (w.now + w.redis.clock + 1000*time.Hour).Microseconds(), q)
		lost, nonsense := w.random.Float64() < r.link.lost, w.redis.nonsense
		w.after(way(), func() {
			switch {
			case lost:
			case nonsense:
				end(answer{}, errPool)
			default:
				end(a, nil)
			}
		})
	}
	w.after(way(), func() {
		if w.redis.frozen {
			w.waiting = append(w.waiting, heard)
			return
		}
		heard()
	})
}

// thaw has Redis hear all that came while it was frozen.
func (w *world) thaw() {
	w.redis.frozen = false
	for _, heard := range w.waiting {
		w.after(w.between(0, 3*time.Millisecond), heard)
	}
	w.waiting = nil
}

func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Float64()*float64(most-least))
}

// call is a call of owner to an endpoint, which is counted when it is sent. ended, if
// any, hears how long it waited, and why it was refused.
func (r *replica) call(endpoint, owner string, longest time.Duration, ended func(time.Duration, error)) {
	w, began := r.w, r.w.now
	finish := func(err error) {
		if err == nil {
			w.sent[endpoint] = append(w.sent[endpoint], w.now)
			w.sent[""] = append(w.sent[""], w.now)
		}
		if ended != nil {
			ended(w.now-began, err)
		}
	}
	e := r.budget.Endpoint(endpoint)
	if r.gone || e.take() {
		finish(map[bool]error{true: errLost}[r.gone])
		return
	}
	if err := e.enter(&waiter{tell: finish}, owner, longest); err != nil {
		finish(err)
	}
}

// load has calls arrive at random, so many a second, until the end.
func (w *world) load(perSecond float64, until time.Duration, call func()) {
	if perSecond <= 0 {
		return
	}
	var next func()
	next = func() {
		gap := seconds(-math.Log(1-w.random.Float64()) / perSecond)
		if w.now+gap < until {
			w.after(gap, func() { call(); next() })
		}
	}
	next()
}

// quantile of what was measured; 0 of nothing.
func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// jain is how fair a division is: 1 if all have the same, 1/n if one has all.
func jain(of []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range of {
		sum += x
		squares += x * x
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(of)) * squares)
}
