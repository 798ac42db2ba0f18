package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"till/internal/customers"
)

// columns are what records scans, in its order.
const columns = `account, livemode, issuer, kind, subject, generation, state, customer,
	idempotency_key, params, stripe_version, key_spent,
	reserved_at, first_attempt_at, last_attempt_at, healed_at, sent_email, sent_name, customer_is_account`

const ofOwner = ` WHERE account = $1 AND livemode = $2 AND issuer = $3 AND kind = $4 AND subject = $5`

// Under these conditions a record may be moved on: nobody else has done so since
// it was read.
const (
	stillReserved = ofOwner + ` AND generation = $6 AND state = 'reserved'`
	stillActive   = ofOwner + ` AND generation = $6 AND state = 'active' AND customer = $7`
)

// ownerArgs are $1 to $5, and more from $6 on.
func ownerArgs(o customers.Owner, more ...any) []any {
	return append([]any{o.ID, o.Livemode, o.Issuer, string(o.Kind), o.Subject}, more...)
}

// Find implements customers.Store.
func (s *Store) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	var row recordRow
	err := s.engine.queryRow(ctx, row.dest(), "SELECT "+columns+" FROM customers"+ofOwner, ownerArgs(owner)...)
	if errors.Is(err, sql.ErrNoRows) {
		return customers.Record{Owner: owner}, customers.ErrNoRecord
	}
	if err != nil {
		return customers.Record{Owner: owner}, fmt.Errorf("reading a customer: %w", err)
	}
	return row.record(), nil
}

// Reserve implements customers.Store.
func (s *Store) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	_, err := s.engine.exec(ctx, `INSERT INTO customers
		(account, livemode, issuer, kind, subject, generation, state, idempotency_key, params, stripe_version, reserved_at, healed_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'reserved', $7, $8, $9, $10, $11)
		ON CONFLICT (account, livemode, issuer, kind, subject) DO NOTHING`,
		ownerArgs(r.Owner, r.Generation, r.IdempotencyKey, r.Params, r.Version, millis(r.ReservedAt), millis(r.HealedAt))...)
	if err != nil {
		return r, fmt.Errorf("reserving a customer: %w", err)
	}
	return s.Find(ctx, r.Owner)
}

// Attempt implements customers.Store.
func (s *Store) Attempt(ctx context.Context, r customers.Record, at customers.Moment) (customers.Record, error) {
	if at.Earliest.IsZero() || at.Latest.IsZero() {
		return r, errors.New("writing a customer: an attempt has no time") // it would look like none
	}
	return s.move(ctx, r.Owner, `UPDATE customers
		SET first_attempt_at = coalesce(first_attempt_at, $7),
		last_attempt_at = CASE WHEN last_attempt_at >= $8 THEN last_attempt_at + 1 ELSE $8 END`+
		stillReserved+` AND key_spent = FALSE`,
		ownerArgs(r.Owner, r.Generation, millis(at.Earliest), millis(at.Latest)))
}

// Activate implements customers.Store.
func (s *Store) Activate(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	if c.Generation < r.Generation {
		return r, errors.New("writing a customer: it is of an earlier generation")
	}
	rec, err := s.move(ctx, r.Owner, `UPDATE customers
		SET state = 'active', customer = $7, generation = $8, sent_email = $9, sent_name = $10, activated_at = $11`+stillReserved,
		ownerArgs(r.Owner, r.Generation, c.ID, c.Generation, c.Sent.Email, c.Sent.Name, millis(s.now())))
	if errors.Is(err, customers.ErrChanged) {
		return s.Find(ctx, r.Owner)
	}
	return rec, err
}

// SpendKey implements customers.Store.
func (s *Store) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers SET key_spent = TRUE`+stillReserved, ownerArgs(r.Owner, r.Generation))
}

// Supersede implements customers.Store.
func (s *Store) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers SET generation = $8, idempotency_key = $9, params = $10, stripe_version = $11,
		key_spent = FALSE, reserved_at = $12, first_attempt_at = NULL, last_attempt_at = NULL`+
		stillReserved+` AND last_attempt_at IS NOT DISTINCT FROM $7`,
		ownerArgs(r.Owner, r.Generation, millis(r.LastAttemptAt),
			next.Generation, next.IdempotencyKey, next.Params, next.Version, millis(next.ReservedAt)))
}

// Heal implements customers.Store.
func (s *Store) Heal(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return s.move(ctx, r.Owner, `UPDATE customers SET state = 'reserved', customer = NULL, activated_at = NULL,
		generation = $8, idempotency_key = $9, params = $10, stripe_version = $11,
		key_spent = FALSE, reserved_at = $12, first_attempt_at = NULL, last_attempt_at = NULL,
		healed_at = $13, sent_email = '', sent_name = '', customer_is_account = FALSE`+stillActive,
		ownerArgs(r.Owner, r.Generation, r.CustomerID, next.Generation, next.IdempotencyKey, next.Params, next.Version,
			millis(next.ReservedAt), millis(next.HealedAt)))
}

// NoteSent implements customers.Store.
func (s *Store) NoteSent(ctx context.Context, owner customers.Owner, customerID string, sent customers.Sent) error {
	_, err := s.engine.exec(ctx, `UPDATE customers SET sent_email = $7, sent_name = $8`+
		ofOwner+` AND state = 'active' AND customer = $6`, ownerArgs(owner, customerID, sent.Email, sent.Name)...)
	if err != nil {
		return fmt.Errorf("noting what a customer was told: %w", err)
	}
	return nil
}

// move runs a conditional update of the owner's row and returns the row that
// then stands; ErrChanged when the condition did not hold.
func (s *Store) move(ctx context.Context, owner customers.Owner, update string, args []any) (customers.Record, error) {
	changed, err := s.engine.exec(ctx, update, args...)
	switch {
	case isTaken(err):
		return customers.Record{Owner: owner}, customers.ErrTaken
	case err != nil:
		return customers.Record{Owner: owner}, fmt.Errorf("writing a customer: %w", err)
	case changed == 0:
		return customers.Record{Owner: owner}, customers.ErrChanged
	}
	return s.Find(ctx, owner)
}

// recordRow is a row as it is read. Whether it makes sense is not judged here.
type recordRow struct {
	customers.Record
	customer                        sql.NullString
	reserved, first, latest, healed sql.NullInt64
}

func (r *recordRow) dest() []any {
	return []any{
		&r.Owner.ID, &r.Owner.Livemode, &r.Owner.Issuer, &r.Owner.Kind, &r.Owner.Subject, &r.Generation, &r.State, &r.customer,
		&r.IdempotencyKey, &r.Params, &r.Version, &r.KeySpent,
		&r.reserved, &r.first, &r.latest, &r.healed, &r.Sent.Email, &r.Sent.Name, &r.IsAccount,
	}
}

func (r *recordRow) record() customers.Record {
	r.CustomerID = r.customer.String
	r.ReservedAt, r.FirstAttemptAt = fromMillis(r.reserved), fromMillis(r.first)
	r.LastAttemptAt, r.HealedAt = fromMillis(r.latest), fromMillis(r.healed)
	return r.Record
}
