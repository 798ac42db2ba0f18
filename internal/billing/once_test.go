package billing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// history is what the fake knows of its customers' purchases.
type history struct {
	subscriptions map[string][]billing.PastSubscription
	// failing is the error of the call of that name.
	failing map[string]error
	closed  []string
	// payers pay each of their sessions just before it is closed.
	payers []string
	// lifetime is that of a session; a day by default.
	lifetime time.Duration
}

func (f *fakeStripe) PastSubscriptions(_ context.Context, c customers.Customer, ended bool) ([]billing.PastSubscription, error) {
	f.count("list subscriptions")
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.lost, c.ID) {
		return nil, refused(stripeError{text: "resource_missing", param: "customer", missing: true})
	}
	all := slices.DeleteFunc(slices.Clone(f.history.subscriptions[c.ID]), func(p billing.PastSubscription) bool {
		return p.Status == "canceled" && !ended
	})
	return all, f.history.failing["list subscriptions"]
}

func (f *fakeStripe) OpenSessions(_ context.Context, c customers.Customer) ([]billing.OpenSession, error) {
	f.count("list sessions")
	f.mu.Lock()
	defer f.mu.Unlock()
	var open []billing.OpenSession
	for i := len(f.sessions); i > 0; i-- {
		s := f.sessions[fmt.Sprintf("cs_test_%d", i)]
		if string(s.Customer) == c.ID && *s.Status == "open" {
			open = append(open, billing.OpenSession{ID: string(s.ID), ExpiresAt: time.Unix(s.ExpiresAt, 0), Metadata: s.Metadata})
		}
	}
	return open, f.history.failing["list sessions"]
}

func (f *fakeStripe) CloseSession(_ context.Context, id string, c customers.Customer) error {
	f.count("close session")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.history.failing["close session"]; err != nil {
		return err
	}
	s := f.sessions[id]
	if string(s.Customer) != c.ID {
		return problem.New(problem.UpstreamError, errors.New("another customer's"))
	}
	if slices.Contains(f.history.payers, c.ID) {
		s.Status = new("complete")
		f.sessions[id] = s
		return refused(stripeError{text: "Only Checkout Sessions with a status in [open] can be expired"})
	}
	s.Status = new("expired")
	f.sessions[id] = s
	f.history.closed = append(f.history.closed, id)
	return nil
}

// remembers lets the fake keep of a session what its history needs.
func (f *fakeStripe) remembers(s *billing.CheckoutSession, n billing.NewSession) {
	s.Metadata = map[string]string{}
	metadata, _ := n.Params["metadata"].(params)
	for k, v := range metadata {
		s.Metadata[k] = fmt.Sprint(v)
	}
	lifetime := f.history.lifetime
	if lifetime == 0 {
		lifetime = 24 * time.Hour
	}
	s.ExpiresAt = time.Now().Add(lifetime).Unix()
}

// has gives alice's customer these subscriptions.
func (f *fakeStripe) has(all ...billing.PastSubscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.history.subscriptions = map[string][]billing.PastSubscription{"cus_1": all}
}

// single is the plan pro, sold once.
func single() catalog.Plan {
	plan := plans()[0]
	plan.Name, plan.Once = "single", true
	return plan
}

func (s *service) asks(t *testing.T, body string) (billing.CheckoutSession, error) {
	t.Helper()
	return s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, body))
}

