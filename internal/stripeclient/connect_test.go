package stripeclient_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/secret"
	"till/internal/stripeclient"
)

// A call without the header would be about the platform's own customers.
func TestEveryCallIsForTheConnectedAccount(t *testing.T) {
	t.Parallel()
	for _, account := range []string{"", "acct_1Connected"} {
		for _, op := range operations {
			synctest.Test(t, func(t *testing.T) {
				c, stripe := inBubble(t, answers(http.StatusOK, op.answer), stripeclient.Options{Connected: account})
				_, _ = op.call(t.Context(), c)
				// Again, and this time with a second try.
				stripe.set(refuses(http.StatusServiceUnavailable, "api_error", "", ""))
				_, _ = op.call(t.Context(), c)
				wantAccount(t, op.name, stripe.requests(), account)
			})
		}
	}
}

func wantAccount(t *testing.T, name string, requests []request, account string) {
	t.Helper()
	if len(requests) < 3 {
		t.Errorf("%s: %d requests", name, len(requests))
	}
	var want []string
	if account != "" {
		want = []string{account}
	}
	for _, r := range requests {
		if got := r.Header["Stripe-Account"]; !cmp.Equal(got, want) {
			t.Errorf("%s: Stripe-Account is %q, want %q", name, got, want)
		}
	}
}

func TestAConnectedAccountThatIsNoID(t *testing.T) {
	t.Parallel()
	for _, account := range []string{" ", "acct_1\r\nX: y", "acct 1", "../acct_1"} {
		if _, err := stripeclient.New(stripeclient.Options{
			Key: secret.New(secretKey), Metrics: prometheus.NewRegistry(), Connected: account,
		}); err == nil {
			t.Errorf("%q: taken", account)
		}
	}
}

// That the key has no access to the account is no missing permission of the key.
func TestAnAccountThatIsRefused(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, nil, stripeclient.Options{Connected: "acct_1"})
	for code, want := range map[string]bool{"account_invalid": true, "": false, "resource_missing": false} {
		stripe.set(refuses(http.StatusForbidden, "invalid_request_error", code, ""))
		_, err := c.AccountID(t.Context())
		e, ok := errors.AsType[billing.AccountError](err)
		if !ok || e.AccountRefused() != want || !facetsOf(err).denied {
			t.Errorf("%q: got %v", code, err)
		}
	}
}
