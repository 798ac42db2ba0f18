package billing_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/customers"
)

// portalStripe is what a fakeStripe knows of subscriptions and portal configurations;
// its zero value has no subscription, and a default configuration that allows all.
type portalStripe struct {
	subscriptions map[string]billing.FlowTarget
	more          bool // of every list of subscriptions
	readErr       error
	// configurations are the account's by id, the default one by "".
	configurations   map[string]billing.PortalConfiguration
	configurationErr error
}

func allOn() billing.PortalConfiguration {
	return billing.PortalConfiguration{ID: "bpc_default", Active: true, Features: map[string]bool{
		"payment_method_update": true, "subscription_cancel": true, "subscription_update": true,
	}}
}

// Refused implements billing.RefusedError: what a parameter is to blame for, Stripe has
// understood.
func (e *stripeError) Refused() bool { return !e.denied && !e.unknownKey && !e.silent }

func (f *fakeStripe) FlowTarget(_ context.Context, id string) (billing.FlowTarget, error) {
	f.count("read subscription")
	if f.portal.readErr != nil {
		return billing.FlowTarget{}, f.portal.readErr
	}
	s, ok := f.portal.subscriptions[id]
	if !ok {
		return s, refused(stripeError{text: "resource_missing", param: "id", missing: true})
	}
	return s, nil
}

func (f *fakeStripe) FlowTargetsOf(_ context.Context, c customers.Customer) ([]billing.FlowTarget, bool, error) {
	f.count("list subscriptions")
	var own []billing.FlowTarget
	for _, s := range f.portal.subscriptions {
		if string(s.Customer) == c.ID && s.Status != "canceled" {
			own = append(own, s)
		}
	}
	return own, f.portal.more, f.portal.readErr
}

func (f *fakeStripe) PortalConfiguration(_ context.Context, id string) (billing.PortalConfiguration, error) {
	f.count("configuration")
	if f.portal.configurationErr != nil {
		return billing.PortalConfiguration{}, f.portal.configurationErr
	}
	if f.portal.configurations == nil {
		return allOn(), nil
	}
	c, ok := f.portal.configurations[id]
	if !ok {
		return c, refused(stripeError{text: "resource_missing", param: "id", missing: true})
	}
	return c, nil
}

// counted is the sum of a counter's series.
func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
