package stripeclient_test

import (
	"net/http"
	"net/url"
	"testing"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/stripeclient"
)

var (
	account      = customers.Customer{ID: "acct_alice", IsAccount: true, Generation: 1}
	ofAccount    = catalog.Params{"mode": "subscription", "customer_account": "acct_alice", "ui_mode": "hosted_page"}
	forAnAccount = billing.NewSession{IdempotencyKey: "key-1", Customer: "acct_alice", IsAccount: true, Params: ofAccount}
)

// Only newer versions of Stripe know accounts in the place of customers.
func TestCallsAboutAnAccountSpeakAVersionThatKnowsIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		common, own, want, uiMode string
	}{
		{"", "", "2025-12-15.clover", "hosted"},
		{"2023-10-16", "", "2025-12-15.clover", "hosted"},
		{"2026-08-26.dahlia", "", "2026-08-26.dahlia", "hosted_page"},
		{"", "2026-03-25.dahlia", "2026-03-25.dahlia", "hosted_page"},
	} {
		versions := map[string]string{}
		if row.own != "" {
			versions = map[string]string{
				"checkout.sessions.create": row.own, "billing_portal.sessions.create": row.own, "subscriptions.list": row.own,
			}
		}
		c, stripe := onLoopback(t, func(w http.ResponseWriter, r *http.Request) {
			answer := with(checkoutSession, "customer", nil, "customer_account", "acct_alice")
			switch r.URL.Path {
			case "/v1/billing_portal/sessions":
				answer = with(portalSession, "customer", "", "customer_account", "acct_alice")
			case "/v1/subscriptions":
				answer = listOf(with(subscriptionObject, "customer", "", "customer_account", "acct_alice"))
			}
			answers(http.StatusOK, answer)(w, r)
		}, stripeclient.Options{Version: row.common, Versions: versions})
		session, err := c.CreateCheckoutSession(t.Context(), forAnAccount)
		if err != nil || session.CustomerAccount != "acct_alice" || session.Customer != "" {
			t.Errorf("got %+v, %v", session, err)
		}
		if portal, err := c.CreatePortalSession(t.Context(), forAnAccount); err != nil || portal.CustomerAccount != "acct_alice" {
			t.Errorf("got %+v, %v", portal, err)
		}
		if all, _, err := c.FlowTargetsOf(t.Context(), account); err != nil || len(all) != 1 || all[0].CustomerAccount != "acct_alice" {
			t.Errorf("got %+v, %v", all, err)
		}
		if life, err := c.AccountLife(t.Context(), "acct_alice"); err != nil || life != customers.Alive {
			t.Errorf("got %v, %v", life, err)
		}
		for _, r := range stripe.requests() {
			if got := r.Header.Get("Stripe-Version"); got != row.want {
				t.Errorf("%+v: %s is sent as %q", row, r.URL, got)
			}
			if r.URL.Path == "/v1/subscriptions" && (r.URL.Query().Get("customer_account") != "acct_alice" || r.URL.Query().Has("customer")) {
				t.Errorf("asked for %s", r.URL)
			}
			if form, _ := url.ParseQuery(r.body); r.URL.Path == "/v1/checkout/sessions" && form.Get("ui_mode") != row.uiMode {
				t.Errorf("%+v: ui_mode is %q", row, form.Get("ui_mode"))
			}
		}
	}
}

// What names the account as a customer, or another account, is not the account's.
func TestAnswersAboutAnotherAccount(t *testing.T) {
	t.Parallel()
	for _, answer := range []object{
		with(portalSession, "customer", "acct_alice", "customer_account", nil),
		with(portalSession, "customer", "cus_1", "customer_account", "acct_"+foreign),
		with(portalSession, "customer", "cus_1"),
		with(portalSession, "customer", ""),
	} {
		c, _ := onLoopback(t, answers(http.StatusOK, answer), stripeclient.Options{})
		_, err := c.CreatePortalSession(t.Context(), forAnAccount)
		wantProblem(t, err, problem.UpstreamError, 0)
		_, err = c.CreateCheckoutSession(t.Context(), forAnAccount)
		wantProblem(t, err, problem.UpstreamError, 0)
	}
	// And an account where a customer was meant.
	c, _ := onLoopback(t, answers(http.StatusOK, with(portalSession, "customer", "", "customer_account", "cus_1")), stripeclient.Options{})
	_, err := c.CreatePortalSession(t.Context(), createPortal)
	wantProblem(t, err, problem.UpstreamError, 0)
}

func TestTheLifeOfAnAccount(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, nil, stripeclient.Options{})
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		life   customers.Life
		known  bool
	}{
		"none":                {answers(http.StatusOK, listOf()), customers.Alive, true},
		"missing":             {refuses(http.StatusBadRequest, "invalid_request_error", "resource_missing", "customer_account"), customers.Missing, true},
		"something else is":   {refuses(http.StatusBadRequest, "invalid_request_error", "resource_missing", "price"), customers.Alive, false},
		"unknown parameter":   {refuses(http.StatusBadRequest, "invalid_request_error", "parameter_unknown", "customer_account"), customers.Alive, false},
		"may not be asked":    {refuses(http.StatusForbidden, "invalid_request_error", "", ""), customers.Alive, false},
		"another's are shown": {answers(http.StatusOK, listOf(subscriptionObject)), customers.Alive, false},
	} {
		stripe.set(tc.answer)
		if life, err := c.AccountLife(t.Context(), "acct_1"); life != tc.life || (err == nil) != tc.known {
			t.Errorf("%s: got %v, %v", name, life, err)
		}
	}
}
