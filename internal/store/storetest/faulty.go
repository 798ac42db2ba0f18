package storetest

import (
	"context"
	"errors"
	"time"

	"till/internal/customers"
)

// Operation names a method of customers.Store.
type Operation string

// The methods.
const (
	Find      Operation = "find"
	Reserve   Operation = "reserve"
	Attempt   Operation = "attempt"
	Activate  Operation = "activate"
	SpendKey  Operation = "spend key"
	Supersede Operation = "supersede"
)

// Fault is what goes wrong with one operation.
type Fault int

// Before: nothing happens. After: it takes effect, and the answer is lost.
const (
	None Fault = iota
	Before
	After
)

// ErrFault is the error of an operation that was made to fail.
var ErrFault = errors.New("the database has gone away")

// Faulty is a store of which Next says, before each operation, what goes wrong
// with it. Next may count, wait, or look at the context. Concurrent operations
// call it concurrently.
type Faulty struct {
	Store customers.Store
	Next  func(ctx context.Context, op Operation) Fault
}

func (f Faulty) do(ctx context.Context, op Operation, call func() (customers.Record, error)) (customers.Record, error) {
	fault := f.Next(ctx, op)
	if fault == Before {
		return customers.Record{}, ErrFault
	}
	r, err := call()
	if fault == After {
		return customers.Record{}, ErrFault
	}
	return r, err
}

// Find implements customers.Store.
func (f Faulty) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	return f.do(ctx, Find, func() (customers.Record, error) { return f.Store.Find(ctx, owner) })
}

// Reserve implements customers.Store.
func (f Faulty) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	return f.do(ctx, Reserve, func() (customers.Record, error) { return f.Store.Reserve(ctx, r) })
}

// Attempt implements customers.Store.
func (f Faulty) Attempt(ctx context.Context, r customers.Record, at time.Time) (customers.Record, error) {
	return f.do(ctx, Attempt, func() (customers.Record, error) { return f.Store.Attempt(ctx, r, at) })
}

// Activate implements customers.Store.
func (f Faulty) Activate(ctx context.Context, r customers.Record, customerID string) (customers.Record, error) {
	return f.do(ctx, Activate, func() (customers.Record, error) { return f.Store.Activate(ctx, r, customerID) })
}

// SpendKey implements customers.Store.
func (f Faulty) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return f.do(ctx, SpendKey, func() (customers.Record, error) { return f.Store.SpendKey(ctx, r) })
}

// Supersede implements customers.Store.
func (f Faulty) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return f.do(ctx, Supersede, func() (customers.Record, error) { return f.Store.Supersede(ctx, r, next) })
}
