package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"till/internal/customers"
)

const ofAccount = ` WHERE account = $1 AND livemode = $2`

// Found implements customers.Store.
func (s *Store) Found(ctx context.Context, owner customers.Owner, subject string) (customers.Customer, error) {
	owner.Subject = subject
	var c customers.Customer
	err := s.engine.queryRow(ctx, []any{&c.ID, &c.Generation},
		"SELECT customer, generation FROM found_customers"+ofOwner, ownerArgs(owner)...)
	if errors.Is(err, sql.ErrNoRows) {
		return customers.Customer{}, customers.ErrNoRecord
	}
	if err != nil {
		return customers.Customer{}, fmt.Errorf("reading what was found at Stripe: %w", err)
	}
	return c, nil
}

// NoteFound implements customers.Ledger.
func (s *Store) NoteFound(ctx context.Context, f customers.Found) error {
	owner := customers.Owner{Account: f.Account, Issuer: f.Issuer, Kind: f.Kind, Subject: f.Subject}
	_, err := s.engine.exec(ctx, `INSERT INTO found_customers
		(account, livemode, issuer, kind, subject, customer, generation, found_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (account, livemode, issuer, kind, subject) DO UPDATE
		SET customer = excluded.customer, generation = excluded.generation, found_at = excluded.found_at
		WHERE excluded.generation > found_customers.generation`,
		ownerArgs(owner, f.Customer.ID, f.Customer.Generation, millis(s.now()))...)
	if err != nil {
		return fmt.Errorf("noting what was found at Stripe: %w", err)
	}
	return nil
}

// Replace implements customers.Ledger.
func (s *Store) Replace(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	if c.Generation <= r.Generation {
		return r, errors.New("writing a customer: it is of no later generation")
	}
	return s.move(ctx, r.Owner, `UPDATE customers
		SET customer = $8, generation = $9, sent_email = $10, sent_name = $11, activated_at = $12,
		customer_is_account = FALSE`+stillActive,
		ownerArgs(r.Owner, r.Generation, r.CustomerID, c.ID, c.Generation, c.Sent.Email, c.Sent.Name, millis(s.now())))
}

// Import implements customers.Ledger.
func (s *Store) Import(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	_, err := s.engine.exec(ctx, `INSERT INTO customers
		(account, livemode, issuer, kind, subject, generation, state, customer, customer_is_account,
		idempotency_key, params, stripe_version, reserved_at, activated_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (account, livemode, issuer, kind, subject) DO NOTHING`,
		ownerArgs(r.Owner, r.Generation, c.ID, c.IsAccount, r.IdempotencyKey, r.Params, r.Version,
			millis(r.ReservedAt), millis(s.now()))...)
	switch {
	case isTaken(err):
		return customers.Record{Owner: r.Owner}, customers.ErrTaken
	case err != nil:
		return customers.Record{Owner: r.Owner}, fmt.Errorf("importing a customer: %w", err)
	}
	return s.Find(ctx, r.Owner)
}

// heard is when something was last heard of a reservation.
const heard = `CASE WHEN last_attempt_at > reserved_at THEN last_attempt_at ELSE reserved_at END`

// Due implements customers.Store.
func (s *Store) Due(ctx context.Context, account customers.Account, before time.Time, limit int) ([]customers.Record, error) {
	return s.records(ctx, ofAccount+` AND state = 'reserved' AND `+heard+` < $3
		ORDER BY `+heard+`, issuer, kind, subject LIMIT $4`,
		account.ID, account.Livemode, millis(before), max(limit, 0))
}

// Page implements customers.Ledger.
func (s *Store) Page(ctx context.Context, account customers.Account, after customers.Owner, limit int) ([]customers.Record, error) {
	return s.records(ctx, ofAccount+` AND (issuer, kind, subject) > ($3, $4, $5)
		ORDER BY issuer, kind, subject LIMIT $6`,
		account.ID, account.Livemode, after.Issuer, string(after.Kind), after.Subject, max(limit, 0))
}

// CountReserved implements customers.Store.
func (s *Store) CountReserved(ctx context.Context, account customers.Account, t time.Time) (int, error) {
	return s.count(ctx, ofAccount+` AND state = 'reserved' AND reserved_at <= $3`, account.ID, account.Livemode, millis(t))
}

// CountActive implements customers.Store. The condition is that of the index of
// customers, which answers without the table.
func (s *Store) CountActive(ctx context.Context, account customers.Account) (int, error) {
	return s.count(ctx, ofAccount+` AND customer IS NOT NULL`, account.ID, account.Livemode)
}

func (s *Store) records(ctx context.Context, where string, args ...any) ([]customers.Record, error) {
	var all []customers.Record
	err := s.engine.query(ctx, func(scan scan) error {
		var row recordRow
		if err := scan(row.dest()...); err != nil {
			return err
		}
		all = append(all, row.record())
		return nil
	}, "SELECT "+columns+" FROM customers"+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading customers: %w", err)
	}
	return all, nil
}

func (s *Store) count(ctx context.Context, where string, args ...any) (n int, err error) {
	if err := s.engine.queryRow(ctx, []any{&n}, "SELECT count(*) FROM customers"+where, args...); err != nil {
		return 0, fmt.Errorf("counting customers: %w", err)
	}
	return n, nil
}
