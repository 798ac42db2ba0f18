package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"till/internal/audit"
)

var _ audit.Store = (*Store)(nil)

// auditColumns are in the order in which events are written and read.
const auditColumns = `at, id, account, livemode, issuer, kind, subject, member,
	action, object, customer, outcome, request_id, client, key_hash`

// AppendEvents implements audit.Store. One statement is one transaction.
func (s *Store) AppendEvents(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	var values strings.Builder
	var args []any
	for i, e := range events {
		row := []any{
			e.At.UnixMilli(), e.ID, e.Account, e.Livemode, e.Issuer, e.Kind, e.Subject, e.Member,
			string(e.Action), e.Object, e.Customer, string(e.Outcome), e.RequestID, e.Client, e.KeyHash,
		}
		for j := range row {
			fmt.Fprintf(&values, "%s$%d", separator(i, j), len(args)+j+1)
		}
		args = append(args, row...)
	}
	_, err := s.engine.exec(ctx, "INSERT INTO audit_events ("+auditColumns+") VALUES "+values.String()+")"+
		" ON CONFLICT (at, id) DO NOTHING", args...)
	if err != nil {
		return fmt.Errorf("writing audit events: %w", err)
	}
	return nil
}

// separator stands before column j of row i.
func separator(i, j int) string {
	switch {
	case j > 0:
		return ", "
	case i > 0:
		return "), ("
	default:
		return "("
	}
}

// Events implements audit.Reader.
func (s *Store) Events(ctx context.Context, after audit.Position, before time.Time, limit int) ([]audit.Event, error) {
	var all []audit.Event
	err := s.engine.query(ctx, func(scan scan) error {
		var e audit.Event
		var at int64
		err := scan(&at, &e.ID, &e.Account, &e.Livemode, &e.Issuer, &e.Kind, &e.Subject, &e.Member,
			&e.Action, &e.Object, &e.Customer, &e.Outcome, &e.RequestID, &e.Client, &e.KeyHash)
		e.At = time.UnixMilli(at)
		all = append(all, e)
		return err
	}, "SELECT "+auditColumns+" FROM audit_events WHERE (at, id) > ($1, $2) AND at < $3 ORDER BY at, id LIMIT $4",
		after.At.UnixMilli(), after.ID, before.UnixMilli(), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("reading audit events: %w", err)
	}
	return all, nil
}

// DeleteEvents implements audit.Store.
func (s *Store) DeleteEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.engine.exec(ctx, `DELETE FROM audit_events WHERE (at, id) IN
		(SELECT at, id FROM audit_events WHERE at < $1 ORDER BY at, id LIMIT $2)`, before.UnixMilli(), max(limit, 0))
	if err != nil {
		return 0, fmt.Errorf("deleting audit events: %w", err)
	}
	return int(n), nil
}
