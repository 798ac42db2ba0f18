package storetest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"till/internal/customers"
)

// The part of the suite for what happens to a customer after it is known: it
// goes away at Stripe, is told of the person, or turns out to be another one.

// healing is a reservation that replaces a customer who is gone.
func healing(owner customers.Owner, generation int, key string, at time.Time) customers.Record {
	r := Reservation(owner, generation, key)
	r.ReservedAt, r.HealedAt = at, at
	return r
}

func finding(owner customers.Owner, c customers.Customer) customers.Found {
	return customers.Found{Account: owner.Account, Issuer: owner.Issuer, Kind: owner.Kind, Subject: owner.Subject, Customer: c}
}

func activatesLater(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	want := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r := want
	want.State, want.CustomerID, want.Generation = customers.Active, "cus_3", 3
	want.Sent = customers.Sent{Email: "e3", Name: "n3"}
	c := customers.Customer{ID: "cus_3", Generation: 3, Sent: want.Sent}
	same(t, must(s.Activate(t.Context(), r, c))(t), want)
	stands(t, s, want)

	// Who comes later is told of the one that stands, whatever they bring.
	same(t, must(s.Activate(t.Context(), r, Customer("cus_1", 1)))(t), want)
	same(t, must(s.Activate(t.Context(), r, Customer("cus_4", 4)))(t), want)
	stands(t, s, want)

	// The right generation does not help a record of a wrong one.
	reserved := must(s.Reserve(t.Context(), Reservation(Owner("bob"), 2, "k2")))(t)
	for _, generation := range []int{1, 3} {
		other := reserved
		other.Generation = generation
		same(t, must(s.Activate(t.Context(), other, Customer("cus_b", 3)))(t), reserved)
		stands(t, s, reserved)
	}
}

func refusesEarlier(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 3, "k1")))(t)
	for generation := -1; generation < 3; generation++ {
		if got, err := s.Activate(t.Context(), r, Customer("cus_1", generation)); err == nil {
			t.Errorf("generation %d: got %+v, want an error", generation, got)
		}
		stands(t, s, r)
	}
}

func heals(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base.Add(time.Second))))(t)
	r = must(s.SpendKey(t.Context(), r))(t)
	r = must(s.Activate(t.Context(), r, Customer("cus_1", 1)))(t)
	noteSent(t, s, r.Owner, "cus_1", customers.Sent{Email: "e1", Name: "n1"})

	next := healing(r.Owner, 2, "k2", Base.Add(25*time.Hour))
	next.Version = "2026-08-26.dahlia"
	next.ReservedAt, next.HealedAt = next.ReservedAt.Add(1456*time.Microsecond), next.HealedAt.Add(2567*time.Microsecond)
	want := next
	want.ReservedAt, want.HealedAt = Base.Add(25*time.Hour+time.Millisecond), Base.Add(25*time.Hour+2*time.Millisecond)
	same(t, must(s.Heal(t.Context(), r, next))(t), want)
	stands(t, s, want)

	// It is gone from here too: nothing keeps another owner from having it.
	bob := activated(t, s, Owner("bob"), Customer("cus_1", 1))
	stands(t, s, bob)

	// One row, in which the new key works and the old one does not.
	changed(t, "healed once already")(s.Heal(t.Context(), r, next))
	changed(t, "the old generation")(s.Attempt(t.Context(), r, customers.At(Base.Add(26*time.Hour))))
	at := Base.Add(26 * time.Hour)
	want.FirstAttemptAt, want.LastAttemptAt = at, at
	same(t, must(s.Attempt(t.Context(), want, customers.At(at)))(t), want)
	want.State, want.CustomerID = customers.Active, "cus_2"
	same(t, must(s.Activate(t.Context(), want, Customer("cus_2", 2)))(t), want)
	again := healing(r.Owner, 3, "k3", Base.Add(50*time.Hour))
	same(t, must(s.Heal(t.Context(), want, again))(t), again)
	stands(t, s, again)
	stands(t, s, bob)
}

func refusesHealings(t *testing.T, open func(*testing.T) customers.Ledger) {
	refusesExchanges(t, open(t), func(s customers.Ledger, r customers.Record) (customers.Record, error) {
		return s.Heal(t.Context(), r, healing(r.Owner, r.Generation+1, "next", Base.Add(time.Hour)))
	})
}

