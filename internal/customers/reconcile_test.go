package customers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// everything is a reconciliation since the beginning of the world.
func everything() customers.Reconciliation {
	return customers.Reconciliation{Account: alice.Account, Since: storetest.Base.Add(-time.Hour)}
}

func (w *world) reconciles(t testing.TB, o customers.Reconciliation) customers.Report {
	t.Helper()
	r, err := customers.Reconcile(t.Context(), w.store, w.stripe, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reports holds what a reconciliation said; of troubles, only the beginnings.
func reports(t testing.TB, got, want customers.Report) {
	t.Helper()
	for i, trouble := range got.Troubles {
		if i < len(want.Troubles) && strings.HasPrefix(trouble, want.Troubles[i]) {
			got.Troubles = slices.Clone(got.Troubles)
			got.Troubles[i] = want.Troubles[i]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// snapshot returns a copy of the store as it is.
func (w *world) snapshot() *storetest.Memory {
	m := storetest.NewMemory()
	for _, r := range w.store.Records() {
		m.Put(r)
	}
	return m
}

// Each case is what Stripe has of alice, and what the store has.
func TestWhatAReconciliationMakesOfARow(t *testing.T) {
	t.Parallel()
	have := func(generations ...int) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) {
			for _, g := range generations {
				w.stripe.have(alice.Metadata(customers.SubjectPlain, g))
			}
		}
	}
	row := func(state customers.State, generation int, customer string) func(*world) {
		return func(w *world) {
			w.store.Put(customers.Record{
				Owner: alice, State: state, Generation: generation, CustomerID: customer, IdempotencyKey: "k1",
				Params: paramsOf(alice, generation), ReservedAt: w.now(),
			})
		}
	}
	for name, tc := range map[string]struct {
		have func(*testing.T, *world)
		row  func(*world)
		want customers.Report
		then string // alice's customer according to the store, and its generation
	}{
		"known":                         {have(1), row(customers.Active, 1, "cus_0001"), customers.Report{Listed: 1, Ours: 1, Known: 1}, "active cus_0001 1"},
		"known, and the ones before":    {have(1, 2, 3), row(customers.Active, 3, "cus_0003"), customers.Report{Listed: 3, Ours: 3, Known: 1, Older: 2}, "active cus_0003 3"},
		"settled":                       {have(1), row(customers.Reserved, 1, ""), customers.Report{Listed: 1, Ours: 1, Settled: 1}, "active cus_0001 1"},
		"settled, a later generation":   {have(1, 3), row(customers.Reserved, 2, ""), customers.Report{Listed: 2, Ours: 2, Settled: 1, Older: 1}, "active cus_0002 3"},
		"reserved, only an earlier one": {have(1), row(customers.Reserved, 2, ""), customers.Report{Listed: 1, Ours: 1, Older: 1}, "reserved  2"},
		"moved":                         {have(2), row(customers.Active, 1, "cus_lost"), customers.Report{Listed: 1, Ours: 1, Moved: 1}, "active cus_0001 2"},
		"moved by two":                  {have(2, 3), row(customers.Active, 1, "cus_lost"), customers.Report{Listed: 2, Ours: 2, Moved: 1, Older: 1}, "active cus_0002 3"},
		"a later one stands":            {have(1), row(customers.Active, 2, "cus_elsewhere"), customers.Report{Listed: 1, Ours: 1, Older: 1}, "active cus_elsewhere 2"},
		"another one stands": {
			have(1), row(customers.Active, 1, "cus_elsewhere"),
			customers.Report{Listed: 1, Ours: 1, Troubles: []string{"customer cus_0001 has the owner and generation of cus_elsewhere, which stands"}},
			"active cus_elsewhere 1",
		},
		"duplicates, and the oldest known": {
			have(1, 1), row(customers.Active, 1, "cus_0001"),
			customers.Report{Listed: 2, Ours: 2, Known: 1, Troubles: []string{"customers cus_0001 and cus_0002 are of the same owner and generation; cus_0001 stands"}},
			"active cus_0001 1",
		},
		"duplicates, settled": {
			have(1, 1, 1), row(customers.Reserved, 1, ""),
			customers.Report{Listed: 3, Ours: 3, Settled: 1, Troubles: []string{
				"customers cus_0001 and cus_0003 are of", "customers cus_0001 and cus_0002 are of",
			}},
			"active cus_0001 1",
		},
		"duplicates of an earlier generation": {
			have(1, 1, 2), row(customers.Active, 1, "cus_0001"), customers.Report{Listed: 3, Ours: 3, Moved: 1, Older: 2}, "active cus_0003 2",
		},
		"nothing at Stripe":  {have(), row(customers.Active, 1, "cus_elsewhere"), customers.Report{}, "active cus_elsewhere 1"},
		"nothing, reserved":  {have(), row(customers.Reserved, 1, ""), customers.Report{}, "reserved  1"},
		"a row that is bad":  {have(1), row(customers.Active, 0, "cus_0001"), customers.Report{Listed: 1, Ours: 1, Troubles: []string{`the row of the table customers with idempotency_key "k1" was edited`}}, "active cus_0001 0"},
		"a bad row, unasked": {have(), row(customers.Active, 0, "cus_0001"), customers.Report{}, "active cus_0001 0"},
		"a deleted customer": {
			func(t *testing.T, w *world) { have(1)(t, w); w.stripe.loses("cus_0001") }, row(customers.Reserved, 1, ""), customers.Report{}, "reserved  1",
		},
		"somebody else's": {
			func(_ *testing.T, w *world) {
				w.stripe.have(nil)
				w.stripe.have(map[string]string{"till_plan": "pro", "till_kind": "user", "source": "crm"})
			}, row(customers.Reserved, 1, ""), customers.Report{Listed: 2}, "reserved  1",
		},
	} {
		for _, dry := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, dry %t", name, dry), func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				tc.have(t, w)
				tc.row(w)
				before := w.record(t, alice)
				w.advance(time.Hour)
				o := everything()
				o.DryRun = dry
				reports(t, w.reconciles(t, o), tc.want)
				r := w.record(t, alice)
				if got := fmt.Sprint(r.State, " ", r.CustomerID, " ", r.Generation); !dry && got != tc.then {
					t.Errorf("got %s, want %s", got, tc.then)
				}
				if dry && r != before {
					t.Errorf("got %+v, want %+v", r, before)
				}
				if creates, _, _ := w.stripe.calls(); creates != 0 {
					t.Error("a reconciliation creates nothing")
				}
				if _, err := w.store.Found(t.Context(), alice, alice.Subject); !errors.Is(err, customers.ErrNoRecord) {
					t.Errorf("what has a row is kept besides: %v", err)
				}
				if dry {
					return
				}
				// The second time everything is known.
				again := w.reconciles(t, o)
				want := tc.want
				want.Known, want.Settled, want.Moved = want.Known+want.Settled+want.Moved, 0, 0
				reports(t, again, want)
				if got := w.record(t, alice); got != r {
					t.Errorf("the second time: got %+v, want %+v", got, r)
				}
			})
		}
	}
}

