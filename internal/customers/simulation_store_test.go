package customers_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"till/internal/customers"
	"till/internal/store/storetest"
)

// database is what all processes share. It can lose its last writes.
type database struct {
	*storetest.Memory
	// losses counts how often it has lost any.
	losses  int
	history []state
	// findings says that a reconciliation has written any down.
	findings bool
}

// state is what was committed at a time.
type state struct {
	at      time.Time
	records []customers.Record
	found   []customers.Found
}

func (s *simulation) state() state {
	st := state{at: time.Now(), records: s.db.Records()}
	slices.SortFunc(st.records, func(a, b customers.Record) int {
		return strings.Compare(string(a.Owner.Kind)+a.Owner.Subject, string(b.Owner.Kind)+b.Owner.Subject)
	})
	if !s.db.findings {
		return st
	}
	for _, o := range s.owners {
		subject := s.plan.form.Apply(o.Subject)
		if c, err := s.db.Found(context.Background(), o, subject); err == nil {
			st.found = append(st.found, customers.Found{Account: o.Account, Issuer: o.Issuer, Kind: o.Kind, Subject: subject, Customer: c})
		}
	}
	return st
}

// wrote remembers the state after a write for as long as it may be gone back to.
func (s *simulation) wrote() {
	for len(s.db.history) > 1 && time.Since(s.db.history[1].at) > mostLost {
		s.db.history = s.db.history[1:]
	}
	s.db.history = append(s.db.history, s.state())
}

// rollBack makes st what is committed. Stripe keeps what it has.
func (s *simulation) rollBack(st state) {
	memory := storetest.NewMemory()
	for _, r := range st.records {
		memory.Put(r)
	}
	for _, f := range st.found {
		if err := memory.NoteFound(context.Background(), f); err != nil {
			s.t.Fatal(err)
		}
	}
	s.db = database{Memory: memory, losses: s.db.losses + 1, history: []state{st}, findings: len(st.found) > 0}
	s.promises.forget()
}

// connection is a process's way to the database.
type connection struct{ p *process }

func query[T any](ctx context.Context, c connection, op storetest.Operation, owner customers.Owner, effect func(m *storetest.Memory) (T, error)) (T, error) {
	s := c.p.s
	s.yields()
	o := operation{p: c.p, what: string(op), owner: short(owner), takes: 200 * time.Millisecond, slow: 20 * time.Second}
	losses := s.db.losses
	return perform(ctx, o, func() (T, error) {
		var none T
		if s.db.losses != losses {
			return none, errLost // the connection was to the one that failed
		}
		return effect(s.db.Memory)
	})
}

// change is a query that may write, and what it writes is judged.
func change(ctx context.Context, c connection, op storetest.Operation, owner customers.Owner, effect func(m *storetest.Memory) (customers.Record, error)) (customers.Record, error) {
	return query(ctx, c, op, owner, func(m *storetest.Memory) (customers.Record, error) {
		before, _ := m.Find(context.Background(), owner)
		got, err := effect(m)
		if after, _ := m.Find(context.Background(), owner); after != before {
			c.p.s.wrote()
			c.p.s.judgeWrite(c.p, op, before, after)
		}
		return got, err
	})
}

func (c connection) Find(ctx context.Context, owner customers.Owner) (customers.Record, error) {
	return query(ctx, c, storetest.Find, owner, func(m *storetest.Memory) (customers.Record, error) { return m.Find(ctx, owner) })
}

func (c connection) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	return change(ctx, c, storetest.Reserve, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Reserve(ctx, r) })
}

func (c connection) Attempt(ctx context.Context, r customers.Record, at customers.Moment) (customers.Record, error) {
	return change(ctx, c, storetest.Attempt, r.Owner, func(m *storetest.Memory) (customers.Record, error) {
		got, err := m.Attempt(ctx, r, at)
		if err == nil {
			c.p.s.promises.attempted[c.p.name+r.IdempotencyKey] = c.p.s.db.losses
		}
		return got, err
	})
}

func (c connection) Activate(ctx context.Context, r customers.Record, customer customers.Customer) (customers.Record, error) {
	return change(ctx, c, storetest.Activate, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Activate(ctx, r, customer) })
}

func (c connection) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return change(ctx, c, storetest.SpendKey, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.SpendKey(ctx, r) })
}

func (c connection) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return change(ctx, c, storetest.Supersede, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Supersede(ctx, r, next) })
}

func (c connection) Heal(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return change(ctx, c, storetest.Heal, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Heal(ctx, r, next) })
}

func (c connection) Replace(ctx context.Context, r customers.Record, customer customers.Customer) (customers.Record, error) {
	return change(ctx, c, storetest.Replace, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Replace(ctx, r, customer) })
}

func (c connection) NoteSent(ctx context.Context, owner customers.Owner, id string, sent customers.Sent) error {
	_, err := change(ctx, c, storetest.NoteSent, owner, func(m *storetest.Memory) (customers.Record, error) {
		return customers.Record{}, m.NoteSent(ctx, owner, id, sent)
	})
	return err
}

func (c connection) Found(ctx context.Context, owner customers.Owner, subject string) (customers.Customer, error) {
	return query(ctx, c, storetest.Found, owner, func(m *storetest.Memory) (customers.Customer, error) { return m.Found(ctx, owner, subject) })
}

// NoteFound has neither mishaps nor a duration: the order in which a reconciliation
// writes its findings down is a map's.
func (c connection) NoteFound(ctx context.Context, f customers.Found) error {
	defer c.p.s.wrote()
	c.p.s.count("finding")
	c.p.s.db.findings = true
	return c.p.s.db.NoteFound(ctx, f)
}

func (c connection) Due(ctx context.Context, a customers.Account, before time.Time, limit int) ([]customers.Record, error) {
	return query(ctx, c, storetest.Due, customers.Owner{}, func(m *storetest.Memory) ([]customers.Record, error) { return m.Due(ctx, a, before, limit) })
}

func (c connection) Page(ctx context.Context, a customers.Account, after customers.Owner, limit int) ([]customers.Record, error) {
	return query(ctx, c, storetest.Page, customers.Owner{}, func(m *storetest.Memory) ([]customers.Record, error) {
		return m.Page(ctx, a, after, min(limit, c.p.s.plan.pageRows))
	})
}

func (c connection) Import(ctx context.Context, r customers.Record, with customers.Customer) (customers.Record, error) {
	return query(ctx, c, storetest.Import, r.Owner, func(m *storetest.Memory) (customers.Record, error) { return m.Import(ctx, r, with) })
}

// CountReserved only feeds a gauge, so it is not worth anybody's time.
func (c connection) CountReserved(ctx context.Context, a customers.Account, t time.Time) (int, error) {
	c.p.s.yields()
	defer c.p.s.yields()
	return c.p.s.db.CountReserved(ctx, a, t)
}

// CountActive is like CountReserved.
func (c connection) CountActive(ctx context.Context, a customers.Account) (int, error) {
	c.p.s.yields()
	defer c.p.s.yields()
	return c.p.s.db.CountActive(ctx, a)
}
