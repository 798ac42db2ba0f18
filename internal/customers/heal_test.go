package customers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// gone makes the owner's customer and loses it at Stripe.
func (w *world) gone(t testing.TB, r replica, owner customers.Owner) customers.Customer {
	t.Helper()
	c := r.customer(t, owner)
	w.stripe.loses(c.ID)
	return c
}

func (r replica) heals(t testing.TB, owner customers.Owner, lost customers.Customer) customers.Customer {
	t.Helper()
	c, err := r.Heal(t.Context(), owner, lost)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID == lost.ID || c.ID == "" {
		t.Fatalf("got %+v for %+v", c, lost)
	}
	return c
}

// refusesToHeal holds that Heal fails with code, and returns the problem.
func (r replica) refusesToHeal(t testing.TB, owner customers.Owner, lost customers.Customer, code problem.Code) *problem.Error {
	t.Helper()
	c, err := r.Heal(t.Context(), owner, lost)
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != code || c != (customers.Customer{}) {
		t.Fatalf("got %+v, %v, want %s", c, err, code)
	}
	return p
}

func TestADeletedCustomerIsReplacedOnce(t *testing.T) {
	t.Parallel()
	var keys [][]string
	for range 2 { // the second time in another world, for the keys
		w := newWorld()
		s := w.replica(t)
		lost := w.gone(t, s, alice)
		w.advance(time.Hour)
		c := s.heals(t, alice, lost)
		if c.Generation != 2 || c.Sent != (customers.Sent{}) {
			t.Errorf("got %+v, want the second generation", c)
		}
		w.expect(t, 2, 0, 2)
		if got := w.stripe.customers[1].Metadata["till_generation"]; got != "2" {
			t.Errorf("the new customer says it is of generation %s", got)
		}
		if got := s.ensures(t, alice); got != c.ID {
			t.Errorf("then got %s, want %s", got, c.ID)
		}
		s.counted(t, map[string]int{"created": 1, "healed": 1, "cache": 1})

		r := w.record(t, alice)
		keys = append(keys, w.stripe.keysSent())
		if r.State != customers.Active || r.CustomerID != c.ID || r.Generation != 2 || r.IdempotencyKey != keys[0][1] ||
			!r.HealedAt.Equal(w.now().Truncate(time.Millisecond)) || !r.ReservedAt.Equal(r.HealedAt) {
			t.Errorf("got %+v", r)
		}

		// Who lost the same one and comes later finds what stands, and asks nobody.
		if again := s.heals(t, alice, lost); again != c {
			t.Errorf("got %+v, want %+v", again, c)
		}
		w.expect(t, 2, 0, 2)
		if w.stripe.lives != 1 {
			t.Errorf("Stripe was asked %d times whether the customer is gone", w.stripe.lives)
		}
	}
	if keys[0][0] != keys[1][0] || keys[0][1] != keys[1][1] || keys[0][0] == keys[0][1] {
		t.Errorf("got keys %v, want two, the same each time", keys)
	}
}

func TestAHealedCustomerIsForgottenHereAtOnceAndElsewhereInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		here, elsewhere := w.replica(t), w.replicaOn(t, w.store, customers.Options{CacheAge: time.Minute})
		lost := w.gone(t, here, alice)
		elsewhere.ensures(t, alice)
		c := here.heals(t, alice, lost)
		if got := here.ensures(t, alice); got != c.ID {
			t.Errorf("here: got %s, want %s", got, c.ID)
		}
		if got := elsewhere.ensures(t, alice); got != lost.ID {
			t.Errorf("elsewhere: got %s; who told it?", got)
		}
		time.Sleep(time.Minute)
		if got := elsewhere.ensures(t, alice); got != c.ID {
			t.Errorf("elsewhere, a minute later: got %s, want %s", got, c.ID)
		}
	})
}

// The healing failed, and what was known of the customer is still forgotten.
func TestALostCustomerIsForgottenEvenIfItIsNotReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	w.stripe.life = func(context.Context) (customers.Life, error) {
		return customers.Deleted, upstream(problem.UpstreamTimeout, context.DeadlineExceeded)
	}
	s.refusesToHeal(t, alice, lost, problem.UpstreamTimeout)
	s.ensures(t, alice)
	s.counted(t, map[string]int{"created": 1, "failed": 1, "store": 1})
}

