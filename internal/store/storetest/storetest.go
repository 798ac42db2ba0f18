// Package storetest holds every customers.Ledger to the same behaviour, and has a
// store in memory and one that fails on demand for the tests of its users.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
)

// Run is the conformance suite. Within one test every call of open is another
// handle on the same data, as of another process; data of different tests are
// apart. A store that is an io.Closer is closed before it is opened again; open
// sees to what is left to close.
func Run(t *testing.T, open func(t *testing.T) customers.Ledger) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) customers.Ledger){
		"nobody has a record at first":                                   findsNothing,
		"a reservation is what was written":                              reserves,
		"of concurrent reservations one is written":                      reservesOnce,
		"owners are compared byte for byte":                              comparesBytes,
		"an owner without a name is refused":                             refusesTheNameless,
		"attempts keep the first time and the last":                      attempts,
		"every attempt moves the last time":                              attemptsGrow,
		"only an open reservation can be attempted":                      refusesAttempts,
		"an attempt without a time is refused":                           refusesTheTimeless,
		"of concurrent activations one is written":                       activatesOnce,
		"an activation of an old generation changes none":                refusesActivations,
		"an activation may bring a later generation":                     activatesLater,
		"an activation never brings an earlier generation":               refusesEarlier,
		"a customer belongs to one owner":                                sharesNoCustomer,
		"of concurrent owners one gets the customer":                     sharesNoCustomerAtOnce,
		"a spent key stays spent":                                        spends,
		"a successor starts afresh in the same row":                      supersedes,
		"nothing is superseded that was attempted since":                 refusesSuccessors,
		"of concurrent successors one is written":                        supersedesOnce,
		"a healed record is a reservation that starts afresh":            heals,
		"only the customer that was read is healed":                      refusesHealings,
		"of concurrent healings one is written":                          healsOnce,
		"the time of the last healing stays":                             keepsHealing,
		"a replacement changes nothing but the customer":                 replaces,
		"only a later customer replaces the one that was read":           refusesReplacements,
		"of concurrent replacements and healings one is written":         replacesOnce,
		"an import is a record with a customer":                          imports,
		"an import changes no record that stands":                        importsOverNothing,
		"an imported customer belongs to one owner":                      importsNobodysElse,
		"of concurrent imports one is written":                           importsOnce,
		"an account that was imported stays one":                         importsAccounts,
		"what a customer was told is remembered":                         notesSent,
		"nothing is noted of a customer that the owner does not have":    refusesSent,
		"what was found is kept for its owner":                           keepsFindings,
		"of findings the latest generation stays and of those the first": prefersLaterFindings,
		"a finding without an owner or a customer is refused":            refusesFindings,
		"findings are compared byte for byte":                            comparesFindings,
		"of concurrent findings the latest generation stays":             findsOnce,
		"the longest silence is due first":                               listsDue,
		"reservations are counted from when they were made":              countsReserved,
		"owners with a customer are counted":                             countsActive,
		"pages hold every record exactly once":                           pages,
		"pages hold while records move":                                  pagesWhileMoving,
		"a cancelled context changes nothing":                            heedsCancellation,
		"everything is there after closing and opening":                  survivesClosing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// Base is the time that the suite's records begin at.
var Base = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// Owner returns a person of the test account.
func Owner(subject string) customers.Owner {
	return customers.Owner{
		Account: customers.Account{ID: "acct_1", Livemode: true},
		Issuer:  "https://id.example.com/", Kind: customers.KindUser, Subject: subject,
	}
}

// Customer returns a customer who was told nothing.
func Customer(id string, generation int) customers.Customer {
	return customers.Customer{ID: id, Generation: generation}
}

// Reservation returns a record of owner; key tells it from others.
func Reservation(owner customers.Owner, generation int, key string) customers.Record {
	return customers.Record{
		Owner: owner, Generation: generation, State: customers.Reserved, IdempotencyKey: key,
		Params: "metadata%5Bkey%5D=" + key, Version: "2023-10-16", ReservedAt: Base,
	}
}

func findsNothing(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	if _, err := s.Find(t.Context(), Owner("alice")); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("got %v, want ErrNoRecord", err)
	}
}

