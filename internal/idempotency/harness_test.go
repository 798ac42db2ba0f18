package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/idempotency"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// accident is what happens to one create call on its way.
type accident int

const (
	allWell      accident = iota
	neverArrives          // refused connection: Stripe knows nothing of it
	refuses               // 400: nothing is made, and nothing stored under the key
	busy                  // 429, before the key is looked at
	failsFirst            // 500 before anything is made, stored under the key
	failsLast             // made, then 500, stored under the key
	silence               // made, stored, and the answer is lost
	arrivesLate           // the answer is lost, and Stripe acts only after delay
	answersLate           // Stripe acts at once and answers after delay
	accidents
)

// fakeStripe keeps sessions and idempotency keys as Stripe does: the first answer to
// a key is stored, be it a 500, and replayed.
type fakeStripe struct {
	// next says what happens to the next call; nil means nothing.
	next  func() accident
	delay time.Duration
	late  sync.WaitGroup

	mu    sync.Mutex
	keys  map[string]*fakeKey
	sent  []idempotency.Call
	made  []string // by which key
	spoil int      // how many of them were made by a call that failed for ever
}

type fakeKey struct {
	frozen idempotency.Frozen
	busy   bool
	id     string // or a failure
}

// stripeError is what stripeclient's error is to this package.
type stripeError struct {
	text                  string
	spent, inUse, nothing bool
}

func (e *stripeError) Error() string    { return e.text }
func (e *stripeError) KeySpent() bool   { return e.spent }
func (e *stripeError) KeyInUse() bool   { return e.inUse }
func (e *stripeError) DidNothing() bool { return e.nothing }

func failed(code problem.Code, e stripeError) error { return problem.New(code, &e) }

// open is the call; the answer is the session's id.
func (f *fakeStripe) open(_ context.Context, c idempotency.Call) (string, error) {
	f.mu.Lock()
	f.sent = append(f.sent, c)
	f.mu.Unlock()
	what := allWell
	if f.next != nil {
		what = f.next()
	}
	timeout := failed(problem.UpstreamTimeout, stripeError{text: "no answer"})
	switch what {
	case neverArrives:
		return "", failed(problem.UpstreamError, stripeError{text: "connection refused"})
	case busy:
		return "", failed(problem.Overloaded, stripeError{text: "429", nothing: true})
	case silence:
		_, _ = f.execute(c, allWell, 0)
		return "", timeout
	case arrivesLate:
		f.late.Go(func() {
			time.Sleep(f.delay)
			_, _ = f.execute(c, allWell, 0)
		})
		return "", timeout
	case answersLate:
		return f.execute(c, allWell, f.delay)
	default:
		return f.execute(c, what, 0)
	}
}

// execute is the call at Stripe's end, whatever becomes of the answer.
func (f *fakeStripe) execute(c idempotency.Call, what accident, delay time.Duration) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k, ok := f.keys[c.StripeKey]; ok {
		switch {
		case k.frozen != c.Frozen:
			return "", failed(problem.UpstreamError, stripeError{text: "idempotency_error"})
		case k.busy:
			return "", failed(problem.DependencyUnavailable, stripeError{text: "in use", inUse: true})
		case k.id == "":
			return "", failed(problem.UpstreamError, stripeError{text: "500, replayed", spent: true})
		default:
			return k.id, nil
		}
	}
	if what == refuses {
		return "", failed(problem.UpstreamError, stripeError{text: "400", nothing: true})
	}
	if f.keys == nil {
		f.keys = map[string]*fakeKey{}
	}
	k := &fakeKey{frozen: c.Frozen, busy: delay > 0}
	f.keys[c.StripeKey] = k
	if delay > 0 {
		f.mu.Unlock()
		time.Sleep(delay)
		f.mu.Lock()
		k.busy = false
	}
	if what != failsFirst {
		f.made = append(f.made, c.StripeKey)
	}
	if what == failsFirst || what == failsLast {
		f.spoil += map[accident]int{failsLast: 1}[what]
		return "", failed(problem.UpstreamError, stripeError{text: "500"})
	}
	k.id = fmt.Sprintf("cs_%d", len(f.made))
	return k.id, nil
}

// keysSent returns the keys at Stripe in the order of their first use.
func (f *fakeStripe) keysSent() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]bool{}
	for _, c := range f.sent {
		if !seen[c.StripeKey] {
			seen[c.StripeKey] = true
			all = append(all, c.StripeKey)
		}
	}
	return all
}

func (f *fakeStripe) counts() (sent, made int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent), len(f.made)
}

// does lets these accidents happen, and then none.
func (f *fakeStripe) does(what ...accident) {
	f.next = func() accident {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(what) == 0 {
			return allWell
		}
		first := what[0]
		what = what[1:]
		return first
	}
}

// world is one store and one Stripe, which any number of services share.
type world struct {
	store  *storetest.Keys
	stripe *fakeStripe
	// plan is what a request is decided as, and decided how often that was.
	plan    string
	decided int
	refusal error
}

func newWorld() *world {
	return &world{store: storetest.NewKeys(), stripe: &fakeStripe{delay: 5 * time.Second}, plan: "pro"}
}

// replica is a service of its own, as of another process.
type replica struct {
	*idempotency.Service
	w        *world
	registry *prometheus.Registry
}

func (w *world) replica(t testing.TB) replica { t.Helper(); return w.replicaOn(t, w.store) }

func (w *world) replicaOn(t testing.TB, store idempotency.Store) replica {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := idempotency.New(store, registry, idempotency.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return replica{s, w, registry}
}

const day = 24 * time.Hour

func keyed(body string) idempotency.Request {
	return idempotency.Request{ID: "row", Body: body, Keep: day}
}

func (w *world) freeze(context.Context) (idempotency.Frozen, error) {
	w.stripe.mu.Lock()
	defer w.stripe.mu.Unlock()
	w.decided++
	return idempotency.Frozen{Params: w.plan, Version: "2023-10-16", Customer: "cus_1"}, w.refusal
}

func (r replica) do(ctx context.Context, req idempotency.Request) (string, error) {
	return idempotency.Do(ctx, r.Service, req, r.w.freeze, r.w.stripe.open)
}

// opens holds that the request brings a session, and returns it.
func (r replica) opens(t testing.TB, body string) string {
	t.Helper()
	id, err := r.do(t.Context(), keyed(body))
	if err != nil || id == "" {
		t.Fatalf("got %q, %v, want a session", id, err)
	}
	return id
}

// fails holds that the request fails with code.
func (r replica) fails(t testing.TB, body string, code problem.Code) *problem.Error {
	t.Helper()
	id, err := r.do(t.Context(), keyed(body))
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != code || id != "" {
		t.Fatalf("got %q, %v, want %s", id, err, code)
	}
	return p
}

// expect holds how many calls there were, sessions, and decisions.
func (w *world) expect(t testing.TB, sent, made, decided int) {
	t.Helper()
	s, m := w.stripe.counts()
	if s != sent || m != made || w.decided != decided {
		t.Errorf("got %d calls, %d sessions, %d decisions, want %d, %d, %d", s, m, w.decided, sent, made, decided)
	}
}

// dyingAt lets the n-th operation end in fault, and none after it: the process is dead.
func dyingAt(n int, fault storetest.Fault) func(context.Context, storetest.Operation) storetest.Fault {
	var mu sync.Mutex
	return func(context.Context, storetest.Operation) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
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
