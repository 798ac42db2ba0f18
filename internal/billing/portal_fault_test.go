package billing_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/problem"
)

// Stripe's refusal of an account without a portal configuration has no code and no
// param, and its text has changed before: what counts is that there is none.
func TestAnAccountWithoutAPortalConfiguration(t *testing.T) {
	t.Parallel()
	none := map[string]billing.PortalConfiguration{}
	for name, tc := range map[string]struct {
		refusal error
		stripe  portalStripe
		portal  string
		want    problem.Code
		says    string
		calls   map[string]int
	}{
		"none": {
			refused(stripeError{text: "?"}),
			portalStripe{configurations: none},
			"default", problem.DependencyUnavailable,
			"save the customer portal's settings in the Dashboard",
			map[string]int{"create portal": 1, "configuration": 1},
		},
		"there is one": {
			refused(stripeError{text: "?"}), portalStripe{}, "default", problem.UpstreamError, "", map[string]int{"create portal": 1, "configuration": 1},
		},
		"unknown": {
			refused(stripeError{text: "?"}),
			portalStripe{configurationErr: refused(stripeError{text: "denied", denied: true})},
			"default",
			problem.UpstreamError, "whether it has could not be read",
			map[string]int{"create portal": 1, "configuration": 1},
		},
		"not about it": {
			refused(stripeError{text: "?", param: "on_behalf_of"}),
			portalStripe{configurations: none},
			"default", problem.UpstreamError, "",
			map[string]int{"create portal": 1},
		},
		"another is named": {
			refused(stripeError{text: "?"}), portalStripe{configurations: none}, "named", problem.UpstreamError, "", map[string]int{"create portal": 1},
		},
		"the one named is gone": {
			refused(stripeError{text: "?", param: "configuration", missing: true}),
			portalStripe{configurations: none},
			"named",
			problem.DependencyUnavailable, "portals.named.params.configuration",
			map[string]int{"create portal": 1},
		},
		"no answer": {
			problem.New(problem.UpstreamTimeout, errors.New("?")),
			portalStripe{configurations: none},
			"default", problem.UpstreamTimeout, "",
			map[string]int{"create portal": 1},
		},
	} {
		s := newService(t, func(c *config) {
			c.portals = []catalog.Portal{{Name: "named", Params: params{"configuration": "bpc_1"}}}
			c.stripe.portal = tc.stripe
		})
		if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
			t.Fatal(err)
		}
		s.stripe.forgets()
		s.stripe.fails(tc.refusal)
		_, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{Portal: &tc.portal})
		p, _ := errors.AsType[*problem.Error](err)
		if p == nil || p.Code != tc.want || p.Err == nil || !strings.Contains(p.Err.Error(), tc.says) || !strings.Contains(p.Err.Error(), "?") {
			t.Errorf("%s: got %v", name, err)
		}
		if p != nil && p.Code == problem.DependencyUnavailable && p.RetryAfter != time.Minute {
			t.Errorf("%s: come again after %s", name, p.RetryAfter)
		}
		same(t, name+": calls", s.stripe.since(), tc.calls)
	}
}

func gateOfPortals(t *testing.T, stripe portalStripe, portals ...catalog.Portal) *gate {
	t.Helper()
	fake := &fakeStripe{prices: prices(), portal: stripe}
	return runGate(t, fake, &memory{}, func(o *billing.GateOptions) { o.Catalog = catalog.New(plans()[:3], portals) })
}

func named(name, id string, flows ...string) catalog.Portal {
	return catalog.Portal{Name: name, Params: params{"configuration": id}, Flows: flows}
}

// A configuration that a template names is as necessary as a price.
func TestPortalConfigurationsAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	const where = "portals.team.params.configuration: "
	for name, tc := range map[string]struct {
		configurations map[string]billing.PortalConfiguration
		id, want       string
	}{
		"missing":    {map[string]billing.PortalConfiguration{"": allOn()}, "bpc_1", where + `Stripe has no portal configuration "bpc_1"`},
		"not in use": {map[string]billing.PortalConfiguration{"": allOn(), "bpc_1": {ID: "bpc_1"}}, "bpc_1", where + `portal configuration "bpc_1" is not active`},
		"no id":      {map[string]billing.PortalConfiguration{"": allOn()}, "bpc/../x", where},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := gateOfPortals(t, portalStripe{configurations: tc.configurations}, named("team", tc.id))
			t.Log(name)
			g.contradicts(t, tc.want)
			if g.Ready() {
				t.Error("ready")
			}
		})
	}
}

// Without a default one, that portal stays shut and all else works.
func TestWarningsAboutPortalsAreSaidOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stripe  portalStripe
		portals []catalog.Portal
		want    string
		n       int
	}{
		"no default": {portalStripe{configurations: map[string]billing.PortalConfiguration{}}, nil, "save the customer portal's settings", 1},
		"the default is not in use": {
			portalStripe{configurations: map[string]billing.PortalConfiguration{"": {ID: "bpc_0"}}}, nil, "save the customer portal's settings", 1,
		},
		"a flow that is off": {
			portalStripe{configurations: map[string]billing.PortalConfiguration{
				"": allOn(), "bpc_1": {ID: "bpc_1", Active: true, Features: map[string]bool{"subscription_update": true, "subscription_cancel": false}},
			}},
			[]catalog.Portal{named("team", "bpc_1", catalog.Flows()...)},
			`"bpc_1\" does not enable `, 2,
		},
		"all is well":     {portalStripe{}, []catalog.Portal{named("team", "bpc_1", catalog.Flows()...)}, "portal", 0},
		"may not look":    {portalStripe{configurationErr: refused(stripeError{text: "denied", denied: true})}, nil, "so they are not checked", 1},
		"does not answer": {portalStripe{configurationErr: errors.New("silence")}, nil, "could not be read", 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := gateOfPortals(t, tc.stripe, tc.portals...)
			g.expect(t, true)
			time.Sleep(11 * time.Minute) // two more readings
			g.expect(t, true)
			if got := strings.Count(g.log.String(), tc.want); got != tc.n {
				t.Errorf("%s: said %d times, want %d: %s", name, got, tc.n, g.log)
			}
		})
	}
}