func (s *service) gets(t *testing.T, body string) billing.CheckoutSession {
	t.Helper()
	session, err := s.asks(t, body)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestWhoHasTheSubscriptionGetsNoSession(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		has  billing.PastSubscription
		live bool
	}{
		{billing.PastSubscription{Status: "active", Plan: "single"}, true},
		{billing.PastSubscription{Status: "trialing", Plan: "single"}, true},
		{billing.PastSubscription{Status: "past_due", Plan: "single"}, true},
		{billing.PastSubscription{Status: "unpaid", Plan: "single"}, true},
		{billing.PastSubscription{Status: "incomplete", Plan: "single"}, true},
		{billing.PastSubscription{Status: "paused", Plan: "single"}, true},
		{billing.PastSubscription{Status: "canceled", Plan: "single"}, false},
		{billing.PastSubscription{Status: "incomplete_expired", Plan: "single"}, false},
		{billing.PastSubscription{Status: "active", Plan: "pro"}, false},
		{billing.PastSubscription{Status: "active", Prices: []string{"price_other", "price_pro"}}, true},
		{billing.PastSubscription{Status: "active", Prices: []string{"price_other"}}, false},
		{billing.PastSubscription{Status: "canceled", Prices: []string{"price_pro"}}, false},
		{billing.PastSubscription{Status: "active"}, false},
	} {
		t.Run(fmt.Sprint(tc.has), func(t *testing.T) {
			t.Parallel()
			s := newService(t, withPlan(single()))
			s.stripe.has(billing.PastSubscription{Status: "active", Prices: []string{"price_x"}}, tc.has)
			_, err := s.asks(t, `{"plan":"single"}`)
			if !tc.live {
				if err != nil {
					t.Error(err)
				}
				return
			}
			same(t, "refusal", verdictOf(t, err), verdict{problem.AlreadySubscribed, nil})
			same(t, "calls", s.stripe.since(), map[string]int{"create customer": 1, "list sessions": 1, "list subscriptions": 1})
		})
	}
}

// A price that has gone from the catalogue is nobody's.
func TestAPriceWithoutAnIDIsNoMatch(t *testing.T) {
	t.Parallel()
	plan := single()
	plan.LineItems = append(plan.LineItems, catalog.LineItem{Price: catalog.PriceRef{ID: "price_gone"}, Name: "x"})
	plan.Accepts = append(plan.Accepts, catalog.FieldLineItems)
	s := newService(t, withPlan(plan))
	s.stripe.has(billing.PastSubscription{Status: "active", Prices: []string{""}})
	s.gets(t, `{"plan":"single","line_items":[{"price":"pro_monthly"}]}`)
}

func TestTheSameIsAskedForTwice(t *testing.T) {
	t.Parallel()
	s := newService(t, withPlan(single()))
	first := s.gets(t, `{"plan":"single","quantity":3}`)
	same(t, "the first", s.stripe.since(), map[string]int{
		"create customer": 1, "list sessions": 1, "list subscriptions": 1, "create checkout": 1,
	})
	again := s.gets(t, `{"quantity":3,"plan":"single"}`)
	if again.ID != first.ID || again.Replayed {
		t.Errorf("got %s, want %s", again.ID, first.ID)
	}
	same(t, "the same", s.stripe.since(), map[string]int{"list sessions": 1, "list subscriptions": 1, "read checkout": 1})

	other := s.gets(t, `{"plan":"single","quantity":4}`)
	if other.ID == first.ID || !slices.Equal(s.stripe.history.closed, []string{string(first.ID)}) {
		t.Errorf("got %s, and closed %v", other.ID, s.stripe.history.closed)
	}
	same(t, "another", s.stripe.since(), map[string]int{
		"list sessions": 1, "list subscriptions": 1, "close session": 1, "create checkout": 1,
	})
	// Sessions of other plans, and other people's, are left alone.
	s.gets(t, `{"plan":"pro","quantity":3}`)
	if _, err := s.CreateCheckout(t.Context(), s.caller(t, "bob"), request(t, `{"plan":"single","quantity":5}`)); err != nil {
		t.Fatal(err)
	}
	if again := s.gets(t, `{"plan":"single","quantity":4}`); again.ID != other.ID || len(s.stripe.history.closed) != 1 {
		t.Errorf("got %s, and closed %v", again.ID, s.stripe.history.closed)
	}
}

func TestWhatIsToldOfARequestIsPartOfIt(t *testing.T) {
	t.Parallel()
	s := newService(t, withPlan(single()))
	seen := map[billing.ID]string{}
	for _, body := range []string{
		`{"plan":"single"}`, `{"plan":"single","locale":"fr"}`, `{"plan":"single","metadata":{"a":"1"}}`,
		`{"plan":"single","metadata":{"a":"2"}}`, `{"plan":"single","success_url":"https://app.example.com/2"}`,
		`{"plan":"single","promotion_code":"SPRING"}`, `{"plan":"single","currency":"usd"}`,
	} {
		id := s.gets(t, body).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are the same session", body, other)
		}
		seen[id] = body
	}
}

