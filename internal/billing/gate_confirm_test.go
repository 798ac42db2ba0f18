package billing_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// accounts is whose key it is according to Stripe; it may change.
type accounts struct {
	mu  sync.Mutex
	id  string
	err error
}

func (a *accounts) answer() (string, error) { a.mu.Lock(); defer a.mu.Unlock(); return a.id, a.err }

func (a *accounts) become(id string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.id, a.err = id, err
}

// of returns a gate of acct_1 that does not run: nothing but Confirm moves it.
func of(t *testing.T, stripe *fakeStripe, livemode bool, configured string, l *log) *billing.Gate {
	t.Helper()
	g := billing.NewGate(billing.GateOptions{
		Stripe: stripe, Catalog: catalog.New(nil, nil), Livemode: livemode, Account: configured, Fingerprint: "f1",
		Accounts: &memory{seen: map[string]customers.Account{"f1": {ID: "acct_1", Livemode: livemode}}},
		Logger:   slog.New(slog.NewTextHandler(l, nil)),
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(over); err != nil || !g.Ready() {
		t.Fatalf("ready %t, %v", g.Ready(), err)
	}
	return g
}

// moves is a service with a customer that Stripe has no more, and a key of which
// Stripe says what says does.
func moves(t *testing.T, livemode bool, configured string, says *accounts) (*service, billing.Caller, *billing.Gate, *log) {
	t.Helper()
	stripe, l := &fakeStripe{prices: prices()}, &log{}
	g := of(t, stripe, livemode, configured, l)
	s := newService(t, func(c *config) { c.stripe, c.gate = stripe, g })
	alice := s.caller(t, "alice")
	if _, err := s.CreateCheckout(t.Context(), alice, billing.CheckoutRequest{Plan: new("save-card")}); err != nil {
		t.Fatal(err)
	}
	stripe.loses("cus_1")
	stripe.accountID = says.answer
	stripe.forgets()
	return s, alice, g, l
}

func TestACustomerOfAnotherAccountIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		livemode   bool
		configured string
		follows    bool
	}{
		"test mode":             {false, "", true},
		"test mode, configured": {false, "acct_1", false},
		"live mode":             {true, "", false},
		"live mode, configured": {true, "acct_1", false},
	} {
		for opening, open := range openings() {
			t.Run(name+", "+opening, func(t *testing.T) {
				t.Parallel()
				s, alice, g, l := moves(t, tc.livemode, tc.configured, &accounts{id: "acct_2"})
				before := s.store.Records()
				err := open(t.Context(), s, alice)
				p, _ := errors.AsType[*problem.Error](err)
				if p == nil || p.Code != problem.DependencyUnavailable || p.RetryAfter <= 0 {
					t.Errorf("got %v, want dependency_unavailable", err)
				}
				same(t, "calls", s.stripe.since(), map[string]int{"create " + opening: 1, "account": 1})
				same(t, "rows", s.store.Records(), before)
				if text := l.String(); !contains(text, "level=ERROR", "before=acct_1", "now=acct_2") {
					t.Errorf("the log does not say so: %s", text)
				}

				account, err := g.Account()
				caller, callerErr := s.Caller(auth.Principal{Issuer: "https://id.example.com/", Subject: "alice"})
				if !tc.follows {
					if g.Ready() || err == nil || callerErr == nil {
						t.Fatalf("the gate is open: %+v, %v, %v", account, err, callerErr)
					}
					same(t, "the next caller", verdictOf(t, callerErr), verdict{problem.DependencyUnavailable, nil})
					return
				}
				if err != nil || callerErr != nil || account != (customers.Account{ID: "acct_2"}) {
					t.Fatalf("got %+v, %v, %v, want acct_2", account, err, callerErr)
				}
				if err := open(t.Context(), s, caller); err != nil {
					t.Fatal(err)
				}
				same(t, "calls of the next request", s.stripe.since(), map[string]int{"create customer": 1, "create " + opening: 1})
				rows := map[customers.Account]string{}
				for _, r := range s.store.Records() {
					rows[r.Owner.Account] = r.CustomerID
				}
				same(t, "rows", rows, map[customers.Account]string{{ID: "acct_1"}: "cus_1", {ID: "acct_2"}: "cus_2"})
			})
		}
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// The key says that it may not look: then what Stripe says of the customer counts.
func TestAKeyThatMayNotReadTheAccountStillHeals(t *testing.T) {
	t.Parallel()
	for _, livemode := range []bool{true, false} {
		denied := &accounts{err: refused(stripeError{text: "denied", denied: true})}
		s, alice, g, _ := moves(t, livemode, "acct_1", denied)
		if _, err := s.OpenPortal(t.Context(), alice, billing.PortalRequest{}); err != nil {
			t.Fatal(err)
		}
		same(t, "calls", s.stripe.since(), map[string]int{"create portal": 2, "account": 1, "customer life": 1, "create customer": 1})
		if !g.Ready() {
			t.Error("the gate is shut")
		}
	}
}

// Without an answer nothing is known, and nothing changes.
func TestAnAccountThatIsNotConfirmedHealsNobody(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want problem.Code
	}{
		"a timeout":        {problem.New(problem.UpstreamTimeout, context.DeadlineExceeded), problem.UpstreamTimeout},
		"an outage":        {problem.New(problem.UpstreamError, errors.New("500")), problem.UpstreamError},
		"a key of nobody":  {refused(stripeError{text: "no such key", unknownKey: true}), problem.UpstreamError},
		"a full queue":     {&problem.Error{Code: problem.Overloaded, RetryAfter: time.Second}, problem.Overloaded},
		"an account of ''": {problem.New(problem.UpstreamError, errors.New("an answer without an id")), problem.UpstreamError},
	} {
		for _, livemode := range []bool{true, false} {
			s, alice, g, _ := moves(t, livemode, "", &accounts{err: tc.err})
			before := s.store.Records()
			_, err := s.OpenPortal(t.Context(), alice, billing.PortalRequest{})
			same(t, name, verdictOf(t, err).Code, tc.want)
			same(t, name+": calls", s.stripe.since(), map[string]int{"create portal": 1, "account": 1})
			same(t, name+": rows", s.store.Records(), before)
			if a, err := g.Account(); err != nil || a != (customers.Account{ID: "acct_1", Livemode: livemode}) {
				t.Errorf("%s: got %+v, %v, want acct_1 as before", name, a, err)
			}
		}
	}
}

func TestTheSameAccountIsConfirmed(t *testing.T) {
	t.Parallel()
	for _, livemode := range []bool{true, false} {
		for _, configured := range []string{"", "acct_1"} {
			l := &log{}
			g := of(t, &fakeStripe{}, livemode, configured, l)
			if err := g.Confirm(t.Context()); err != nil || !g.Ready() || l.String() != "" {
				t.Errorf("got %v, ready %t, %s", err, g.Ready(), l)
			}
		}
	}
}

func TestAShutGateConfirmsNothing(t *testing.T) {
	t.Parallel()
	stripe := &fakeStripe{}
	err := billing.NewGate(billing.GateOptions{Stripe: stripe}).Confirm(t.Context())
	same(t, "refusal", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
	same(t, "calls", stripe.since(), map[string]int(nil))
}

// Many requests find out at once; in test mode all of the next ones are served.
func TestManyFindOutAtOnce(t *testing.T) {
	t.Parallel()
	for _, livemode := range []bool{true, false} {
		stripe := &fakeStripe{}
		g := of(t, stripe, livemode, "", &log{})
		stripe.accountID = func() (string, error) { return "acct_2", nil }
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := g.Confirm(t.Context()); err == nil && livemode {
					t.Error("confirmed")
				}
			})
		}
		wg.Wait()
		a, err := g.Account()
		if livemode != (err != nil) || !livemode && a.ID != "acct_2" {
			t.Errorf("live %t: got %+v, %v", livemode, a, err)
		}
	}
}

