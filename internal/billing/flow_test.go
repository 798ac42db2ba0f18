package billing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/problem"
)

func portalRequest(t *testing.T, body string) (req billing.PortalRequest) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return req
}

func target(id, customer, status string, items ...billing.FlowTargetItem) billing.FlowTarget {
	return billing.FlowTarget{ID: billing.ID(id), Customer: billing.ID(customer), Status: status, Items: items}
}

func item(id, price string, quantity int64) billing.FlowTargetItem {
	return billing.FlowTargetItem{ID: billing.ID(id), Price: billing.ID(price), Quantity: &quantity}
}

// withFlows is a service whose portal has every flow. Alice is cus_1 and has sub_1, which
// is live, and what is over; mallory is cus_9.
func withFlows(t *testing.T, edit ...func(*config)) *service {
	t.Helper()
	s := newService(t, append([]func(*config){func(c *config) {
		c.portals = []catalog.Portal{
			{Name: "default", Flows: catalog.Flows(), Coupons: []string{"SAVE20"}, Params: params{"on_behalf_of": "acct_9"}},
			{Name: "cancel", Flows: []string{catalog.FlowSubscriptionCancel}},
		}
		c.plans = append(c.plans, catalog.Plan{Name: "team", Mode: catalog.ModeSubscription, LineItems: []catalog.LineItem{
			{Name: "seats", Price: catalog.PriceRef{ID: "price_seats"}, Quantity: &catalog.Quantity{Default: 5, Min: 5, Max: 20}},
			{Name: "base", Price: catalog.PriceRef{ID: "price_base"}},
			{Name: "twice", Price: catalog.PriceRef{ID: "price_base"}},
		}}, catalog.Plan{Name: "team2", Mode: catalog.ModeSubscription, LineItems: []catalog.LineItem{
			{Name: "seats", Price: catalog.PriceRef{ID: "price_seats"}, Quantity: &catalog.Quantity{Default: 50, Min: 50, Max: 90}},
			{Name: "twice", Price: catalog.PriceRef{ID: "price_seats"}},
		}})
		for _, id := range []string{"price_seats", "price_base"} {
			c.stripe.prices[id] = catalog.Price{ID: id, Active: true, Livemode: true, Recurring: true}
		}
		c.stripe.portal.subscriptions = map[string]billing.FlowTarget{}
		for _, sub := range []billing.FlowTarget{
			target("sub_1", "cus_1", "active", item("si_1", "price_pro", 3)),
			target("sub_over", "cus_1", "canceled", item("si_2", "price_pro", 1)),
			target("sub_never", "cus_1", "incomplete_expired", item("si_3", "price_pro", 1)),
			target("sub_begun", "cus_1", "incomplete", item("si_4", "price_pro", 1)),
			target("sub_9", "cus_9", "active", item("si_9", "price_pro", 1)),
		} {
			c.stripe.portal.subscriptions[string(sub.ID)] = sub
		}
	}}, edit...)...)
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Fatal(err)
	}
	s.stripe.forgets()
	return s
}

func (s *service) opens(t *testing.T, body string) (params, error) {
	t.Helper()
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), portalRequest(t, body)); err != nil {
		return nil, err
	}
	flow, _ := s.stripe.last(t).Params["flow_data"].(params)
	return flow, nil
}

// flows are a request of each type, with all that belongs to it, and what is sent.
func flows() map[string]struct {
	request string
	sent    params
	calls   map[string]int
} {
	type row = struct {
		request string
		sent    params
		calls   map[string]int
	}
	read := map[string]int{"read subscription": 1, "create portal": 1}
	listed := map[string]int{"list subscriptions": 1, "create portal": 1}
	return map[string]row{
		"payment_method_update": {`"type":"payment_method_update"`, params{"type": "payment_method_update"}, map[string]int{"create portal": 1}},
		"subscription_cancel": {
			`"type":"subscription_cancel","subscription":"sub_1","retention":{"type":"coupon_offer","coupon_offer":{"coupon":"SAVE20"}}`,
			params{"type": "subscription_cancel", "subscription_cancel": params{
				"subscription": "sub_1", "retention": params{"type": "coupon_offer", "coupon_offer": params{"coupon": "SAVE20"}},
			}},
			read,
		},
		"subscription_update": {
			`"type":"subscription_update"`,
			params{"type": "subscription_update", "subscription_update": params{"subscription": "sub_1"}},
			listed,
		},
		"subscription_update_confirm": {
			`"type":"subscription_update_confirm","items":[{"price":"pro_monthly","quantity":50}],"discounts":[{"coupon":"SAVE20"}]`,
			params{"type": "subscription_update_confirm", "subscription_update_confirm": params{
				"subscription": "sub_1", "items": []any{params{"id": "si_1", "price": "price_pro", "quantity": int64(50)}},
				"discounts": []any{params{"coupon": "SAVE20"}},
			}},
			listed,
		},
	}
}

