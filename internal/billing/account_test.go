package billing_test

import (
	"testing"

	"till/internal/billing"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// withAccount is a service whose alice has an account (Accounts v2) for a customer.
func withAccount(t *testing.T, edit ...func(*config)) *service {
	t.Helper()
	s := newService(t, edit...)
	owner := storetest.Owner("alice")
	if _, err := s.store.Import(t.Context(), storetest.Reservation(owner, 1, "k1"),
		customers.Customer{ID: "acct_alice", IsAccount: true, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnAccountGoesWhereACustomerWould(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		s := withAccount(t)
		if err := open(t.Context(), s, s.caller(t, "alice")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sent := s.stripe.last(t)
		_, hasCustomer := sent.Params["customer"]
		if hasCustomer || sent.Params["customer_account"] != "acct_alice" || sent.Customer != "acct_alice" || !sent.IsAccount {
			t.Errorf("%s: got %+v", name, sent)
		}
		same(t, name+": calls", s.stripe.since(), map[string]int{"create " + name: 1})
	}
}

// Without its account, its owner has no customer: none is made in its place.
func TestAnAccountThatIsGoneIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, open := range openings() {
		for _, param := range []string{"customer_account", "customer"} {
			s := withAccount(t)
			s.stripe.create = func(billing.NewSession) error {
				return refused(stripeError{text: "resource_missing", param: param, missing: true})
			}
			before := s.row(t, "alice")
			err := open(t.Context(), s, s.caller(t, "alice"))
			same(t, name, verdictOf(t, err), verdict{problem.NoCustomer, nil})
			same(t, name+": calls", s.stripe.since(), map[string]int{"create " + name: 1})
			same(t, name+": row", s.row(t, "alice"), before)
		}
	}
}

func TestSessionsOfAnAccount(t *testing.T) {
	t.Parallel()
	s := withAccount(t)
	session := func(id, customer, account string) billing.CheckoutSession {
		return billing.CheckoutSession{
			ID: billing.ID(id), Customer: billing.ID(customer), CustomerAccount: billing.ID(account), Livemode: true, Status: new("expired"),
		}
	}
	s.stripe.sessions = map[string]billing.CheckoutSession{}
	for id, one := range map[string]struct {
		session billing.CheckoutSession
		alices  bool
	}{
		"cs_1": {session("cs_1", "", "acct_alice"), true},
		"cs_2": {session("cs_2", "cus_shadow", "acct_alice"), true},
		"cs_3": {session("cs_3", "acct_alice", ""), false},
		"cs_4": {session("cs_4", "cus_1", "acct_bob"), false},
		"cs_5": {session("cs_5", "", ""), false},
	} {
		s.stripe.sessions[id] = one.session
		_, err := s.Checkout(t.Context(), s.caller(t, "alice"), id)
		if (err == nil) != one.alices {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestFlowsOfAnAccount(t *testing.T) {
	t.Parallel()
	s := withFlows(t, func(c *config) {
		own := target("sub_own", "", "active", item("si_1", "price_pro", 1))
		own.CustomerAccount = "acct_alice"
		mixed := target("sub_mixed", "acct_alice", "active")
		c.stripe.portal.subscriptions = map[string]billing.FlowTarget{"sub_own": own, "sub_mixed": mixed, "sub_9": target("sub_9", "cus_9", "active")}
	})
	carol := storetest.Owner("carol")
	if _, err := s.store.Import(t.Context(), storetest.Reservation(carol, 1, "k1"),
		customers.Customer{ID: "acct_alice", IsAccount: true, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"sub_own": true, "sub_mixed": false, "sub_9": false} {
		_, err := s.OpenPortal(t.Context(), s.caller(t, "carol"), portalRequest(t, `{"flow":{"type":"subscription_cancel","subscription":"`+id+`"}}`))
		if (err == nil) != want {
			t.Errorf("%s: got %v", id, err)
		}
	}
	same(t, "param", s.stripe.last(t).Params["customer_account"], any("acct_alice"))
}
