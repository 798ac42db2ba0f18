package stripeclient_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"till/internal/stripeclient"
)

// What is frozen names its Stripe-Version, and is spelled for that one.
func TestAFrozenSessionIsSentAtItsOwnVersion(t *testing.T) {
	t.Parallel()
	c, f := onLoopback(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Version: "2026-08-26.dahlia"})
	session := createCheckout
	session.Version, session.Params = "2023-10-16", maps.Clone(session.Params)
	session.Params["ui_mode"] = "embedded"
	if _, err := c.CreateCheckoutSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	if c.CheckoutVersion(false) != "2026-08-26.dahlia" || c.PortalVersion(false) != "2026-08-26.dahlia" {
		t.Errorf("in use are %s and %s", c.CheckoutVersion(false), c.PortalVersion(false))
	}
	got := only(t, f)
	if form, _ := url.ParseQuery(got.body); form.Get("ui_mode") != "embedded" || got.Header.Get("Stripe-Version") != "2023-10-16" {
		t.Errorf("sent %q at %q", form.Get("ui_mode"), got.Header.Get("Stripe-Version"))
	}
}

func TestWhetherStripeReplayedIsSaid(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{"Idempotent-Replayed: true": true, "Idempotent-Replayed: false": false, "X-Other: true": false} {
		c, _ := onLoopback(t, answers(http.StatusOK, checkoutSession, header), stripeclient.Options{})
		if got, err := c.CreateCheckoutSession(t.Context(), createCheckout); got.Replayed != want || err != nil {
			t.Errorf("%s: checkout says %v, %v", header, got.Replayed, err)
		}
		c, _ = onLoopback(t, answers(http.StatusOK, portalSession, header), stripeclient.Options{})
		if got, err := c.CreatePortalSession(t.Context(), createPortal); got.Replayed != want || err != nil {
			t.Errorf("%s: portal says %v, %v", header, got.Replayed, err)
		}
	}
}

// Only what surely did nothing may be forgotten: a session would be made twice.
func TestWhatSurelyDidNothing(t *testing.T) {
	t.Parallel()
	refused := refuses(400, "invalid_request_error", "", "line_items")
	broken := answers(503, object{"error": object{"type": "api_error"}})
	for name, tt := range map[string]struct {
		first, then http.HandlerFunc
		want        bool
	}{
		"refused":                          {refused, refused, true},
		"the key is none":                  {refuses(401, "invalid_request_error", "", ""), nil, true},
		"the key may not":                  {refuses(403, "invalid_request_error", "", ""), nil, true},
		"too many":                         {refuses(429, "invalid_request_error", "rate_limit", ""), nil, true},
		"the key has other parameters":     {refuses(400, "idempotency_error", "", ""), nil, false},
		"the key is in use":                {refuses(409, "invalid_request_error", "idempotency_key_in_use", ""), nil, false},
		"a proxy's 400":                    {answers(400, "<html>"), nil, false},
		"a proxy's 403":                    {answers(403, "<html>"), nil, false},
		"a proxy's 429":                    {answers(429, "<html>"), nil, false},
		"500":                              {answers(500, object{"error": object{"type": "api_error"}}), nil, false},
		"refused after an unknown end":     {broken, refused, false},
		"too many after an unknown end":    {broken, refuses(429, "invalid_request_error", "rate_limit", ""), false},
		"an answer of another customer's":  {answers(200, with(checkoutSession, "customer", "cus_2")), nil, false},
		"an answer that cannot be read":    {answers(200, "{"), answers(200, "{"), false},
		"refused when it comes once again": {refuses(400, "invalid_request_error", "", "line_items", "Stripe-Should-Retry: true"), refused, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				c, _ := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) == 1 || tt.then == nil {
						tt.first(w, r)
						return
					}
					tt.then(w, r)
				}, stripeclient.Options{})
				_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
				e, ok := errors.AsType[*stripeclient.Error](err)
				if !ok || e.DidNothing() != tt.want {
					t.Errorf("got %v of %v, want %v", ok && e.DidNothing(), err, tt.want)
				}
			})
		})
	}
}
