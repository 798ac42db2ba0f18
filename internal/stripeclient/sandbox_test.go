package stripeclient_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/sandbox"
	"till/internal/stripeclient"
)

// inSandbox returns a client of a Stripe that decides for itself, and how to make
// other calls of it.
func inSandbox(t *testing.T) (c *client, do func(method, path, body string)) {
	t.Helper()
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	c = newClient(t, stripeclient.Options{BaseURL: server.URL})
	t.Cleanup(func() { c.Close(); server.Close() })
	return c, func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secretKey)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s", method, path, res.Status)
		}
	}
}

func wantLife(t *testing.T, c *client, id string, want customers.Life) {
	t.Helper()
	if got, err := c.CustomerLife(t.Context(), id); got != want || err != nil {
		t.Errorf("the life of %s is %d, %v; want %d", id, got, err, want)
	}
}

// A session for a customer that was deleted says which parameter is to blame, and
// that what it names is gone: that is how the caller knows to make another one.
func TestACustomerThatIsGone(t *testing.T) {
	t.Parallel()
	c, do := inSandbox(t)
	created, err := c.CreateCustomer(t.Context(), createCustomer)
	if err != nil {
		t.Fatal(err)
	}
	wantLife(t, c, created.ID, customers.Alive)
	wantLife(t, c, "cus_nobody", customers.Missing)
	if err := c.UpdateProfile(t.Context(), created.ID, ann); err != nil {
		t.Fatal(err)
	}
	do(http.MethodDelete, "/v1/customers/"+created.ID, "")
	wantLife(t, c, created.ID, customers.Deleted)

	checkout := createCheckout
	checkout.IdempotencyKey, checkout.Customer = "key-3", created.ID
	checkout.Params = map[string]any{
		"mode": "subscription", "customer": created.ID, "success_url": "https://app.example/ok",
		"line_items": []any{map[string]any{"price": "price_pro_monthly", "quantity": 1}},
	}
	portal := createPortal
	portal.IdempotencyKey, portal.Customer, portal.Params = "key-2", created.ID, map[string]any{"customer": created.ID}
	_, checkoutErr := c.CreateCheckoutSession(t.Context(), checkout)
	_, portalErr := c.CreatePortalSession(t.Context(), portal)
	updateErr := c.UpdateProfile(t.Context(), created.ID, ann)
	for name, tt := range map[string]struct {
		err  error
		want facets
	}{
		"checkout": {checkoutErr, facets{missing: true, refused: true, param: "customer"}},
		"portal":   {portalErr, facets{missing: true, refused: true, param: "customer"}},
		"update":   {updateErr, facets{missing: true, refused: true, param: "id"}},
	} {
		if got := facetsOf(tt.err); got != tt.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, tt.err, tt.want)
		}
	}
}

// Which of two parameters names the customer depends on the account.
func TestACustomerAccountThatIsGone(t *testing.T) {
	t.Parallel()
	c, _ := inSandbox(t)
	portal := createPortal
	portal.Params = map[string]any{"customer_account": "acct_gone"}
	_, err := c.CreatePortalSession(t.Context(), portal)
	if got := facetsOf(err); !got.missing || got.param != "customer_account" {
		t.Errorf("%+v (%v)", got, err)
	}
}

// The sandbox's clock is not this host's, and the client knows only that one.
func TestTheTimeIsTheSandboxs(t *testing.T) {
	t.Parallel()
	c, do := inSandbox(t)
	do(http.MethodPost, "/sandbox/v1/clock", `{"advance":"50h"}`)
	now, err := c.Time(t.Context())
	want := time.Now().Add(50 * time.Hour)
	if err != nil || want.Sub(now.Earliest).Abs() > 5*time.Second || now.Latest.Sub(want).Abs() > 5*time.Second {
		t.Errorf("the time is %v, %v; want about %v", now, err, want)
	}
	if got := c.metric(t, "till_stripe_clock_offset_seconds"); got < (50*time.Hour).Seconds()-5 || got > (50*time.Hour).Seconds()+5 {
		t.Errorf("the offset is %v", got)
	}
	do(http.MethodPost, "/sandbox/v1/reset", "")
	if now, err = c.Time(t.Context()); err != nil || time.Since(now.Earliest).Abs() > 5*time.Second {
		t.Errorf("after the reset, the time is %v, %v", now, err)
	}
}
