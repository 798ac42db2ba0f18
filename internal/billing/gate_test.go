package billing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/problem"
	"till/internal/redirect"
)

// memory remembers accounts; err comes instead.
type memory struct {
	mu   sync.Mutex
	seen map[string]customers.Account
	err  error
}

func (m *memory) SeenAccount(_ context.Context, fingerprint string) (customers.Account, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.seen[fingerprint]
	return a, ok, m.err
}

func (m *memory) RememberAccount(_ context.Context, fingerprint string, a customers.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.seen == nil {
		m.seen = map[string]customers.Account{}
	}
	m.seen[fingerprint] = a
	return nil
}

// log is a logger's output that may be read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// gate is a gate that runs until the test (or its bubble) ends.
type gate struct {
	*billing.Gate
	stripe *fakeStripe
	memory *memory
	log    *log
	ended  chan error
}

func runGate(t *testing.T, stripe *fakeStripe, m *memory, edit ...func(*billing.GateOptions)) *gate {
	t.Helper()
	g := &gate{stripe: stripe, memory: m, log: &log{}, ended: make(chan error, 1)}
	o := billing.GateOptions{
		Stripe: stripe, Accounts: m, Catalog: catalog.New(plans()[:3], nil), Livemode: true, Fingerprint: "f1",
		Logger: slog.New(slog.NewTextHandler(g.log, nil)),
	}
	for _, e := range edit {
		e(&o)
	}
	g.Gate = billing.NewGate(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.ended <- g.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return g
}

// opened returns a gate that its memory has opened, of the account acct_1 in live mode.
func opened(t *testing.T, stripe *fakeStripe) *billing.Gate {
	t.Helper()
	g := billing.NewGate(billing.GateOptions{
		Stripe: stripe, Catalog: catalog.New(nil, nil), Livemode: true, Fingerprint: "f1",
		Accounts: &memory{seen: map[string]customers.Account{"f1": {ID: "acct_1", Livemode: true}}},
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(over); err != nil || !g.Ready() {
		t.Fatalf("ready %t, %v", g.Ready(), err)
	}
	return g
}

func (g *gate) expect(t *testing.T, ready bool) {
	t.Helper()
	synctest.Wait()
	a, err := g.Account()
	switch {
	case g.Ready() != ready:
		t.Errorf("ready %t, want %t", g.Ready(), ready)
	case ready && (err != nil || a != customers.Account{ID: "acct_1", Livemode: true}):
		t.Errorf("got %+v, %v, want acct_1", a, err)
	case !ready:
		p, _ := errors.AsType[*problem.Error](err)
		if p == nil || p.Code != problem.DependencyUnavailable || p.RetryAfter <= 0 || a != (customers.Account{}) {
			t.Errorf("got %+v, %v, want dependency_unavailable", a, err)
		}
	}
}

func (g *gate) contradicts(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-g.ended:
		c, ok := errors.AsType[*billing.Contradiction](err)
		if !ok {
			t.Fatalf("got %v, want a contradiction", err)
		}
		for _, text := range want {
			if !strings.Contains(c.Error(), text) {
				t.Errorf("got %q, want %q in it", c.Error(), text)
			}
		}
	default:
		t.Fatalf("the gate still runs: %s", g.log)
	}
}

func (g *gate) runs(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-g.ended:
		t.Errorf("the gate has ended: %v", err)
	default:
	}
}

func healthy() *fakeStripe { return &fakeStripe{prices: prices()} }

func inBubble(t *testing.T, story func(t *testing.T)) {
	t.Parallel()
	synctest.Test(t, story)
}

func TestTheGateOpensWhenStripeAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := &memory{}
		g := runGate(t, healthy(), m)
		g.expect(t, true)
		g.runs(t)
		same(t, "remembered", m.seen, map[string]customers.Account{"f1": {ID: "acct_1", Livemode: true}})
		same(t, "log", g.log.String(), "")
	})
}

// A key does not move to another account: in live mode the start ends.
func TestAKeyOfAnotherAccountThanBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		seen := &memory{seen: map[string]customers.Account{"f1": {ID: "acct_0", Livemode: true}}}
		g := runGate(t, healthy(), seen)
		g.contradicts(t, "STRIPE_SECRET_KEY: belonged to acct_0")
		if seen.seen["f1"].ID != "acct_0" {
			t.Error("it was forgotten whose key it was")
		}
	})
}

// After a good answer the first failure is followed up soon, not a whole refresh
// later.
func TestAFailedRefreshIsTriedAgainSoon(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe, fails := healthy(), 0
		var mu sync.Mutex
		stripe.accountID = func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if fails > 0 {
				fails--
				return "", problem.New(problem.UpstreamTimeout, context.DeadlineExceeded)
			}
			return "acct_1", nil
		}
		g := runGate(t, stripe, &memory{})
		g.expect(t, true)
		stripe.since()
		mu.Lock()
		fails = 3
		mu.Unlock()
		time.Sleep(5*time.Minute + 10*time.Second)
		if calls := stripe.since()["account"]; calls != 4 {
			t.Errorf("got %d tries within ten seconds of the failure, want three failures and a good one", calls)
		}
		g.runs(t)
	})
}

