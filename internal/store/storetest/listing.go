package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"till/internal/customers"
)

// The part of the suite for what looks at many records at once.

// strangers returns owners of another account and of another mode.
func strangers() []customers.Owner {
	account, mode := Owner("stranger"), Owner("stranger")
	account.ID, mode.Livemode = "acct_2", false
	return []customers.Owner{account, mode}
}

func reservedAt(owner customers.Owner, at time.Duration) customers.Record {
	r := Reservation(owner, 1, fmt.Sprintf("key of %+v", owner))
	r.ReservedAt = Base.Add(at)
	return r
}

func listsDue(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	records := map[string]customers.Record{}
	for _, r := range []struct {
		subject  string
		reserved time.Duration
		attempts []time.Duration
	}{
		{subject: "at the limit", reserved: 0},
		{subject: "just before", reserved: -time.Millisecond},
		{subject: "never attempted", reserved: -10 * time.Minute},
		{subject: "attempted", reserved: -20 * time.Minute, attempts: []time.Duration{-5 * time.Minute}},
		{subject: "attempted twice", reserved: -time.Hour, attempts: []time.Duration{-50 * time.Minute, -4 * time.Minute}},
		{subject: "attempted at the limit", reserved: -time.Hour, attempts: []time.Duration{0}},
		{subject: "attempted by a slow clock", reserved: -3 * time.Minute, attempts: []time.Duration{-30 * time.Minute}},
		{subject: "longest", reserved: -15 * time.Minute},
		{subject: "spent", reserved: -7 * time.Minute},
		{subject: "active", reserved: -2 * time.Hour},
	} {
		record := must(s.Reserve(t.Context(), reservedAt(Owner(r.subject), r.reserved)))(t)
		for _, at := range r.attempts {
			record = must(s.Attempt(t.Context(), record, customers.Moment{Earliest: Base.Add(at - time.Minute), Latest: Base.Add(at)}))(t)
		}
		records[r.subject] = record
	}
	records["spent"] = must(s.SpendKey(t.Context(), records["spent"]))(t)
	must(s.Activate(t.Context(), records["active"], Customer("cus_1", 1)))(t)
	for _, o := range strangers() {
		must(s.Reserve(t.Context(), reservedAt(o, -3*time.Hour)))(t)
	}

	all := []string{"longest", "never attempted", "spent", "attempted", "attempted twice", "attempted by a slow clock", "just before"}
	for name, tc := range map[string]struct {
		before time.Duration
		limit  int
		want   []string
	}{
		"all":                {0, 100, all},
		"as many as allowed": {0, len(all), all},
		"one less":           {0, len(all) - 1, all[:len(all)-1]},
		"one":                {0, 1, all[:1]},
		"none allowed":       {0, 0, nil},
		"some":               {-7 * time.Minute, 100, all[:2]},
		"nobody so long":     {-15 * time.Minute, 100, nil},
	} {
		var want []customers.Record
		for _, subject := range tc.want {
			want = append(want, records[subject])
		}
		got := must(s.Due(t.Context(), Owner("").Account, Base.Add(tc.before), tc.limit))(t)
		listed(t, name, got, want)
	}
	// Those at the limit are due a millisecond later, and in no certain order.
	if got := must(s.Due(t.Context(), Owner("").Account, Base.Add(time.Millisecond), 100))(t); len(got) != len(all)+2 {
		t.Errorf("a millisecond later %d are due, want %d", len(got), len(all)+2)
	}
	for _, o := range strangers() {
		got := must(s.Due(t.Context(), o.Account, Base, 100))(t)
		listed(t, "another account", got, []customers.Record{reservedAt(o, -3*time.Hour)})
	}
}

func countsReserved(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, account := open(t), Owner("").Account
	count := func(account customers.Account, at time.Duration, want int) {
		t.Helper()
		if got := must(s.CountReserved(t.Context(), account, Base.Add(at)))(t); got != want {
			t.Errorf("reserved since %v: got %d, want %d", at, got, want)
		}
	}
	count(account, time.Hour, 0)
	for i, at := range []time.Duration{0, -time.Minute, -time.Hour} {
		must(s.Reserve(t.Context(), reservedAt(Owner(strconv.Itoa(i)), at)))(t)
	}
	r := must(s.Reserve(t.Context(), reservedAt(Owner("attempted"), -time.Hour)))(t)
	r = must(s.Attempt(t.Context(), r, customers.At(Base.Add(time.Hour))))(t) // reserved all the same
	for _, o := range strangers() {
		must(s.Reserve(t.Context(), reservedAt(o, -2*time.Hour)))(t)
		count(o.Account, 0, 1)
	}
	count(account, time.Hour, 4)
	count(account, 0, 4)
	count(account, -time.Millisecond, 3)
	count(account, -time.Minute, 3)
	count(account, -time.Hour, 2)
	count(account, -time.Hour-time.Millisecond, 0)

	r = must(s.Activate(t.Context(), r, Customer("cus_1", 1)))(t)
	count(account, 0, 3)
	must(s.Heal(t.Context(), r, healing(r.Owner, 2, "k2", Base.Add(time.Minute))))(t)
	count(account, 0, 3)
	count(account, time.Minute, 4)
}

