package storetest

import (
	"errors"
	"strconv"
	"testing"

	"till/internal/customers"
)

func imports(t *testing.T, open func(*testing.T) customers.Ledger) {
	for _, isAccount := range []bool{false, true} {
		s, want := open(t), Reservation(Owner("alice "+strconv.FormatBool(isAccount)), 1, "k1")
		c := customers.Customer{ID: "id_" + strconv.FormatBool(isAccount), IsAccount: isAccount, Generation: 1}
		got := must(s.Import(t.Context(), want, c))(t)
		want.State, want.CustomerID, want.IsAccount = customers.Active, c.ID, isAccount
		same(t, got, want)
		stands(t, s, want)
		if got := got.Customer(); got != c {
			t.Errorf("got %+v, want %+v", got, c)
		}
		// The same again changes nothing.
		same(t, must(s.Import(t.Context(), Reservation(want.Owner, 1, "k2"), c))(t), want)
	}
	if n := must(open(t).CountActive(t.Context(), Owner("").Account))(t); n != 2 {
		t.Errorf("%d customers are counted", n)
	}
	if _, err := open(t).Import(t.Context(), Reservation(Owner(""), 1, "k"), Customer("cus_1", 1)); err == nil {
		t.Error("an owner without a name has a customer")
	}
	if _, err := open(t).Import(t.Context(), Reservation(Owner("bob"), 1, "k"), Customer("", 1)); err == nil {
		t.Error("an import without a customer")
	}
}

func importsOverNothing(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	reserved := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	active := activated(t, s, Owner("bob"), Customer("cus_bob", 1))
	for _, want := range []customers.Record{reserved, active} {
		got := must(s.Import(t.Context(), Reservation(want.Owner, 1, "other"), Customer("cus_new", 1)))(t)
		same(t, got, want)
		stands(t, s, want)
	}
}

func importsNobodysElse(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	activated(t, s, Owner("alice"), Customer("cus_1", 1))
	if _, err := s.Import(t.Context(), Reservation(Owner("bob"), 1, "k1"), Customer("cus_1", 1)); !errors.Is(err, customers.ErrTaken) {
		t.Errorf("got %v, want ErrTaken", err)
	}
	if _, err := s.Find(t.Context(), Owner("bob")); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("got %v, want no record", err)
	}
	// In the other mode it is another customer.
	other := Owner("bob")
	other.Livemode = false
	must(s.Import(t.Context(), Reservation(other, 1, "k1"), Customer("cus_1", 1)))(t)
}

func importsOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	got := together(t, func(i int) (customers.Record, error) {
		return handles[i%2].Import(t.Context(), Reservation(Owner("alice"), 1, "k"+strconv.Itoa(i)), Customer("cus_"+strconv.Itoa(i), 1))
	})
	for _, r := range got {
		same(t, r, got[0])
	}
	stands(t, handles[0], got[0])
}

// What stands in for a customer must not be taken for one after a restart, and what
// follows it is a customer again.
func importsAccounts(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Import(t.Context(), Reservation(Owner("alice"), 1, "k1"), customers.Customer{ID: "acct_1", IsAccount: true, Generation: 1}))(t)
	if got := must(open(t).Find(t.Context(), r.Owner))(t); !got.IsAccount {
		t.Errorf("another handle reads %+v", got)
	}
	page := must(s.Page(t.Context(), r.Owner.Account, customers.Owner{}, 1))(t)
	if len(page) != 1 || !page[0].IsAccount {
		t.Errorf("a page has %+v", page)
	}
	if got := must(s.Replace(t.Context(), r, Customer("cus_2", 2)))(t); got.IsAccount {
		t.Errorf("a customer in its place is %+v", got)
	}
	bob := must(s.Import(t.Context(), Reservation(Owner("bob"), 1, "k2"), customers.Customer{ID: "acct_2", IsAccount: true, Generation: 1}))(t)
	next := Reservation(bob.Owner, 2, "k3")
	next.HealedAt = Base
	if got := must(s.Heal(t.Context(), bob, next))(t); got.IsAccount || got.State != customers.Reserved {
		t.Errorf("a reservation in its place is %+v", got)
	}
}
