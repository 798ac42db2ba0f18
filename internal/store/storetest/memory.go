package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"till/internal/customers"
)

// Memory is a customers.Ledger in memory. Several services may share it, like
// replicas share a database.
type Memory struct {
	mu      sync.Mutex
	records map[customers.Owner]customers.Record
	// found is by an owner whose subject is as Stripe has it.
	found map[customers.Owner]customers.Customer
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{records: map[customers.Owner]customers.Record{}, found: map[customers.Owner]customers.Customer{}}
}

// Records returns all records, in no particular order.
func (m *Memory) Records() []customers.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []customers.Record
	for _, r := range m.records {
		all = append(all, r)
	}
	return all
}

// Put writes r as it is, whatever stands and however little sense it makes, as
// somebody might who edits rows by hand.
func (m *Memory) Put(r customers.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[r.Owner] = r
}

// Find implements customers.Store.
func (m *Memory) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	return m.do(ctx, owner, func(r customers.Record, found bool) (customers.Record, error) {
		if !found {
			return r, customers.ErrNoRecord
		}
		return r, nil
	})
}

// Reserve implements customers.Store.
func (m *Memory) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	return m.do(ctx, r.Owner, func(stands customers.Record, found bool) (customers.Record, error) {
		if found {
			return stands, nil
		}
		if isNameless(r.Owner) {
			return stands, errors.New("an owner without a name")
		}
		return successor(r, millis(r.HealedAt)), nil
	})
}

// Attempt implements customers.Store.
func (m *Memory) Attempt(ctx context.Context, r customers.Record, at customers.Moment) (customers.Record, error) {
	return m.move(ctx, r, func(stands *customers.Record) error {
		if stands.KeySpent {
			return customers.ErrChanged
		}
		if at.Earliest.IsZero() || at.Latest.IsZero() {
			return errors.New("an attempt without a time") // it would look like none
		}
		if stands.FirstAttemptAt.IsZero() {
			stands.FirstAttemptAt = millis(at.Earliest)
		}
		latest := millis(at.Latest)
		if least := stands.LastAttemptAt.Add(time.Millisecond); !stands.LastAttemptAt.IsZero() && latest.Before(least) {
			latest = least
		}
		stands.LastAttemptAt = latest
		return nil
	})
}

// Activate implements customers.Store.
func (m *Memory) Activate(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	got, err := m.move(ctx, r, func(stands *customers.Record) error {
		if c.Generation < r.Generation {
			return errors.New("a customer of an earlier generation")
		}
		return m.assign(stands, c)
	})
	if errors.Is(err, customers.ErrChanged) {
		return m.Find(ctx, r.Owner)
	}
	return got, err
}

// SpendKey implements customers.Store.
func (m *Memory) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return m.move(ctx, r, func(stands *customers.Record) error {
		stands.KeySpent = true
		return nil
	})
}

// Supersede implements customers.Store.
func (m *Memory) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return m.move(ctx, r, func(stands *customers.Record) error {
		if !stands.LastAttemptAt.Equal(millis(r.LastAttemptAt)) {
			return customers.ErrChanged
		}
		next.Owner = r.Owner
		*stands = successor(next, stands.HealedAt)
		return nil
	})
}

// Heal implements customers.Store.
func (m *Memory) Heal(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return m.exchange(ctx, r, func(stands *customers.Record) error {
		next.Owner = r.Owner
		*stands = successor(next, millis(next.HealedAt))
		return nil
	})
}

// Replace implements customers.Ledger.
func (m *Memory) Replace(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return m.exchange(ctx, r, func(stands *customers.Record) error {
		if c.Generation <= r.Generation {
			return errors.New("a customer of no later generation")
		}
		return m.assign(stands, c)
	})
}

// Import implements customers.Ledger.
func (m *Memory) Import(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return m.do(ctx, r.Owner, func(stands customers.Record, found bool) (customers.Record, error) {
		if found {
			return stands, nil
		}
		if isNameless(r.Owner) {
			return stands, errors.New("an owner without a name")
		}
		fresh := successor(r, time.Time{})
		err := m.assign(&fresh, customers.Customer{ID: c.ID, IsAccount: c.IsAccount, Generation: r.Generation})
		return fresh, err
	})
}

// NoteSent implements customers.Store.
func (m *Memory) NoteSent(ctx context.Context, owner customers.Owner, customerID string, sent customers.Sent) error {
	_, err := m.do(ctx, owner, func(stands customers.Record, found bool) (customers.Record, error) {
		if !found || stands.State != customers.Active || stands.CustomerID != customerID {
			return stands, errUntouched
		}
		stands.Sent = sent
		return stands, nil
	})
	if errors.Is(err, errUntouched) {
		return nil
	}
	return err
}

// Found implements customers.Store.
func (m *Memory) Found(ctx context.Context, owner customers.Owner, subject string) (customers.Customer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return customers.Customer{}, err
	}
	owner.Subject = subject
	c, found := m.found[owner]
	if !found {
		return customers.Customer{}, customers.ErrNoRecord
	}
	return c, nil
}

// NoteFound implements customers.Ledger.
func (m *Memory) NoteFound(ctx context.Context, f customers.Found) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	owner := customers.Owner{Account: f.Account, Issuer: f.Issuer, Kind: f.Kind, Subject: f.Subject}
	if isNameless(owner) || f.Customer.ID == "" || f.Customer.Generation < 1 {
		return errors.New("a finding without an owner or a customer")
	}
	if stands, found := m.found[owner]; !found || stands.Generation < f.Customer.Generation {
		// A reconciliation cannot know what a customer was told.
		m.found[owner] = customers.Customer{ID: f.Customer.ID, Generation: f.Customer.Generation}
	}
	return nil
}

