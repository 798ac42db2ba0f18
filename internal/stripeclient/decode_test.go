package stripeclient_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/stripeclient"
)

// Buffers are used again, and nothing that was handed on may change with them.
func TestAnAnswerOutlivesItsBuffer(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, with(checkoutSession, "client_reference_id", strings.Repeat("a", 9000))), stripeclient.Options{})
	first, err := c.CreateCheckoutSession(t.Context(), createCheckout)
	if err != nil {
		t.Fatal(err)
	}
	copied := first
	copied.ID, copied.URL = copied.ID+"", new(strings.Clone(*first.URL))
	stripe.set(answers(http.StatusOK, with(checkoutSession, "url", "https://checkout.stripe.com/another", "currency", "usd")))
	for range 50 {
		if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(copied, first); diff != "" || *first.Currency != "eur" || first.Metadata["till_plan"] != "pro" {
		t.Errorf("it has changed:\n%s", diff)
	}
}

// encoding/json would take a member of another name for one that is missing.
func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{"url URL", "id ID", "customer Customer", "object OBJECT", "mode MODE"} {
		name, other, _ := strings.Cut(pair, " ")
		c, _ := onLoopback(t, answers(http.StatusOK, with(checkoutSession, name, absent{}, other, checkoutSession[name])), stripeclient.Options{})
		if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err == nil || c.violations(t) != 1 {
			t.Errorf("%s was taken for %s", other, name)
		}
	}
}
