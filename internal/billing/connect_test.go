package billing_test

import (
	"errors"
	"testing"

	"till/internal/billing"
	"till/internal/problem"
)

// accountRefused is what stripeclient says when the key has no access to the account.
type accountRefused struct{ stripeError }

func (accountRefused) AccountRefused() bool { return true }

func TestAConnectedAccountThatStripeRefuses(t *testing.T) {
	refusal := refusedWith(&accountRefused{stripeError{text: "no access", denied: true}})
	inBubble(t, func(t *testing.T) {
		stripe := healthy()
		stripe.accountID = func() (string, error) { return "", refusal }
		g := runGate(t, stripe, &memory{}, func(o *billing.GateOptions) { o.Account = "acct_1" })
		g.contradicts(t, "stripe.connected_account: the key has no access to acct_1")
	})
}

// Access that was revoked says nothing about anybody's customer.
func TestNobodyIsHealedInAnAccountThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Fatal(err)
	}
	before := s.row(t, "alice")
	s.stripe.loses("cus_1")
	refusal := refusedWith(&accountRefused{stripeError{text: "no access", denied: true}})
	s.stripe.accountID = func() (string, error) { return "", refusal }
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	same(t, "row", s.row(t, "alice"), before)
}

func refusedWith(err error) error { return problem.New(problem.UpstreamError, err) }