func reserves(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, want := open(t), Reservation(Owner("alice"), 1, "k1")
	want.ReservedAt = Base.Add(123_456 * time.Microsecond)
	got := must(s.Reserve(t.Context(), want))(t)
	want.ReservedAt = Base.Add(123 * time.Millisecond) // the store's resolution
	same(t, got, want)
	stands(t, s, want)
	if got := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k2")))(t); got.IdempotencyKey != "k1" {
		t.Errorf("a second reservation got %+v, want the first", got)
	}
	stands(t, s, want)
}

func reservesOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	got := together(t, func(i int) (customers.Record, error) {
		return handles[i%2].Reserve(t.Context(), Reservation(Owner("alice"), 1, "k"+strconv.Itoa(i)))
	})
	for _, r := range got {
		same(t, r, got[0])
	}
	stands(t, handles[0], got[0])
	stands(t, handles[1], got[0])
}

// distinctOwners returns owners that differ in what a careless comparison or
// quoting does not see.
func distinctOwners() []customers.Owner {
	alice := Owner("alice")
	edited := func(edit func(*customers.Owner)) customers.Owner { o := alice; edit(&o); return o }
	return []customers.Owner{
		alice, Owner("Alice"), Owner("alice "), Owner(" alice"), Owner("alice\t"), Owner("alic"), Owner("alice%"), Owner("alic_"),
		Owner("zo\u00eb"), Owner("zoe\u0308"), // composed and decomposed
		Owner("1"), Owner("01"), Owner("1.0"), Owner("1e0"), Owner("'; DROP TABLE customers; --"),
		Owner("o'hara"), Owner(`"alice"`), Owner(`al\ice`), Owner("al\nice"), Owner("  "), Owner("alice\u00a0"), Owner("\u65e5\u672c"), Owner("\U0001f600"),
		edited(func(o *customers.Owner) { o.ID = "acct_2" }),
		edited(func(o *customers.Owner) { o.ID = "ACCT_1" }),
		edited(func(o *customers.Owner) { o.Livemode = false }),
		edited(func(o *customers.Owner) { o.Issuer = "https://id.example.com" }),
		edited(func(o *customers.Owner) { o.Issuer = "https://ID.example.com/" }),
		edited(func(o *customers.Owner) { o.Kind = customers.KindOrg }),
	}
}

func comparesBytes(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	owners := distinctOwners()
	for i, o := range owners {
		r := must(s.Reserve(t.Context(), Reservation(o, 1, strconv.Itoa(i))))(t)
		if r.IdempotencyKey != strconv.Itoa(i) {
			t.Errorf("%#v met the record of %#v", o, owners[atoi(r.IdempotencyKey)])
		}
	}
	for i, o := range owners {
		stands(t, s, Reservation(o, 1, strconv.Itoa(i)))
	}
}

func refusesTheNameless(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	for name, edit := range map[string]func(*customers.Owner){
		"account": func(o *customers.Owner) { o.ID = "" },
		"issuer":  func(o *customers.Owner) { o.Issuer = "" },
		"kind":    func(o *customers.Owner) { o.Kind = "" },
		"subject": func(o *customers.Owner) { o.Subject = "" },
	} {
		o := Owner("alice")
		edit(&o)
		if _, err := s.Reserve(t.Context(), Reservation(o, 1, "k")); err == nil {
			t.Errorf("an owner without %s was reserved", name)
		}
		if _, err := s.Find(t.Context(), o); !errors.Is(err, customers.ErrNoRecord) {
			t.Errorf("an owner without %s: got %v, want ErrNoRecord", name, err)
		}
	}
}

