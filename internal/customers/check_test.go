package customers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// Rows as somebody may leave them who edits a table by hand. Their owners are
// refused until somebody puts them right, and nobody else is.
func TestAnEditedRowIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	mallory := storetest.Owner("mallory")
	mallory.Issuer = alice.Issuer
	for name, tc := range map[string]struct {
		active bool
		edit   func(*customers.Record)
		why    string
	}{
		"no customer":           {true, func(r *customers.Record) { r.CustomerID = "" }, "not an id"},
		"a space":               {true, func(r *customers.Record) { r.CustomerID = "cus 1" }, "not an id"},
		"a line break":          {true, func(r *customers.Record) { r.CustomerID = "cus_1\n" }, "not an id"},
		"a path":                {true, func(r *customers.Record) { r.CustomerID = "../accounts" }, "not an id"},
		"a query":               {true, func(r *customers.Record) { r.CustomerID = "cus_1?expand" }, "not an id"},
		"an escape":             {true, func(r *customers.Record) { r.CustomerID = "cus%2F1" }, "not an id"},
		"a fragment":            {true, func(r *customers.Record) { r.CustomerID = "cus_1#" }, "not an id"},
		"no ASCII":              {true, func(r *customers.Record) { r.CustomerID = "cus_ä" }, "not an id"},
		"too long an id":        {true, func(r *customers.Record) { r.CustomerID = "cus_" + strings.Repeat("x", 252) }, "not an id"},
		"generation 0":          {true, func(r *customers.Record) { r.Generation = 0 }, "generation"},
		"neither, nor a key":    {true, func(r *customers.Record) { r.Generation, r.IdempotencyKey = 0, "" }, "generation"},
		"generation -1":         {true, func(r *customers.Record) { r.Generation = -1 }, "generation"},
		"no state":              {true, func(r *customers.Record) { r.State = "" }, "state"},
		"another case":          {true, func(r *customers.Record) { r.State = "Active" }, "state"},
		"a state of their own":  {true, func(r *customers.Record) { r.State = "deleted" }, "state"},
		"a long state":          {true, func(r *customers.Record) { r.State = customers.State(strings.Repeat("x", 1000) + alice.Subject) }, "state"},
		"reserved, a customer":  {false, func(r *customers.Record) { r.CustomerID = "cus_1" }, "has a customer"},
		"reserved, no key":      {false, func(r *customers.Record) { r.IdempotencyKey = "" }, "idempotency_key"},
		"reserved, a long key":  {false, func(r *customers.Record) { r.IdempotencyKey = strings.Repeat("k", 256) }, "idempotency_key"},
		"reserved, no params":   {false, func(r *customers.Record) { r.Params = "" }, "params"},
		"reserved, odd params":  {false, func(r *customers.Record) { r.Params = "%zz" + alice.Subject }, "params"},
		"reserved, of nobody":   {false, func(r *customers.Record) { r.Params = "email=a%40example.com" }, "params"},
		"reserved, of another":  {false, func(r *customers.Record) { r.Params = paramsOf(mallory, 1) }, "params"},
		"reserved, another gen": {false, func(r *customers.Record) { r.Params = paramsOf(alice, 2) }, "params"},
		"reserved, half":        {false, func(r *customers.Record) { r.Params = "metadata%5Btill_subject%5D=alice" }, "params"},
		"back to reserved":      {true, func(r *customers.Record) { r.State = customers.Reserved }, "has a customer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			bob := storetest.Owner("bob")
			if tc.active {
				w.replica(t).ensures(t, alice)
			} else {
				w.reserves(t, alice)
			}
			row := w.record(t, alice)
			key := row.IdempotencyKey
			tc.edit(&row)
			w.store.Put(row)
			creates, lists, existing := w.stripe.calls()

			s := w.replica(t)
			refused := func(what string, err error) {
				t.Helper()
				p, isProblem := errors.AsType[*problem.Error](err)
				bad, isBad := errors.AsType[*customers.BadRecordError](err)
				if !isProblem || !isBad || p.Code != problem.DependencyUnavailable || p.RetryAfter <= 0 {
					t.Fatalf("%s: got %v, want dependency_unavailable because of the row", what, err)
				}
				if row.IdempotencyKey != "" {
					key = row.IdempotencyKey
				}
				text := p.Error()
				if bad.Row != key || !strings.Contains(text, key) || !strings.Contains(bad.Why, tc.why) {
					t.Errorf("%s: got %q about %q, want %q about %q", what, text, bad.Row, tc.why, key)
				}
				if !strings.Contains(text, "docs/customers.md") || !strings.Contains(text, "table customers") || strings.Contains(text, "\n") {
					t.Errorf("%s: %q does not say, on a line, where and what to do", what, text)
				}
				for _, secret := range []string{alice.Subject, "id.example.com", mallory.Subject} {
					if strings.Contains(text, secret) {
						t.Errorf("%s: %q has %q", what, text, secret)
					}
				}
			}
			for range 2 {
				_, err := s.Ensure(t.Context(), alice)
				refused("ensure", err)
			}
			_, err := s.Find(t.Context(), alice)
			refused("find", err)
			_, err = s.Require(t.Context(), alice)
			refused("require", err)
			w.advance(time.Minute)
			s.sweeps(t)
			if got := w.record(t, alice); got != row {
				t.Errorf("got %+v, want it as it was left: %+v", got, row)
			}
			w.expect(t, creates, lists, existing)

			s.ensures(t, bob)
			w.expect(t, creates+1, lists, existing+1)
		})
	}
}

