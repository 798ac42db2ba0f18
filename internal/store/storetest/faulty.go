package storetest

import (
	"context"
	"errors"
	"time"

	"till/internal/customers"
)

// Operation names a method of customers.Ledger.
type Operation string

// The methods.
const (
	Find          Operation = "find"
	Reserve       Operation = "reserve"
	Attempt       Operation = "attempt"
	Activate      Operation = "activate"
	SpendKey      Operation = "spend key"
	Supersede     Operation = "supersede"
	Heal          Operation = "heal"
	Replace       Operation = "replace"
	Import        Operation = "import"
	NoteSent      Operation = "note sent"
	Found         Operation = "found"
	NoteFound     Operation = "note found"
	Due           Operation = "due"
	CountReserved Operation = "count reserved"
	CountActive   Operation = "count active"
	Page          Operation = "page"
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

// Faulty is a ledger of which Next says, before each operation, what goes wrong
// with it. Next may count, wait, or look at the context. Concurrent operations
// call it concurrently.
type Faulty struct {
	Store customers.Ledger
	Next  func(ctx context.Context, op Operation) Fault
}

// do is no method: those have no type parameters.
func do[T any](ctx context.Context, f Faulty, op Operation, call func() (T, error)) (T, error) {
	var nothing T
	fault := f.Next(ctx, op)
	if fault == Before {
		return nothing, ErrFault
	}
	got, err := call()
	if fault == After {
		return nothing, ErrFault
	}
	return got, err
}

// run is do for an operation that answers with nothing but an error.
func run(ctx context.Context, f Faulty, op Operation, call func() error) error {
	_, err := do(ctx, f, op, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Find implements customers.Store.
func (f Faulty) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	return do(ctx, f, Find, func() (customers.Record, error) { return f.Store.Find(ctx, owner) })
}

// Reserve implements customers.Store.
func (f Faulty) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	return do(ctx, f, Reserve, func() (customers.Record, error) { return f.Store.Reserve(ctx, r) })
}

// Import implements customers.Ledger.
func (f Faulty) Import(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return do(ctx, f, Import, func() (customers.Record, error) { return f.Store.Import(ctx, r, c) })
}

// Attempt implements customers.Store.
func (f Faulty) Attempt(ctx context.Context, r customers.Record, at customers.Moment) (customers.Record, error) {
	return do(ctx, f, Attempt, func() (customers.Record, error) { return f.Store.Attempt(ctx, r, at) })
}

// Activate implements customers.Store.
func (f Faulty) Activate(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return do(ctx, f, Activate, func() (customers.Record, error) { return f.Store.Activate(ctx, r, c) })
}

// SpendKey implements customers.Store.
func (f Faulty) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return do(ctx, f, SpendKey, func() (customers.Record, error) { return f.Store.SpendKey(ctx, r) })
}

// Supersede implements customers.Store.
func (f Faulty) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return do(ctx, f, Supersede, func() (customers.Record, error) { return f.Store.Supersede(ctx, r, next) })
}

// Heal implements customers.Store.
func (f Faulty) Heal(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return do(ctx, f, Heal, func() (customers.Record, error) { return f.Store.Heal(ctx, r, next) })
}

// Replace implements customers.Ledger.
func (f Faulty) Replace(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return do(ctx, f, Replace, func() (customers.Record, error) { return f.Store.Replace(ctx, r, c) })
}

// NoteSent implements customers.Store.
func (f Faulty) NoteSent(ctx context.Context, owner customers.Owner, customerID string, sent customers.Sent) error {
	return run(ctx, f, NoteSent, func() error { return f.Store.NoteSent(ctx, owner, customerID, sent) })
}

// Found implements customers.Store.
func (f Faulty) Found(ctx context.Context, owner customers.Owner, subject string) (customers.Customer, error) {
	return do(ctx, f, Found, func() (customers.Customer, error) { return f.Store.Found(ctx, owner, subject) })
}

// NoteFound implements customers.Ledger.
func (f Faulty) NoteFound(ctx context.Context, found customers.Found) error {
	return run(ctx, f, NoteFound, func() error { return f.Store.NoteFound(ctx, found) })
}

// Due implements customers.Store.
func (f Faulty) Due(ctx context.Context, account customers.Account, before time.Time, limit int) ([]customers.Record, error) {
	return do(ctx, f, Due, func() ([]customers.Record, error) { return f.Store.Due(ctx, account, before, limit) })
}

// CountReserved implements customers.Store.
func (f Faulty) CountReserved(ctx context.Context, account customers.Account, t time.Time) (int, error) {
	return do(ctx, f, CountReserved, func() (int, error) { return f.Store.CountReserved(ctx, account, t) })
}

// CountActive implements customers.Store.
func (f Faulty) CountActive(ctx context.Context, account customers.Account) (int, error) {
	return do(ctx, f, CountActive, func() (int, error) { return f.Store.CountActive(ctx, account) })
}

// Page implements customers.Ledger.
func (f Faulty) Page(ctx context.Context, account customers.Account, after customers.Owner, limit int) ([]customers.Record, error) {
	return do(ctx, f, Page, func() ([]customers.Record, error) { return f.Store.Page(ctx, account, after, limit) })
}
