package billing_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/idempotency"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// newKeys is the service's memory of callers' keys; replicas share c.keys.
func newKeys(t *testing.T, c config, reg prometheus.Registerer) *idempotency.Service {
	t.Helper()
	if c.keys == nil {
		c.keys = storetest.NewKeys()
	}
	s, err := idempotency.New(c.keys, reg, idempotency.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fakeStripe) CheckoutVersion(bool) string { return "" }
func (f *fakeStripe) PortalVersion(bool) string   { return "" }

// versioned is the fake as a client of one Stripe-Version sees it.
type versioned struct {
	*fakeStripe
	version string
}

func (v versioned) CheckoutVersion(bool) string { return v.version }
func (v versioned) PortalVersion(bool) string   { return v.version }

// under asks for a session with a key; body stands for the request.
func (s *service) under(t *testing.T, subject, key, body string) (billing.CheckoutSession, error) {
	t.Helper()
	c := s.caller(t, subject).Under(idempotency.Key(key), body)
	return s.CreateCheckout(t.Context(), c, request(t, body))
}

func (s *service) repeats(t *testing.T, subject, key, body string) billing.CheckoutSession {
	t.Helper()
	session, err := s.under(t, subject, key, body)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// replica is another process with the same database and Stripe, and a catalogue of
// its own.
func replica(t *testing.T, s *service, keys idempotency.Store, plans []catalog.Plan) *service {
	t.Helper()
	return newService(t, func(c *config) {
		c.stripe, c.keys, c.store = s.stripe, keys, s.store
		if plans != nil {
			c.plans = plans
		}
	})
}

const order = `{"plan":"pro","promotion_code":"SPRING","metadata":{"order":"7"}}`

func TestWhateverChangesARepeatIsTheFirstRequestAgain(t *testing.T) {
	t.Parallel()
	keys := storetest.NewKeys()
	s := newService(t, func(c *config) { c.keys, c.version = keys, "2023-10-16" })
	first := s.repeats(t, "alice", "k", order)
	sent := s.stripe.last(t)
	if first.Replayed || sent.Version != "2023-10-16" {
		t.Errorf("the first: %+v, at version %q", first, sent.Version)
	}
	deployed := plans()
	deployed = slices.DeleteFunc(deployed, func(p catalog.Plan) bool { return p.Name == "pro" })
	for name, then := range map[string]*service{
		"the same process":   s,
		"another one":        replica(t, s, keys, nil),
		"the plan is gone":   replica(t, s, keys, deployed),
		"the prices moved":   replica(t, s, keys, nil),
		"a newer deployment": newService(t, func(c *config) { c.stripe, c.keys, c.store, c.version = s.stripe, keys, s.store, "2026-08-26.dahlia" }),
		"another form":       newService(t, func(c *config) { c.stripe, c.keys, c.store, c.form = s.stripe, keys, s.store, "sha256" }),
	} {
		if name == "the prices moved" {
			s.stripe.sells(map[string]catalog.Price{})
			if _, err := then.catalog.Refresh(t.Context(), s.stripe, true); err != nil {
				t.Fatal(err)
			}
			s.stripe.sells(prices())
		}
		delete(s.stripe.promotions, "SPRING")
		s.stripe.since()
		again := then.repeats(t, "alice", "k", order)
		if again.ID != first.ID || !again.Replayed {
			t.Errorf("%s: got %s, replayed %v, want %s", name, again.ID, again.Replayed, first.ID)
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create checkout": 1, "read checkout": 1})
		same(t, name+": what was sent", s.stripe.last(t), sent)
	}
}

func TestARepeatAfterAHealIsTheFirstSession(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first := s.repeats(t, "alice", "k", order)
	s.stripe.lost = []string{"cus_1"}
	other := s.buys(t, "alice", request(t, `{"plan":"pro"}`)) // which makes another customer
	if other.Customer != "cus_2" {
		t.Fatalf("nobody was healed: %+v", other)
	}
	if again := s.repeats(t, "alice", "k", order); again.ID != first.ID || again.Customer != "cus_1" {
		t.Errorf("got %+v, want %s of cus_1", again, first.ID)
	}
}

// The request died before Stripe heard of it, and meanwhile its customer did.
func TestAFrozenCustomerWhoIsGoneIsHealed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.stripe.create = func(billing.NewSession) error { return problem.New(problem.UpstreamTimeout, errors.New("no answer")) }
	if _, err := s.under(t, "alice", "k", order); err == nil {
		t.Fatal("it went well")
	}
	s.stripe.create, s.stripe.lost = nil, []string{"cus_1"}
	session := s.repeats(t, "alice", "k", order)
	if session.Customer != "cus_2" || session.Replayed {
		t.Errorf("got %+v, want a session of the new customer", session)
	}
	if again := s.repeats(t, "alice", "k", order); again.ID != session.ID {
		t.Errorf("got %s, want %s", again.ID, session.ID)
	}
}

// Stripe says that the customer is gone, and has him all the same: what is on its way
// may still become a session, so the key goes on standing for it.
func TestAFrozenCustomerWhoIsOnlySaidToBeGone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	failures := []error{
		problem.New(problem.UpstreamTimeout, errors.New("no answer")),
		refused(stripeError{text: "resource_missing", param: "customer", missing: true}), nil,
	}
	s.stripe.create = func(billing.NewSession) error {
		failure := failures[0]
		failures = failures[1:]
		return failure
	}
	for range 2 {
		if _, err := s.under(t, "alice", "k", order); err == nil {
			t.Fatal("it went well")
		}
	}
	s.repeats(t, "alice", "k", order)
	if first, last := s.stripe.sent[0], s.stripe.last(t); first.IdempotencyKey != last.IdempotencyKey || last.Customer != "cus_1" {
		t.Errorf("sent %+v after %+v", last, first)
	}
}

func TestARepeatShowsTheSessionAsItIsNow(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first := s.repeats(t, "alice", "k", order)
	s.stripe.mu.Lock()
	paid := s.stripe.sessions[string(first.ID)]
	paid.Status, paid.PaymentStatus, paid.URL = new("complete"), "paid", nil
	s.stripe.sessions[string(first.ID)] = paid
	s.stripe.mu.Unlock()
	if again := s.repeats(t, "alice", "k", order); *again.Status != "complete" || again.URL != nil || again.ID != first.ID {
		t.Errorf("got %+v, want what was paid", again)
	}
}

func TestKeysOfOthersAreOthers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first := s.repeats(t, "alice", "k", order)
	for _, who := range []struct{ subject, key string }{{"bob", "k"}, {"alice", "K"}} {
		if got := s.repeats(t, who.subject, who.key, order); got.ID == first.ID {
			t.Errorf("%s with %s got alice's session", who.subject, who.key)
		}
	}
	portal := func(key string) billing.PortalSession {
		session, err := s.OpenPortal(t.Context(), s.caller(t, "alice").Under(idempotency.Key(key), "{}"), billing.PortalRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	if got := portal("k"); got.Replayed {
		t.Errorf("a key of a checkout is none of the portal's: %+v", got)
	}
}

func TestAKeyOfThePortalIsGoodForMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		visit := func() billing.NewSession {
			t.Helper()
			c := s.caller(t, "alice").Under("k", "{}")
			if _, err := s.OpenPortal(t.Context(), c, billing.PortalRequest{}); err != nil {
				t.Fatal(err)
			}
			return s.stripe.last(t)
		}
		first := visit()
		time.Sleep(5*time.Minute - time.Second)
		if again := visit(); again.IdempotencyKey != first.IdempotencyKey {
			t.Error("a repeat was sent under another key")
		}
		time.Sleep(time.Second)
		if later := visit(); later.IdempotencyKey == first.IdempotencyKey {
			t.Error("the URL of the last visit would be replayed")
		}
		s.stripe.since()
		for range 2 {
			c := s.caller(t, "alice").Under("l", "{}")
			if _, err := s.OpenPortal(t.Context(), c, billing.PortalRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "calls", s.stripe.since(), map[string]int{"create portal": 2})
	})
}