func countsActive(t *testing.T, open func(*testing.T) customers.Ledger) {
	s, account := open(t), Owner("").Account
	count := func(account customers.Account, want int) {
		t.Helper()
		if got := must(s.CountActive(t.Context(), account))(t); got != want {
			t.Errorf("%+v: got %d owners with a customer, want %d", account, got, want)
		}
	}
	count(account, 0)
	must(s.Reserve(t.Context(), Reservation(Owner("alice"), 1, "k")))(t)
	count(account, 0)
	for _, o := range strangers() {
		activated(t, s, o, Customer("cus_1", 1))
		count(o.Account, 1)
	}
	count(account, 0)
	activated(t, s, Owner("bob"), Customer("cus_1", 1))
	r := activated(t, s, Owner("carol"), Customer("cus_2", 1))
	count(account, 2)
	r = must(s.Replace(t.Context(), r, Customer("cus_3", 2)))(t)
	count(account, 2)
	must(s.Heal(t.Context(), r, healing(r.Owner, 3, "k", Base)))(t)
	count(account, 1)
	for _, o := range strangers() {
		count(o.Account, 1)
	}
}

func pages(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	want := map[customers.Account][]customers.Record{{ID: "acct_3"}: nil}
	for i, o := range distinctOwners() {
		r := must(s.Reserve(t.Context(), Reservation(o, 1, strconv.Itoa(i))))(t)
		if i%3 == 0 {
			r = must(s.Activate(t.Context(), r, Customer("cus_"+strconv.Itoa(i), 1)))(t)
		}
		want[o.Account] = append(want[o.Account], r)
	}
	for account, want := range want {
		var first []customers.Record
		for _, limit := range []int{1, 2, 3, len(want), len(want) + 1} {
			got := walk(t, s, account, max(limit, 1), func(customers.Record) {})
			if diff := cmp.Diff(want, got, cmpopts.SortSlices(byKey), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%+v by %d (-want +got):\n%s", account, limit, diff)
			}
			if first == nil {
				first = got
			}
			listed(t, "by "+strconv.Itoa(limit), got, first)
		}
	}
	if got := must(s.Page(t.Context(), Owner("").Account, customers.Owner{}, 0))(t); len(got) != 0 {
		t.Errorf("got %d records, and none were allowed", len(got))
	}
}

// What happens to records that were seen, or to others, neither hides those to
// come nor brings those seen again.
func pagesWhileMoving(t *testing.T, open func(*testing.T) customers.Ledger) {
	s := open(t)
	var want []customers.Owner
	for i, subject := range []string{"m", "d", "t", "a", "z", "p", "g"} {
		want = append(want, Owner(subject))
		must(s.Reserve(t.Context(), Reservation(Owner(subject), 1, strconv.Itoa(i))))(t)
	}
	for _, limit := range []int{1, 2, 3} {
		var got []customers.Owner
		walk(t, s, Owner("").Account, limit, func(r customers.Record) {
			if !slices.Contains(want, r.Owner) {
				return // reserved on the way: it may come or not
			}
			got = append(got, r.Owner)
			if r.State == customers.Reserved {
				must(s.Activate(t.Context(), r, Customer("cus_"+r.Owner.Subject, r.Generation)))(t)
			} else {
				must(s.Heal(t.Context(), r, healing(r.Owner, r.Generation+1, "healed "+r.IdempotencyKey, Base.Add(-time.Hour))))(t)
			}
			for _, subject := range []string{" before ", " after "} {
				must(s.Reserve(t.Context(), Reservation(Owner(strconv.Itoa(limit)+subject+r.Owner.Subject), 1, "k")))(t)
				must(s.Reserve(t.Context(), Reservation(Owner("~"+strconv.Itoa(limit)+subject+r.Owner.Subject), 1, "k")))(t)
			}
		})
		slices.SortFunc(got, compare)
		sorted := slices.SortedFunc(slices.Values(want), compare)
		if diff := cmp.Diff(sorted, got); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", limit, diff)
		}
	}
}

// walk turns the pages to their end.
func walk(t *testing.T, s customers.Ledger, account customers.Account, limit int, see func(customers.Record)) []customers.Record {
	t.Helper()
	var (
		all   []customers.Record
		after customers.Owner
	)
	for range 1000 {
		page := must(s.Page(t.Context(), account, after, limit))(t)
		if len(page) > limit {
			t.Errorf("a page of %d, and %d were allowed", len(page), limit)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Owner
		for _, r := range page {
			see(r)
		}
	}
	t.Fatalf("no end after %d records", len(all))
	return nil
}

func byKey(a, b customers.Record) bool { return atoi(a.IdempotencyKey) < atoi(b.IdempotencyKey) }

// listed holds that the records are the same, in the same order.
func listed(t *testing.T, name string, got, want []customers.Record) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
