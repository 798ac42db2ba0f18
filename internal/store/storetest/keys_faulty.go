package storetest

import (
	"context"
	"time"

	"till/internal/idempotency"
)

// The methods of idempotency.Store.
const (
	FindKey    Operation = "find key"
	PutKey     Operation = "put key"
	TakeKey    Operation = "take key"
	RenewKey   Operation = "renew key"
	ReleaseKey Operation = "release key"
	FinishKey  Operation = "finish key"
	DropKey    Operation = "drop key"
	PurgeKeys  Operation = "purge keys"
)

// FaultyKeys is an idempotency.Store of which Next says, before each operation, what
// goes wrong with it. Concurrent operations call it concurrently.
type FaultyKeys struct {
	Store idempotency.Store
	Next  func(ctx context.Context, op Operation) Fault
}

func (f FaultyKeys) run(ctx context.Context, op Operation, call func() error) error {
	return run(ctx, Faulty{Next: f.Next}, op, call)
}

// Find implements idempotency.Store.
func (f FaultyKeys) Find(ctx context.Context, id string) (idempotency.Record, error) {
	return do(ctx, Faulty{Next: f.Next}, FindKey, func() (idempotency.Record, error) { return f.Store.Find(ctx, id) })
}

// Put implements idempotency.Store.
func (f FaultyKeys) Put(ctx context.Context, r idempotency.Record, lease, keep time.Duration) error {
	return f.run(ctx, PutKey, func() error { return f.Store.Put(ctx, r, lease, keep) })
}

// Take implements idempotency.Store.
func (f FaultyKeys) Take(ctx context.Context, r idempotency.Record, holder string, lease time.Duration) error {
	return f.run(ctx, TakeKey, func() error { return f.Store.Take(ctx, r, holder, lease) })
}

// Renew implements idempotency.Store.
func (f FaultyKeys) Renew(ctx context.Context, r idempotency.Record, stripeKey string, every time.Duration) error {
	return f.run(ctx, RenewKey, func() error { return f.Store.Renew(ctx, r, stripeKey, every) })
}

// Release implements idempotency.Store.
func (f FaultyKeys) Release(ctx context.Context, r idempotency.Record) error {
	return f.run(ctx, ReleaseKey, func() error { return f.Store.Release(ctx, r) })
}

// Finish implements idempotency.Store.
func (f FaultyKeys) Finish(ctx context.Context, r idempotency.Record) error {
	return f.run(ctx, FinishKey, func() error { return f.Store.Finish(ctx, r) })
}

// Drop implements idempotency.Store.
func (f FaultyKeys) Drop(ctx context.Context, r idempotency.Record) error {
	return f.run(ctx, DropKey, func() error { return f.Store.Drop(ctx, r) })
}

// Purge implements idempotency.Store.
func (f FaultyKeys) Purge(ctx context.Context, limit int) (int, error) {
	return do(ctx, Faulty{Next: f.Next}, PurgeKeys, func() (int, error) { return f.Store.Purge(ctx, limit) })
}