// Their owners get them back when they come, without a call that creates.
func TestCustomersWithoutARowAreKeptForTheirOwners(t *testing.T) {
	t.Parallel()
	for _, form := range []customers.SubjectForm{customers.SubjectPlain, customers.SubjectSHA256} {
		for name, tc := range map[string]struct {
			generations []int
			want        string
			report      customers.Report
		}{
			"the first":        {[]int{1}, "cus_0001", customers.Report{Listed: 1, Ours: 1, Kept: 1}},
			"a later one":      {[]int{3}, "cus_0001", customers.Report{Listed: 1, Ours: 1, Kept: 1}},
			"several":          {[]int{1, 2, 3}, "cus_0003", customers.Report{Listed: 3, Ours: 3, Kept: 1, Older: 2}},
			"in another order": {[]int{3, 1, 2}, "cus_0001", customers.Report{Listed: 3, Ours: 3, Kept: 1, Older: 2}},
			"duplicates": {[]int{1, 2, 2}, "cus_0002", customers.Report{
				Listed: 3, Ours: 3, Kept: 1, Older: 1, Troubles: []string{"customers cus_0002 and cus_0003 are of the same owner and generation; cus_0002 stands"},
			}},
		} {
			t.Run(fmt.Sprintf("%s, %s", name, form), func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				for _, g := range tc.generations {
					w.stripe.have(alice.Metadata(form, g))
				}
				w.advance(48 * time.Hour)
				o := everything()
				o.SubjectForm, o.DryRun = form, true
				reports(t, w.reconciles(t, o), tc.report)
				if _, err := w.store.Found(t.Context(), alice, form.Apply(alice.Subject)); !errors.Is(err, customers.ErrNoRecord) {
					t.Errorf("a dry run keeps something: %v", err)
				}
				o.DryRun = false
				reports(t, w.reconciles(t, o), tc.report)
				reports(t, w.reconciles(t, o), tc.report)
				if rows := w.store.Records(); len(rows) != 0 {
					t.Errorf("somebody was reserved: %+v", rows)
				}

				s := w.replicaOn(t, w.store, customers.Options{SubjectForm: form})
				generation := slices.Max(tc.generations)
				if c := s.customer(t, alice); c.ID != tc.want || c.Generation != generation {
					t.Errorf("got %+v, want %s of generation %d", c, tc.want, generation)
				}
				w.expect(t, 0, 3, len(tc.generations))
				s.counted(t, map[string]int{"adopted": 1})
				if got := s.metric(t, "till_customer_orphans_total", ""); got != 1 {
					t.Errorf("counted %v orphans", got)
				}
				known := tc.report
				known.Kept, known.Known = 0, 1
				reports(t, w.reconciles(t, o), known)
			})
		}
	}
}