// A start waits for one answer of Stripe, not for three in turn.
func TestAStartAsksEverythingAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe := healthy()
		asked := make(chan map[string]int, 1)
		stripe.accountID = func() (string, error) {
			time.Sleep(time.Second)
			asked <- stripe.since()
			return "acct_1", nil
		}
		g := runGate(t, stripe, &memory{})
		if got := <-asked; got["prices"] == 0 {
			t.Errorf("by the time the account is known, Stripe was asked for %v", got)
		}
		g.expect(t, true)
	})
}

func TestAShutGateLetsNobodyAct(t *testing.T) {
	t.Parallel()
	s, err := billing.New(billing.Options{
		Gate: billing.NewGate(billing.GateOptions{}), Metrics: prometheus.NewRegistry(),
		Catalog: &catalog.Catalog{}, Customers: &customers.Service{}, Redirects: &redirect.Policy{}, Stripe: healthy(),
		Idempotency: &idempotency.Service{},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Caller(auth.Principal{Issuer: "https://id.example.com/", Subject: "alice"})
	same(t, "refusal", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
}

func TestWithoutAnAnswerTheGateStaysShutAndTriesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe, down := healthy(), true
		var mu sync.Mutex
		stripe.accountID = func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return "", problem.New(problem.UpstreamTimeout, context.DeadlineExceeded)
			}
			return "acct_1", nil
		}
		g := runGate(t, stripe, &memory{})
		g.expect(t, false)
		time.Sleep(10 * time.Minute)
		g.expect(t, false)
		g.runs(t)
		if calls := stripe.since()["account"]; calls < 20 || calls > 40 {
			t.Errorf("got %d tries in ten minutes, want one each 30 s or so", calls)
		}
		if !strings.Contains(g.log.String(), "ready=false") {
			t.Errorf("the log says nothing of it: %s", g.log)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(30 * time.Second)
		g.expect(t, true)
	})
}

func TestPricesThatCannotBeReadAreNoContradiction(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := runGate(t, healthy(), &memory{}, func(o *billing.GateOptions) { o.Stripe = brokenPrices{healthy()} })
		g.expect(t, false)
		time.Sleep(time.Minute)
		g.expect(t, false)
		g.runs(t)
	})
}

type brokenPrices struct{ billing.Stripe }

func (brokenPrices) PricesByLookupKey(context.Context, []string) ([]catalog.Price, error) {
	return nil, problem.New(problem.UpstreamError, nil)
}

func (brokenPrices) PriceByID(context.Context, string) (catalog.Price, error) {
	return catalog.Price{}, problem.New(problem.UpstreamError, nil)
}

func TestTheGateOpensFromMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe := healthy()
		stripe.accountID = func() (string, error) { return "", errors.New("down") }
		live := customers.Account{ID: "acct_1", Livemode: true}
		for name, tc := range map[string]struct {
			seen  map[string]customers.Account
			edit  func(*billing.GateOptions)
			ready bool
		}{
			"seen before":             {map[string]customers.Account{"f1": live}, nil, true},
			"seen, and configured":    {map[string]customers.Account{"f1": live}, func(o *billing.GateOptions) { o.Account = "acct_1" }, true},
			"another is configured":   {map[string]customers.Account{"f1": live}, func(o *billing.GateOptions) { o.Account = "acct_2" }, false},
			"seen with another key":   {map[string]customers.Account{"f2": live}, nil, false},
			"seen in the other mode":  {map[string]customers.Account{"f1": {ID: "acct_1"}}, nil, false},
			"never seen, configured":  {nil, func(o *billing.GateOptions) { o.Account = "acct_1" }, false},
			"the database is no help": {nil, func(o *billing.GateOptions) { o.Accounts = &memory{err: errors.New("gone")} }, false},
		} {
			var edits []func(*billing.GateOptions)
			if tc.edit != nil {
				edits = append(edits, tc.edit)
			}
			g := runGate(t, stripe, &memory{seen: tc.seen}, edits...)
			t.Log(name)
			g.expect(t, tc.ready)
			g.runs(t)
		}
	})
}

// What Stripe says later goes before what was remembered.
func TestMemoryIsContradictedByStripe(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe := healthy()
		delete(stripe.prices, "price_shirt")
		g := runGate(t, stripe, &memory{seen: map[string]customers.Account{"f1": {ID: "acct_1", Livemode: true}}})
		g.contradicts(t, "plans.shop.line_items.0.price")
	})
}

