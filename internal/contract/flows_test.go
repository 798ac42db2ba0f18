//go:build contract

package contract_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/secret"
	"till/internal/stripeclient"
)

// flowCalls are requests that together carry every part of flow_data that callers reach.
func flowCalls() map[string]string {
	const confirm = `"type":"subscription_update_confirm","subscription":"sub_mock","items":[{"price":"pro_monthly","quantity":7}]`
	return map[string]string{
		"method":    `{"type":"payment_method_update"}`,
		"homepage":  `{"type":"payment_method_update","after_completion":{"type":"portal_homepage"}}`,
		"redirect":  `{"type":"payment_method_update","after_completion":{"type":"redirect","redirect":{"return_url":"https://app.example.com/done?a=1&b=2"}}}`,
		"message":   `{"type":"payment_method_update","after_completion":{"type":"hosted_confirmation","hosted_confirmation":{"custom_message":"Thanks & bye – [é]"}}}`,
		"cancel":    `{"type":"subscription_cancel","subscription":"sub_mock"}`,
		"only one":  `{"type":"subscription_cancel"}`,
		"retention": `{"type":"subscription_cancel","subscription":"sub_mock","retention":{"type":"coupon_offer","coupon_offer":{"coupon":"SAVE20"}}}`,
		"update":    `{"type":"subscription_update","subscription":"sub_mock"}`,
		"confirm":   `{` + confirm + `}`,
		"coupon":    `{` + confirm + `,"discounts":[{"coupon":"SAVE20"}]}`,
		"promotion": `{` + confirm + `,"discounts":[{"promotion_code":"WELCOME"}]}`,
	}
}

// arrives is what must be seen at Stripe: each part of flow_data, with its value.
var arrives = map[string][]string{
	"flow_data[type]":                                                      {"payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm"},
	"flow_data[after_completion][type]":                                    {"portal_homepage", "redirect", "hosted_confirmation"},
	"flow_data[after_completion][redirect][return_url]":                    {"https://app.example.com/done?a=1&b=2"},
	"flow_data[after_completion][hosted_confirmation][custom_message]":     {"Thanks & bye – [é]"},
	"flow_data[subscription_cancel][subscription]":                         {"sub_mock"},
	"flow_data[subscription_cancel][retention][type]":                      {"coupon_offer"},
	"flow_data[subscription_cancel][retention][coupon_offer][coupon]":      {"SAVE20"},
	"flow_data[subscription_update][subscription]":                         {"sub_mock"},
	"flow_data[subscription_update_confirm][subscription]":                 {"sub_mock"},
	"flow_data[subscription_update_confirm][items][0][id]":                 {"si_mock"},
	"flow_data[subscription_update_confirm][items][0][price]":              {"price_mock"},
	"flow_data[subscription_update_confirm][items][0][quantity]":           {"7"},
	"flow_data[subscription_update_confirm][discounts][0][coupon]":         {"SAVE20"},
	"flow_data[subscription_update_confirm][discounts][0][promotion_code]": {"promo_mock"},
}

// TestEveryPartOfAFlowArrives opens the portal with all that callers can say of a flow,
// and wants Stripe's specification to know no part that is left out here.
func TestEveryPartOfAFlowArrives(t *testing.T) {
	t.Parallel()
	program := buildService(t)
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			set := setting{build: b, version: b.version, subjects: "plain"}
			h := startHouse(t, program, set)
			alice := h.token("alice")
			h.want(http.StatusCreated, http.MethodPost, "/portal", alice, "") // the customer
			for name, flow := range flowCalls() {
				t.Log(name)
				h.want(http.StatusCreated, http.MethodPost, "/portal", alice, `{"portal":"flows","flow":`+flow+`}`)
			}
			h.judgeEach(set)
			seen := h.flowsSeen()
			for param, values := range arrives {
				for _, value := range values {
					if !slices.ContainsFunc(seen[param], fits(value)) {
						t.Errorf("%s never arrived as %q: %q", param, value, seen[param])
					}
				}
			}
			for _, param := range flowParams(t, b) {
				if _, ok := arrives[param]; !ok {
					t.Errorf("Stripe has %s, and nobody sends it", param)
				}
			}
			t.Logf("%d parts of flow_data arrived; answers patched:%s", len(seen), h.proxy.summary())
		})
	}
}