// A loss that is reported late must not make the healed customer forgotten.
func TestOnlyTheLostCustomerIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	s.heals(t, alice, lost)
	broken := true
	late := w.replicaOn(t, w.faulty(func(context.Context, storetest.Operation) storetest.Fault {
		if broken {
			return storetest.Before
		}
		return storetest.None
	}), customers.Options{})
	broken = false
	c := late.customer(t, alice)
	broken = true
	late.refusesToHeal(t, alice, lost, problem.DependencyUnavailable)
	if got := late.ensures(t, alice); got != c.ID {
		t.Errorf("got %s, want %s from the cache", got, c.ID)
	}
}

func TestManyWhoHealAtOnceMakeOneCustomer(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 3} {
		for round := range 30 {
			w := newWorld()
			var all []replica
			for range processes {
				all = append(all, w.replica(t))
			}
			lost := w.gone(t, all[0], alice)
			id := together(t, 30, func(i int) (string, error) {
				c, err := all[i%processes].Heal(t.Context(), alice, lost)
				return c.ID, err
			})
			r := w.record(t, alice)
			if _, _, existing := w.stripe.calls(); existing != 2 || r.CustomerID != id || r.Generation != 2 {
				t.Fatalf("%d processes, round %d: got %d customers and %+v, want %s beside the lost one", processes, round, existing, r, id)
			}
		}
	}
}

// Heals and first visits mix, since only some know of the loss.
func TestWhoEnsuresWhileOthersHealGetsOneOfTheTwo(t *testing.T) {
	t.Parallel()
	for round := range 30 {
		w := newWorld()
		s := w.replica(t)
		lost := w.gone(t, s, alice)
		others := []replica{s, w.replica(t)}
		got := make([]string, 20)
		_ = together(t, len(got), func(i int) (string, error) {
			var c customers.Customer
			var err error
			if i%4 == 0 {
				c, err = others[i%2].Heal(t.Context(), alice, lost)
			} else {
				c, err = others[i%2].Service.Ensure(t.Context(), alice)
			}
			got[i] = c.ID
			return "anyhow", err
		})
		stands := w.record(t, alice).CustomerID
		for i, id := range got {
			if id != stands && (id != lost.ID || i%4 == 0) {
				t.Fatalf("round %d: number %d got %q; %q stands", round, i, id, stands)
			}
		}
		if _, _, existing := w.stripe.calls(); existing != 2 {
			t.Fatalf("round %d: got %d customers", round, existing)
		}
		// What was read before the healing must not be remembered after it.
		if id := s.ensures(t, alice); id != stands {
			t.Fatalf("round %d: got %q afterwards, want %q", round, id, stands)
		}
	}
}

func TestAStaleCacheElsewhereHealsToWhatStands(t *testing.T) {
	t.Parallel()
	w := newWorld()
	here, elsewhere := w.replica(t), w.replica(t)
	lost := w.gone(t, here, alice)
	elsewhere.ensures(t, alice)
	c := here.heals(t, alice, lost)
	asked := w.stripe.lives
	if got := elsewhere.heals(t, alice, lost); got != c {
		t.Errorf("got %+v, want %+v", got, c)
	}
	w.expect(t, 2, 0, 2)
	if w.stripe.lives != asked {
		t.Error("Stripe was asked about a customer that is none any more")
	}
	elsewhere.counted(t, map[string]int{"store": 2})
	if got := elsewhere.ensures(t, alice); got != c.ID {
		t.Errorf("then got %s, want %s", got, c.ID)
	}
}

// Between the reading and the writing of one process another one heals.
func TestAHealThatComesSecondTakesTheFirstOnesCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld()
	first := w.replica(t)
	lost := w.gone(t, first, alice)
	var c customers.Customer
	second := w.replicaOn(t, w.faulty(func(_ context.Context, op storetest.Operation) storetest.Fault {
		if op == storetest.Heal {
			c = first.heals(t, alice, lost)
		}
		return storetest.None
	}), customers.Options{})
	if got := second.heals(t, alice, lost); got != c || c.ID == "" {
		t.Errorf("got %+v, want %+v", got, c)
	}
	w.expect(t, 2, 0, 2)
}