// Once shut, the gate stays shut while the key is another account's, and opens
// when it is not.
func TestAGateThatConfirmShutStaysShut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe, says := healthy(), &accounts{id: "acct_1"}
		stripe.accountID = says.answer
		g := runGate(t, stripe, &memory{})
		g.expect(t, true)
		says.become("acct_2", nil)
		if err := g.Confirm(t.Context()); err == nil {
			t.Error("confirmed")
		}
		g.expect(t, false)
		time.Sleep(20 * time.Minute)
		g.expect(t, false)
		g.runs(t)
		same(t, "remembered", g.memory.seen["f1"].ID, "acct_1")
		says.become("acct_1", nil)
		time.Sleep(5*time.Minute + time.Second)
		g.expect(t, true)
	})
}

// A sandbox that was started anew: the gate follows at once, and remembers it
// with its next look.
func TestAGateThatFollowedRemembersTheAccount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe, says := &fakeStripe{}, &accounts{id: "acct_1"}
		stripe.accountID = says.answer
		m := &memory{}
		g := runGate(t, stripe, m, func(o *billing.GateOptions) { o.Livemode, o.Catalog = false, catalog.New(nil, nil) })
		synctest.Wait()
		says.become("acct_2", nil)
		if err := g.Confirm(t.Context()); err == nil {
			t.Error("confirmed")
		}
		if a, err := g.Account(); err != nil || a.ID != "acct_2" {
			t.Errorf("got %+v, %v", a, err)
		}
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		same(t, "remembered", m.seen, map[string]customers.Account{"f1": {ID: "acct_2"}})
		if a, err := g.Account(); err != nil || a.ID != "acct_2" {
			t.Errorf("got %+v, %v", a, err)
		}
	})
}

// forgetful answers no question, and takes every answer.
type forgetful struct{ *memory }

func (forgetful) SeenAccount(context.Context, string) (customers.Account, bool, error) {
	return customers.Account{}, false, errors.New("gone")
}

// A failed look-up is not "never seen".
func TestWithoutMemoryAKeyIsNotTakenForNew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := &memory{seen: map[string]customers.Account{"f1": {ID: "acct_0", Livemode: true}}}
		g := runGate(t, healthy(), m, func(o *billing.GateOptions) { o.Accounts = forgetful{m} })
		g.expect(t, false)
		g.runs(t)
		same(t, "remembered", m.seen["f1"].ID, "acct_0")
	})
}
