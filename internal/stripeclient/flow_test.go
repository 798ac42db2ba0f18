package stripeclient_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/stripeclient"
)

var (
	subscriptionObject = object{
		"id": "sub_1", "object": "subscription", "livemode": false, "status": "active", "customer": "cus_1",
		"items": listOf(object{"id": "si_1", "price": object{"id": "price_1"}, "quantity": 3}),
	}
	configurationObject = object{
		"id": "bpc_1", "object": "billing_portal.configuration", "livemode": false, "active": true, "is_default": true,
		"features":         object{"subscription_cancel": object{"enabled": true}, "invoice_history": object{"enabled": false}},
		"business_profile": object{"headline": email},
	}
	alice = customers.Customer{ID: "cus_1", Generation: 1}
)

func TestWhatIsHandedOnOfSubscriptions(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, subscriptionObject), stripeclient.Options{})
	want := billing.FlowTarget{
		ID: "sub_1", Customer: "cus_1", Status: "active",
		Items: []billing.FlowTargetItem{{ID: "si_1", Price: "price_1", Quantity: new(int64(3))}},
	}
	got, err := c.FlowTarget(t.Context(), "sub_1")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if uri := only(t, stripe).URL.RequestURI(); uri != "/v1/subscriptions/sub_1" {
		t.Errorf("asked for %s", uri)
	}
	// Whose it is, is for the caller to judge.
	stripe.set(answers(http.StatusOK, with(subscriptionObject, "customer", object{"id": "cus_2", "object": "customer"})))
	if got, err := c.FlowTarget(t.Context(), "sub_1"); err != nil || got.Customer != "cus_2" {
		t.Errorf("got %+v, %v", got, err)
	}
	stripe.requests()

	metered := with(subscriptionObject, "id", "sub_2", "items",
		with(listOf(object{"id": "si_2", "price": object{"id": "old.plan-1"}}), "has_more", true))
	stripe.set(answers(http.StatusOK, with(listOf(subscriptionObject, metered), "has_more", true)))
	all, more, err := c.FlowTargetsOf(t.Context(), alice)
	second := billing.FlowTarget{
		ID: "sub_2", Customer: "cus_1", Status: "active", MoreItems: true,
		Items: []billing.FlowTargetItem{{ID: "si_2", Price: "old.plan-1"}},
	}
	if diff := cmp.Diff([]billing.FlowTarget{want, second}, all); diff != "" || !more || err != nil {
		t.Errorf("more: %v, %v (-want +got):\n%s", more, err, diff)
	}
	if uri := only(t, stripe).URL.RequestURI(); uri != "/v1/subscriptions?customer=cus_1&limit=100" {
		t.Errorf("asked for %s", uri)
	}
}

func TestWhatIsHandedOnOfPortalConfigurations(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, configurationObject), stripeclient.Options{})
	want := billing.PortalConfiguration{
		ID: "bpc_1", Active: true, Features: map[string]bool{"subscription_cancel": true, "invoice_history": false},
	}
	for id, uri := range map[string]string{
		"bpc_1": "/v1/billing_portal/configurations/bpc_1", "": "/v1/billing_portal/configurations?is_default=true&limit=1",
	} {
		stripe.set(answers(http.StatusOK, configurationObject))
		if id == "" {
			stripe.set(answers(http.StatusOK, listOf(configurationObject)))
		}
		got, err := c.PortalConfiguration(t.Context(), id)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", id, err, diff)
		}
		if got := only(t, stripe).URL.RequestURI(); got != uri {
			t.Errorf("asked for %s", got)
		}
	}
	stripe.set(answers(http.StatusOK, listOf()))
	_, err := c.PortalConfiguration(t.Context(), "")
	if wantProblem(t, err, problem.NotFound, 0); !catalog.IsMissing(err) {
		t.Errorf("got %v", err)
	}
	stripe.set(refuses(http.StatusNotFound, "invalid_request_error", "resource_missing", "configuration"))
	if _, err = c.PortalConfiguration(t.Context(), "bpc_2"); !catalog.IsMissing(err) {
		t.Errorf("got %v", err)
	}
}

