package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"till/internal/customers"
)

const columns = `generation, state, customer, idempotency_key, params, stripe_version, key_spent,
	reserved_at, first_attempt_at, last_attempt_at`

const ofOwner = ` WHERE account = ? AND livemode = ? AND issuer = ? AND kind = ? AND subject = ?`

// stillReserved is the condition under which a record may be moved on: nobody
// else has done so since it was read.
const stillReserved = ofOwner + ` AND generation = ? AND state = 'reserved'`

func ownerArgs(o customers.Owner, more ...any) []any {
	return append([]any{o.ID, o.Livemode, o.Issuer, string(o.Kind), o.Subject}, more...)
}

// Find implements customers.Store.
func (s *Store) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	row := s.db.QueryRowContext(ctx, "SELECT "+columns+" FROM customers"+ofOwner, ownerArgs(owner)...)
	return scan(owner, row)
}

// Reserve implements customers.Store.
func (s *Store) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	_, err := s.writer.ExecContext(ctx, `INSERT INTO customers
		(account, livemode, issuer, kind, subject, generation, state, idempotency_key, params, stripe_version, reserved_at)
		VALUES (?, ?, ?, ?, ?, ?, 'reserved', ?, ?, ?, ?)
		ON CONFLICT (account, livemode, issuer, kind, subject) DO NOTHING`,
		ownerArgs(r.Owner, r.Generation, r.IdempotencyKey, r.Params, r.Version, millis(r.ReservedAt))...)
	if err != nil {
		return r, fmt.Errorf("reserving a customer: %w", err)
	}
	return s.Find(ctx, r.Owner)
}

// Attempt implements customers.Store.
func (s *Store) Attempt(ctx context.Context, r customers.Record, at time.Time) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers
		SET first_attempt_at = coalesce(first_attempt_at, ?), last_attempt_at = max(coalesce(last_attempt_at + 1, 0), ?)`+
		stillReserved+` AND key_spent = 0`,
		append([]any{millis(at), millis(at)}, ownerArgs(r.Owner, r.Generation)...))
}

// Activate implements customers.Store.
func (s *Store) Activate(ctx context.Context, r customers.Record, customerID string) (customers.Record, error) {
	rec, err := s.move(ctx, r.Owner, `UPDATE customers SET state = 'active', customer = ?, activated_at = ?`+stillReserved,
		append([]any{customerID, millis(s.now())}, ownerArgs(r.Owner, r.Generation)...))
	if errors.Is(err, customers.ErrChanged) {
		return s.Find(ctx, r.Owner)
	}
	return rec, err
}

// SpendKey implements customers.Store.
func (s *Store) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers SET key_spent = 1`+stillReserved, ownerArgs(r.Owner, r.Generation))
}

// Supersede implements customers.Store.
func (s *Store) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers SET generation = ?, idempotency_key = ?, params = ?, stripe_version = ?,
		key_spent = 0, reserved_at = ?, first_attempt_at = NULL, last_attempt_at = NULL`+
		stillReserved+` AND last_attempt_at IS ?`,
		append([]any{next.Generation, next.IdempotencyKey, next.Params, next.Version, millis(next.ReservedAt)},
			ownerArgs(r.Owner, r.Generation, millis(r.LastAttemptAt))...))
}

// move runs a conditional update of the owner's row and returns the row that
// then stands; ErrChanged when the condition did not hold. It is not written
// with RETURNING: the commit must be known to have succeeded, and only Exec runs
// the statement to its end before it returns.
func (s *Store) move(ctx context.Context, owner customers.Owner, update string, args []any) (customers.Record, error) {
	res, err := s.writer.ExecContext(ctx, update, args...)
	if err != nil {
		return customers.Record{Owner: owner}, fmt.Errorf("writing a customer: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return customers.Record{Owner: owner}, errors.Join(customers.ErrChanged, err)
	}
	return s.Find(ctx, owner)
}

func scan(owner customers.Owner, row *sql.Row) (customers.Record, error) {
	r := customers.Record{Owner: owner}
	var (
		customer                sql.NullString
		reserved, first, latest sql.NullInt64
	)
	err := row.Scan(&r.Generation, &r.State, &customer, &r.IdempotencyKey, &r.Params, &r.Version, &r.KeySpent,
		&reserved, &first, &latest)
	if errors.Is(err, sql.ErrNoRows) {
		return r, customers.ErrNoRecord
	}
	if err != nil {
		return r, fmt.Errorf("reading a customer: %w", err)
	}
	r.CustomerID = customer.String
	r.ReservedAt, r.FirstAttemptAt, r.LastAttemptAt = fromMillis(reserved), fromMillis(first), fromMillis(latest)
	return r, nil
}
