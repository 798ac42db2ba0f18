package customers_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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
	// began is when it was started, for one that also goes by itself.
	began time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		return c.at
	}
	return c.at.Add(time.Since(c.began))
}

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

// goingWorld is a world whose clock goes with the bubble's.
func goingWorld() *world {
	w := newWorld()
	w.began = time.Now()
	return w
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
			continue
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

// customer is ensures for tests to which all of the customer matters.
func (r replica) customer(t testing.TB, owner customers.Owner) customers.Customer {
	t.Helper()
	c, err := r.Service.Ensure(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reserves writes the owner's reservation and nothing else: its request died.
func (w *world) reserves(t testing.TB, owners ...customers.Owner) {
	t.Helper()
	for _, owner := range owners {
		w.replicaOn(t, w.faulty(dyingAt(2, storetest.After)), customers.Options{}).fails(t, owner, problem.DependencyUnavailable)
	}
}

// metric returns the value of the series with this name and, unless it is empty, this label.
func (r replica) metric(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no series %s %s", name, label)
	return 0
}

// diary is what a logger wrote, and may be read meanwhile.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}
func (d *diary) String() string { d.mu.Lock(); defer d.mu.Unlock(); return d.text.String() }

// logger returns one that writes into the diary.
func (d *diary) logger() *slog.Logger { return slog.New(slog.NewTextHandler(d, nil)) }

// lines returns how many lines have the text in them.
func (d *diary) lines(text string) (n int) {
	for line := range strings.Lines(d.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