func attempts(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	if !r.FirstAttemptAt.IsZero() || !r.LastAttemptAt.IsZero() {
		t.Errorf("a reservation has been attempted: %+v", r)
	}
	// The first attempt says how early a customer may have been made, the last one how late.
	want := r
	want.FirstAttemptAt = Base.Add(1500 * time.Millisecond)
	for _, at := range []struct{ earliest, latest, want time.Duration }{
		{1500*time.Millisecond + 678*time.Microsecond, 2*time.Second + 345*time.Microsecond, 2 * time.Second},
		{500 * time.Millisecond, 3 * time.Second, 3 * time.Second},
		{4 * time.Second, 5 * time.Second, 5 * time.Second},
	} {
		want.LastAttemptAt = Base.Add(at.want)
		m := customers.Moment{Earliest: Base.Add(at.earliest), Latest: Base.Add(at.latest)}
		same(t, must(s.Attempt(t.Context(), r, m))(t), want)
		stands(t, s, want)
	}
}

func attemptsGrow(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base)))(t)
	for _, at := range []time.Time{Base, Base.Add(-time.Hour), Base.Add(999 * time.Microsecond)} {
		next := must(s.Attempt(t.Context(), r, customers.At(at)))(t)
		if !next.LastAttemptAt.After(r.LastAttemptAt) || next.LastAttemptAt.Sub(Base) > time.Second {
			t.Errorf("an attempt at %v moved the last one from %v to %v", at, r.LastAttemptAt, next.LastAttemptAt)
		}
		if !next.FirstAttemptAt.Equal(Base) {
			t.Errorf("the first attempt moved to %v", next.FirstAttemptAt)
		}
		r = next
	}
}

func refusesAttempts(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, at := open(t), Base.Add(time.Minute)
	changed(t, "no row")(s.Attempt(t.Context(), Reservation(Owner("nobody"), 1, "k"), customers.At(at)))
	if _, err := s.Find(t.Context(), Owner("nobody")); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("an attempt without a reservation left something: %v", err)
	}

	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	other := r
	other.Generation = 2
	changed(t, "another generation")(s.Attempt(t.Context(), other, customers.At(at)))
	stands(t, s, r)

	spent := must(s.SpendKey(t.Context(), r))(t)
	changed(t, "a spent key")(s.Attempt(t.Context(), r, customers.At(at)))
	stands(t, s, spent)

	r = must(s.Reserve(t.Context(), Reservation(Owner("bob"), 1, "k2")))(t)
	active := must(s.Activate(t.Context(), r, Customer("cus_bob", 1)))(t)
	changed(t, "an active record")(s.Attempt(t.Context(), r, customers.At(at)))
	stands(t, s, active)
}

func refusesTheTimeless(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	for _, at := range []customers.Moment{{}, {Earliest: Base}, {Latest: Base}} {
		// As a record it would say that nobody called Stripe.
		if got, err := s.Attempt(t.Context(), r, at); err == nil || errors.Is(err, customers.ErrChanged) {
			t.Errorf("%+v: got %+v, %v, want an error that says nothing of the record", at, got, err)
		}
		stands(t, s, r)
	}
}

func activatesOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	r := must(handles[0].Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(handles[0].Attempt(t.Context(), r, customers.At(Base.Add(time.Second))))(t)
	got := together(t, func(i int) (customers.Record, error) {
		return handles[i%2].Activate(t.Context(), r, Customer("cus_"+strconv.Itoa(i), 1))
	})
	want := r
	want.State, want.CustomerID = customers.Active, got[0].CustomerID
	for _, g := range got {
		same(t, g, want)
	}
	stands(t, handles[1], want)
}

func refusesActivations(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	if _, err := s.Activate(t.Context(), Reservation(Owner("nobody"), 1, "k"), Customer("cus_1", 1)); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("an activation without a reservation: got %v, want ErrNoRecord", err)
	}
	first := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	second := must(s.Supersede(t.Context(), first, Reservation(Owner("alice"), 2, "k2")))(t)
	same(t, must(s.Activate(t.Context(), first, Customer("cus_1", 1)))(t), second)
	stands(t, s, second)
}