func TestASessionThatIsNearlyOverIsNotHandedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, withPlan(single()))
		first := s.gets(t, `{"plan":"single"}`)
		time.Sleep(24*time.Hour - 11*time.Minute)
		if again := s.gets(t, `{"plan":"single"}`); again.ID != first.ID {
			t.Errorf("eleven minutes before its end: got %s", again.ID)
		}
		time.Sleep(2 * time.Minute)
		if again := s.gets(t, `{"plan":"single"}`); again.ID == first.ID || len(s.stripe.history.closed) != 1 {
			t.Errorf("nine minutes before its end: got %s", again.ID)
		}
	})
}

// Who pays while his other session is being closed has a subscription by the next try.
func TestASessionThatIsPaidMeanwhile(t *testing.T) {
	t.Parallel()
	s := newService(t, withPlan(single()))
	first := s.gets(t, `{"plan":"single","quantity":3}`)
	s.stripe.history.payers = []string{"cus_1"}
	_, err := s.asks(t, `{"plan":"single","quantity":4}`)
	same(t, "refusal", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
	s.stripe.has(billing.PastSubscription{Status: "active", Plan: "single"})
	_, err = s.asks(t, `{"plan":"single","quantity":4}`)
	same(t, "refusal", verdictOf(t, err), verdict{problem.AlreadySubscribed, nil})
	if len(s.stripe.sessions) != 1 {
		t.Errorf("%d sessions beside %s", len(s.stripe.sessions), first.ID)
	}
}

func TestAFailedLookUpIsNotNone(t *testing.T) {
	t.Parallel()
	once := single()
	once.TrialOnce = true
	trial := plans()[0]
	trial.Name, trial.TrialOnce = "trial", true
	for _, call := range []string{"list subscriptions", "list sessions", "close session"} {
		for _, plan := range []string{"single", "trial"} {
			s := newService(t, withPlan(once, trial))
			if plan == "single" {
				s.gets(t, `{"plan":"single","quantity":9}`)
			}
			s.stripe.history.failing = map[string]error{call: problem.New(problem.UpstreamTimeout, errors.New("no answer"))}
			_, err := s.asks(t, `{"plan":"`+plan+`"}`)
			if plan == "trial" && call != "list subscriptions" {
				continue // which is not asked
			}
			same(t, plan+": "+call, verdictOf(t, err), verdict{problem.UpstreamTimeout, nil})
			if made := len(s.stripe.sessions); plan == "single" && made != 1 || plan == "trial" && made != 0 {
				t.Errorf("%s: %s: a session was made", plan, call)
			}
		}
	}
}

func TestATrialIsHadOnce(t *testing.T) {
	t.Parallel()
	plan := plans()[0]
	plan.Name, plan.TrialOnce = "trial", true
	plan.Params["subscription_data"] = params{
		"trial_period_days": int64(14), "description": "x",
		"trial_settings": params{"end_behavior": params{"missing_payment_method": "cancel"}},
	}
	for name, tc := range map[string]struct {
		has     []billing.PastSubscription
		dropped bool
	}{
		"nothing":                 {nil, false},
		"a subscription without":  {[]billing.PastSubscription{{Status: "active", Plan: "trial"}}, false},
		"one that ended":          {[]billing.PastSubscription{{Status: "canceled", Plan: "trial", HadTrial: true}}, true},
		"one that goes on":        {[]billing.PastSubscription{{Status: "trialing", Plan: "trial", HadTrial: true}}, true},
		"one of another plan":     {[]billing.PastSubscription{{Status: "canceled", Plan: "pro", HadTrial: true}}, true},
		"one from somewhere else": {[]billing.PastSubscription{{Status: "canceled"}, {Status: "canceled", HadTrial: true}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, withPlan(plan))
			s.stripe.has(tc.has...)
			data := s.buys(t, "alice", request(t, `{"plan":"trial"}`)).Params["subscription_data"].(params)
			_, days := data["trial_period_days"]
			_, settings := data["trial_settings"]
			if days == tc.dropped || settings == tc.dropped || data["description"] != "x" || data["metadata"] == nil {
				t.Errorf("sent %v", data)
			}
			same(t, "calls", s.stripe.since(), map[string]int{"create customer": 1, "list subscriptions": 1, "create checkout": 1})
			if plan.Params["subscription_data"].(params)["trial_period_days"] != int64(14) {
				t.Error("the template was written to")
			}
		})
	}
}

