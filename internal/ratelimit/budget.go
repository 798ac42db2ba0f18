package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sweep is how late a call that waits in vain may be told so.
const sweep = 250 * time.Millisecond

// BudgetOptions configure a Budget. Endpoints and Metrics are required.
type BudgetOptions struct {
	// PerEndpoint is how many calls a second all replicas together may make to each
	// endpoint; 0 is no bound at all. Account is the same for all endpoints together.
	PerEndpoint, Account int
	// Endpoints are the names of the upstream's endpoints.
	Endpoints []string
	// Replicas is how many processes share the budget, 1 or more.
	Replicas int
	// Redis is where they share it; without, each has the same part of it.
	Redis *Redis
	// Name is whose budget it is, in Redis: those with the same name share.
	Name    string
	Metrics prometheus.Registerer
	Logger  *slog.Logger
}

// Budget is how many calls an upstream takes from all replicas together, shared fairly
// among the owners that they are made for: who finds nothing left waits for a turn, and
// owners take turns. It is safe for concurrent use; nil is a budget without bounds.
type Budget struct {
	endpoint, account quota
	name              string
	now               func() time.Duration
	after             func(time.Duration, func()) timer
	random            func() float64
	ledger            ledger
	metrics           *budgetMetrics
	logger            *slog.Logger

	mu     sync.Mutex
	closed bool
	byName map[string]*Endpoint
	// turn is the endpoint that is asked first for the account's next token.
	endpoints []*Endpoint
	turn      int
	waiting   int
	// bucket and throttle are the whole account's.
	bucket   bucket
	throttle throttle
	// short says that calls wait for the account's tokens and not for their endpoint's.
	short  bool
	timer  timer
	shared sharing
}

type timer interface {
	Reset(time.Duration) bool
	Stop() bool
}

// Endpoint is the budget of one endpoint. It is safe for concurrent use; nil has no bound.
type Endpoint struct {
	b        *Budget
	name     string
	queue    queue
	bucket   bucket
	throttle throttle
	drawing  drawing
	crowd    crowd
}

// Refusal is the answer to a call whose turn would not have come in time: it has not
// waited, or no longer than it was ready to.
type Refusal struct {
	reason reason
	// RetryAfter is when a call like it would have its turn in time, were nobody else to
	// come; a second or more.
	RetryAfter time.Duration
}

// Error implements error.
func (r *Refusal) Error() string { return "no turn in time: " + string(r.reason) }

// ErrBudgetClosed is the answer to calls that wait when the service ends.
var ErrBudgetClosed = errors.New("the budget is closed")

// NewBudget returns a Budget that starts with nothing to give: a process that restarts
// must not spend anything twice. Close it.
func NewBudget(o BudgetOptions) (*Budget, error) {
	if o.PerEndpoint == 0 {
		return nil, nil //nolint:nilnil // a nil Budget is one without bounds
	}
	if o.Metrics == nil || len(o.Endpoints) == 0 || o.Replicas < 1 || o.PerEndpoint < 0 || o.Account < o.PerEndpoint {
		return nil, errors.New("a budget needs endpoints, a metrics registry, a replica, and no less for the account than for an endpoint")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := newBudgetMetrics()
	b := newBudget(o, m)
	began := time.Now()
	b.now = func() time.Duration { return time.Since(began) }
	b.after = func(d time.Duration, f func()) timer { return time.AfterFunc(d, f) }
	b.random = rand.Float64
	if err := m.register(o.Metrics, b.least); err != nil {
		return nil, err
	}
	if o.Redis != nil {
		b.ledger = newRedisLedger(o.Redis, o.Name)
	}
	b.start()
	return b, nil
}

func newBudget(o BudgetOptions, m *budgetMetrics) *Budget {
	b := &Budget{
		endpoint: quota{o.PerEndpoint, o.Replicas}, account: quota{o.Account, o.Replicas},
		name: o.Name, metrics: m, logger: o.Logger, byName: map[string]*Endpoint{},
	}
	for _, name := range o.Endpoints {
		if b.byName[name] == nil {
			b.byName[name] = &Endpoint{b: b, name: name}
			b.endpoints = append(b.endpoints, b.byName[name])
		}
	}
	return b
}

// start is the moment that the buckets are empty at.
func (b *Budget) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = b.after(time.Hour, b.ring)
	b.emptied(b.now())
	b.join()
	b.arm()
}