func sharesNoCustomer(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	alice := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	bob := must(s.Reserve(t.Context(), Reservation(Owner("bob"), 1, "k2")))(t)
	alice = must(s.Activate(t.Context(), alice, Customer("cus_1", 1)))(t)
	for generation := 1; generation < 3; generation++ {
		taken(t, "alice's customer")(s.Activate(t.Context(), bob, Customer("cus_1", generation)))
		stands(t, s, alice)
		stands(t, s, bob)
	}

	// Ids of another account or mode are other customers.
	for i, account := range []customers.Account{{ID: "acct_2", Livemode: true}, {ID: "acct_1"}} {
		o := Owner("alice")
		o.Account = account
		r := must(s.Reserve(t.Context(), Reservation(o, 1, "other"+strconv.Itoa(i))))(t)
		if got := must(s.Activate(t.Context(), r, Customer("cus_1", 1)))(t); got.CustomerID != "cus_1" {
			t.Errorf("got %+v, want cus_1", got)
		}
	}
	if got, err := s.Activate(t.Context(), bob, Customer("", 1)); err == nil {
		t.Errorf("a record is active without a customer: %+v", got)
	}
	stands(t, s, bob)

	// To whom it belongs is no question once another has won.
	active := must(s.Activate(t.Context(), bob, Customer("cus_2", 1)))(t)
	same(t, must(s.Activate(t.Context(), bob, Customer("cus_1", 1)))(t), active)
	stands(t, s, active)
}

func sharesNoCustomerAtOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	owners := []customers.Record{
		must(handles[0].Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t),
		must(handles[0].Reserve(t.Context(), Reservation(Owner("bob"), 1, "k2")))(t),
	}
	got := together(t, func(i int) (customers.Record, error) {
		r, err := handles[i%2].Activate(t.Context(), owners[i/2%2], Customer("cus_1", 1))
		if errors.Is(err, customers.ErrTaken) {
			return customers.Record{}, nil
		}
		return r, err
	})
	has := map[string]bool{}
	for i, r := range got {
		owner := owners[i/2%2].Owner.Subject
		if has[owner] = r.State == customers.Active; r.State == customers.Reserved {
			t.Errorf("%s neither got the customer nor was told why: %+v", owner, r)
		}
		if i >= 4 && has[owner] != (got[i-4].State == customers.Active) {
			t.Errorf("%s got the customer and was refused", owner)
		}
	}
	if has["alice"] == has["bob"] {
		t.Errorf("who has the customer: %v, want one", has)
	}
}

func spends(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	changed(t, "no row")(s.SpendKey(t.Context(), Reservation(Owner("nobody"), 1, "k")))
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base.Add(time.Second))))(t)
	want := r
	want.KeySpent = true
	for range 2 {
		same(t, must(s.SpendKey(t.Context(), r))(t), want)
	}
	stands(t, s, want)

	// What the key made may still be found and recorded.
	want.State, want.CustomerID = customers.Active, "cus_1"
	same(t, must(s.Activate(t.Context(), r, Customer("cus_1", 1)))(t), want)
	changed(t, "an active record")(s.SpendKey(t.Context(), r))
	stands(t, s, want)

	first := must(s.Reserve(t.Context(), Reservation(Owner("bob"), 1, "b1")))(t)
	second := must(s.Supersede(t.Context(), first, Reservation(Owner("bob"), 2, "b2")))(t)
	changed(t, "an old generation")(s.SpendKey(t.Context(), first))
	stands(t, s, second)
}

