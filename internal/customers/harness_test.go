package customers_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

var alice = storetest.Owner("alice")

// clock is a wall clock that is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// world is one store and one Stripe, which any number of services share.
type world struct {
	*clock
	store  *storetest.Memory
	stripe *fakeStripe
}

func newWorld() *world {
	c := &clock{at: storetest.Base}
	return &world{c, storetest.NewMemory(), newFakeStripe(c.now)}
}

// replica is a service of its own, with its own cache, as of another process.
type replica struct {
	*customers.Service
	registry *prometheus.Registry
}

// Ensure and Find are the Service's, for tests to which only the id matters.
func (r replica) Ensure(ctx context.Context, owner customers.Owner) (string, error) {
	c, err := r.Service.Ensure(ctx, owner)
	return c.ID, err
}

func (r replica) Find(ctx context.Context, owner customers.Owner) (string, error) {
	c, err := r.Service.Find(ctx, owner)
	return c.ID, err
}

func (w *world) replica(t testing.TB) replica {
	t.Helper()
	return w.replicaOn(t, w.store, customers.Options{})
}

func (w *world) replicaOn(t testing.TB, store customers.Store, o customers.Options) replica {
	t.Helper()
	if o.Now == nil {
		o.Now = w.now
	}
	if o.Version == "" {
		o.Version = "2023-10-16"
	}
	registry := prometheus.NewRegistry()
	s, err := customers.New(store, w.stripe, registry, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return replica{s, registry}
}

// faulty returns the world's store with next before each operation.
func (w *world) faulty(next func(ctx context.Context, op storetest.Operation) storetest.Fault) storetest.Faulty {
	return storetest.Faulty{Store: w.store, Next: next}
}

func (r replica) ensures(t testing.TB, owner customers.Owner) string {
	t.Helper()
	id, err := r.Ensure(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fails holds that Ensure fails with code, and returns Retry-After.
func (r replica) fails(t testing.TB, owner customers.Owner, code problem.Code) time.Duration {
	t.Helper()
	id, err := r.Ensure(t.Context(), owner)
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != code || id != "" {
		t.Fatalf("got %q, %v, want %s", id, err, code)
	}
	return p.RetryAfter
}

// expect holds the numbers of calls and customers at Stripe.
func (w *world) expect(t testing.TB, creates, lists, existing int) {
	t.Helper()
	c, l, e := w.stripe.calls()
	if c != creates || l != lists || e != existing {
		t.Errorf("got %d creates, %d lists, %d customers, want %d, %d, %d", c, l, e, creates, lists, existing)
	}
}

// record returns the owner's row, whatever its state.
func (w *world) record(t testing.TB, owner customers.Owner) customers.Record {
	t.Helper()
	r, err := w.store.Find(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// results returns the resolutions counted so far, without the zeros.
func (r replica) results(t testing.TB) map[string]int {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, family := range families {
		if family.GetName() != "till_customer_resolutions_total" {
			t.Errorf("unexpected metric %s", family.GetName())
		}
		for _, m := range family.GetMetric() {
			if n := int(m.GetCounter().GetValue()); n != 0 {
				got[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return got
}

func (r replica) counted(t testing.TB, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, r.results(t)); diff != "" {
		t.Errorf("resolutions (-want +got):\n%s", diff)
	}
}