// Everything that makes an owner makes another one, here too.
func TestAKeptCustomerIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld()
	own := map[customers.Owner]string{}
	for _, o := range variants() {
		if o.Account == alice.Account {
			own[o] = w.stripe.have(o.Metadata(customers.SubjectPlain, 1))
		}
	}
	w.advance(time.Hour)
	if r := w.reconciles(t, everything()); r.Kept != len(own) || len(own) < 3 {
		t.Fatalf("got %+v of %d", r, len(own))
	}
	s := w.replica(t)
	for _, o := range variants() {
		id := s.ensures(t, o)
		if want, kept := own[o]; kept && id != want || !kept && slices.Contains(slices.Collect(maps.Values(own)), id) {
			t.Errorf("%+v: got %s, want %q", o, id, want)
		}
	}
}

// A reservation that was made since the backup and never sent is the owner's who
// came back before the reconciliation did.
func TestAReservationThatWasNeverSentAdoptsWhatWasKept(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.have(alice.Metadata(customers.SubjectPlain, 2))
	w.advance(time.Hour)
	w.reconciles(t, everything())
	w.reserves(t, alice)
	w.advance(time.Minute)
	w.replica(t).sweeps(t)
	if r := w.record(t, alice); r.CustomerID != "cus_0001" || r.Generation != 2 {
		t.Errorf("got %+v, want what was kept", r)
	}
	w.expect(t, 0, 1, 1)
}

// A failed look for what was kept is not "nothing was kept".
func TestWithoutALookForWhatWasKeptNothingIsSent(t *testing.T) {
	t.Parallel()
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		w := newWorld()
		w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
			if op == storetest.Found {
				return fault
			}
			return storetest.None
		}), customers.Options{}).fails(t, alice, problem.DependencyUnavailable)
		if r := w.record(t, alice); !r.FirstAttemptAt.IsZero() {
			t.Errorf("got %+v, want no attempt", r)
		}
		w.expect(t, 0, 0, 0)
	}
}

// A healed owner's old customers do not come back.
func TestAnEarlierGenerationThatWasKeptIsNotAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
	w.advance(25 * time.Hour)
	w.reconciles(t, everything())
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	if lost.ID != "cus_0001" {
		t.Fatalf("got %+v, want what was kept", lost)
	}
	if c := s.heals(t, alice, lost); c.Generation != 2 {
		t.Errorf("got %+v", c)
	}
	w.expect(t, 1, 1, 2)
}

func TestMetadataThatCannotBeReadIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	own := alice.Metadata(customers.SubjectPlain, 1)
	for name, edit := range map[string]func(map[string]string){
		"no generation":     func(m map[string]string) { delete(m, "till_generation") },
		"a word":            func(m map[string]string) { m["till_generation"] = "one" },
		"generation 0":      func(m map[string]string) { m["till_generation"] = "0" },
		"generation -1":     func(m map[string]string) { m["till_generation"] = "-1" },
		"an unknown kind":   func(m map[string]string) { m["till_kind"] = "team" },
		"no kind":           func(m map[string]string) { delete(m, "till_kind") },
		"no issuer":         func(m map[string]string) { delete(m, "till_issuer") },
		"no subject":        func(m map[string]string) { m["till_subject"] = "" },
		"a generation + 16": func(m map[string]string) { m["till_generation"] = "99999999999999999999" },
	} {
		w := newWorld()
		m := maps.Clone(own)
		edit(m)
		w.stripe.have(m)
		w.reserves(t, alice)
		before := w.record(t, alice)
		w.advance(time.Hour)
		got := w.reconciles(t, everything())
		t.Log(name)
		reports(t, got, customers.Report{Listed: 1, Troubles: []string{"customer cus_0001 has till_ metadata that cannot be read; it is left alone"}})
		if r := w.record(t, alice); r != before {
			t.Errorf("%s: got %+v, want %+v", name, r, before)
		}
		for _, trouble := range got.Troubles {
			if strings.Contains(trouble, alice.Subject) || strings.Contains(trouble, alice.Issuer) {
				t.Errorf("%s: %q names the owner", name, trouble)
			}
		}
	}
}

// Two owners claim a customer: by its metadata one, by the row the other.
func TestACustomerThatAnotherRowHasIsReported(t *testing.T) {
	t.Parallel()
	bob := storetest.Owner("bob")
	for _, state := range []customers.State{customers.Reserved, customers.Active} {
		w := newWorld()
		w.stripe.have(alice.Metadata(customers.SubjectPlain, 2))
		w.store.Put(customers.Record{Owner: bob, State: customers.Active, Generation: 1, CustomerID: "cus_0001", IdempotencyKey: "k-bob"})
		row := customers.Record{Owner: alice, State: state, Generation: 1, IdempotencyKey: "k-alice", Params: paramsOf(alice, 1)}
		if state == customers.Active {
			row.CustomerID = "cus_before"
		}
		w.store.Put(row)
		w.advance(time.Hour)
		reports(t, w.reconciles(t, everything()), customers.Report{
			Listed: 1, Ours: 1, Troubles: []string{`customer cus_0001 belongs to the row "k-alice" by its metadata, and another row has it`},
		})
		if got := w.record(t, alice); got != row {
			t.Errorf("got %+v, want %+v", got, row)
		}
	}
}

func TestOnlyWhatWasCreatedSinceThenIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
	w.advance(24 * time.Hour)
	w.stripe.have(storetest.Owner("bob").Metadata(customers.SubjectPlain, 1))
	w.advance(24 * time.Hour)
	w.stripe.have(storetest.Owner("carol").Metadata(customers.SubjectPlain, 1))
	o := everything()
	for since, want := range map[time.Duration]int{
		// The backup's clock may be one and Stripe's another.
		-time.Hour: 3, 4 * time.Minute: 3, 6 * time.Minute: 2, 24*time.Hour + 4*time.Minute: 2, 24*time.Hour + 6*time.Minute: 1,
	} {
		o.Since, o.DryRun = storetest.Base.Add(since), true
		if got := w.reconciles(t, o); got.Kept != want {
			t.Errorf("since %v: got %+v, want %d", since, got, want)
		}
	}
}

func TestAReconciliationOfTheFutureIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
	for _, since := range []time.Duration{0, time.Second, 24 * time.Hour} {
		o := everything()
		o.Since = w.now().Add(since)
		r, err := customers.Reconcile(t.Context(), w.store, w.stripe, o)
		if err == nil || !strings.Contains(err.Error(), "2026-03-04T05:06:07Z") {
			t.Errorf("%v ahead: got %v, want it refused, with Stripe's time", since, err)
		}
		reports(t, r, customers.Report{})
	}
	w.expect(t, 0, 0, 1)
}

