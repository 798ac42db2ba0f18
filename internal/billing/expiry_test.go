package billing_test

import (
	"testing"
	"testing/synctest"
	"time"

	"till/internal/catalog"
)

func TestSessionsEndWhenThePlanSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c *config) {
			c.plans = []catalog.Plan{
				{Name: "short", Mode: catalog.ModeSetup, ExpiresAfter: 90 * time.Minute, Params: params{"currency": "usd"}},
				{Name: "usual", Mode: catalog.ModeSetup, Params: params{"currency": "usd"}},
			}
		})
		time.Sleep(time.Hour)
		sent := s.buys(t, "alice", request(t, `{"plan":"short"}`))
		same(t, "an hour and a half", sent.Params["expires_at"], any(time.Now().Add(90*time.Minute).Unix()))
		sent = s.buys(t, "alice", request(t, `{"plan":"usual"}`))
		same(t, "Stripe's own", sent.Params["expires_at"], nil)
	})
}
