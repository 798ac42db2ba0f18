package billing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// openings are the two operations that need a customer.
func openings() map[string]func(context.Context, *service, billing.Caller) error {
	return map[string]func(context.Context, *service, billing.Caller) error{
		"checkout": func(ctx context.Context, s *service, c billing.Caller) error {
			_, err := s.CreateCheckout(ctx, c, billing.CheckoutRequest{Plan: new("save-card")})
			return err
		},
		"portal": func(ctx context.Context, s *service, c billing.Caller) error {
			_, err := s.OpenPortal(ctx, c, billing.PortalRequest{})
			return err
		},
	}
}

// loses deletes the customer at Stripe.
func (f *fakeStripe) loses(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = append(f.lost, id)
}

// fails sets what every creation of a session ends with; nil for nothing.
func (f *fakeStripe) fails(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.create = nil
	if err != nil {
		f.create = func(billing.NewSession) error { return err }
	}
}

// forgets drops what was sent so far.
func (f *fakeStripe) forgets() {
	f.since()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent, f.told, f.toldTo = nil, nil, nil
}

func (s *service) row(t *testing.T, subject string) customers.Record {
	t.Helper()
	r, err := s.store.Find(t.Context(), storetest.Owner(subject))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestACustomerThatIsGoneIsReplacedAndTheCallMadeOnceMore(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		for _, param := range []string{"customer", "customer_account"} {
			s := newService(t)
			alice := s.caller(t, "alice")
			if err := open(t.Context(), s, alice); err != nil {
				t.Fatal(err)
			}
			s.stripe.loses("cus_1")
			s.stripe.create = func(sent billing.NewSession) error {
				if sent.Customer == "cus_1" {
					return refused(stripeError{text: "resource_missing", param: param, missing: true})
				}
				return nil
			}
			s.stripe.forgets()
			if err := open(t.Context(), s, alice); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			same(t, name+": calls", s.stripe.since(), map[string]int{"create " + name: 2, "account": 1, "customer life": 1, "create customer": 1})
			first, second := s.stripe.sent[0], s.stripe.sent[1]
			if first.Customer != "cus_1" || first.Params["customer"] != "cus_1" || second.Customer != "cus_2" || second.Params["customer"] != "cus_2" {
				t.Errorf("%s: got %+v, then %+v", name, first, second)
			}
			if first.IdempotencyKey == second.IdempotencyKey || second.IdempotencyKey == "" {
				t.Errorf("%s: the second call has the key of the first: Stripe would refuse it, or replay the refusal", name)
			}
			if r := s.row(t, "alice"); r.CustomerID != "cus_2" || r.Generation != 2 {
				t.Errorf("%s: got %+v", name, r)
			}
			// From now on all is as ever.
			if err := open(t.Context(), s, alice); err != nil {
				t.Errorf("%s: afterwards: %v", name, err)
			}
			same(t, name+": calls afterwards", s.stripe.since(), map[string]int{"create " + name: 1})
		}
	}
}

// Webhooks find the owner by what the session and its subscription carry.
func TestTheSecondCallSaysOfWhichGenerationTheCustomerIs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	before := s.buys(t, "alice", billing.CheckoutRequest{Plan: new("pro")})
	s.stripe.loses("cus_1")
	s.stripe.forgets()
	after := s.buys(t, "alice", billing.CheckoutRequest{Plan: new("pro")})
	for _, sent := range []struct {
		billing.NewSession
		generation string
	}{{before, "1"}, {s.stripe.sent[0], "1"}, {after, "2"}} {
		same(t, "session", sent.Params["metadata"].(params)["till_generation"], any(sent.generation))
		same(t, "subscription", sent.Params["subscription_data"].(params)["metadata"].(params)["till_generation"], any(sent.generation))
	}
	// All else is the same.
	for _, p := range []params{before.Params, after.Params} {
		delete(p, "customer")
		delete(p["metadata"].(params), "till_generation")
		delete(p["subscription_data"].(params)["metadata"].(params), "till_generation")
	}
	same(t, "params", after.Params, before.Params)
}

