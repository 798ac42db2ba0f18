package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"till/internal/idempotency"
)

// Keys keeps the idempotency keys of callers. Their times are the database's own:
// replicas whose clocks differ agree on when a lease is over.
type Keys struct{ engine engine }

var _ idempotency.Store = (*Keys)(nil)

// Keys returns the part of the database that keeps callers' idempotency keys.
func (s *Store) Keys() *Keys { return &Keys{s.engine} }

// now is the database's clock, in unix milliseconds, as text to write into a statement.
func (k *Keys) now() string { return k.engine.clock() }

// Find implements idempotency.Store.
func (k *Keys) Find(ctx context.Context, id string) (idempotency.Record, error) {
	r := idempotency.Record{ID: id}
	err := k.engine.queryRow(ctx, []any{
		&r.Body, &r.Params, &r.Version, &r.Customer, &r.Session, &r.StripeKey, &r.Holder, &r.Done, &r.Running,
	}, `SELECT body, params, stripe_version, customer, session, stripe_key, holder, done, lease_until > `+k.now()+`
		FROM idempotency_keys WHERE id = $1 AND expires_at > `+k.now(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return idempotency.Record{}, idempotency.ErrNoRecord
	}
	if err != nil {
		return idempotency.Record{}, fmt.Errorf("reading an idempotency key: %w", err)
	}
	return r, nil
}

// Put implements idempotency.Store.
func (k *Keys) Put(ctx context.Context, r idempotency.Record, lease, keep time.Duration) error {
	return k.change(ctx, `INSERT INTO idempotency_keys
		(id, body, params, stripe_version, customer, session, stripe_key, holder, lease_until, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, `+k.now()+` + $9, `+k.now()+` + $10)
		ON CONFLICT (id) DO UPDATE SET body = excluded.body, params = excluded.params,
		stripe_version = excluded.stripe_version, customer = excluded.customer, session = excluded.session,
		stripe_key = excluded.stripe_key, holder = excluded.holder, done = FALSE, renewed_at = NULL,
		lease_until = excluded.lease_until, expires_at = excluded.expires_at
		WHERE idempotency_keys.expires_at <= `+k.now(),
		r.ID, r.Body, r.Params, r.Version, r.Customer, r.Session, r.StripeKey, r.Holder, lease.Milliseconds(), keep.Milliseconds())
}

// Take implements idempotency.Store.
func (k *Keys) Take(ctx context.Context, r idempotency.Record, holder string, lease time.Duration) error {
	return k.change(ctx, `UPDATE idempotency_keys SET holder = $4, lease_until = `+k.now()+` + $5
		WHERE id = $1 AND body = $2 AND stripe_key = $3 AND done = FALSE
		AND lease_until <= `+k.now()+` AND expires_at > `+k.now(),
		r.ID, r.Body, r.StripeKey, holder, lease.Milliseconds())
}

const ofHolder = ` WHERE id = $1 AND holder = $2`

// Renew implements idempotency.Store.
func (k *Keys) Renew(ctx context.Context, r idempotency.Record, stripeKey string, every time.Duration) error {
	return k.change(ctx, `UPDATE idempotency_keys SET stripe_key = $4, renewed_at = `+k.now()+ofHolder+`
		AND stripe_key = $3 AND (renewed_at IS NULL OR renewed_at <= `+k.now()+` - $5)`,
		r.ID, r.Holder, r.StripeKey, stripeKey, every.Milliseconds())
}

// Release implements idempotency.Store.
func (k *Keys) Release(ctx context.Context, r idempotency.Record) error {
	return k.ifStill(k.change(ctx, `UPDATE idempotency_keys SET lease_until = 0`+ofHolder, r.ID, r.Holder))
}

// Finish implements idempotency.Store.
func (k *Keys) Finish(ctx context.Context, r idempotency.Record) error {
	return k.ifStill(k.change(ctx, `UPDATE idempotency_keys SET lease_until = 0, done = TRUE`+ofHolder, r.ID, r.Holder))
}

// Drop implements idempotency.Store.
func (k *Keys) Drop(ctx context.Context, r idempotency.Record) error {
	return k.ifStill(k.change(ctx, `DELETE FROM idempotency_keys`+ofHolder, r.ID, r.Holder))
}

// ifStill: that somebody else has the lease is no fault.
func (*Keys) ifStill(err error) error {
	if errors.Is(err, idempotency.ErrChanged) {
		return nil
	}
	return err
}

// Purge implements idempotency.Store.
func (k *Keys) Purge(ctx context.Context, limit int) (int, error) {
	n, err := k.engine.exec(ctx, `DELETE FROM idempotency_keys WHERE id IN
		(SELECT id FROM idempotency_keys WHERE expires_at <= `+k.now()+` ORDER BY expires_at LIMIT $1)
		AND expires_at <= `+k.now(), max(limit, 0))
	if err != nil {
		return 0, fmt.Errorf("removing idempotency keys: %w", err)
	}
	return int(n), nil
}

// change runs a statement for one row; ErrChanged when its condition did not hold.
func (k *Keys) change(ctx context.Context, statement string, args ...any) error {
	n, err := k.engine.exec(ctx, statement, args...)
	switch {
	case err != nil:
		return fmt.Errorf("writing an idempotency key: %w", err)
	case n == 0:
		return idempotency.ErrChanged
	default:
		return nil
	}
}