// Ids are parts of paths.
func TestIdsThatAreNone(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, subscriptionObject), stripeclient.Options{})
	for _, id := range []string{"", "..", "a/b", "sub_1?x", "sub 1"} {
		if _, err := c.FlowTarget(t.Context(), id); err == nil {
			t.Errorf("%q: taken for the id of a subscription", id)
		}
		if _, _, err := c.FlowTargetsOf(t.Context(), customers.Customer{ID: id}); err == nil {
			t.Errorf("%q: taken for the id of a customer", id)
		}
		if _, err := c.PortalConfiguration(t.Context(), id); id != "" && err == nil {
			t.Errorf("%q: taken for the id of a configuration", id)
		}
	}
	if n := len(stripe.requests()); n != 1 { // the default configuration
		t.Errorf("%d requests reached Stripe", n)
	}
}

// A flow is shown to the caller, so it must be the caller's.
func TestFlowsOfAnswers(t *testing.T) {
	t.Parallel()
	cancel := object{"type": "subscription_cancel", "subscription_cancel": object{"subscription": "sub_1", "retention": nil}}
	rich := with(cancel, "subscription_cancel", object{
		"subscription": object{"id": "sub_1", "object": "subscription", "customer": "cus_" + foreign},
		"retention":    object{"type": "coupon_offer", "coupon_offer": object{"coupon": "SAVE20", "note": foreign}},
	}, "after_completion", object{"type": "redirect", "redirect": object{"return_url": "https://app.example/"}, "new": foreign}, "owner", foreign)
	asked := catalog.Params{"type": "subscription_cancel", "subscription_cancel": catalog.Params{"subscription": "sub_1"}}
	method := catalog.Params{"type": "payment_method_update"}
	for name, tc := range map[string]struct {
		asked    catalog.Params
		answered any
		believed bool
		want     *billing.PortalFlow
	}{
		"none":          {nil, nil, true, nil},
		"not asked for": {nil, cancel, true, nil},
		"asked for": {asked, cancel, true, &billing.PortalFlow{
			Type: "subscription_cancel", SubscriptionCancel: &billing.PortalFlowCancel{Subscription: "sub_1"},
		}},
		"only what Stripe documents": {asked, rich, true, &billing.PortalFlow{
			Type: "subscription_cancel",
			SubscriptionCancel: &billing.PortalFlowCancel{Subscription: "sub_1", Retention: &billing.PortalFlowRetention{
				Type: "coupon_offer", CouponOffer: &billing.PortalFlowCouponOffer{Coupon: "SAVE20"},
			}},
			AfterCompletion: &billing.FlowCompletion{
				Type: new("redirect"), Redirect: &billing.FlowRedirect{ReturnURL: new("https://app.example/")},
			},
		}},
		"no subscription":          {method, object{"type": "payment_method_update"}, true, &billing.PortalFlow{Type: "payment_method_update"}},
		"absent":                   {asked, nil, false, nil},
		"of another type":          {asked, with(cancel, "type", "subscription_update"), false, nil},
		"of another type, in full": {method, cancel, false, nil},
		"another subscription": {
			asked, with(cancel, "subscription_cancel", object{"subscription": "sub_" + foreign}), false, nil,
		},
		"no subscription in it":   {asked, object{"type": "subscription_cancel"}, false, nil},
		"a subscription too many": {method, with(cancel, "type", "payment_method_update"), false, nil},
		"in the place of another": {
			asked, object{"type": "subscription_cancel", "subscription_update": object{"subscription": "sub_2"}}, false, nil,
		},
	} {
		c, _ := onLoopback(t, answers(http.StatusOK, with(portalSession, "flow", tc.answered)), stripeclient.Options{})
		portal := createPortal
		portal.Params = maps.Clone(portal.Params)
		if tc.asked != nil {
			portal.Params["flow_data"] = tc.asked
		}
		got, err := c.CreatePortalSession(t.Context(), portal)
		if (err == nil) != tc.believed {
			t.Errorf("%s: believed %t: %v", name, err == nil, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got.Flow); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err != nil {
			wantSilence(t, err, foreign, "sub_")
		}
	}
}