// Close refuses the calls that wait, and those that come.
func (b *Budget) Close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.timer.Stop()
	for _, e := range b.endpoints {
		for w := e.queue.pop(); w != nil; w = e.queue.pop() {
			b.dequeued()
			w.tell(ErrBudgetClosed)
		}
	}
}

// Endpoint returns the budget of one of the Endpoints; nil, without a bound, of others.
func (b *Budget) Endpoint(name string) *Endpoint {
	if b == nil {
		return nil
	}
	return b.byName[name]
}

// Wait returns when a call may be sent, on behalf of the context's owner: at once, where
// the budget has something left and nobody waits. It returns a *Refusal if the turn cannot
// come within longest, without waiting, and the context's error if that is done before.
// What is not sent after all is lost.
func (e *Endpoint) Wait(ctx context.Context, longest time.Duration) error {
	if e == nil {
		return nil
	}
	if e.take() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	turn := make(chan error, 1)
	w := &waiter{tell: func(err error) { turn <- err }}
	if err := e.enter(w, OwnerOf(ctx), longest); err != nil {
		return err
	}
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
		e.leave(w)
		return ctx.Err()
	}
}

// take takes a token if there is one that nobody waits for.
func (e *Endpoint) take() bool {
	b := e.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.queue.n > 0 || b.short && b.waiting > 0 || b.closed || !b.shared.own {
		return false
	}
	return e.spend(b.now())
}

// spend takes a token of this replica's own, of the endpoint and of the account.
func (e *Endpoint) spend(now time.Duration) bool {
	b := e.b
	if e.fill(now); e.bucket.tokens < 1 {
		return false
	}
	if b.fill(now); b.bucket.tokens < 1 {
		return false
	}
	e.bucket.tokens--
	b.bucket.tokens--
	return true
}

func (e *Endpoint) rate(now time.Duration) float64 {
	rate, _ := e.b.endpoint.own()
	return rate * e.throttle.factor(now)
}

func (e *Endpoint) fill(now time.Duration) {
	_, burst := e.b.endpoint.own()
	// As fast as at the beginning: since then, it has only become faster.
	e.bucket.fill(now, e.rate(e.bucket.at), burst)
}

func (b *Budget) rate(now time.Duration) float64 {
	rate, _ := b.account.own()
	return rate * b.throttle.factor(now)
}

func (b *Budget) fill(now time.Duration) {
	_, burst := b.account.own()
	b.bucket.fill(now, b.rate(b.bucket.at), burst)
}

// enter lets w wait, or refuses it at once.
func (e *Endpoint) enter(w *waiter, owner string, longest time.Duration) error {
	b := e.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrBudgetClosed
	}
	now := b.now()
	expected := e.expected(now, owner)
	longest = min(longest, e.tolerable(now))
	why := reason("")
	switch {
	case e.queue.waiting(owner) >= maxOwnerWaiting:
		why = reasonOwner
	case e.queue.n >= maxWaiting:
		why = reasonFull
	case expected > longest:
		why = reasonLate
	}
	if why != "" {
		e.crowd.refused++
		b.metrics.refused[why].Inc()
		return &Refusal{reason: why, RetryAfter: max(time.Second, expected-longest)}
	}
	w.since, w.until = now, now+longest
	e.queue.push(owner, w)
	b.waiting++
	b.metrics.waiting.Inc()
	b.serve(now)
	b.arm()
	return nil
}

// leave is what a caller does who hangs up.
func (e *Endpoint) leave(w *waiter) {
	b := e.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.queue.remove(w) {
		b.dequeued()
	}
}

func (b *Budget) dequeued() {
	b.waiting--
	b.metrics.waiting.Dec()
}

