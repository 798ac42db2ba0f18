package customers_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// lives is a Stripe that knows these ids; an error comes instead.
type lives struct {
	customers, accounts map[string]customers.Life
	err                 error
	asked               int
}

func (l *lives) Time(context.Context) (customers.Moment, error) {
	return customers.At(storetest.Base), nil
}

func (l *lives) CustomerLife(_ context.Context, id string) (customers.Life, error) {
	return l.life(l.customers, id)
}

func (l *lives) AccountLife(_ context.Context, id string) (customers.Life, error) {
	return l.life(l.accounts, id)
}

func (l *lives) life(of map[string]customers.Life, id string) (customers.Life, error) {
	l.asked++
	life, ok := of[id]
	if !ok {
		life = customers.Missing
	}
	return life, l.err
}

func entry(where, subject, id string, isAccount bool) customers.Entry {
	owner := storetest.Owner(subject)
	owner.Account = customers.Account{} // the import's
	return customers.Entry{Where: where, Owner: owner, Customer: customers.Customer{ID: id, IsAccount: isAccount}}
}

func TestImport(t *testing.T) {
	t.Parallel()
	stripe := &lives{
		customers: map[string]customers.Life{"cus_1": customers.Alive, "cus_2": customers.Deleted, "cus_9": customers.Alive, "cus_7": customers.Alive},
		accounts:  map[string]customers.Life{"acct_1": customers.Alive},
	}
	ledger := storetest.NewMemory()
	reserve := func(subject string) customers.Record {
		r, err := ledger.Reserve(t.Context(), storetest.Reservation(storetest.Owner(subject), 1, "k-"+subject))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reserve("reserved")
	if _, err := ledger.Activate(t.Context(), reserve("has another"), storetest.Customer("cus_9", 1)); err != nil {
		t.Fatal(err)
	}
	kept := storetest.Owner("kept")
	if err := ledger.NoteFound(t.Context(), customers.Found{
		Account: kept.Account, Issuer: kept.Issuer, Kind: kept.Kind, Subject: "kept", Customer: storetest.Customer("cus_5", 1),
	}); err != nil {
		t.Fatal(err)
	}
	entries := []customers.Entry{
		entry("line 2", "alice", "cus_1", false),
		entry("line 3", "bob", "acct_1", true),
		entry("line 4", "carol", "cus_2", false),
		entry("line 5", "dave", "cus_3", false),
		entry("line 6", "erin", "acct_2", true),
		entry("line 7", "frank", "cus_1", false),
		entry("line 8", "reserved", "cus_7", false),
		entry("line 9", "has another", "cus_8", false),
		entry("line 10", "kept", "cus_6", false),
		entry("line 11", "grace", "cus_9", false),
	}
	importing := customers.Importing{Account: storetest.Owner("").Account, Version: "2023-10-16"}
	troubles := []string{
		"line 4: cus_2 was deleted at Stripe",
		"line 5: Stripe has no cus_3 in this account and mode",
		"line 6: Stripe has no acct_2 in this account and mode",
		"line 7: cus_1 is there before, line 2",
		"line 8: a customer is being created for this owner",
		"line 9: the owner has another customer, cus_9",
		"line 10: a reconciliation keeps customer cus_5 for this owner",
	}
	taken := "line 11: cus_9 belongs to another owner"

	importing.DryRun = true
	before := len(ledger.Records())
	report, err := customers.Import(t.Context(), ledger, stripe, entries, importing)
	want := customers.ImportReport{Imported: 3, Troubles: troubles} // whose it is, only the row knows
	if diff := cmp.Diff(want, report); diff != "" || err != nil {
		t.Errorf("a dry run: %v (-want +got):\n%s", err, diff)
	}
	if got := len(ledger.Records()); got != before {
		t.Errorf("a dry run writes: %d records, before %d", got, before)
	}

	importing.DryRun = false
	for i, want := range []customers.ImportReport{
		{Imported: 2, Troubles: append(troubles, taken)}, {Known: 2, Troubles: append(troubles, taken)},
	} {
		report, err := customers.Import(t.Context(), ledger, stripe, entries, importing)
		if diff := cmp.Diff(want, report); diff != "" || err != nil {
			t.Errorf("run %d: %v (-want +got):\n%s", i, err, diff)
		}
	}
	for subject, want := range map[string]customers.Customer{
		"alice": {ID: "cus_1", Generation: 1}, "bob": {ID: "acct_1", IsAccount: true, Generation: 1},
	} {
		rec, err := ledger.Find(t.Context(), storetest.Owner(subject))
		if err != nil || rec.Customer() != want || rec.Check() != nil {
			t.Errorf("%s: got %+v, %v, %v", subject, rec, rec.Check(), err)
		}
	}
}

func TestAnImportThatStripeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silence := errors.New("silence")
	stripe := &lives{err: silence}
	report, err := customers.Import(t.Context(), storetest.NewMemory(), stripe,
		[]customers.Entry{entry("line 2", "alice", "cus_1", false), entry("line 3", "bob", "cus_2", false)},
		customers.Importing{Account: storetest.Owner("").Account})
	if !errors.Is(err, silence) || !strings.Contains(err.Error(), "line 2") || report.Imported != 0 || len(report.Troubles) != 0 || stripe.asked != 1 {
		t.Errorf("got %+v, %v, after %d questions", report, err, stripe.asked)
	}
}

// A service goes on with what was imported, and makes nothing in an account's place.
func TestWhatWasImportedIsUsed(t *testing.T) {
	t.Parallel()
	if got := (customers.Customer{ID: "acct_1", IsAccount: true}); got.Param() != "customer_account" || !got.Has("cus_shadow", "acct_1") ||
		got.Has("acct_1", "") || got.Has("acct_1", "acct_2") {
		t.Errorf("%+v is taken for a customer", got)
	}
	if got := (customers.Customer{ID: "cus_1"}); got.Param() != "customer" || !got.Has("cus_1", "") || got.Has("", "cus_1") || got.Has("cus_2", "cus_1") {
		t.Errorf("%+v is taken for an account", got)
	}
	if (customers.Customer{}).Has("", "") || (customers.Customer{IsAccount: true}).Has("", "") {
		t.Error("nobody owns what is nobody's")
	}
}

func TestAnAccountIsNeverReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	r := storetest.Reservation(alice, 1, "k1")
	account := customers.Customer{ID: "acct_1", IsAccount: true, Generation: 1}
	if _, err := w.store.Import(t.Context(), r, account); err != nil {
		t.Fatal(err)
	}
	if got := s.customer(t, alice); got != account {
		t.Fatalf("got %+v", got)
	}
	// Nor is it told anything.
	s.Tell(t.Context(), alice, account, customers.Profile{Email: "a@example.com", Name: "Ann"})
	s.refusesToHeal(t, alice, account, problem.NoCustomer)
	if got := s.customer(t, alice); got != account {
		t.Errorf("afterwards: got %+v", got)
	}
	w.expect(t, 0, 0, 0)
	if len(w.stripe.told) != 0 {
		t.Errorf("it was told %v", w.stripe.told)
	}
	if rec, err := w.store.Find(t.Context(), alice); err != nil || rec.Generation != 1 {
		t.Errorf("got %+v, %v", rec, err)
	}
}