// Due implements customers.Store.
func (m *Memory) Due(ctx context.Context, account customers.Account, before time.Time, limit int) ([]customers.Record, error) {
	heard := func(r customers.Record) time.Time {
		if r.LastAttemptAt.After(r.ReservedAt) {
			return r.LastAttemptAt
		}
		return r.ReservedAt
	}
	due, err := m.all(ctx, account, func(r customers.Record) bool {
		return r.State == customers.Reserved && heard(r).Before(millis(before))
	})
	slices.SortStableFunc(due, func(a, b customers.Record) int { return heard(a).Compare(heard(b)) })
	return atMost(limit, due), err
}

// CountReserved implements customers.Store.
func (m *Memory) CountReserved(ctx context.Context, account customers.Account, t time.Time) (int, error) {
	reserved, err := m.all(ctx, account, func(r customers.Record) bool {
		return r.State == customers.Reserved && !r.ReservedAt.After(millis(t))
	})
	return len(reserved), err
}

// CountActive implements customers.Store.
func (m *Memory) CountActive(ctx context.Context, account customers.Account) (int, error) {
	active, err := m.all(ctx, account, func(r customers.Record) bool { return r.State == customers.Active })
	return len(active), err
}

// Page implements customers.Ledger.
func (m *Memory) Page(ctx context.Context, account customers.Account, after customers.Owner, limit int) ([]customers.Record, error) {
	page, err := m.all(ctx, account, func(r customers.Record) bool {
		return after == customers.Owner{} || compare(r.Owner, after) > 0
	})
	return atMost(limit, page), err
}

// all returns the account's records that keep holds for, in the order of pages.
func (m *Memory) all(ctx context.Context, account customers.Account, keep func(customers.Record) bool) ([]customers.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var kept []customers.Record
	for owner, r := range m.records {
		if owner.Account == account && keep(r) {
			kept = append(kept, r)
		}
	}
	slices.SortFunc(kept, func(a, b customers.Record) int { return compare(a.Owner, b.Owner) })
	return kept, nil
}

// compare orders the owners of one account.
func compare(a, b customers.Owner) int {
	return cmp.Or(
		strings.Compare(a.Issuer, b.Issuer), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Subject, b.Subject),
	)
}

func atMost(limit int, all []customers.Record) []customers.Record {
	return all[:min(max(limit, 0), len(all))]
}

// errUntouched says that the record stays as it is.
var errUntouched = errors.New("nothing to change")

// move changes the record if it is still reserved and of r's generation.
func (m *Memory) move(ctx context.Context, r customers.Record, change func(stands *customers.Record) error) (customers.Record, error) {
	return m.do(ctx, r.Owner, func(stands customers.Record, found bool) (customers.Record, error) {
		if !found || stands.State != customers.Reserved || stands.Generation != r.Generation {
			return stands, customers.ErrChanged
		}
		err := change(&stands)
		return stands, err
	})
}

// exchange changes the record if it is still active with r's generation and customer.
func (m *Memory) exchange(ctx context.Context, r customers.Record, change func(stands *customers.Record) error) (customers.Record, error) {
	return m.do(ctx, r.Owner, func(stands customers.Record, found bool) (customers.Record, error) {
		if !found || stands.State != customers.Active || stands.Generation != r.Generation || stands.CustomerID != r.CustomerID {
			return stands, customers.ErrChanged
		}
		err := change(&stands)
		return stands, err
	})
}

// do hands the owner's record to next and keeps what it returns without error.
func (m *Memory) do(ctx context.Context, owner customers.Owner, next func(r customers.Record, found bool) (customers.Record, error)) (customers.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return customers.Record{Owner: owner}, err
	}
	r, found := m.records[owner]
	r, err := next(r, found)
	if err != nil {
		return customers.Record{Owner: owner}, err
	}
	m.records[owner] = r
	return r, nil
}

// assign makes c the record's customer, unless it is another owner's.
func (m *Memory) assign(stands *customers.Record, c customers.Customer) error {
	if c.ID == "" {
		return errors.New("no customer")
	}
	for owner, other := range m.records {
		if owner != stands.Owner && owner.Account == stands.Owner.Account && other.CustomerID == c.ID {
			return customers.ErrTaken
		}
	}
	stands.State, stands.CustomerID, stands.Generation, stands.Sent = customers.Active, c.ID, c.Generation, c.Sent
	stands.IsAccount = c.IsAccount
	return nil
}

// successor is the row of a fresh reservation: what r says of a customer or of
// attempts is nothing that a reservation could have.
func successor(r customers.Record, healedAt time.Time) customers.Record {
	return customers.Record{
		Owner: r.Owner, Generation: r.Generation, State: customers.Reserved,
		IdempotencyKey: r.IdempotencyKey, Params: r.Params, Version: r.Version,
		ReservedAt: millis(r.ReservedAt), HealedAt: healedAt,
	}
}

func isNameless(o customers.Owner) bool {
	return o.ID == "" || o.Issuer == "" || o.Kind == "" || o.Subject == ""
}

// millis is the resolution of the databases' times.
func millis(t time.Time) time.Time { return t.Truncate(time.Millisecond) }