// The caller may read the session of the new customer, and no longer those of the old.
func TestSessionsAfterAHealing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	alice := s.caller(t, "alice")
	old, err := s.CreateCheckout(t.Context(), alice, billing.CheckoutRequest{Plan: new("save-card")})
	if err != nil {
		t.Fatal(err)
	}
	s.stripe.loses("cus_1")
	fresh, err := s.CreateCheckout(t.Context(), alice, billing.CheckoutRequest{Plan: new("save-card")})
	if err != nil || fresh.Customer != "cus_2" {
		t.Fatalf("got %+v, %v", fresh, err)
	}
	if got, err := s.Checkout(t.Context(), alice, string(fresh.ID)); err != nil || got.ID != fresh.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = s.Checkout(t.Context(), alice, string(old.ID))
	same(t, "the old session", verdictOf(t, err), verdict{problem.NotFound, nil})
}

func TestASecondRefusalIsPassedOn(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := newService(t)
		alice := s.caller(t, "alice")
		s.stripe.loses("cus_1")
		s.stripe.loses("cus_2") // before it is made
		err := open(t.Context(), s, alice)
		same(t, name, verdictOf(t, err), verdict{problem.UpstreamError, nil})
		if !catalog.IsMissing(err) {
			t.Errorf("%s: got %v, want what Stripe said", name, err)
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create " + name: 2, "account": 1, "customer life": 1, "create customer": 2})

		// The next request has not heard of it, and is told when to come again.
		err = open(t.Context(), s, alice)
		p, _ := errors.AsType[*problem.Error](err)
		if p == nil || p.Code != problem.DependencyUnavailable || p.RetryAfter < 59*time.Minute || p.RetryAfter > time.Hour {
			t.Errorf("%s: got %v, want an hour's wait", name, err)
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create " + name: 1, "account": 1, "customer life": 1})
	}
}

// Only what Stripe says of the customer is about the customer.
func TestOtherRefusalsHealNobody(t *testing.T) {
	t.Parallel()
	missing := func(param string) error {
		return refused(stripeError{text: "resource_missing", param: param, missing: true})
	}
	for what, err := range map[string]error{
		"a price":               missing("line_items[0][price]"),
		"a promotion code":      missing("discounts[0][promotion_code]"),
		"a coupon":              missing("discounts[0][coupon]"),
		"a configuration":       missing("configuration"),
		"a part of it":          missing("customer[address]"),
		"an update of it":       missing("customer_update[address]"),
		"an e-mail address":     missing("customer_email"),
		"a connected account":   missing("on_behalf_of"),
		"another case":          missing("Customer"),
		"nothing in particular": missing(""),
		"no address":            refused(stripeError{text: "customer_tax_location_invalid", param: "customer"}),
		"no permission":         refused(stripeError{text: "denied", param: "customer", denied: true}),
		"no key":                refused(stripeError{text: "no such key", unknownKey: true}),
		"an outage":             problem.New(problem.UpstreamError, errors.New("500")),
		"a timeout":             problem.New(problem.UpstreamTimeout, context.DeadlineExceeded),
		"a full queue":          &problem.Error{Code: problem.Overloaded, RetryAfter: time.Second},
		"a plain error":         errors.New("?"),
	} {
		for name, open := range openings() {
			s := newService(t)
			alice := s.caller(t, "alice")
			if err := open(t.Context(), s, alice); err != nil {
				t.Fatal(err)
			}
			before := s.row(t, "alice")
			s.stripe.loses("cus_1") // which nobody may find out
			s.stripe.forgets()
			s.stripe.fails(err)
			if got := open(t.Context(), s, alice); got == nil {
				t.Errorf("%s, %s: got a session", what, name)
			}
			same(t, what+": calls", s.stripe.since(), map[string]int{"create " + name: 1})
			same(t, what+": row", s.row(t, "alice"), before)
		}
	}
}

// Stripe refuses a customer that it has: replacing it would leave it behind.
func TestACustomerThatIsStillThereIsKept(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := newService(t)
		alice := s.caller(t, "alice")
		s.stripe.fails(refused(stripeError{text: "resource_missing", param: "customer", missing: true}))
		err := open(t.Context(), s, alice)
		same(t, name, verdictOf(t, err), verdict{problem.UpstreamError, nil})
		same(t, name+": calls", s.stripe.since(), map[string]int{"create customer": 1, "create " + name: 1, "account": 1, "customer life": 1})
		if r := s.row(t, "alice"); r.CustomerID != "cus_1" {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

func withPolicies(missing, deleted string) func(*config) {
	return func(c *config) { c.portals[0].MissingCustomer, c.portals[0].DeletedCustomer = missing, deleted }
}

// A portal that is not for those who never bought anything.
func TestAPortalThatRefusesWhoHasNoCustomer(t *testing.T) {
	t.Parallel()
	for _, deleted := range []string{"", "recreate", "refuse"} {
		s := newService(t, withPolicies("refuse", deleted))
		alice, ctx := s.caller(t, "alice"), t.Context()
		for range 2 {
			_, err := s.OpenPortal(ctx, alice, billing.PortalRequest{})
			same(t, "refusal", verdictOf(t, err), verdict{problem.NoCustomer, nil})
		}
		s.untouched(t)

		// A reservation is no customer yet, and is not made into one here.
		if _, err := s.store.Reserve(ctx, storetest.Reservation(storetest.Owner("alice"), 1, "k")); err != nil {
			t.Fatal(err)
		}
		row := s.row(t, "alice")
		row.Params = "metadata%5Btill_generation%5D=1&metadata%5Btill_issuer%5D=https%3A%2F%2Fid.example.com%2F&metadata%5Btill_kind%5D=user&metadata%5Btill_subject%5D=alice"
		s.store.Put(row)
		_, err := s.OpenPortal(ctx, alice, billing.PortalRequest{})
		same(t, "refusal of a reservation", verdictOf(t, err), verdict{problem.NoCustomer, nil})
		same(t, "calls", s.stripe.since(), map[string]int(nil))
		same(t, "row", s.row(t, "alice"), row)

		// Other portals, and a checkout, are as ever; then this one is open too.
		if _, err := s.OpenPortal(ctx, s.caller(t, "bob"), billing.PortalRequest{Portal: new("team")}); err != nil {
			t.Error(err)
		}
		s.buys(t, "alice", billing.CheckoutRequest{Plan: new("save-card")})
		if _, err := s.OpenPortal(ctx, alice, billing.PortalRequest{}); err != nil {
			t.Error(err)
		}
	}
}

// What is wrong with the request is said first, whoever asks.
func TestARequestIsJudgedBeforeThePolicy(t *testing.T) {
	t.Parallel()
	s := newService(t, withPolicies("refuse", "refuse"))
	_, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{Locale: new("x")})
	same(t, "refusal", verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/locale"}})
}

func TestAPortalThatRefusesWhoseCustomerIsGone(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"", "create", "refuse"} {
		s := newService(t, withPolicies(missing, "refuse"))
		alice, ctx := s.caller(t, "alice"), t.Context()
		s.buys(t, "alice", billing.CheckoutRequest{Plan: new("save-card")})
		before := s.row(t, "alice")
		s.stripe.loses("cus_1")
		s.stripe.forgets()
		for range 2 {
			_, err := s.OpenPortal(ctx, alice, billing.PortalRequest{})
			same(t, "refusal", verdictOf(t, err), verdict{problem.NoCustomer, nil})
			same(t, "calls", s.stripe.since(), map[string]int{"create portal": 1})
			same(t, "row", s.row(t, "alice"), before)
		}
		// A checkout has no such policy.
		s.buys(t, "alice", billing.CheckoutRequest{Plan: new("save-card")})
		if _, err := s.OpenPortal(ctx, alice, billing.PortalRequest{}); err != nil {
			t.Error(err)
		}
		if r := s.row(t, "alice"); r.CustomerID != "cus_2" {
			t.Errorf("got %+v", r)
		}
	}
}

func TestAPortalThatRefusesTheOneAndNotTheOther(t *testing.T) {
	t.Parallel()
	s := newService(t, withPolicies("refuse", "recreate"))
	s.buys(t, "alice", billing.CheckoutRequest{Plan: new("save-card")})
	s.stripe.loses("cus_1")
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Error(err)
	}
	if r := s.row(t, "alice"); r.CustomerID != "cus_2" || r.Generation != 2 {
		t.Errorf("got %+v", r)
	}
	s = newService(t, withPolicies("create", "refuse"))
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Error(err)
	}
}

