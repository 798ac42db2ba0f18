package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"till/internal/customers"
)

// SeenAccount returns the account that the key with this fingerprint was last
// seen to belong to, and whether it was ever seen.
func (s *Store) SeenAccount(ctx context.Context, fingerprint string) (customers.Account, bool, error) {
	var a customers.Account
	err := s.engine.queryRow(ctx, []any{&a.ID, &a.Livemode},
		`SELECT account, livemode FROM stripe_accounts WHERE key_fingerprint = $1`, fingerprint)
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("reading the Stripe accounts: %w", err)
	}
	return a, true, nil
}

// RememberAccount notes that Stripe said whose key this is.
func (s *Store) RememberAccount(ctx context.Context, fingerprint string, a customers.Account) error {
	_, err := s.engine.exec(ctx, `INSERT INTO stripe_accounts (key_fingerprint, account, livemode, seen_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (key_fingerprint) DO UPDATE SET account = excluded.account,
		livemode = excluded.livemode, seen_at = excluded.seen_at`,
		fingerprint, a.ID, a.Livemode, millis(s.now()))
	if err != nil {
		return fmt.Errorf("remembering the Stripe account: %w", err)
	}
	return nil
}