// A customer that is deleted again and again is a program at work, or a mistake.
func TestACustomerIsReplacedOnceAnHourAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	second := s.heals(t, alice, w.gone(t, s, alice))
	w.stripe.loses(second.ID)
	w.advance(10 * time.Minute)
	before := w.record(t, alice)
	for _, other := range []replica{s, w.replica(t)} {
		p := other.refusesToHeal(t, alice, second, problem.DependencyUnavailable)
		if p.RetryAfter != 50*time.Minute {
			t.Errorf("retry after %v, want the rest of the hour", p.RetryAfter)
		}
	}
	s.counted(t, map[string]int{"created": 1, "healed": 1, "refused": 1})
	if got := w.record(t, alice); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
	w.advance(50*time.Minute - time.Millisecond)
	s.refusesToHeal(t, alice, second, problem.DependencyUnavailable)
	w.expect(t, 2, 0, 2)

	w.advance(time.Millisecond)
	if c := s.heals(t, alice, second); c.Generation != 3 {
		t.Errorf("got %+v, want the third generation", c)
	}
	w.expect(t, 3, 0, 3)
}

// The hour also counts when the new customer needed a generation more.
func TestTheHourCountsFromTheHealing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	w.stripe.create = once(failsFirst)
	s.refusesToHeal(t, alice, lost, problem.UpstreamError)
	s.fails(t, alice, problem.DependencyUnavailable) // the replay spends the key
	w.advance(2 * time.Minute)
	c := s.customer(t, alice)
	if c.Generation != 3 {
		t.Fatalf("got %+v, want the third generation", c)
	}
	w.stripe.loses(c.ID)
	if p := s.refusesToHeal(t, alice, c, problem.DependencyUnavailable); p.RetryAfter != 58*time.Minute {
		t.Errorf("retry after %v, want 58m0s", p.RetryAfter)
	}
}

func TestOwnersAreHealedIndependently(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, bob := w.replica(t), storetest.Owner("bob")
	s.heals(t, alice, w.gone(t, s, alice))
	s.heals(t, bob, w.gone(t, s, bob))
	w.expect(t, 4, 0, 4)
}

// Only what Stripe confirms is a loss.
func TestWhatIsNoLossHealsNothing(t *testing.T) {
	t.Parallel()
	tested := alice
	tested.Livemode = false
	answers := func(life customers.Life, err error) func(context.Context) (customers.Life, error) {
		return func(context.Context) (customers.Life, error) { return life, err }
	}
	for name, tc := range map[string]struct {
		owner customers.Owner
		life  func(context.Context) (customers.Life, error)
		code  problem.Code
	}{
		"alive":            {alice, answers(customers.Alive, nil), problem.UpstreamError},
		"alive, test mode": {tested, answers(customers.Alive, nil), problem.UpstreamError},
		"never there":      {alice, answers(customers.Missing, nil), problem.UpstreamError},
		"no such life":     {tested, answers(customers.Life(7), nil), problem.UpstreamError},
		"no answer":        {alice, answers(customers.Deleted, upstream(problem.UpstreamTimeout, context.DeadlineExceeded)), problem.UpstreamTimeout},
		"no answer, test":  {tested, answers(customers.Missing, upstream(problem.UpstreamError, errors.New("500"))), problem.UpstreamError},
		"a plain error":    {alice, answers(customers.Deleted, errors.New("?")), problem.DependencyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			s := w.replica(t)
			lost := w.gone(t, s, tc.owner)
			before := w.record(t, tc.owner)
			w.stripe.life = tc.life
			p := s.refusesToHeal(t, tc.owner, lost, tc.code)
			if _, bad := errors.AsType[*customers.BadRecordError](p); bad && strings.HasPrefix(name, "alive") {
				t.Errorf("got %v; is the row wrong, or is Stripe?", p)
			}
			for _, secret := range []string{tc.owner.Subject, tc.owner.Issuer} {
				if strings.Contains(p.Error(), secret) {
					t.Errorf("%q names the owner", p.Error())
				}
			}
			if got := w.record(t, tc.owner); got != before {
				t.Errorf("got %+v, want %+v", got, before)
			}
			w.expect(t, 1, 0, 1)
			s.counted(t, map[string]int{"created": 1, "failed": 1})
			w.stripe.life = nil
			s.heals(t, tc.owner, lost) // nothing stands in the way once it is certain
		})
	}
}