// Nothing is written before the whole list was seen.
func TestAListThatEndsHalfWayWritesNothing(t *testing.T) {
	t.Parallel()
	for _, broken := range []int{1, 2, 3} {
		w := newWorld()
		w.stripe.pageSize = 2
		w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
		for i := range 4 {
			w.stripe.have(storetest.Owner(strconv.Itoa(i)).Metadata(customers.SubjectPlain, 1))
		}
		w.store.Put(customers.Record{Owner: storetest.Owner("3"), State: customers.Reserved, Generation: 1, IdempotencyKey: "k", Params: paramsOf(storetest.Owner("3"), 1)})
		before := w.record(t, storetest.Owner("3"))
		w.advance(time.Hour)
		pages := 0
		w.stripe.list = func(context.Context) error {
			if pages++; pages == broken {
				return upstream(problem.UpstreamTimeout, context.DeadlineExceeded)
			}
			return nil
		}
		silent := storetest.Faulty{Store: w.store, Next: func(_ context.Context, op storetest.Operation) storetest.Fault {
			t.Errorf("page %d: the store was asked to %s", broken, op)
			return storetest.None
		}}
		r, err := customers.Reconcile(t.Context(), silent, w.stripe, everything())
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("page %d: got %+v, %v", broken, r, err)
		}
		if got := w.record(t, storetest.Owner("3")); got != before {
			t.Errorf("page %d: got %+v, want %+v", broken, got, before)
		}
		w.stripe.list = nil
		reports(t, w.reconciles(t, everything()), customers.Report{Listed: 5, Ours: 5, Settled: 1, Kept: 4})
	}
}

func TestWithoutStripesTimeNothingIsReconciled(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.clock = func(context.Context) error { return upstream(problem.UpstreamError, errors.New("500")) }
	if _, err := customers.Reconcile(t.Context(), w.store, w.stripe, everything()); err == nil {
		t.Error("got no error")
	}
	w.expect(t, 0, 0, 0)
}

// A store that fails ends it; what was done until then is said, stays done, and
// does not disturb the next time.
func TestAReconciliationThatIsInterruptedGoesOnTheNextTime(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 8; n++ {
		for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
			w := newWorld()
			reserved, lost, settled := storetest.Owner("reserved"), storetest.Owner("lost"), storetest.Owner("settled")
			for _, o := range []customers.Owner{reserved, lost, settled} {
				w.stripe.have(o.Metadata(customers.SubjectPlain, 2))
			}
			w.store.Put(customers.Record{Owner: reserved, State: customers.Reserved, Generation: 1, IdempotencyKey: "k1", Params: paramsOf(reserved, 1)})
			w.store.Put(customers.Record{Owner: settled, State: customers.Active, Generation: 1, CustomerID: "cus_before", IdempotencyKey: "k2"})
			w.advance(time.Hour)
			r, err := customers.Reconcile(t.Context(), w.faulty(dyingAt(n, fault)), w.stripe, everything())
			// A page of rows, two changes, the end of the rows, one that is kept.
			if (err != nil) != (n <= 5) {
				t.Errorf("operation %d: got %+v, %v", n, r, err)
			}
			for _, secret := range []string{"lost", "settled", alice.Issuer} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("operation %d: %q names the owner", n, err)
				}
			}
			if done, known := r.Settled+r.Moved+r.Kept, min(max(n-2, 0), 2); err != nil && done != known {
				t.Errorf("operation %d: got %+v, want %d done", n, r, known)
			}
			w.reconciles(t, everything())
			s := w.replica(t)
			for i, o := range []customers.Owner{reserved, lost, settled} {
				if want := fmt.Sprintf("cus_%04d", i+1); s.ensures(t, o) != want {
					t.Errorf("operation %d, fault %d, %s: want %s", n, fault, o.Subject, want)
				}
			}
			w.expect(t, 0, 2, 3)
		}
	}
}

// A row that moves on under the reconciliation is left as it has become.
func TestARowThatMovesOnMeanwhileIsReported(t *testing.T) {
	t.Parallel()
	for _, op := range []storetest.Operation{storetest.Activate, storetest.Replace} {
		w := newWorld()
		w.stripe.have(alice.Metadata(customers.SubjectPlain, 2))
		row := customers.Record{Owner: alice, State: customers.Reserved, Generation: 1, IdempotencyKey: "k1", Params: paramsOf(alice, 1)}
		if op == storetest.Replace {
			row.State, row.CustomerID = customers.Active, "cus_before"
		}
		w.store.Put(row)
		w.advance(time.Hour)
		become := row
		become.State, become.CustomerID, become.Generation = customers.Active, "cus_other", 3
		ledger := w.faulty(func(_ context.Context, is storetest.Operation) storetest.Fault {
			if is == op {
				w.store.Put(become)
			}
			return storetest.None
		})
		r, err := customers.Reconcile(t.Context(), ledger, w.stripe, everything())
		if err != nil {
			t.Fatal(err)
		}
		reports(t, r, customers.Report{Listed: 1, Ours: 1, Troubles: []string{`the row "k1" changed while it was compared; run this again`}})
		if got := w.record(t, alice); got != become {
			t.Errorf("got %+v, want %+v", got, become)
		}
	}
}