// What reads oddly and harms nobody is let through.
func TestAnEditThatHarmsNobodyIsServed(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*customers.Record){
		"another customer":  func(r *customers.Record) { r.CustomerID = "gcus_Old-1.2" },
		"the longest id":    func(r *customers.Record) { r.CustomerID = strings.Repeat("x", 255) },
		"no key any more":   func(r *customers.Record) { r.IdempotencyKey = "" },
		"no params":         func(r *customers.Record) { r.Params = "" },
		"no version":        func(r *customers.Record) { r.Version = "" },
		"a late generation": func(r *customers.Record) { r.Generation = 1 << 30 },
		"no times": func(r *customers.Record) {
			r.ReservedAt, r.FirstAttemptAt, r.LastAttemptAt = time.Time{}, time.Time{}, time.Time{}
		},
		"a spent key": func(r *customers.Record) { r.KeySpent = true },
	} {
		w := newWorld()
		w.replica(t).ensures(t, alice)
		row := w.record(t, alice)
		edit(&row)
		w.store.Put(row)
		if got := w.replica(t).ensures(t, alice); got != row.CustomerID {
			t.Errorf("%s: got %s, want %s", name, got, row.CustomerID)
		}
		w.expect(t, 1, 0, 1)
	}
}

// A reservation may say a little more than today's, or hash its subject.
func TestAReservationOfAnEarlierReleaseIsServed(t *testing.T) {
	t.Parallel()
	for _, form := range []customers.SubjectForm{customers.SubjectPlain, customers.SubjectSHA256} {
		w := newWorld()
		w.reserves(t, alice)
		row := w.record(t, alice)
		row.Params = "description=x&metadata%5Bsource%5D=y"
		for k, v := range alice.Metadata(form, 1) {
			row.Params += "&metadata%5B" + k + "%5D=" + v
		}
		w.store.Put(row)
		w.replica(t).ensures(t, alice)
		if w.stripe.sent[0].Params != row.Params {
			t.Errorf("sent %q, want what was frozen: %q", w.stripe.sent[0].Params, row.Params)
		}
	}
}

// The row changes under the hands of a request that is at it.
func TestARowThatIsEditedMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.create = func(context.Context) accident {
		row := w.record(t, alice)
		row.State = "gone"
		w.store.Put(row)
		return allWell
	}
	_, err := w.replica(t).Ensure(t.Context(), alice)
	if _, bad := errors.AsType[*customers.BadRecordError](err); !bad {
		t.Errorf("got %v, want the row refused", err)
	}
}
