package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"till/internal/customers"
)

// Memory is a customers.Store in memory. Several services may share it, like
// replicas share a database.
type Memory struct {
	mu      sync.Mutex
	records map[customers.Owner]customers.Record
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{records: map[customers.Owner]customers.Record{}} }

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
		if o := r.Owner; o.ID == "" || o.Issuer == "" || o.Kind == "" || o.Subject == "" {
			return stands, errors.New("an owner without a name")
		}
		r.ReservedAt = r.ReservedAt.Truncate(time.Millisecond)
		return r, nil
	})
}

// Attempt implements customers.Store.
func (m *Memory) Attempt(ctx context.Context, r customers.Record, at time.Time) (customers.Record, error) {
	return m.move(ctx, r, func(stands *customers.Record) error {
		if stands.KeySpent {
			return customers.ErrChanged
		}
		at = at.Truncate(time.Millisecond)
		if stands.FirstAttemptAt.IsZero() {
			stands.FirstAttemptAt = at
		} else if least := stands.LastAttemptAt.Add(time.Millisecond); at.Before(least) {
			at = least
		}
		stands.LastAttemptAt = at
		return nil
	})
}

// Activate implements customers.Store.
func (m *Memory) Activate(ctx context.Context, r customers.Record, customerID string) (customers.Record, error) {
	got, err := m.move(ctx, r, func(stands *customers.Record) error {
		if customerID == "" {
			return errors.New("no customer")
		}
		for owner, other := range m.records {
			if owner.Account == r.Owner.Account && other.CustomerID == customerID {
				return errors.New("the customer belongs to another owner")
			}
		}
		stands.State, stands.CustomerID = customers.Active, customerID
		return nil
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
		if !stands.LastAttemptAt.Equal(r.LastAttemptAt) {
			return customers.ErrChanged
		}
		*stands = next
		stands.Owner, stands.ReservedAt = r.Owner, next.ReservedAt.Truncate(time.Millisecond)
		return nil
	})
}

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