// More rows than a page of the store has, and more customers than one of Stripe's.
func TestManyPagesOfRowsAndCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stripe.pageSize = 7
	const n = 1203
	var pages atomic.Int64
	for i, o := range owners(n) {
		id := w.stripe.have(o.Metadata(customers.SubjectPlain, 1))
		row := customers.Record{Owner: o, State: customers.Active, Generation: 1, CustomerID: id, IdempotencyKey: o.Subject}
		switch i % 3 {
		case 0:
			w.store.Put(row)
		case 1:
			row.State, row.CustomerID, row.Params = customers.Reserved, "", paramsOf(o, 1)
			w.store.Put(row)
		}
	}
	w.advance(time.Hour)
	ledger := w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
		if op == storetest.Page {
			pages.Add(1)
		}
		return storetest.None
	})
	r, err := customers.Reconcile(t.Context(), ledger, w.stripe, everything())
	if err != nil {
		t.Fatal(err)
	}
	reports(t, r, customers.Report{Listed: n, Ours: n, Known: n / 3, Settled: n / 3, Kept: n / 3})
	if got := pages.Load(); got != 3 {
		t.Errorf("read %d pages of rows, want 2 and the end", got)
	}
	s := w.replica(t)
	for i, o := range owners(n) {
		if got, want := s.ensures(t, o), fmt.Sprintf("cus_%04d", i+1); got != want {
			t.Fatalf("%s: got %s, want %s", o.Subject, got, want)
		}
	}
	w.expect(t, 0, (n+6)/7, n)
}

// Rows of other accounts, and of the other mode, are not looked at.
func TestAReconciliationIsOfOneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld()
	account, mode := alice, alice
	account.ID, mode.Livemode = "acct_2", false
	w.reserves(t, account, mode)
	w.stripe.have(alice.Metadata(customers.SubjectPlain, 1))
	w.advance(time.Hour)
	reports(t, w.reconciles(t, everything()), customers.Report{Listed: 1, Ours: 1, Kept: 1})
	if w.settled(t, account, mode) != 0 {
		t.Error("a row of another account got the customer")
	}
	w.advance(25 * time.Hour)
	s := w.replica(t)
	for _, o := range []customers.Owner{account, mode} {
		if id := s.ensures(t, o); id == "cus_0001" {
			t.Errorf("%+v got alice's customer", o.Account)
		}
	}
}

// Yesterday's backup: whoever came, and whatever happened to him since, everybody
// who returns has the customer that he had, and nothing is created.
func TestYesterdaysBackup(t *testing.T) {
	t.Parallel()
	for _, form := range []customers.SubjectForm{customers.SubjectPlain, customers.SubjectSHA256} {
		w := newWorld()
		options := customers.Options{SubjectForm: form}
		s := w.replicaOn(t, w.store, options)
		had := map[customers.Owner]string{}
		all := owners(60)
		before, since := all[:40], all[40:]
		for _, o := range before[:30] {
			had[o] = s.ensures(t, o)
		}
		w.stripe.create = func(context.Context) accident { return neverArrives }
		for _, o := range before[30:] { // reserved, or tried, when the backup was made
			_, _ = s.Ensure(t.Context(), o)
		}
		w.stripe.create = nil
		backup, at := w.snapshot(), w.now()

		w.advance(2 * time.Hour)
		for _, o := range before[:10] { // lost and replaced since
			w.stripe.loses(had[o])
			had[o] = s.heals(t, o, s.customer(t, o)).ID
		}
		for _, o := range before[:5] { // and once more
			w.advance(2 * time.Hour)
			w.stripe.loses(had[o])
			had[o] = s.heals(t, o, s.customer(t, o)).ID
		}
		for _, o := range append(slices.Clone(since), before[30:]...) {
			had[o] = s.ensures(t, o)
		}
		for _, o := range since[:5] { // first seen and lost since
			w.stripe.loses(had[o])
			had[o] = s.heals(t, o, s.customer(t, o)).ID
		}
		creates, _, existing := w.stripe.calls()

		w.advance(25 * time.Hour)
		w.store = backup
		o := customers.Reconciliation{Account: alice.Account, Since: at, SubjectForm: form}
		reports(t, w.reconciles(t, o), customers.Report{
			// Of those who lost some, one each is left to be listed.
			Listed: 60, Ours: 60, Known: 20, Settled: 10, Moved: 10, Kept: 20,
		})
		returned := w.replicaOn(t, w.store, options)
		for _, o := range all {
			if got := returned.ensures(t, o); got != had[o] {
				t.Errorf("%s: got %s, want %s", o.Subject, got, had[o])
			}
		}
		if c, _, e := w.stripe.calls(); c != creates || e != existing {
			t.Errorf("%d creates and %d customers more than before", c-creates, e-existing)
		}
		again := w.reconciles(t, o)
		if again.Known != 60 || again.Settled+again.Moved+again.Kept+len(again.Troubles) != 0 {
			t.Errorf("afterwards: %+v", again)
		}
	}
}

