package billing_test

import (
	"testing"

	"till/internal/audit"
	"till/internal/auth"
	"till/internal/billing"
	"till/internal/customers"
)

func TestTheAuditKnowsSubjectsAsStripeDoes(t *testing.T) {
	t.Parallel()
	const issuer = "https://id.example.com/"
	alice := auth.Principal{Issuer: issuer, Subject: "alice", Email: "alice@example.com", Name: "Alice"}
	carol, dave := alice, alice
	carol.Org = &auth.Membership{ID: "org_1", Role: "owner", MayBill: true}
	dave.Org = &auth.Membership{ID: "org_1", Role: "reader"} // may not act, and is remembered for trying
	hash := customers.SubjectSHA256.Apply
	shut := billing.NewGate(billing.GateOptions{Livemode: true})
	for name, tc := range map[string]struct {
		p    auth.Principal
		form customers.SubjectForm
		gate *billing.Gate
		want audit.Actor
	}{
		"a person":          {alice, "", nil, audit.Actor{Account: "acct_1", Livemode: true, Issuer: issuer, Kind: "user", Subject: "alice"}},
		"a person, hashed":  {alice, customers.SubjectSHA256, nil, audit.Actor{Account: "acct_1", Livemode: true, Issuer: issuer, Kind: "user", Subject: hash("alice")}},
		"a member":          {carol, "", nil, audit.Actor{Account: "acct_1", Livemode: true, Issuer: issuer, Kind: "org", Subject: "org_1", Member: "alice"}},
		"a member, hashed":  {carol, customers.SubjectSHA256, nil, audit.Actor{Account: "acct_1", Livemode: true, Issuer: issuer, Kind: "org", Subject: hash("org_1"), Member: hash("alice")}},
		"who may not":       {dave, "", nil, audit.Actor{Account: "acct_1", Livemode: true, Issuer: issuer, Kind: "org", Subject: "org_1", Member: "alice"}},
		"before an account": {alice, "", shut, audit.Actor{Livemode: true, Issuer: issuer, Kind: "user", Subject: "alice"}},
	} {
		s := newService(t, func(c *config) { c.form, c.gate = tc.form, tc.gate })
		if got := s.Actor(tc.p); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestAResultSaysWhatItIsOf(t *testing.T) {
	t.Parallel()
	for _, written := range []interface {
		Written() (object, customer string)
	}{
		billing.CheckoutSession{ID: "x_1", Customer: "cus_1"},
		billing.CheckoutSession{ID: "x_1", CustomerAccount: "cus_1"},
		billing.PortalSession{ID: "x_1", Customer: "cus_1"},
		billing.PortalSession{ID: "x_1", CustomerAccount: "cus_1"},
	} {
		if object, customer := written.Written(); object != "x_1" || customer != "cus_1" {
			t.Errorf("%+v: got %s, %s", written, object, customer)
		}
	}
}