func TestContradictionsEndTheStart(t *testing.T) {
	t.Parallel()
	denied := func() (string, error) { return "", refused(stripeError{text: "denied", denied: true}) }
	for name, tc := range map[string]struct {
		stripe func(*fakeStripe)
		edit   func(*billing.GateOptions)
		want   []string // nil: the gate opens
	}{
		"the account of another key": {
			nil, func(o *billing.GateOptions) { o.Account = "acct_2" },
			[]string{"stripe.account: is acct_2, and the key belongs to acct_1"},
		},
		"the configured account": {nil, func(o *billing.GateOptions) { o.Account = "acct_1" }, nil},
		"a key that may not look, and no account": {
			func(f *fakeStripe) { f.accountID = denied }, nil, []string{"stripe.account: required"},
		},
		"a key that Stripe does not know": {
			func(f *fakeStripe) {
				f.accountID = func() (string, error) { return "", refused(stripeError{text: "no such key", unknownKey: true}) }
			}, nil, []string{"STRIPE_SECRET_KEY: Stripe does not accept this key"},
		},
		"a key that may not read prices": {
			func(f *fakeStripe) { f.priceErr = refused(stripeError{text: "denied", denied: true}) }, nil,
			[]string{"STRIPE_SECRET_KEY: may not read prices"},
		},
		"a key that may not look, with one": {
			func(f *fakeStripe) { f.accountID = denied }, func(o *billing.GateOptions) { o.Account = "acct_1" }, nil,
		},
		"every price that is wrong": {
			func(f *fakeStripe) {
				delete(f.prices, "price_pro")
				shirt := f.prices["price_shirt"]
				shirt.Livemode = false
				f.prices["price_shirt"] = shirt
				mug := f.prices["price_mug"]
				mug.Active = false
				f.prices["price_mug"] = mug
			}, nil,
			[]string{
				`plans.pro.line_items.0.price: Stripe has no price "pro_monthly"`,
				`plans.shop.line_items.0.price: price "price_shirt" belongs to the other mode`,
				`plans.shop.line_items.1.price: price "price_mug" is not active`,
			},
		},
		"a test key with live prices": {
			nil, func(o *billing.GateOptions) { o.Livemode = false },
			[]string{`plans.pro.line_items.0.price: price "pro_monthly" belongs to the other mode`},
		},
		"what is only probably wrong": {
			func(f *fakeStripe) {
				mug := f.prices["price_mug"]
				mug.Recurring = true
				f.prices["price_mug"] = mug
			}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				stripe := healthy()
				if tc.stripe != nil {
					tc.stripe(stripe)
				}
				var edits []func(*billing.GateOptions)
				if tc.edit != nil {
					edits = append(edits, tc.edit)
				}
				g := runGate(t, stripe, &memory{}, edits...)
				if tc.want == nil {
					g.expect(t, true)
					g.runs(t)
					return
				}
				g.contradicts(t, tc.want...)
				if g.Ready() {
					t.Error("a gate that must not start is open")
				}
			})
		})
	}
}

func TestPricesAreReadAgainAndAGoneOneIsNoEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stripe := healthy()
		c := catalog.New(plans()[:3], nil)
		g := runGate(t, stripe, &memory{}, func(o *billing.GateOptions) { o.Catalog = c })
		g.expect(t, true)
		pro := catalog.PriceRef{LookupKey: "pro_monthly"}
		if _, known := c.Price(pro); !known {
			t.Error("the price is not known")
		}
		without := prices()
		delete(without, "price_pro")
		stripe.sells(without)
		time.Sleep(5*time.Minute - time.Second)
		synctest.Wait()
		if _, known := c.Price(pro); !known {
			t.Error("the price was read again too soon")
		}
		time.Sleep(2 * time.Second)
		g.expect(t, true)
		g.runs(t)
		if _, known := c.Price(pro); known {
			t.Error("a price that is gone is still sold")
		}
		if !strings.Contains(g.log.String(), "level=ERROR") || !strings.Contains(g.log.String(), "plans.pro.line_items.0.price") {
			t.Errorf("the log does not say which plan: %s", g.log)
		}
		stripe.sells(prices())
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if _, known := c.Price(pro); !known {
			t.Error("a price that came back is not sold")
		}
	})
}

func TestTheAccountIsKnownOnlyOnceItIsRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := &memory{err: errors.New("gone")}
		g := runGate(t, healthy(), m)
		g.expect(t, false)
		m.mu.Lock()
		m.err = nil
		m.mu.Unlock()
		time.Sleep(30 * time.Second)
		g.expect(t, true)
	})
}

func TestTheGateEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, stripe := range map[string]*fakeStripe{
			"open": healthy(),
			"shut": {accountID: func() (string, error) { return "", errors.New("down") }},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			g := billing.NewGate(billing.GateOptions{
				Stripe: stripe, Accounts: &memory{}, Catalog: catalog.New(nil, nil), Logger: slog.New(slog.DiscardHandler),
			})
			ended := make(chan error)
			go func() { ended <- g.Run(ctx) }()
			time.Sleep(time.Minute)
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}
