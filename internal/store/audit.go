package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"till/internal/audit"
)

var _ audit.Store = (*Store)(nil)

// auditColumns are in the order in which events are written and read.
const auditColumns = `at, id, account, livemode, issuer, kind, subject, member,
	action, object, customer, outcome, request_id, client, key_hash`

// AppendEvents implements audit.Store. One statement is one transaction, and the same for
// any number of events: what it is made of once, it need not be made of again.
func (s *Store) AppendEvents(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows, args, err := s.engine.eventRows(events)
	if err == nil {
		_, err = s.engine.exec(ctx, "INSERT INTO audit_events ("+auditColumns+") "+rows+" ON CONFLICT (at, id) DO NOTHING", args...)
	}
	if err != nil {
		return fmt.Errorf("writing audit events: %w", err)
	}
	return nil
}

// textColumns are those of auditColumns from account on, without livemode.
const textColumns = 12

func textsOf(e *audit.Event) [textColumns]string {
	return [textColumns]string{
		e.Account, e.Issuer, e.Kind, e.Subject, e.Member,
		string(e.Action), e.Object, e.Customer, string(e.Outcome), e.RequestID, e.Client, e.KeyHash,
	}
}

// eventRows gives the events as an array for each column.
func (*server) eventRows(events []audit.Event) (rows string, args []any, err error) {
	at, id, livemode := make([]int64, len(events)), make([]string, len(events)), make([]bool, len(events))
	texts := make([]string, textColumns*len(events))
	for i := range events {
		e := &events[i]
		at[i], id[i], livemode[i] = e.At.UnixMilli(), e.ID, e.Livemode
		for column, text := range textsOf(e) {
			texts[column*len(events)+i] = text
		}
	}
	args = []any{at, id, texts[:len(events)], livemode}
	for column := 1; column < textColumns; column++ {
		args = append(args, texts[column*len(events):(column+1)*len(events)])
	}
	return `SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[],
		$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])`, args, nil
}

// eventRows gives the events as one text, of which SQLite makes rows: it costs less than
// fifteen arguments for each.
func (*file) eventRows(events []audit.Event) (rows string, args []any, err error) {
	const usual = 400
	text := append(make([]byte, 0, usual*len(events)), '[')
	for i := range events {
		e := &events[i]
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, '['), e.At.UnixMilli(), 10)
		text = strconv.AppendBool(append(text, ','), e.Livemode)
		texts := textsOf(e)
		for _, value := range append([]string{e.ID}, texts[:]...) {
			if text, err = jsontext.AppendQuote(append(text, ','), value); err != nil {
				return "", nil, err
			}
		}
		text = append(text, ']')
	}
	// WHERE, or ON CONFLICT would be taken for a part of the FROM.
	return `SELECT value->>0, value->>2, value->>3, value->>1, value->>4, value->>5, value->>6, value->>7,
		value->>8, value->>9, value->>10, value->>11, value->>12, value->>13, value->>14
		FROM json_each($1) WHERE true`, []any{string(append(text, ']'))}, nil
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