func supersedes(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base.Add(time.Second))))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base.Add(2*time.Second))))(t)
	r = must(s.SpendKey(t.Context(), r))(t)
	next := Reservation(Owner("alice"), 2, "k2")
	next.Version, next.ReservedAt = "2026-08-26.dahlia", Base.Add(25*time.Hour)
	same(t, must(s.Supersede(t.Context(), r, next))(t), next)
	stands(t, s, next)

	// One row, in which the new key works and the old one does not.
	changed(t, "the old generation")(s.Attempt(t.Context(), r, customers.At(Base.Add(26*time.Hour))))
	at := next.ReservedAt.Add(time.Second)
	next.FirstAttemptAt, next.LastAttemptAt = at, at
	same(t, must(s.Attempt(t.Context(), next, customers.At(at)))(t), next)
	same(t, must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k3")))(t), next)
}

func refusesSuccessors(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, next := open(t), Reservation(Owner("alice"), 2, "k2")
	changed(t, "no row")(s.Supersede(t.Context(), Reservation(Owner("alice"), 1, "k1"), next))

	read := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	for _, at := range []time.Duration{time.Second, time.Second, time.Hour, -time.Hour} {
		attempted := must(s.Attempt(t.Context(), read, customers.At(Base.Add(at))))(t)
		changed(t, fmt.Sprintf("an attempt at %v", at))(s.Supersede(t.Context(), read, next))
		stands(t, s, attempted)
		read = attempted
	}
	active := must(s.Activate(t.Context(), read, Customer("cus_1", 1)))(t)
	changed(t, "an active record")(s.Supersede(t.Context(), read, next))
	stands(t, s, active)
}

func supersedesOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	r := must(handles[0].Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(handles[0].Attempt(t.Context(), r, customers.At(Base.Add(time.Second))))(t)
	got := together(t, func(i int) (customers.Record, error) {
		next, err := handles[i%2].Supersede(t.Context(), r, Reservation(Owner("alice"), 2, strconv.Itoa(i)))
		if errors.Is(err, customers.ErrChanged) {
			return customers.Record{}, nil
		}
		return next, err
	})
	won := 0
	for _, g := range got {
		if g.Generation == 2 {
			won++
			stands(t, handles[1], g)
		}
	}
	if won != 1 {
		t.Errorf("%d successors were written, want 1", won)
	}
}

func heedsCancellation(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	active := activated(t, s, Owner("carol"), Customer("cus_carol", 1))
	noteFound(t, s, Owner("dave"), Customer("cus_dave", 1))
	for name, call := range map[string]func() error{
		"find":      func() error { return errorOf(s.Find(gone, r.Owner)) },
		"reserve":   func() error { return errorOf(s.Reserve(gone, Reservation(Owner("bob"), 1, "k2"))) },
		"attempt":   func() error { return errorOf(s.Attempt(gone, r, customers.At(Base.Add(time.Second)))) },
		"activate":  func() error { return errorOf(s.Activate(gone, r, Customer("cus_1", 1))) },
		"spend":     func() error { return errorOf(s.SpendKey(gone, r)) },
		"supersede": func() error { return errorOf(s.Supersede(gone, r, Reservation(r.Owner, 2, "k3"))) },
		"heal":      func() error { return errorOf(s.Heal(gone, active, healing(active.Owner, 2, "k4", Base))) },
		"replace":   func() error { return errorOf(s.Replace(gone, active, Customer("cus_2", 2))) },
		"note sent": func() error {
			return s.NoteSent(gone, active.Owner, active.CustomerID, customers.Sent{Email: "e", Name: "n"})
		},
		"found":             func() error { return errorOf(s.Found(gone, Owner("dave"), "dave")) },
		"found of nobody":   func() error { return errorOf(s.Found(gone, Owner("erin"), "erin")) },
		"note found":        func() error { return s.NoteFound(gone, finding(Owner("erin"), Customer("cus_erin", 1))) },
		"note a later find": func() error { return s.NoteFound(gone, finding(Owner("dave"), Customer("cus_later", 2))) },
		"due":               func() error { return errorOf(s.Due(gone, r.Owner.Account, Base.Add(time.Hour), 10)) },
		"count reserved":    func() error { return errorOf(s.CountReserved(gone, r.Owner.Account, Base)) },
		"count active":      func() error { return errorOf(s.CountActive(gone, r.Owner.Account)) },
		"page":              func() error { return errorOf(s.Page(gone, r.Owner.Account, customers.Owner{}, 10)) },
	} {
		err := call()
		if err == nil || errors.Is(err, customers.ErrNoRecord) || errors.Is(err, customers.ErrChanged) || errors.Is(err, customers.ErrTaken) {
			t.Errorf("%s: got %v, want an error that says nothing of the record", name, err)
		}
	}
	stands(t, s, r)
	stands(t, s, active)
	if _, err := s.Find(t.Context(), Owner("bob")); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("a cancelled reservation was written: %v", err)
	}
	found(t, s, Owner("dave"), Customer("cus_dave", 1))
	foundNone(t, s, Owner("erin"))
}