// The row must not open a session, and holds the subject as it is to appear at Stripe.
func TestWhatARowHolds(t *testing.T) {
	t.Parallel()
	keys := storetest.NewKeys()
	s := newService(t, func(c *config) { c.keys, c.form = keys, "sha256" })
	session := s.repeats(t, "alice", "secret-key", order)
	rows := keys.Records()
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	text := strings.Join([]string{
		rows[0].ID, rows[0].Params, rows[0].Customer, rows[0].Session, rows[0].StripeKey, rows[0].Holder,
	}, "\n")
	for _, secret := range []string{*session.URL, "checkout.stripe.com", "_secret_", "alice", "secret-key", string(session.ID)} {
		if strings.Contains(text, secret) {
			t.Errorf("the row has %q in it: %s", secret, text)
		}
	}
	if !strings.Contains(text, sha256Of("alice")) || rows[0].Customer != "cus_1" {
		t.Errorf("the row is not the request's: %s", text)
	}
}

func TestWithoutAKeyNothingIsAskedOfTheStore(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[storetest.Operation]int{}
	counted := storetest.FaultyKeys{Store: storetest.NewKeys(), Next: func(_ context.Context, op storetest.Operation) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		asked[op]++
		return storetest.None
	}}
	s := newService(t, func(c *config) { c.keys, c.version = counted, "2023-10-16" })
	a, b := s.buys(t, "alice", request(t, order)), s.buys(t, "alice", request(t, order))
	if a.IdempotencyKey == b.IdempotencyKey || a.Version != "" || len(asked) != 0 {
		t.Errorf("got %q and %q at %q, and asked %v", a.IdempotencyKey, b.IdempotencyKey, a.Version, asked)
	}
	s.repeats(t, "alice", "k", order)
	same(t, "the first with a key", asked, map[storetest.Operation]int{storetest.FindKey: 1, storetest.PutKey: 1, storetest.FinishKey: 1})
	s.repeats(t, "alice", "k", order)
	same(t, "and its repeat", asked, map[storetest.Operation]int{storetest.FindKey: 2, storetest.PutKey: 1, storetest.FinishKey: 1})
}

func TestARefusalLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	keys := storetest.NewKeys()
	s := newService(t, func(c *config) { c.keys = keys })
	for _, body := range []string{`{"plan":"none"}`, `{"plan":"pro","quantity":0}`, `{"plan":"pro","promotion_code":"NONE"}`} {
		if _, err := s.under(t, "alice", "k", body); err == nil {
			t.Errorf("%s: accepted", body)
		}
	}
	if rows := keys.Records(); len(rows) != 0 {
		t.Errorf("stored: %+v", rows)
	}
	s.repeats(t, "alice", "k", order)
}

// Two bodies under one key at Stripe would be a mistake of ours, and no session is
// made under another one instead.
func TestAMismatchAtStripeIsOurs(t *testing.T) {
	t.Parallel()
	keys := storetest.NewKeys()
	s := newService(t, func(c *config) { c.keys = keys })
	s.stripe.create = func(billing.NewSession) error { return refused(stripeError{text: "idempotency_error"}) }
	for range 2 {
		_, err := s.under(t, "alice", "k", order)
		same(t, "verdict", verdictOf(t, err), verdict{Code: problem.UpstreamError})
	}
	if first, last := s.stripe.sent[0], s.stripe.last(t); first.IdempotencyKey != last.IdempotencyKey || len(keys.Records()) != 1 {
		t.Error("it was sent again under another key")
	}
}
