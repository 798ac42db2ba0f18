package stripeclient_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/billing"
	"till/internal/problem"
	"till/internal/stripeclient"
)

var deadKey = refuses(http.StatusUnauthorized, "invalid_request_error", "", "")

// F45: a key that is revoked while the service runs is not tried again and again.
func TestADeadKeyIsUsedOnceInTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stripe := inBubble(t, deadKey, stripeclient.Options{})
		_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
		wantProblem(t, err, problem.UpstreamError, 0)
		time.Sleep(2500 * time.Millisecond)
		_, err = c.CreatePortalSession(t.Context(), createPortal)
		wantProblem(t, err, problem.DependencyUnavailable, 8*time.Second)
		wantSilence(t, err)
		if f := facetsOf(err); !f.unknownKey || f.refused || f.missing {
			t.Errorf("it says of itself %+v", f)
		}
		for range 600 {
			for _, op := range operations {
				_, _ = op.call(t.Context(), c)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// One a minute and a bit ago, and one in each ten seconds since.
		if got := len(stripe.requests()); got < 6 || got > 7 {
			t.Errorf("%d requests with a dead key in a minute", got)
		}
	})
}

func TestAKeyThatIsAcceptedAgainIsUsed(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]http.HandlerFunc{
		"success": answers(http.StatusOK, checkoutSession), "a refusal": refuses(http.StatusBadRequest, "invalid_request_error", "", ""),
	} {
		synctest.Test(t, func(t *testing.T) {
			c, stripe := inBubble(t, deadKey, stripeclient.Options{})
			call := func() { _, _ = c.CreateCheckoutSession(t.Context(), createCheckout) }
			call()
			stripe.set(back)
			time.Sleep(10*time.Second - 1)
			if call(); len(stripe.requests()) != 1 {
				t.Errorf("%s: a request after less than ten seconds", name)
			}
			time.Sleep(time.Nanosecond)
			for range 10 {
				call()
			}
			if got := len(stripe.requests()); got != 10 {
				t.Errorf("%s: %d requests of 10 afterwards", name, got)
			}
		})
	}
}

// An outage says nothing about the key, and nobody who waits for the one answer sends
// another request.
func TestADeadKeyStaysDeadInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stripe := inBubble(t, deadKey, stripeclient.Options{})
		_, _ = c.AccountID(t.Context())
		stripe.set(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second); panic(http.ErrAbortHandler) })
		time.Sleep(10 * time.Second)
		if good := together(20, func() error { _, err := c.CreateCheckoutSession(t.Context(), createCheckout); return err }); good != 0 {
			t.Errorf("%d calls succeeded", good)
		}
		if got := len(stripe.requests()); got != 2 {
			t.Errorf("%d requests, want the one at first and one more", got)
		}
	})
}

// What was not sent did nothing, so that a request that is repeated is a first one.
func TestWhatADeadKeyStopsDidNothing(t *testing.T) {
	t.Parallel()
	c, _ := onLoopback(t, deadKey, stripeclient.Options{})
	for range 2 {
		_, err := c.CreateCheckoutSession(context.Background(), billing.NewSession{
			IdempotencyKey: "key-1", Customer: "cus_1", Params: createCheckout.Params,
		})
		if e, ok := errors.AsType[*stripeclient.Error](err); !ok || !e.DidNothing() {
			t.Errorf("it may have done something: %v", err)
		}
	}
}
