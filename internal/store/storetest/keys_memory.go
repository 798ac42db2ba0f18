package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"till/internal/idempotency"
)

// Keys is an idempotency.Store in memory, by the clock of time.Now. Several services
// may share it, like replicas share a database.
type Keys struct {
	mu   sync.Mutex
	rows map[string]*keyRow
}

type keyRow struct {
	idempotency.Record
	leaseUntil, renewedAt, expiresAt time.Time
}

// NewKeys returns an empty store.
func NewKeys() *Keys { return &Keys{rows: map[string]*keyRow{}} }

// Records returns all rows, those whose time is over too, in no particular order.
func (k *Keys) Records() []idempotency.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []idempotency.Record
	for _, row := range k.rows {
		all = append(all, row.Record)
	}
	return all
}

// do hands the row to change, nil when there is none whose time is not over.
func (k *Keys) do(ctx context.Context, id string, change func(row *keyRow, now time.Time) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	row := k.rows[id]
	if row != nil && !row.expiresAt.After(now) {
		row = nil
	}
	return change(row, now)
}

// Find implements idempotency.Store.
func (k *Keys) Find(ctx context.Context, id string) (found idempotency.Record, err error) {
	err = k.do(ctx, id, func(row *keyRow, now time.Time) error {
		if row == nil {
			return idempotency.ErrNoRecord
		}
		found = row.Record
		found.Running = row.leaseUntil.After(now)
		return nil
	})
	return found, err
}

// Put implements idempotency.Store.
func (k *Keys) Put(ctx context.Context, r idempotency.Record, lease, keep time.Duration) error {
	return k.do(ctx, r.ID, func(row *keyRow, now time.Time) error {
		if row != nil {
			return idempotency.ErrChanged
		}
		if r.ID == "" || r.Body == "" || r.StripeKey == "" || r.Holder == "" {
			return errors.New("a row without a name")
		}
		r.Done, r.Running = false, false
		k.rows[r.ID] = &keyRow{Record: r, leaseUntil: now.Add(lease), expiresAt: now.Add(keep)}
		return nil
	})
}

// Take implements idempotency.Store.
func (k *Keys) Take(ctx context.Context, r idempotency.Record, holder string, lease time.Duration) error {
	return k.do(ctx, r.ID, func(row *keyRow, now time.Time) error {
		if row == nil || row.Body != r.Body || row.StripeKey != r.StripeKey || row.Done || row.leaseUntil.After(now) {
			return idempotency.ErrChanged
		}
		row.Holder, row.leaseUntil = holder, now.Add(lease)
		return nil
	})
}

// Renew implements idempotency.Store.
func (k *Keys) Renew(ctx context.Context, r idempotency.Record, stripeKey string, every time.Duration) error {
	return k.held(ctx, r, func(row *keyRow, now time.Time) error {
		if row == nil || row.StripeKey != r.StripeKey || !row.renewedAt.IsZero() && row.renewedAt.Add(every).After(now) {
			return idempotency.ErrChanged
		}
		row.StripeKey, row.renewedAt = stripeKey, now
		return nil
	})
}

// Release implements idempotency.Store.
func (k *Keys) Release(ctx context.Context, r idempotency.Record) error {
	return k.held(ctx, r, func(row *keyRow, _ time.Time) error {
		if row != nil {
			row.leaseUntil = time.Time{}
		}
		return nil
	})
}

// Finish implements idempotency.Store.
func (k *Keys) Finish(ctx context.Context, r idempotency.Record) error {
	return k.held(ctx, r, func(row *keyRow, _ time.Time) error {
		if row != nil {
			row.leaseUntil, row.Done = time.Time{}, true
		}
		return nil
	})
}

// Drop implements idempotency.Store.
func (k *Keys) Drop(ctx context.Context, r idempotency.Record) error {
	return k.held(ctx, r, func(row *keyRow, _ time.Time) error {
		if row != nil {
			delete(k.rows, r.ID)
		}
		return nil
	})
}

// held hands the row to change if r.Holder still is its holder, and else nil.
func (k *Keys) held(ctx context.Context, r idempotency.Record, change func(row *keyRow, now time.Time) error) error {
	return k.do(ctx, r.ID, func(row *keyRow, now time.Time) error {
		if row != nil && row.Holder != r.Holder {
			row = nil
		}
		return change(row, now)
	})
}

// Purge implements idempotency.Store.
func (k *Keys) Purge(ctx context.Context, limit int) (n int, err error) {
	err = k.do(ctx, "", func(_ *keyRow, now time.Time) error {
		var over []*keyRow
		for _, row := range k.rows {
			if !row.expiresAt.After(now) {
				over = append(over, row)
			}
		}
		slices.SortFunc(over, func(a, b *keyRow) int {
			return cmp.Or(a.expiresAt.Compare(b.expiresAt), cmp.Compare(a.ID, b.ID))
		})
		for _, row := range over[:min(max(limit, 0), len(over))] {
			delete(k.rows, row.ID)
			n++
		}
		return nil
	})
	return n, err
}