// Without a reconciliation, the deterministic keys still bring back whom the last
// day knew.
func TestTodaysBackupNeedsNoReconciliation(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	backup := w.snapshot()
	had := map[customers.Owner]string{}
	for _, o := range owners(10) {
		had[o] = s.ensures(t, o)
	}
	for _, o := range owners(3) {
		w.stripe.loses(had[o])
		had[o] = s.heals(t, o, s.customer(t, o)).ID
	}
	w.advance(22 * time.Hour)
	w.store = backup
	returned := w.replica(t)
	for _, o := range owners(10) {
		c := returned.customer(t, o)
		if c.ID != had[o] { // the first key brings the first customer back, which is gone
			c = returned.heals(t, o, c)
		}
		if c.ID != had[o] {
			t.Errorf("%s: got %s, want %s", o.Subject, c.ID, had[o])
		}
	}
	if _, _, existing := w.stripe.calls(); existing != 13 {
		t.Errorf("got %d customers, want 13", existing)
	}
}

// First visits, healings and the sweeper go on while rows are compared.
func TestAReconciliationWhileAServiceRuns(t *testing.T) {
	t.Parallel()
	for range 10 {
		w := newWorld()
		w.stripe.pageSize = 10
		s := w.replica(t)
		all := owners(120)
		for _, o := range all[:30] {
			w.gone(t, s, o)
		}
		for _, o := range all[30:60] {
			w.stripe.have(o.Metadata(customers.SubjectPlain, 1))
		}
		w.reserves(t, all[60:90]...)
		w.advance(time.Minute)
		_ = together(t, 5, func(i int) (string, error) {
			var err error
			switch i {
			case 0:
				_, err = customers.Reconcile(t.Context(), w.store, w.stripe, everything())
			case 1:
				for _, o := range all[:30] {
					c, _ := s.Service.Ensure(t.Context(), o)
					_, healErr := s.Heal(t.Context(), o, c)
					err = errors.Join(err, healErr)
				}
			case 2:
				for _, o := range all[90:] {
					_, ensureErr := s.Ensure(t.Context(), o)
					err = errors.Join(err, ensureErr)
				}
			default:
				err = w.replica(t).Sweep(t.Context(), alice.Account)
			}
			return "anyhow", err
		})
		r := w.reconciles(t, everything())
		if r.Known != 90 || r.Kept != 30 || len(r.Troubles)+r.Moved+r.Settled != 0 {
			t.Fatalf("afterwards: %+v", r)
		}
		for _, o := range all {
			s.ensures(t, o)
		}
		if _, _, existing := w.stripe.calls(); existing != 30+120 {
			t.Fatalf("got %d customers, want one each and the lost ones", existing)
		}
	}
}

// A row tells in which form its owner was written down, whatever is configured now.
func TestAChangedFormOfSubjectsHidesNoRow(t *testing.T) {
	t.Parallel()
	w := newWorld()
	hashed := w.replicaOn(t, w.store, customers.Options{SubjectForm: customers.SubjectSHA256})
	hashed.ensures(t, alice)
	w.replica(t).ensures(t, storetest.Owner("bob"))
	for _, form := range []customers.SubjectForm{customers.SubjectPlain, customers.SubjectSHA256} {
		o := everything()
		o.SubjectForm = form
		reports(t, w.reconciles(t, o), customers.Report{Listed: 2, Ours: 2, Known: 2})
	}
}