// refusesExchanges holds that exchange, which is to replace a record's customer,
// does so for nothing but the active record with that customer.
func refusesExchanges(t *testing.T, s customers.Ledger, exchange func(customers.Ledger, customers.Record) (customers.Record, error)) {
	t.Helper()
	nobody := Reservation(Owner("nobody"), 1, "k")
	nobody.State, nobody.CustomerID = customers.Active, "cus_nobody"
	changed(t, "no row")(exchange(s, nobody))
	if _, err := s.Find(t.Context(), nobody.Owner); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("no row: something was left: %v", err)
	}

	reserved := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	changed(t, "a reserved record")(exchange(s, reserved))
	read := reserved
	read.State, read.CustomerID = customers.Active, "cus_alice"
	changed(t, "a record that is reserved by now")(exchange(s, read))
	stands(t, s, reserved)

	active := activated(t, s, Owner("bob"), Customer("cus_bob", 2))
	for name, edit := range map[string]func(*customers.Record){
		"an earlier generation":    func(r *customers.Record) { r.Generation = 1 },
		"a later generation":       func(r *customers.Record) { r.Generation = 3 },
		"another customer":         func(r *customers.Record) { r.CustomerID = "cus_other" },
		"a customer in capitals":   func(r *customers.Record) { r.CustomerID = "CUS_BOB" },
		"no customer":              func(r *customers.Record) { r.CustomerID = "" },
		"an owner of another mode": func(r *customers.Record) { r.Owner.Livemode = false },
	} {
		other := active
		edit(&other)
		changed(t, name)(exchange(s, other))
		stands(t, s, active)
	}
}

func healsOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	r := activated(t, handles[0], Owner("alice"), Customer("cus_1", 1))
	exchangedOnce(t, handles, func(i int) (customers.Record, error) {
		return handles[i%2].Heal(t.Context(), r, healing(r.Owner, 2, "k"+strconv.Itoa(i), Base.Add(time.Duration(i)*time.Second)))
	})
}

func replacesOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	handles := []customers.Ledger{open(t), open(t)}
	r := activated(t, handles[0], Owner("alice"), Customer("cus_1", 1))
	exchangedOnce(t, handles, func(i int) (customers.Record, error) {
		s := handles[i%2]
		if i%4 < 2 {
			return s.Heal(t.Context(), r, healing(r.Owner, 2, "k"+strconv.Itoa(i), Base))
		}
		return s.Replace(t.Context(), r, Customer("cus_by_"+strconv.Itoa(i), 2+i))
	})
}

// exchangedOnce holds that of concurrent calls one succeeds, and that its record
// is the one that stands; the others learn that it has changed.
func exchangedOnce(t *testing.T, handles []customers.Ledger, call func(i int) (customers.Record, error)) {
	t.Helper()
	won := 0
	for _, g := range together(t, func(i int) (customers.Record, error) {
		next, err := call(i)
		if errors.Is(err, customers.ErrChanged) {
			return customers.Record{}, nil
		}
		return next, err
	}) {
		if g.Generation == 0 {
			continue
		}
		won++
		for _, s := range handles {
			stands(t, s, g)
		}
	}
	if won != 1 {
		t.Errorf("%d were written, want 1", won)
	}
}

func keepsHealing(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, at := open(t), Base.Add(time.Hour)
	r := activated(t, s, Owner("alice"), Customer("cus_1", 1))
	if !r.HealedAt.IsZero() {
		t.Errorf("a record that never was healed says so: %+v", r)
	}
	r = must(s.Heal(t.Context(), r, healing(r.Owner, 2, "k2", at)))(t)
	for i, step := range []struct {
		name string
		move func() (customers.Record, error)
	}{
		{"attempt", func() (customers.Record, error) { return s.Attempt(t.Context(), r, customers.At(at.Add(time.Minute))) }},
		{"spend", func() (customers.Record, error) { return s.SpendKey(t.Context(), r) }},
		{"supersede", func() (customers.Record, error) {
			return s.Supersede(t.Context(), r, Reservation(r.Owner, 3, "k3"))
		}},
		{"supersede with another time", func() (customers.Record, error) {
			return s.Supersede(t.Context(), r, healing(r.Owner, 4, "k4", at.Add(24*time.Hour)))
		}},
		{"activate", func() (customers.Record, error) { return s.Activate(t.Context(), r, Customer("cus_4", 4)) }},
		{"replace", func() (customers.Record, error) { return s.Replace(t.Context(), r, Customer("cus_5", 5)) }},
	} {
		r = must(step.move())(t)
		if !r.HealedAt.Equal(at) {
			t.Errorf("step %d, %s: the healing moved from %v to %v", i, step.name, at, r.HealedAt)
		}
		stands(t, s, r)
	}
}