// In live mode, an id that the account never had means that the row, or the key,
// is another account's. In test mode it is a sandbox that was started anew.
func TestACustomerThatTheAccountNeverHad(t *testing.T) {
	t.Parallel()
	for _, livemode := range []bool{true, false} {
		w := newWorld()
		s, owner := w.replica(t), alice
		owner.Livemode = livemode
		s.ensures(t, owner)
		r := w.record(t, owner)
		r.CustomerID = "cus_elsewhere"
		w.store.Put(r)
		lost := r.Customer()
		if !livemode {
			if c := s.heals(t, owner, lost); c.Generation != 2 {
				t.Errorf("got %+v, want the second generation", c)
			}
			continue
		}
		p := s.refusesToHeal(t, owner, lost, problem.UpstreamError)
		bad, ok := errors.AsType[*customers.BadRecordError](p)
		if !ok || bad.Row != r.IdempotencyKey || !strings.Contains(p.Error(), "cus_elsewhere") {
			t.Errorf("got %v, want the row %s and its customer named", p, r.IdempotencyKey)
		}
		w.expect(t, 1, 0, 1)
	}
}

// Each operation of the store, failed before and after it took effect.
func TestAHealThatIsInterruptedIsFinishedLater(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{0, 2 * time.Minute, 25 * time.Hour} {
		for n := 1; n <= 5; n++ {
			for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
				t.Run(fmt.Sprintf("operation %d, fault %d, %v later", n, fault, later), func(t *testing.T) {
					t.Parallel()
					w := newWorld()
					lost := w.gone(t, w.replica(t), alice)
					before := w.record(t, alice)
					dying := w.replicaOn(t, w.faulty(dyingAt(n, fault)), customers.Options{})
					dying.refusesToHeal(t, alice, lost, problem.DependencyUnavailable)
					healed := n > 2 || n == 2 && fault == storetest.After
					r := w.record(t, alice)
					if !healed && r != before {
						t.Errorf("got %+v, want %+v", r, before)
					}
					if creates, _, _ := w.stripe.calls(); creates > 1 && n < 5 {
						t.Error("Stripe was called before the attempt was known to be written")
					}
					w.advance(later)
					s := w.replica(t)
					c := s.customer(t, alice)
					if (c.ID == lost.ID) == healed {
						t.Errorf("got %+v first", c)
					}
					if !healed {
						c = s.heals(t, alice, lost)
					}
					// An attempt that was written and never made costs a generation, once its
					// key is too old.
					if got := w.stripe.ofOwner(alice); len(got) != 2 || got[1] != c.ID || c.Generation < 2 || c.Generation > 3 {
						t.Errorf("got %+v of customers %v", c, got)
					}
				})
			}
		}
	}
}

// The row says already that the customer is another; only Stripe does not know it
// yet. Whoever comes next finishes it, without a second healing.
func TestACreationThatFailsAfterTheHealingIsFinishedByWhoeverComesNext(t *testing.T) {
	t.Parallel()
	for what, creates := range map[accident]int{silence: 3, neverArrives: 3} {
		for who, finish := range map[string]func(*testing.T, replica, customers.Customer){
			"a visit": func(t *testing.T, s replica, _ customers.Customer) { s.ensures(t, alice) },
			"a visit that knows the loss": func(t *testing.T, s replica, lost customers.Customer) {
				s.heals(t, alice, lost)
			},
			"the sweeper": func(t *testing.T, s replica, _ customers.Customer) {
				if err := s.Sweep(t.Context(), alice.Account); err != nil {
					t.Error(err)
				}
			},
		} {
			t.Run(fmt.Sprintf("accident %d, %s", what, who), func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				s := w.replica(t)
				lost := w.gone(t, s, alice)
				w.stripe.create = once(what)
				if _, err := s.Heal(t.Context(), alice, lost); err == nil {
					t.Fatal("got a customer")
				}
				if r := w.record(t, alice); r.State != customers.Reserved || r.Generation != 2 || r.CustomerID != "" || r.HealedAt.IsZero() {
					t.Errorf("got %+v, want the second reservation", r)
				}
				if _, err := s.Find(t.Context(), alice); !errors.Is(err, customers.ErrNoRecord) {
					t.Errorf("got %v, want no customer meanwhile", err)
				}
				w.advance(20 * time.Second)
				finish(t, s, lost)
				w.expect(t, creates, 0, 2)
				if r := w.record(t, alice); r.State != customers.Active || r.Generation != 2 || r.CustomerID != "cus_0002" {
					t.Errorf("got %+v, want the second customer", r)
				}
				if w.stripe.lives != 1 {
					t.Errorf("the loss was asked about %d times", w.stripe.lives)
				}
			})
		}
	}
}