// Stripe's refusals of a portal other than the customer's absence have nothing to
// do with the policies.
func TestOnlyAGoneCustomerIsNoCustomer(t *testing.T) {
	t.Parallel()
	for what, err := range map[string]error{
		"a configuration": refused(stripeError{text: "resource_missing", param: "configuration", missing: true}),
		"a timeout":       problem.New(problem.UpstreamTimeout, context.DeadlineExceeded),
	} {
		s := newService(t, withPolicies("refuse", "refuse"))
		s.buys(t, "alice", billing.CheckoutRequest{Plan: new("save-card")})
		s.stripe.fails(err)
		_, got := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{})
		if verdictOf(t, got).Code == problem.NoCustomer {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

var ada = auth.Principal{Issuer: "https://id.example.com/", Subject: "alice", Email: "ada@example.com", Name: "Ada Lovelace"}

func TestAPersonsProfileGoesToTheCustomer(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := newService(t)
		c, err := s.Caller(ada)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := open(t.Context(), s, c); err != nil {
				t.Fatal(err)
			}
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create customer": 1, "update customer": 1, "create " + name: 2})
		same(t, name+": told", s.stripe.told, []customers.Profile{{Email: ada.Email, Name: ada.Name}})

		// It is nowhere else: sessions are the same for everybody.
		s.stripe.loses("cus_1")
		s.stripe.forgets()
		if err := open(t.Context(), s, c); err != nil {
			t.Fatal(err)
		}
		same(t, name+": told after a healing", s.stripe.toldTo, []string{"cus_2"})
		same(t, name+": what", s.stripe.told, []customers.Profile{{Email: ada.Email, Name: ada.Name}})
		if p := s.stripe.last(t).Params; p["customer_email"] != nil {
			t.Errorf("%s: sent %v", name, p)
		}
	}
}

// An organisation's customer is not the person who happened to open the page.
func TestAnOrganisationHasNoProfile(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := newService(t)
		member := ada
		member.Org = &auth.Membership{ID: "org_1", Role: "owner", MayBill: true}
		c, err := s.Caller(member)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(t.Context(), s, c); err != nil {
			t.Fatal(err)
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create customer": 1, "create " + name: 1})
	}
}

func TestAProfileThatCannotBeSentHarmsNobody(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := newService(t)
		s.stripe.tellErr = problem.New(problem.UpstreamError, errors.New("500"))
		c, err := s.Caller(ada)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := open(t.Context(), s, c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create customer": 1, "update customer": 2, "create " + name: 2})
	}
}

// Reading a session, and a refusal, change nothing at Stripe.
func TestOnlyAVisitThatOpensSomethingTells(t *testing.T) {
	t.Parallel()
	s := newService(t, withPolicies("refuse", "refuse"))
	c, err := s.Caller(ada)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenPortal(t.Context(), c, billing.PortalRequest{}); err == nil {
		t.Error("got a portal")
	}
	s.untouched(t)
	session, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), billing.CheckoutRequest{Plan: new("save-card")})
	if err != nil {
		t.Fatal(err)
	}
	s.stripe.forgets()
	if _, err := s.Checkout(t.Context(), c, string(session.ID)); err != nil {
		t.Error(err)
	}
	same(t, "calls", s.stripe.since(), map[string]int{"read checkout": 1})
}