func replaces(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	r := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 2, "k1")))(t)
	r = must(s.Attempt(t.Context(), r, customers.Moment{Earliest: Base.Add(time.Second), Latest: Base.Add(2 * time.Second)}))(t)
	r = must(s.SpendKey(t.Context(), r))(t)
	r = must(s.Activate(t.Context(), r, Customer("cus_2", 2)))(t)
	noteSent(t, s, r.Owner, "cus_2", customers.Sent{Email: "e2", Name: "n2"})

	// An id of another account or mode is another customer.
	for _, account := range []customers.Account{{ID: "acct_2", Livemode: true}, {ID: "acct_1"}} {
		o := r.Owner
		o.Account = account
		activated(t, s, o, Customer("cus_5", 1))
	}

	// The new one was told nothing yet, whatever the old one was.
	want := r
	want.CustomerID, want.Generation = "cus_5", 5
	same(t, must(s.Replace(t.Context(), r, Customer("cus_5", 5)))(t), want)
	stands(t, s, want)
	activated(t, s, Owner("bob"), Customer("cus_2", 1)) // no longer alice's

	changed(t, "replaced already")(s.Replace(t.Context(), r, Customer("cus_6", 6)))
	stands(t, s, want)
	want.CustomerID, want.Generation, want.Sent = "cus_6", 6, customers.Sent{Email: "e6", Name: "n6"}
	same(t, must(s.Replace(t.Context(), must(s.Find(t.Context(), r.Owner))(t), want.Customer()))(t), want)
	stands(t, s, want)
}

func refusesReplacements(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	refusesExchanges(t, s, func(s customers.Ledger, r customers.Record) (customers.Record, error) {
		return s.Replace(t.Context(), r, Customer("cus_new", r.Generation+5))
	})
	carol := activated(t, s, Owner("carol"), Customer("cus_carol", 3))
	dave := activated(t, s, Owner("dave"), Customer("cus_dave", 1))
	taken(t, "another owner's customer")(s.Replace(t.Context(), carol, Customer("cus_dave", 4)))
	for name, c := range map[string]customers.Customer{
		"the same generation":         Customer("cus_new", 3),
		"an earlier generation":       Customer("cus_new", 2),
		"no generation":               Customer("cus_new", 0),
		"no customer":                 Customer("", 4),
		"its own, and no later":       Customer("cus_carol", 3),
		"its own, but earlier":        Customer("cus_carol", 2),
		"another's and no later, too": Customer("cus_dave", 3),
	} {
		if got, err := s.Replace(t.Context(), carol, c); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
		stands(t, s, carol)
		stands(t, s, dave)
	}
	carol.Generation--
	changed(t, "replaced meanwhile")(s.Replace(t.Context(), carol, Customer("cus_dave", 4)))
}

func notesSent(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	want := activated(t, s, Owner("alice"), Customer("cus_1", 1))
	bob := activated(t, s, Owner("bob"), Customer("cus_2", 1))
	if want.Sent != (customers.Sent{}) {
		t.Errorf("a new customer was told of somebody: %+v", want)
	}
	for _, sent := range []customers.Sent{
		{Email: "e1"}, {Email: "e1", Name: "n1"}, {Email: "e1", Name: "n1"}, {Email: "e2", Name: "n2"}, {Name: "n3"}, {},
	} {
		want.Sent = sent
		noteSent(t, s, want.Owner, "cus_1", sent)
		stands(t, s, want)
		stands(t, s, bob)
	}
}

func refusesSent(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, sent := open(t), customers.Sent{Email: "e", Name: "n"}
	noteSent(t, s, Owner("nobody"), "cus_1", sent)
	noteSent(t, s, Owner("nobody"), "", sent)
	if _, err := s.Find(t.Context(), Owner("nobody")); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("a note without a record left something: %v", err)
	}
	alice := must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k1")))(t)
	bob := activated(t, s, Owner("bob"), customers.Customer{ID: "cus_bob", Generation: 1, Sent: customers.Sent{Email: "before"}})
	sandbox := bob.Owner
	sandbox.Livemode = false
	for _, note := range []struct {
		owner    customers.Owner
		customer string
	}{
		{alice.Owner, ""},
		{alice.Owner, "cus_1"},
		{alice.Owner, "cus_bob"},
		{bob.Owner, ""},
		{bob.Owner, "cus_1"},
		{bob.Owner, "CUS_BOB"},
		{sandbox, "cus_bob"},
	} {
		noteSent(t, s, note.owner, note.customer, sent)
		stands(t, s, alice)
		stands(t, s, bob)
	}
	// Who told the customer of before may be slower than who replaced it.
	healed := must(s.Heal(t.Context(), bob, healing(bob.Owner, 2, "k2", Base)))(t)
	noteSent(t, s, bob.Owner, "cus_bob", sent)
	stands(t, s, healed)
}