func TestAPlanWithoutATrialIsNotLookedInto(t *testing.T) {
	t.Parallel()
	plan := plans()[0]
	plan.Name, plan.TrialOnce, plan.Params = "plain", true, nil
	s := newService(t, withPlan(plan))
	s.gets(t, `{"plan":"plain"}`)
	same(t, "calls", s.stripe.since(), map[string]int{"create customer": 1, "create checkout": 1})
}

// A trial that was used between two tries is part of the first answer still.
func TestARepeatHasTheTrialOfTheFirst(t *testing.T) {
	t.Parallel()
	plan := single()
	plan.TrialOnce = true
	s := newService(t, withPlan(plan))
	first := s.repeats(t, "alice", "k", `{"plan":"single"}`)
	s.stripe.has(billing.PastSubscription{Status: "active", Plan: "single", HadTrial: true})
	s.stripe.since()
	if again := s.repeats(t, "alice", "k", `{"plan":"single"}`); again.ID != first.ID || !again.Replayed {
		t.Errorf("got %s, want %s", again.ID, first.ID)
	}
	same(t, "calls", s.stripe.since(), map[string]int{"create checkout": 1, "read checkout": 1})
}

// What was handed out under a key stays the answer, also when another would be now.
func TestARepeatOfASessionThatWasHandedOut(t *testing.T) {
	t.Parallel()
	s := newService(t, withPlan(single()))
	first := s.gets(t, `{"plan":"single"}`)
	if given := s.repeats(t, "alice", "k", `{"plan":"single"}`); given.ID != first.ID || given.Replayed {
		t.Errorf("got %s, want %s", given.ID, first.ID)
	}
	s.stripe.has(billing.PastSubscription{Status: "active", Plan: "single"})
	s.stripe.since()
	if again := s.repeats(t, "alice", "k", `{"plan":"single"}`); again.ID != first.ID || !again.Replayed {
		t.Errorf("got %s, want %s", again.ID, first.ID)
	}
	same(t, "calls", s.stripe.since(), map[string]int{"read checkout": 1})
}

// Whose customer is gone is found out by the first call that names it.
func TestACustomerWhoIsGoneIsHealedBeforeTheGuard(t *testing.T) {
	t.Parallel()
	s := newService(t, withPlan(single()))
	s.gets(t, `{"plan":"single"}`)
	s.stripe.lost = []string{"cus_1"}
	if got := s.gets(t, `{"plan":"single","quantity":5}`); got.Customer != "cus_2" {
		t.Errorf("got a session of %s", got.Customer)
	}
	s.stripe.lost = []string{"cus_1"}
	if got := s.repeats(t, "alice", "k", `{"plan":"single","quantity":6}`); got.Customer != "cus_2" {
		t.Errorf("got a session of %s", got.Customer)
	}
}

// Without room for the signature nothing is handed out, and nothing is refused by Stripe.
func TestAsMuchMetadataAsStripeTakesOnce(t *testing.T) {
	t.Parallel()
	plan := single()
	s := newService(t, withPlan(plan))
	for n, signed := range map[int]bool{43: true, 44: false} {
		metadata := map[string]string{}
		for i := range n {
			metadata[fmt.Sprint("k", i)] = "v"
		}
		sent := s.buys(t, "alice", billing.CheckoutRequest{Plan: new("single"), Metadata: metadata}).Params["metadata"].(params)
		if _, ok := sent["till_request"]; ok != signed || len(sent) > 50 {
			t.Errorf("%d keys of the caller's: %d keys, signed %v", n, len(sent), ok)
		}
	}
}

// A template may say when a session is over, counted from when it is made.
func TestWhenASessionIsOverIsNoPartOfWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	first, later := single(), single()
	first.Params["expires_at"], later.Params["expires_at"] = int64(1_800_000_000), int64(1_800_000_001)
	s := newService(t, withPlan(first))
	session := s.gets(t, `{"plan":"single"}`)
	if again := replica(t, s, nil, append(plans(), later)).gets(t, `{"plan":"single"}`); again.ID != session.ID {
		t.Errorf("got %s, want %s", again.ID, session.ID)
	}
}