func survivesClosing(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	reserved := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	spent := must(s.Reserve(t.Context(), Reservation(Owner("bob"), 1, "k2")))(t)
	spent = must(s.Attempt(t.Context(), spent, customers.Moment{Earliest: Base.Add(time.Second), Latest: Base.Add(2 * time.Second)}))(t)
	spent = must(s.SpendKey(t.Context(), spent))(t)
	active := activated(t, s, Owner("carol"), Customer("cus_carol", 1))
	second := must(s.Reserve(t.Context(), Reservation(Owner("dave"), 1, "k4")))(t)
	second = must(s.Supersede(t.Context(), second, Reservation(Owner("dave"), 2, "k5")))(t)
	healed := activated(t, s, Owner("erin"), Customer("cus_erin", 1))
	healed = must(s.Heal(t.Context(), healed, healing(healed.Owner, 2, "k6", Base.Add(time.Hour))))(t)
	told := activated(t, s, Owner("frank"), Customer("cus_frank", 4))
	told.Sent = customers.Sent{Email: "e1", Name: "n1"}
	noteSent(t, s, told.Owner, told.CustomerID, told.Sent)
	replaced := activated(t, s, Owner("grace"), Customer("cus_grace", 1))
	replaced = must(s.Replace(t.Context(), replaced, Customer("cus_grace_3", 3)))(t)
	noteFound(t, s, Owner("heidi"), Customer("cus_heidi", 2))

	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t)
	for _, want := range []customers.Record{reserved, spent, active, second, healed, told, replaced} {
		stands(t, s, want)
	}
	found(t, s, Owner("heidi"), Customer("cus_heidi", 2))
}

// together runs 64 calls at once.
func together[T any](t *testing.T, call func(i int) (T, error)) []T {
	t.Helper()
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
		got   = make([]T, 64)
		errs  = make([]error, len(got))
	)
	for i := range got {
		wg.Go(func() {
			<-start
			got[i], errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return got
}

func must[T any](got T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
}

func errorOf[T any](_ T, err error) error { return err }

func changed(t *testing.T, why string) func(customers.Record, error) {
	return func(_ customers.Record, err error) {
		t.Helper()
		if !errors.Is(err, customers.ErrChanged) {
			t.Errorf("%s: got %v, want ErrChanged", why, err)
		}
	}
}

func taken(t *testing.T, why string) func(customers.Record, error) {
	return func(r customers.Record, err error) {
		t.Helper()
		if !errors.Is(err, customers.ErrTaken) {
			t.Errorf("%s: got %+v, %v, want ErrTaken", why, r, err)
		}
	}
}

func same(t *testing.T, got, want customers.Record) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// stands holds what the store has of want's owner against want.
func stands(t *testing.T, s customers.Store, want customers.Record) {
	t.Helper()
	same(t, must(s.Find(t.Context(), want.Owner))(t), want)
}

// activated reserves the owner's record and gives it the customer.
func activated(t *testing.T, s customers.Store, owner customers.Owner, c customers.Customer) customers.Record {
	t.Helper()
	r := must(s.Reserve(t.Context(), Reservation(owner, 1, fmt.Sprintf("key of %+v", owner))))(t)
	return must(s.Activate(t.Context(), r, c))(t)
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