func keepsFindings(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, alice := open(t), Owner("alice")
	foundNone(t, s, alice)
	hashed := Owner("2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90")
	noteFound(t, s, hashed, Customer("cus_1", 2))
	if got, err := s.Found(t.Context(), alice, hashed.Subject); err != nil || got != Customer("cus_1", 2) {
		t.Errorf("got %+v, %v, want cus_1", got, err)
	}
	foundNone(t, s, alice) // under the plain subject

	// It is no record of anybody's.
	if _, err := s.Find(t.Context(), hashed); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("a finding is a record: %v", err)
	}
	if n := must(s.CountActive(t.Context(), alice.Account))(t); n != 0 {
		t.Errorf("%d owners have a customer, want none", n)
	}
	if page := must(s.Page(t.Context(), alice.Account, customers.Owner{}, 10))(t); len(page) != 0 {
		t.Errorf("a finding is on the page: %+v", page)
	}
	stands(t, s, activated(t, s, alice, Customer("cus_1", 2)))
}

func prefersLaterFindings(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	for _, step := range []struct{ noted, want customers.Customer }{
		{Customer("cus_b", 3), Customer("cus_b", 3)},
		{Customer("cus_c", 3), Customer("cus_b", 3)},
		{Customer("cus_a", 3), Customer("cus_b", 3)},
		{Customer("cus_d", 2), Customer("cus_b", 3)},
		{Customer("cus_e", 10), Customer("cus_e", 10)}, // later in numbers, not in letters
		{Customer("cus_f", 9), Customer("cus_e", 10)},
	} {
		noteFound(t, s, Owner("alice"), step.noted)
		found(t, s, Owner("alice"), step.want)
	}
	foundNone(t, s, Owner("bob"))
}

func refusesFindings(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	for name, edit := range map[string]func(*customers.Found){
		"account":    func(f *customers.Found) { f.ID = "" },
		"issuer":     func(f *customers.Found) { f.Issuer = "" },
		"kind":       func(f *customers.Found) { f.Kind = "" },
		"subject":    func(f *customers.Found) { f.Subject = "" },
		"customer":   func(f *customers.Found) { f.Customer.ID = "" },
		"generation": func(f *customers.Found) { f.Customer.Generation = 0 },
	} {
		f := finding(Owner("alice"), Customer("cus_1", 1))
		edit(&f)
		if err := s.NoteFound(t.Context(), f); err == nil {
			t.Errorf("a finding without %s was noted", name)
		}
		foundNone(t, s, customers.Owner{Account: f.Account, Issuer: f.Issuer, Kind: f.Kind, Subject: f.Subject})
	}
}

func comparesFindings(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, owners := open(t), distinctOwners()
	for i, o := range owners {
		foundNone(t, s, o)
		noteFound(t, s, o, Customer("cus_"+strconv.Itoa(i), 1))
	}
	for i, o := range owners {
		found(t, s, o, Customer("cus_"+strconv.Itoa(i), 1))
	}
}

func findsOnce(t *testing.T, open func(*testing.T) customers.Ledger) {
	const latest = 8
	handles := []customers.Ledger{open(t), open(t)}
	generation := func(i int) int { return 1 + i/2%latest }
	got := together(t, func(i int) (customers.Customer, error) {
		s := handles[i%2]
		if err := s.NoteFound(t.Context(), finding(Owner("alice"), Customer("cus_"+strconv.Itoa(i), generation(i)))); err != nil {
			return customers.Customer{}, err
		}
		return s.Found(t.Context(), Owner("alice"), "alice")
	})
	stands := must(handles[0].Found(t.Context(), Owner("alice"), "alice"))(t)
	if stands.Generation != latest {
		t.Errorf("got %+v, want one of generation %d", stands, latest)
	}
	found(t, handles[1], Owner("alice"), stands)
	for i, g := range got {
		if g.Generation < generation(i) || g.Generation == latest && g != stands {
			t.Errorf("who noted generation %d found %+v, and %+v stands", generation(i), g, stands)
		}
	}
}

func noteSent(t *testing.T, s customers.Store, owner customers.Owner, customerID string, sent customers.Sent) {
	t.Helper()
	if err := s.NoteSent(t.Context(), owner, customerID, sent); err != nil {
		t.Errorf("noting what %q of %s was told: %v", customerID, owner.Subject, err)
	}
}

func noteFound(t *testing.T, s customers.Ledger, owner customers.Owner, c customers.Customer) {
	t.Helper()
	if err := s.NoteFound(t.Context(), finding(owner, c)); err != nil {
		t.Errorf("noting what was found of %#v: %v", owner, err)
	}
}

func found(t *testing.T, s customers.Store, owner customers.Owner, want customers.Customer) {
	t.Helper()
	if got, err := s.Found(t.Context(), owner, owner.Subject); err != nil || got != want {
		t.Errorf("%#v: found %+v, %v, want %+v", owner, got, err, want)
	}
}

func foundNone(t *testing.T, s customers.Store, owner customers.Owner) {
	t.Helper()
	if got, err := s.Found(t.Context(), owner, owner.Subject); !errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("%#v: found %+v, %v, want ErrNoRecord", owner, got, err)
	}
}