// expected is how long another call of owner would wait for its turn, if nobody else came
// and nobody left.
func (e *Endpoint) expected(now time.Duration, owner string) time.Duration {
	b := e.b
	ahead := e.queue.ahead(owner)
	if !b.shared.own {
		// Others draw from the same pool; what came lately is the best guess.
		return b.shared.closed(now) + seconds(float64(ahead+1)/e.drawing.speed(now, b.endpoint))
	}
	e.fill(now)
	b.fill(now)
	// Endpoints take turns at the account's tokens as owners do at the endpoint's.
	busy := 1
	for _, other := range b.endpoints {
		if other != e && other.queue.n > 0 {
			busy++
		}
	}
	others := min(b.waiting, (ahead+1)*busy-1)
	return max(
		e.bucket.until(e.rate(now))+seconds(float64(ahead)/e.rate(now)),
		b.bucket.until(b.rate(now))+seconds(float64(others)/b.rate(now)),
	)
}

// grant gives the next turn to who waits for it, and reports whether anybody did.
func (e *Endpoint) grant(now time.Duration) bool {
	for w := e.queue.pop(); w != nil; w = e.queue.pop() {
		e.b.dequeued()
		if w.until >= now {
			e.b.metrics.waited.Observe((now - w.since).Seconds())
			w.tell(nil)
			return true
		}
		e.tooLate(w)
	}
	return false
}

func (e *Endpoint) tooLate(w *waiter) {
	e.b.metrics.refused[reasonLate].Inc()
	w.tell(&Refusal{reason: reasonLate, RetryAfter: time.Second})
}

// serve gives turns while there is something left.
func (b *Budget) serve(now time.Duration) {
	if !b.shared.own {
		b.draw(now)
		return
	}
	b.short = false
	for idle := 0; idle < len(b.endpoints) && b.waiting > 0; {
		e := b.endpoints[b.turn]
		if e.queue.n > 0 {
			e.fill(now)
			if b.fill(now); e.bucket.tokens >= 1 && b.bucket.tokens < 1 {
				// This endpoint keeps its turn.
				b.short = true
				return
			}
		}
		b.turn = (b.turn + 1) % len(b.endpoints)
		idle++
		if e.queue.n > 0 && e.bucket.tokens >= 1 && e.grant(now) {
			e.bucket.tokens--
			b.bucket.tokens--
			idle = 0
		}
	}
}

// next is when serve has something to do again; 0 is never.
func (b *Budget) next(now time.Duration) time.Duration {
	if b.waiting == 0 {
		return 0
	}
	least := now + sweep
	if !b.shared.own {
		return least // and draw has its own times
	}
	b.fill(now)
	account := b.bucket.until(b.rate(now))
	for _, e := range b.endpoints {
		if e.queue.n > 0 {
			e.fill(now)
			least = min(least, now+max(account, e.bucket.until(e.rate(now))))
		}
	}
	return least
}

// ring is what the timer does.
func (b *Budget) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	now := b.now()
	if b.waiting > 0 {
		for _, e := range b.endpoints {
			e.queue.late(now, func(w *waiter) {
				b.dequeued()
				e.tooLate(w)
			})
		}
	}
	b.tick(now)
	b.serve(now)
	b.arm()
}

// arm sets the timer to what has to be done next, if anything.
func (b *Budget) arm() {
	now := b.now()
	least := b.next(now)
	if due := b.due(); due > 0 && (least == 0 || due < least) {
		least = due
	}
	if least == 0 {
		b.timer.Stop()
		return
	}
	b.timer.Reset(max(0, least-now))
}

// emptied takes away what the buckets hold.
func (b *Budget) emptied(now time.Duration) {
	b.bucket.empty(now)
	for _, e := range b.endpoints {
		e.bucket.empty(now)
	}
}

// Limited is what to call when the upstream itself says that there are too many calls: to
// this endpoint, or to all of them. The budget halves, at most once a second, and is whole
// again ten seconds after the last time.
func (e *Endpoint) Limited(all bool) {
	if e == nil {
		return
	}
	b := e.b
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if all {
		if b.throttle.cut(now) {
			b.bucket.empty(now)
			b.shared.cut = true
		}
		return
	}
	if e.throttle.cut(now) {
		e.bucket.empty(now)
		e.drawing.cut = true
	}
}

// least is the smallest part of its rate that the account or an endpoint has left.
func (b *Budget) least() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	part := b.throttle.factor(now)
	for _, e := range b.endpoints {
		part = min(part, e.throttle.factor(now))
	}
	return part
}