func TestFourFlowsThatEndInEveryWay(t *testing.T) {
	t.Parallel()
	completions := map[string]struct {
		request string
		sent    any
	}{
		"none":          {"", nil},
		"the homepage":  {`"after_completion":{"type":"portal_homepage"}`, params{"type": "portal_homepage"}},
		"a page":        {`"after_completion":{"type":"hosted_confirmation"}`, params{"type": "hosted_confirmation"}},
		"an empty page": {`"after_completion":{"type":"hosted_confirmation","hosted_confirmation":{}}`, params{"type": "hosted_confirmation"}},
		"a message": {
			`"after_completion":{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":"` + strings.Repeat("é", 500) + `"}}`,
			params{"type": "hosted_confirmation", "hosted_confirmation": params{"custom_message": strings.Repeat("é", 500)}},
		},
		"a redirect": {
			`"after_completion":{"type":"redirect","redirect":{"return_url":"https://APP.example.com/done"}}`,
			params{"type": "redirect", "redirect": params{"return_url": "https://app.example.com/done"}},
		},
		"the default redirect": {
			`"after_completion":{"type":"redirect"}`, params{"type": "redirect", "redirect": params{"return_url": account}},
		},
	}
	if got := slices.Sorted(maps.Keys(flows())); !slices.Equal(got, slices.Sorted(slices.Values(catalog.Flows()))) {
		t.Fatalf("got %v: not every flow is tried", got)
	}
	for name, flow := range flows() {
		for ending, completion := range completions {
			s := withFlows(t)
			got, err := s.opens(t, `{"flow":{`+strings.Trim(flow.request+","+completion.request, ",")+`}}`)
			if err != nil {
				t.Errorf("%s, %s: %v", name, ending, err)
				continue
			}
			want := deepCopy(flow.sent).(params)
			if completion.sent != nil {
				want["after_completion"] = completion.sent
			}
			same(t, name+", "+ending, got, want)
			same(t, name+", "+ending+": calls", s.stripe.since(), flow.calls)
			same(t, "template", s.stripe.last(t).Params["on_behalf_of"], any("acct_9"))
		}
	}
}