// fits: an id that stripe-mock makes up is any of its kind.
func fits(want string) func(string) bool {
	return func(got string) bool {
		kind, isAny := strings.CutSuffix(want, "_mock")
		return got == want || isAny && strings.HasPrefix(got, kind+"_")
	}
}

// flowsSeen are the values of each part of flow_data that arrived.
func (h *house) flowsSeen() map[string][]string {
	seen := map[string][]string{}
	for _, x := range h.proxy.exchanges() {
		for name, values := range x.form() {
			if strings.HasPrefix(name, "flow_data[") {
				seen[name] = append(seen[name], values...)
			}
		}
	}
	return seen
}

// flowParams are the parts of flow_data in the specification, as a form names them.
func flowParams(t *testing.T, b build) []string {
	t.Helper()
	leaves := map[string]bool{}
	collect(b.spec(t).takes(t, "/v1/billing_portal/sessions").Properties["flow_data"].Value, "flow_data", leaves)
	if len(leaves) < 10 {
		t.Fatalf("the specification has only %v", leaves)
	}
	return slices.Sorted(maps.Keys(leaves))
}

func collect(schema *openapi3.Schema, name string, leaves map[string]bool) {
	for _, one := range schema.AnyOf {
		collect(one.Value, name, leaves)
	}
	switch {
	case schema.Type.Is(openapi3.TypeArray):
		collect(schema.Items.Value, name+"[0]", leaves)
	case len(schema.Properties) > 0:
		for member, p := range schema.Properties {
			collect(p.Value, fmt.Sprintf("%s[%s]", name, member), leaves)
		}
	case len(schema.AnyOf) == 0:
		leaves[name] = true
	}
}

// TestAnAccountIsSentAsOne makes the calls about an account that stands in for a customer,
// in the version that the client chooses for them.
func TestAnAccountIsSentAsOne(t *testing.T) {
	t.Parallel()
	b := builds()[1] // the other knows no such accounts
	h := emptyHouse(t, b)
	c, err := stripeclient.New(stripeclient.Options{
		Key: secret.New(stripeKey), BaseURL: h.proxy.server.URL, Version: b.version, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ours := billing.NewSession{IdempotencyKey: "key-1", Customer: "acct_123", IsAccount: true}
	ours.Params = catalog.Params{"customer_account": "acct_123", "return_url": "https://app.example.com/"}
	if got, err := c.CreatePortalSession(t.Context(), ours); err != nil || got.CustomerAccount != "acct_123" {
		t.Errorf("portal: %+v, %v", got, err)
	}
	ours.IdempotencyKey, ours.Params = "key-2", catalog.Params{
		"customer_account": "acct_123", "mode": "setup", "currency": "usd", "success_url": "https://app.example.com/",
	}
	if got, err := c.CreateCheckoutSession(t.Context(), ours); err != nil || got.CustomerAccount != "acct_123" {
		t.Errorf("checkout: %+v, %v", got, err)
	}
	// stripe-mock's subscription is nobody's account's: that the question is one is what counts.
	if _, _, err := c.FlowTargetsOf(t.Context(), customers.Customer{ID: "acct_123", IsAccount: true}); err == nil {
		t.Error("another's subscription is believed")
	}
	h.judgeEach(setting{build: b, version: b.version})
	named := 0
	for _, x := range h.proxy.exchanges() {
		if x.form().Get("customer_account") == "acct_123" && !x.form().Has("customer") {
			named++
		}
	}
	if named != 3 {
		t.Errorf("%d calls name the account alone, want 3", named)
	}
}
