package customers_test

import (
	"context"
	"sync"
	"testing"

	"till/internal/customers"
	"till/internal/store/storetest"
)

func TestAHitOfTheCacheAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process
	w := newWorld()
	s, ctx := w.replica(t), t.Context()
	s.ensures(t, alice)
	for name, call := range map[string]func() (customers.Customer, error){
		"ensure": func() (customers.Customer, error) { return s.Service.Ensure(ctx, alice) },
		"find":   func() (customers.Customer, error) { return s.Service.Find(ctx, alice) },
	} {
		if got := testing.AllocsPerRun(1000, func() {
			if c, err := call(); err != nil || c.ID == "" {
				t.Fatal(c, err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
	c := s.customer(t, alice)
	if got := testing.AllocsPerRun(1000, func() { s.Tell(ctx, alice, c, customers.Profile{}) }); got != 0 {
		t.Errorf("nothing to tell: %v allocations, want none", got)
	}
}

// A hit of the store is one read, and Stripe hears nothing.
func TestAHitOfTheStoreIsOneRead(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.replica(t).ensures(t, alice)
	var (
		mu  sync.Mutex
		ops []storetest.Operation
	)
	store := w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, op)
		return storetest.None
	})
	for name, call := range map[string]func(replica) error{
		"ensure":  func(r replica) error { _, err := r.Ensure(t.Context(), alice); return err },
		"find":    func(r replica) error { _, err := r.Find(t.Context(), alice); return err },
		"require": func(r replica) error { _, err := r.Require(t.Context(), alice); return err },
	} {
		ops = nil
		if err := call(w.replicaOn(t, store, customers.Options{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(ops) != 1 || ops[0] != storetest.Find {
			t.Errorf("%s: made the calls %v, want one to find", name, ops)
		}
	}
	w.expect(t, 1, 0, 1)
	if w.stripe.asked+w.stripe.lives+len(w.stripe.told) != 0 {
		t.Error("Stripe was asked something")
	}
}

// A first visit is what it has to be: four operations of the store and a look
// for what a reconciliation kept, and one call to Stripe.
func TestAFirstVisitsCalls(t *testing.T) {
	t.Parallel()
	w := newWorld()
	calls := map[storetest.Operation]int{}
	w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
		calls[op]++
		return storetest.None
	}), customers.Options{}).ensures(t, alice)
	if len(calls) != 5 || calls[storetest.Find]+calls[storetest.Reserve]+calls[storetest.Found]+calls[storetest.Attempt]+calls[storetest.Activate] != 5 {
		t.Errorf("got %v, want find, reserve, found, attempt and activate once each", calls)
	}
	w.expect(t, 1, 0, 1)
}

func BenchmarkEnsureCached(b *testing.B) {
	w := newWorld()
	s, ctx := w.replica(b), b.Context()
	s.ensures(b, alice)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Service.Ensure(ctx, alice); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnsureStored reads the row each time: every owner comes once, and the
// cache is too small for the next round.
func BenchmarkEnsureStored(b *testing.B) {
	w := newWorld()
	all := owners(1000)
	for i, o := range all {
		w.store.Put(customers.Record{
			Owner: o, State: customers.Active, Generation: 1, CustomerID: "cus_" + o.Subject, IdempotencyKey: all[i].Subject,
		})
	}
	s, ctx := w.replicaOn(b, w.store, customers.Options{CacheSize: 1}), b.Context()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Service.Ensure(ctx, all[i%len(all)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
