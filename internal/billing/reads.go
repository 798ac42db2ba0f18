package billing

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"till/internal/customers"
	"till/internal/problem"
)

const (
	// readAge is how long a session that was read counts as read: pages poll, in
	// many windows, and Stripe's limit is for all of them together.
	readAge = time.Second
	// finalAge is the same for sessions that nothing can happen to any more. What an
	// operator writes into their metadata shows this much later.
	finalAge = 30 * time.Second
	// maxReads bounds the memory: there are never more than twice as many.
	maxReads = 2048
)

// readKey is a session as one owner asks for it. Owners share no answer, and no
// hint of one either: who asks for a session that somebody else has just read
// waits for Stripe as with an unknown one.
type readKey struct {
	owner customers.Owner
	id    string
}

// read is one look at Stripe, under way or done.
type read struct {
	done    chan struct{}
	session CheckoutSession
	err     error
	// until is when the outcome, an error included, is too old; it is written before
	// done is closed.
	until time.Time
}

// reads makes one call of all that ask for a session within a second.
type reads struct {
	now func() time.Time

	mu sync.Mutex
	// young takes new ones; when it is full, it becomes old, and what was old is
	// forgotten. No clock has to run for that.
	young, old map[readKey]*read
}

func newReads(now func() time.Time) *reads {
	return &reads{now: now, young: map[readKey]*read{}}
}

// get returns what fetch brought for key not long ago, or brings now. The work
// belongs to all who wait: one of them hanging up must not fail the others.
func (r *reads) get(ctx context.Context, key readKey, fetch func(context.Context) (CheckoutSession, error)) (CheckoutSession, error) {
	one, mine := r.join(key)
	if mine {
		go r.run(context.WithoutCancel(ctx), one, fetch)
	}
	select {
	case <-one.done:
		return one.session, one.err
	case <-ctx.Done():
		return CheckoutSession{}, problem.New(problem.UpstreamTimeout, ctx.Err())
	}
}

// join finds the read that answers for key, or begins one, which is then mine to run.
func (r *reads) join(key readKey) (one *read, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, found := r.young[key]
	if !found {
		one, found = r.old[key]
	}
	if found && r.good(one) {
		return one, false
	}
	if len(r.young) >= maxReads {
		r.young, r.old = map[readKey]*read{}, r.young
	}
	one = &read{done: make(chan struct{})}
	r.young[key] = one
	return one, true
}

func (r *reads) good(one *read) bool {
	select {
	case <-one.done:
		return r.now().Before(one.until)
	default:
		return true
	}
}

func (r *reads) run(ctx context.Context, one *read, fetch func(context.Context) (CheckoutSession, error)) {
	defer close(one.done)
	defer func() {
		// A panic here would be nobody's to catch and end the process.
		if p := recover(); p != nil {
			one.err = problem.New(problem.Internal, fmt.Errorf("%w\n%s", problem.Panicked(p), debug.Stack()))
		}
	}()
	one.session, one.err = fetch(ctx)
	age := readAge
	if one.err == nil && nextPoll(one.session) == nil {
		age = finalAge
	}
	one.until = r.now().Add(age)
}

// drop forgets key, for who has just changed the session. A read that is under way
// may be older than the change: who waits for it already gets it, and nobody else.
func (r *reads) drop(key readKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, key)
	delete(r.old, key)
}