// The row was lost, as with a backup, and the key is too old to bring the lost
// customer back.
func TestALossWhoseRowIsGoneBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld()
	lost := w.gone(t, w.replica(t), alice)
	w.store = storetest.NewMemory()
	w.advance(25 * time.Hour)
	c := w.replica(t).heals(t, alice, lost)
	if r := w.record(t, alice); r.CustomerID != c.ID || r.State != customers.Active {
		t.Errorf("got %+v, want %s", r, c.ID)
	}
	w.expect(t, 2, 0, 2)
}

// A deleted customer is not listed: what a key made before the deletion is not
// adopted again.
func TestALossThatIsReservedAgainIsNotAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	w.stripe.create = once(silence)
	s.fails(t, alice, problem.UpstreamTimeout)
	w.stripe.loses("cus_0001")
	w.advance(25 * time.Hour)
	c := s.heals(t, alice, storetest.Customer("cus_0001", 1))
	if c.Generation != 2 || w.record(t, alice).CustomerID != c.ID {
		t.Errorf("got %+v", c)
	}
	w.expect(t, 2, 2, 2)
}

func TestAHealEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := goingWorld()
		s := w.replica(t)
		lost := w.gone(t, s, alice)
		w.stripe.life = func(ctx context.Context) (customers.Life, error) {
			<-ctx.Done()
			return customers.Deleted, upstream(problem.UpstreamTimeout, ctx.Err())
		}
		begin := time.Now()
		s.refusesToHeal(t, alice, lost, problem.UpstreamTimeout)
		if took := time.Since(begin); took != 12*time.Second {
			t.Errorf("took %v, want 12 s", took)
		}
	})
}

func TestAHealIsLoggedWithoutTheOwner(t *testing.T) {
	t.Parallel()
	w, d := newWorld(), &diary{}
	s := w.replicaOn(t, w.store, customers.Options{Logger: d.logger()})
	s.heals(t, alice, w.gone(t, s, alice))
	if d.lines("customer=cus_0001 generation=2") != 1 || d.lines("level=WARN") != 1 {
		t.Errorf("the log does not say what happened: %s", d)
	}
	if d.lines(alice.Subject)+d.lines(alice.Issuer) != 0 {
		t.Errorf("the log names the owner: %s", d)
	}
}

// A heal of a row that was lost replays the lost customer.
func TestAHealNeverBringsTheLostOneBack(t *testing.T) {
	t.Parallel()
	for _, reserved := range []bool{false, true} {
		w := newWorld()
		lost := w.gone(t, w.replica(t), alice)
		w.store = storetest.NewMemory()
		if reserved {
			w.reserves(t, alice)
		}
		c, err := w.replica(t).Heal(t.Context(), alice, lost)
		if err != nil || c.ID == lost.ID || c.Generation != 2 {
			t.Errorf("reserved %t: got %+v, %v", reserved, c, err)
		}
	}
}

// A heal does not look at the row.
func TestAnEditedRowIsNotHealed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	lost := w.gone(t, s, alice)
	row := w.record(t, alice)
	row.Generation = 0
	w.store.Put(row)
	_, err := s.Heal(t.Context(), alice, lost)
	if _, bad := errors.AsType[*customers.BadRecordError](err); !bad {
		t.Errorf("got %v, want the row refused", err)
	}
	if got := w.record(t, alice); got != row {
		t.Errorf("got %+v", got)
	}
}

// An active row without a key is named by nothing.
func TestARowWithoutAKeyIsStillNamed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.replica(t)
	s.ensures(t, alice)
	r := w.record(t, alice)
	key := r.IdempotencyKey
	r.CustomerID, r.IdempotencyKey = "cus_elsewhere", ""
	w.store.Put(r)
	_, err := s.Heal(t.Context(), alice, r.Customer())
	if bad, ok := errors.AsType[*customers.BadRecordError](err); !ok || bad.Row != key {
		t.Errorf("got %v", err)
	}
}