func TestFlowRefusals(t *testing.T) {
	t.Parallel()
	const confirm = `"type":"subscription_update_confirm"`
	for _, row := range []struct {
		flow string
		want verdict
	}{
		{`"type":""`, verdict{problem.ValidationFailed, []string{"/flow/type"}}},
		{`"type":"customer_update"`, verdict{problem.ValidationFailed, []string{"/flow/type"}}},
		{`"type":"subscription_pause"`, verdict{problem.ValidationFailed, []string{"/flow/type"}}},
		{`"type":"Subscription_Cancel"`, verdict{problem.ValidationFailed, []string{"/flow/type"}}},
		{`"type":"payment_method_update","subscription":"sub_1"`, verdict{problem.ValidationFailed, []string{"/flow/subscription"}}},
		{`"type":"payment_method_update","items":[],"discounts":[],"retention":{}`, verdict{
			problem.ValidationFailed,
			[]string{"/flow/items", "/flow/discounts", "/flow/retention", "/flow/retention/type", "/flow/retention/coupon_offer/coupon"},
		}},
		{`"type":"subscription_update","items":[{"price":"pro_monthly"}]`, verdict{problem.ValidationFailed, []string{"/flow/items"}}},
		{`"type":"subscription_update","discounts":[{"coupon":"SAVE20"}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts"}}},
		{`"type":"subscription_cancel","items":[{"price":"pro_monthly"}]`, verdict{problem.ValidationFailed, []string{"/flow/items"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"retention":{"type":"coupon_offer","coupon_offer":{"coupon":"SAVE20"}}`, verdict{problem.ValidationFailed, []string{"/flow/retention"}}},

		{confirm, verdict{problem.ValidationFailed, []string{"/flow/items"}}},
		{confirm + `,"items":[]`, verdict{problem.ValidationFailed, []string{"/flow/items"}}},
		{confirm + `,"items":[{"price":"pro_monthly"},{"price":"pro_monthly"}]`, verdict{problem.ValidationFailed, []string{"/flow/items"}}},
		{confirm + `,"items":[{"id":"../si_1","price":"pro_monthly"}]`, verdict{problem.ValidationFailed, []string{"/flow/items/0/id"}}},
		{confirm + `,"items":[{"price":"price_pro"}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/price"}}},
		{confirm + `,"items":[{"price":"price_foreign","quantity":1}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/price"}}},
		{confirm + `,"items":[{"price":""}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/price"}}},
		{confirm + `,"items":[{"price":"twice"}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/price"}}},
		{confirm + `,"items":[{"price":"pro_monthly","quantity":51}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/quantity"}}},
		{confirm + `,"items":[{"price":"pro_monthly","quantity":0}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/quantity"}}},
		{confirm + `,"items":[{"price":"pro_monthly","quantity":-1}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/quantity"}}},
		{confirm + `,"items":[{"price":"seats","quantity":21}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/quantity"}}},
		{confirm + `,"items":[{"price":"base","quantity":1}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/items/0/quantity"}}},

		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[]`, verdict{problem.ValidationFailed, []string{"/flow/discounts"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts/0"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"coupon":"SAVE20"},{"coupon":"SAVE20"}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"coupon":"SAVE20","promotion_code":"SPRING"}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts/0"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"coupon":"save20"}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/discounts/0/coupon"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"coupon":"EMPLOYEE100"}]`, verdict{problem.CatalogNotAllowed, []string{"/flow/discounts/0/coupon"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"promotion_code":""}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts/0/promotion_code"}}},
		{confirm + `,"items":[{"price":"pro_monthly"}],"discounts":[{"promotion_code":"a\u0000"}]`, verdict{problem.ValidationFailed, []string{"/flow/discounts/0/promotion_code"}}},

		{`"type":"subscription_cancel","retention":{}`, verdict{problem.ValidationFailed, []string{"/flow/retention/type", "/flow/retention/coupon_offer/coupon"}}},
		{`"type":"subscription_cancel","retention":{"type":"refund","coupon_offer":{"coupon":"SAVE20"}}`, verdict{problem.ValidationFailed, []string{"/flow/retention/type"}}},
		{`"type":"subscription_cancel","retention":{"type":"coupon_offer"}`, verdict{problem.ValidationFailed, []string{"/flow/retention/coupon_offer/coupon"}}},
		{`"type":"subscription_cancel","retention":{"type":"coupon_offer","coupon_offer":{}}`, verdict{problem.ValidationFailed, []string{"/flow/retention/coupon_offer/coupon"}}},
		{`"type":"subscription_cancel","retention":{"type":"coupon_offer","coupon_offer":{"coupon":"EMPLOYEE100"}}`, verdict{problem.CatalogNotAllowed, []string{"/flow/retention/coupon_offer/coupon"}}},

		{`"type":"payment_method_update","after_completion":{}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/type"}}},
		{`"type":"payment_method_update","after_completion":{"type":"close"}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/type"}}},
		{`"type":"payment_method_update","after_completion":{"type":"portal_homepage","redirect":{"return_url":"https://app.example.com/"}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/redirect"}}},
		{`"type":"payment_method_update","after_completion":{"type":"portal_homepage","hosted_confirmation":{"custom_message":"x"}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/hosted_confirmation"}}},
		{`"type":"payment_method_update","after_completion":{"type":"redirect","hosted_confirmation":{}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/hosted_confirmation"}}},
		{`"type":"payment_method_update","after_completion":{"type":"redirect","redirect":{"return_url":"https://evil.example/"}}`, verdict{problem.RedirectNotAllowed, []string{"/flow/after_completion/redirect/return_url"}}},
		{`"type":"payment_method_update","after_completion":{"type":"redirect","redirect":{"return_url":"javascript:alert(1)"}}`, verdict{problem.RedirectNotAllowed, []string{"/flow/after_completion/redirect/return_url"}}},
		{`"type":"payment_method_update","after_completion":{"type":"redirect","redirect":{"return_url":""}}`, verdict{problem.MalformedRequest, []string{"/flow/after_completion/redirect/return_url"}}},
		{`"type":"payment_method_update","after_completion":{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":""}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/hosted_confirmation/custom_message"}}},
		{`"type":"payment_method_update","after_completion":{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":"` + strings.Repeat("é", 501) + `"}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/hosted_confirmation/custom_message"}}},
		{`"type":"payment_method_update","after_completion":{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":"a\u001bb"}}`, verdict{problem.ValidationFailed, []string{"/flow/after_completion/hosted_confirmation/custom_message"}}},
		{confirm + `,"subscription":"","items":[{"id":"","price":"x","quantity":1}],"discounts":[{"coupon":"x"}],"after_completion":{"type":"x"}`, verdict{
			problem.ValidationFailed,
			[]string{"/flow/subscription", "/flow/items/0/id", "/flow/items/0/price", "/flow/discounts/0/coupon", "/flow/after_completion/type"},
		}},
	} {
		s := withFlows(t)
		_, err := s.opens(t, `{"flow":{`+row.flow+`}}`)
		if err == nil {
			t.Errorf("%s: got a session", row.flow)
			continue
		}
		same(t, row.flow, verdictOf(t, err), row.want)
		if calls := s.stripe.since(); len(calls) != 0 {
			t.Errorf("%s: Stripe was called: %v", row.flow, calls)
		}
	}
}

// A redirect needs somewhere to go.
func TestAFlowsRedirectWithoutADefault(t *testing.T) {
	t.Parallel()
	s := withFlows(t, func(c *config) { c.redirects.Default = "" })
	for _, redirect := range []string{``, `,"redirect":{}`} {
		_, err := s.opens(t, `{"flow":{"type":"payment_method_update","after_completion":{"type":"redirect"`+redirect+`}}}`)
		same(t, redirect, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/flow/after_completion/redirect/return_url"}})
	}
}

func TestOnlyTheFlowsOfThePortal(t *testing.T) {
	t.Parallel()
	for _, kind := range catalog.Flows() {
		s := withFlows(t)
		_, err := s.opens(t, `{"portal":"cancel","flow":{`+flows()[kind].request+`}}`)
		want := verdict{problem.CatalogNotAllowed, []string{"/flow/type"}}
		if kind == catalog.FlowSubscriptionCancel {
			// It has no coupons.
			want.Pointers = []string{"/flow/retention/coupon_offer/coupon"}
		}
		if kind == catalog.FlowSubscriptionUpdateConfirm {
			want.Pointers = append(want.Pointers, "/flow/discounts/0/coupon")
		}
		same(t, kind, verdictOf(t, err), want)
	}
}

// Another owner's subscription, one that is not there, and what is no id at all cannot
// be told apart.
func TestWhoseSubscriptionIsNotSaid(t *testing.T) {
	t.Parallel()
	var first *problem.Error
	for _, kind := range []string{`"type":"subscription_cancel"`, `"type":"subscription_update"`, `"type":"subscription_update_confirm","items":[{"id":"si_9","price":"pro_monthly"}]`} {
		for id, foreign := range map[string]bool{
			"sub_9": true, "sub_unknown": false, "": false, "..": false, "sub_1/../sub_9": false, "SUB_1": false, strings.Repeat("s", 256): false,
		} {
			s := withFlows(t)
			_, err := s.opens(t, fmt.Sprintf(`{"flow":{%s,"subscription":%q}}`, kind, id))
			p, ok := errors.AsType[*problem.Error](err)
			if !ok {
				t.Fatalf("%s %q: got %v", kind, id, err)
			}
			if first == nil {
				first = p
			}
			same(t, kind+" "+id+": code", p.Code, problem.ValidationFailed)
			same(t, kind+" "+id+": fields", p.Fields, first.Fields)
			if n := s.stripe.since()["create portal"]; n != 0 {
				t.Errorf("%q: %d sessions", id, n)
			}
			if got := counted(t, s.registry, "till_ownership_rejections_total"); got != boolCount(foreign) {
				t.Errorf("%q: %v rejections counted", id, got)
			}
		}
	}
	if first.Fields[0].Pointer != "/flow/subscription" {
		t.Errorf("got %+v", first.Fields)
	}
}

func boolCount(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestTheOnlyLiveSubscription(t *testing.T) {
	t.Parallel()
	refusal := verdict{problem.ValidationFailed, []string{"/flow/subscription"}}
	for name, tc := range map[string]struct {
		change  func(map[string]billing.FlowTarget)
		more    bool
		refused bool
	}{
		"one":            {change: func(map[string]billing.FlowTarget) {}},
		"none":           {change: func(m map[string]billing.FlowTarget) { delete(m, "sub_1") }, refused: true},
		"two":            {change: func(m map[string]billing.FlowTarget) { m["sub_2"] = target("sub_2", "cus_1", "past_due") }, refused: true},
		"one of a page":  {change: func(map[string]billing.FlowTarget) {}, more: true, refused: true},
		"one that ended": {change: func(m map[string]billing.FlowTarget) { m["sub_2"] = target("sub_2", "cus_1", "incomplete_expired") }},
	} {
		s := withFlows(t, func(c *config) { c.stripe.portal.more = tc.more; tc.change(c.stripe.portal.subscriptions) })
		got, err := s.opens(t, `{"flow":{"type":"subscription_cancel"}}`)
		if tc.refused {
			same(t, name, verdictOf(t, err), refusal)
			same(t, name+": calls", s.stripe.since(), map[string]int{"list subscriptions": 1})
			continue
		}
		same(t, name, got, params{"type": "subscription_cancel", "subscription_cancel": params{"subscription": "sub_1"}})
	}
	for status, live := range map[string]bool{
		"active": true, "trialing": true, "past_due": true, "unpaid": true, "paused": true,
		"incomplete": false, "incomplete_expired": false, "canceled": false,
	} {
		s := withFlows(t, func(c *config) { c.stripe.portal.subscriptions["sub_1"] = target("sub_1", "cus_1", status) })
		if _, err := s.opens(t, `{"flow":{"type":"subscription_update"}}`); (err == nil) != live {
			t.Errorf("%s: got %v", status, err)
		}
	}
}

func TestASubscriptionThatHasEnded(t *testing.T) {
	t.Parallel()
	s := withFlows(t)
	for _, id := range []string{"sub_over", "sub_never"} {
		_, err := s.opens(t, `{"flow":{"type":"subscription_cancel","subscription":"`+id+`"}}`)
		same(t, id, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/flow/subscription"}})
	}
	// What has only begun is Stripe's to judge.
	if _, err := s.opens(t, `{"flow":{"type":"subscription_cancel","subscription":"sub_begun"}}`); err != nil {
		t.Error(err)
	}
	same(t, "calls", s.stripe.since(), map[string]int{"read subscription": 3, "create portal": 1})
}

// Nobody gets a customer for a flow that needs a subscription.
func TestCallersWithoutACustomerHaveNoSubscription(t *testing.T) {
	t.Parallel()
	for _, kind := range catalog.Flows() {
		s := withFlows(t)
		_, err := s.OpenPortal(t.Context(), s.caller(t, "bob"), portalRequest(t, `{"flow":{`+flows()[kind].request+`}}`))
		calls := s.stripe.since()
		if kind == catalog.FlowPaymentMethodUpdate {
			if err != nil || calls["create customer"] != 1 {
				t.Errorf("%s: got %v, %v", kind, err, calls)
			}
			continue
		}
		same(t, kind, verdictOf(t, err), verdict{problem.NoCustomer, nil})
		if len(calls) != 0 || len(s.store.Records()) != 1 {
			t.Errorf("%s: %v, %d records", kind, calls, len(s.store.Records()))
		}
	}
}

// Nor does anybody get another one: it would not have the subscription.
func TestAFlowHealsNobody(t *testing.T) {
	t.Parallel()
	s := withFlows(t)
	s.stripe.loses("cus_1")
	_, err := s.opens(t, `{"flow":{"type":"subscription_cancel"}}`)
	same(t, "refusal", verdictOf(t, err), verdict{problem.NoCustomer, nil})
	same(t, "calls", s.stripe.since(), map[string]int{"list subscriptions": 1, "create portal": 1})
	if got, err := s.opens(t, `{"flow":{"type":"payment_method_update"}}`); err != nil || s.stripe.last(t).Customer != "cus_2" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatAnItemBecomes(t *testing.T) {
	t.Parallel()
	refused := func(code problem.Code, pointer string) *verdict { return &verdict{code, []string{pointer}} }
	one := []billing.FlowTargetItem{item("si_1", "price_pro", 3)}
	two := append(slices.Clone(one), item("si_2", "price_base", 1))
	metered := []billing.FlowTargetItem{{ID: "si_m", Price: "price_meter"}}
	for _, row := range []struct {
		items []billing.FlowTargetItem
		asked string
		want  params
		or    *verdict
	}{
		{one, `{"price":"pro_monthly"}`, params{"id": "si_1", "price": "price_pro"}, nil},
		{one, `{"id":"si_1","price":"pro_monthly","quantity":1}`, params{"id": "si_1", "price": "price_pro", "quantity": int64(1)}, nil},
		{one, `{"quantity":50}`, params{"id": "si_1", "quantity": int64(50)}, nil},
		{one, `{"quantity":51}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/quantity")},
		{one, `{}`, nil, refused(problem.ValidationFailed, "/flow/items/0")},
		{one, `{"id":"si_2","price":"pro_monthly"}`, nil, refused(problem.ValidationFailed, "/flow/items/0/id")},
		{one, `{"id":"si_9","price":"pro_monthly"}`, nil, refused(problem.ValidationFailed, "/flow/items/0/id")},
		// The three that the customer has are fewer than seats are sold in.
		{one, `{"price":"seats"}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/quantity")},
		{one, `{"price":"seats","quantity":5}`, params{"id": "si_1", "price": "price_seats", "quantity": int64(5)}, nil},
		{one, `{"price":"seats","quantity":60}`, params{"id": "si_1", "price": "price_seats", "quantity": int64(60)}, nil},
		{one, `{"price":"base"}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/quantity")},
		{one, `{"price":"price_shirt"}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/price")},
		{one, `{"price":"price_gone"}`, nil, &verdict{problem.PlanUnavailable, nil}},
		{two, `{"price":"pro_monthly"}`, nil, refused(problem.ValidationFailed, "/flow/items/0/id")},
		{two, `{"id":"si_2","price":"pro_monthly","quantity":2}`, params{"id": "si_2", "price": "price_pro", "quantity": int64(2)}, nil},
		{two, `{"id":"si_2","price":"base"}`, params{"id": "si_2", "price": "price_base"}, nil},
		{two, `{"id":"si_2","quantity":2}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/quantity")},
		{metered, `{"price":"calls"}`, params{"id": "si_m", "price": "price_meter"}, nil},
		{metered, `{"price":"calls","quantity":1}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/quantity")},
		{one, `{"price":"calls"}`, params{"id": "si_1", "price": "price_meter"}, nil},
		{[]billing.FlowTargetItem{item("si_1", "price_old", 3)}, `{"quantity":4}`, nil, refused(problem.CatalogNotAllowed, "/flow/items/0/price")},
		{nil, `{"price":"pro_monthly"}`, nil, refused(problem.ValidationFailed, "/flow/items/0/id")},
	} {
		s := withFlows(t, func(c *config) {
			c.stripe.portal.subscriptions["sub_1"] = target("sub_1", "cus_1", "active", row.items...)
		})
		got, err := s.opens(t, `{"flow":{"type":"subscription_update_confirm","items":[`+row.asked+`]}}`)
		switch {
		case row.or != nil && err == nil:
			t.Errorf("%v %s: got %v", row.items, row.asked, got)
		case row.or != nil:
			same(t, row.asked, verdictOf(t, err), *row.or)
		case err != nil:
			t.Errorf("%v %s: %v", row.items, row.asked, err)
		default:
			same(t, row.asked, got["subscription_update_confirm"].(params)["items"], any([]any{row.want}))
		}
	}
}

// A page of items may not have the one that is meant.
func TestAnItemBeyondThePage(t *testing.T) {
	t.Parallel()
	s := withFlows(t, func(c *config) {
		sub := target("sub_1", "cus_1", "active", item("si_1", "price_pro", 1))
		sub.MoreItems = true
		c.stripe.portal.subscriptions["sub_1"] = sub
	})
	_, err := s.opens(t, `{"flow":{"type":"subscription_update_confirm","items":[{"price":"pro_monthly"}]}}`)
	same(t, "refusal", verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/flow/items/0/id"}})
}

func TestFlowDiscounts(t *testing.T) {
	t.Parallel()
	s := withFlows(t)
	const confirm = `{"flow":{"type":"subscription_update_confirm","subscription":"sub_1","items":[{}],"discounts":[%s]}}`
	for discount, want := range map[string]any{
		`{"coupon":"SAVE20"}`:         params{"coupon": "SAVE20"},
		`{"promotion_code":"SPRING"}`: params{"promotion_code": "promo_1"},
	} {
		got, err := s.opens(t, fmt.Sprintf(confirm, discount))
		if err != nil {
			t.Fatal(err)
		}
		same(t, discount, got["subscription_update_confirm"].(params), params{
			"subscription": "sub_1", "items": []any{params{"id": "si_1"}}, "discounts": []any{want},
		})
	}
	same(t, "calls", s.stripe.since(), map[string]int{"read subscription": 2, "promotion code": 1, "create portal": 2})
	_, err := s.opens(t, fmt.Sprintf(confirm, `{"promotion_code":"AUTUMN"}`))
	same(t, "refusal", verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/flow/discounts/0/promotion_code"}})
}

func TestAFlowWhileStripeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := withFlows(t, func(c *config) { c.stripe.portal.readErr = problem.New(problem.UpstreamTimeout, errors.New("silence")) })
	for _, subscription := range []string{"", `,"subscription":"sub_1"`} {
		_, err := s.opens(t, `{"flow":{"type":"subscription_cancel"`+subscription+`}}`)
		same(t, "refusal", verdictOf(t, err), verdict{problem.UpstreamTimeout, nil})
	}
	s = withFlows(t, func(c *config) { c.unresolved = true })
	_, err := s.opens(t, `{"flow":{"type":"subscription_update_confirm","items":[{"price":"pro_monthly"}]}}`)
	same(t, "prices", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
}

func TestEveryLocaleOfThePortal(t *testing.T) {
	t.Parallel()
	s := withFlows(t)
	locales := catalog.PortalLocales()
	for _, locale := range locales {
		if _, err := s.opens(t, `{"locale":"`+locale+`"}`); err != nil {
			t.Errorf("%s: %v", locale, err)
		}
		same(t, "locale", s.stripe.last(t).Params["locale"], any(locale))
	}
	if len(locales) != 47 {
		t.Errorf("got %d locales", len(locales))
	}
}

func TestStripesRefusalsOfFlows(t *testing.T) {
	t.Parallel()
	field := func(pointer string) verdict { return verdict{problem.ValidationFailed, []string{pointer}} }
	for _, row := range []struct {
		param   string
		missing bool
		want    verdict
		says    string
	}{
		{"flow_data[subscription_cancel][subscription]", false, field("/flow/subscription"), ""},
		{"flow_data[subscription_update][subscription]", true, field("/flow/subscription"), ""},
		{"flow_data[subscription_cancel][retention][coupon_offer][coupon]", true, field("/flow/retention/coupon_offer/coupon"), ""},
		{"flow_data[subscription_update_confirm][items]", false, field("/flow/items/0"), ""},
		{"flow_data[subscription_update_confirm][items][0][id]", true, field("/flow/items/0"), ""},
		{"flow_data[subscription_update_confirm][items][0][price]", false, field("/flow/items/0/price"), ""},
		{"flow_data[subscription_update_confirm][items][0][price]", true, verdict{problem.PlanUnavailable, nil}, ""},
		{"flow_data[subscription_update_confirm][items][0][quantity]", false, field("/flow/items/0/quantity"), ""},
		{"flow_data[subscription_update_confirm][discounts][0][promotion_code]", false, field("/flow/discounts/0"), ""},
		{"flow_data[after_completion][redirect][return_url]", false, field("/flow/after_completion"), ""},
		{"flow_data[type]", false, verdict{problem.DependencyUnavailable, nil}, "take the flow out of the portal's flows"},
		{"flow_data[subscription_cancel]", false, verdict{problem.DependencyUnavailable, nil}, "enable subscription_cancel there"},
		{"configuration", true, verdict{problem.DependencyUnavailable, nil}, "portals.default.params.configuration"},
		{"on_behalf_of", true, verdict{problem.UpstreamError, nil}, ""},
		{"return_url", false, verdict{problem.UpstreamError, nil}, ""},
		{"", false, verdict{problem.UpstreamError, nil}, ""},
	} {
		s := withFlows(t)
		s.stripe.fails(refused(stripeError{text: "Stripe's sentence", param: row.param, missing: row.missing}))
		_, err := s.opens(t, `{"flow":{"type":"subscription_cancel"}}`)
		same(t, row.param, verdictOf(t, err), row.want)
		if !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "Stripe's sentence") {
			t.Errorf("%s: the log would say %q", row.param, err)
		}
	}
}
