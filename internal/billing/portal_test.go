package billing_test

import (
	"testing"

	"till/internal/billing"
	"till/internal/problem"
)

func TestWhatIsSentForAPortal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		req  billing.PortalRequest
		want params
	}{
		"as it is": {billing.PortalRequest{}, params{
			"customer": "cus_1", "configuration": "bpc_1", "locale": "auto", "return_url": account,
		}},
		"with wishes": {billing.PortalRequest{ReturnURL: new("https://app.example.com/x"), Locale: new("en-AU")}, params{
			"customer": "cus_1", "configuration": "bpc_1", "locale": "en-AU", "return_url": "https://app.example.com/x",
		}},
		"another template": {billing.PortalRequest{Portal: new("team")}, params{
			"customer": "cus_1", "configuration": "bpc_2", "return_url": "https://app.example.com/team",
		}},
		"another way back": {billing.PortalRequest{Portal: new("team"), ReturnURL: new("https://APP.example.com")}, params{
			"customer": "cus_1", "configuration": "bpc_2", "return_url": "https://app.example.com/",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := portals()
			s := newService(t, func(c *config) { c.portals = own })
			var keys []string
			for range 2 {
				got, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), tc.req)
				if err != nil || got.URL == "" {
					t.Fatalf("got %+v, %v", got, err)
				}
				sent := s.stripe.last(t)
				same(t, "params", sent.Params, tc.want)
				if sent.Customer != "cus_1" || !sent.Livemode {
					t.Errorf("got %+v, want what the answer has to say", sent)
				}
				keys = append(keys, sent.IdempotencyKey)
			}
			if keys[0] == keys[1] || keys[0] == "" {
				t.Error("two visits share a key: the second would get the first one's URL")
			}
			same(t, "templates", own, portals())
			same(t, "calls", s.stripe.since(), map[string]int{"create customer": 1, "create portal": 2})
		})
	}
}

func TestAPortalNobodyConfigured(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *config) { c.portals, c.redirects.Default = nil, "" })
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Fatal(err)
	}
	same(t, "params", s.stripe.last(t).Params, params{"customer": "cus_1"})
}

func TestPortalRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		req  billing.PortalRequest
		want verdict
	}{
		"an unknown template": {billing.PortalRequest{Portal: new("Default")}, verdict{problem.CatalogNotAllowed, []string{"/portal"}}},
		"an empty template":   {billing.PortalRequest{Portal: new("")}, verdict{problem.CatalogNotAllowed, []string{"/portal"}}},
		"a flow":              {billing.PortalRequest{Flow: &billing.FlowRequest{Type: new("subscription_cancel")}}, verdict{problem.CatalogNotAllowed, []string{"/flow/type"}}},
		"an empty flow":       {billing.PortalRequest{Flow: &billing.FlowRequest{}}, verdict{problem.ValidationFailed, []string{"/flow/type"}}},
		"a foreign URL":       {billing.PortalRequest{ReturnURL: new("https://evil.example")}, verdict{problem.RedirectNotAllowed, []string{"/return_url"}}},
		"an empty URL":        {billing.PortalRequest{ReturnURL: new("")}, verdict{problem.MalformedRequest, []string{"/return_url"}}},
		"an unknown locale":   {billing.PortalRequest{Locale: new("en-US")}, verdict{problem.ValidationFailed, []string{"/locale"}}},
		"several at once": {
			billing.PortalRequest{Portal: new("x"), Flow: &billing.FlowRequest{}, Locale: new("x"), ReturnURL: new("")},
			verdict{problem.MalformedRequest, []string{"/portal", "/flow/type", "/locale", "/return_url"}},
		},
	} {
		s := newService(t)
		got, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), tc.req)
		same(t, name, verdictOf(t, err), tc.want)
		if got.URL != "" {
			t.Errorf("%s: got a session: %+v", name, got)
		}
		s.untouched(t)
	}
}

func TestStripesRefusalOfAPortalIsPassedOn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.stripe.create = func(billing.NewSession) error { return refused(stripeError{text: "no configuration"}) }
	_, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{})
	same(t, "refusal", verdictOf(t, err), verdict{problem.UpstreamError, nil})
}
