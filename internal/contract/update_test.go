//go:build contract

package contract_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/redirect"
	"till/internal/secret"
	"till/internal/store/storetest"
	"till/internal/stripeclient"
)

// neverUpdated are the parameters of an update that the service does not send, each with
// the reason. [] stands for an index, and * for a name that the sender chooses.
var neverUpdated = map[string]string{
	"expand[]":                                            "answers are read into types of our own, which keep ids only",
	"line_items[][id]":                                    "an update replaces all items: none of the old ones is kept by its id",
	"line_items[][price_data][currency]":                  "prices come from the catalogue",
	"line_items[][price_data][product]":                   "prices come from the catalogue",
	"line_items[][price_data][product_data][description]": "prices come from the catalogue",
	"line_items[][price_data][product_data][images][]":    "prices come from the catalogue",
	"line_items[][price_data][product_data][metadata][*]": "prices come from the catalogue",
	"line_items[][price_data][product_data][name]":        "prices come from the catalogue",
	"line_items[][price_data][product_data][tax_code]":    "prices come from the catalogue",
	"line_items[][price_data][product_data][unit_label]":  "prices come from the catalogue",
	"line_items[][price_data][recurring][interval]":       "prices come from the catalogue",
	"line_items[][price_data][recurring][interval_count]": "prices come from the catalogue",
	"line_items[][price_data][tax_behavior]":              "prices come from the catalogue",
	"line_items[][price_data][unit_amount]":               "prices come from the catalogue",
	"line_items[][price_data][unit_amount_decimal]":       "prices come from the catalogue",
}

// updates are callers' requests, and the plan's part of what they bring about is below.
var updates = []string{
	`{"metadata":{"order":"4711","note":"a&b=c [d] é","gone":""}}`,
	`{"shipping_options":["fast","standard"]}`,
	`{"collected_information":{"shipping_details":{"name":"Zoë & Ann","address":{
		"line1":"Am Markt 1","line2":"2. Stock","city":"Bonn","state":"NW","postal_code":"53111","country":"DE"}}}}`,
	`{"line_items":[{"price":"shirt","quantity":3},{"price":"mug"}]}`,
}

func updatedPlan() catalog.Plan {
	day := func(n int) catalog.Params { return catalog.Params{"unit": "business_day", "value": int64(n)} }
	return catalog.Plan{
		Name: "boutique", Mode: catalog.ModePayment, Accepts: []catalog.Field{catalog.FieldMetadata, catalog.FieldLineItems},
		LineItems: []catalog.LineItem{
			{
				Price: catalog.PriceRef{ID: "price_shirt"}, Name: "shirt", Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 9},
				Params: catalog.Params{
					"adjustable_quantity": catalog.Params{"enabled": true, "minimum": int64(1), "maximum": int64(9)},
					"tax_rates":           []any{"txr_1", "txr_2"}, "metadata": catalog.Params{"sku": "S 1"},
				},
			},
			{Price: catalog.PriceRef{ID: "price_mug"}, Name: "mug"},
		},
		ShippingOptions: map[string]catalog.Params{
			"standard": {"shipping_rate": "shr_standard"},
			"fast": {"shipping_rate_data": catalog.Params{
				"display_name": "Fast", "type": "fixed_amount", "tax_behavior": "exclusive", "tax_code": "txcd_92010001",
				"metadata": catalog.Params{"carrier": "x"}, "delivery_estimate": catalog.Params{"minimum": day(1), "maximum": day(3)},
				"fixed_amount": catalog.Params{
					"amount": int64(900), "currency": "usd",
					"currency_options": catalog.Params{"eur": catalog.Params{"amount": int64(800), "tax_behavior": "inclusive"}},
				},
			}},
		},
		Params: catalog.Params{
			"ui_mode": "elements", "return_url": "https://app.example.com/back", "shipping_address_collection": catalog.Params{"allowed_countries": []any{"DE"}},
		},
	}
}

// TestEveryParameterOfAnUpdateArrives sends every parameter of an update through the
// service, and sees it arrive at Stripe's newest build, or says why it is never sent.
func TestEveryParameterOfAnUpdateArrives(t *testing.T) {
	t.Parallel()
	b := builds()[1]
	h := emptyHouse(t, b)
	svc, caller := h.service(b, updatedPlan())
	session, err := svc.CreateCheckout(t.Context(), caller, billing.CheckoutRequest{Plan: new("boutique")})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range updates {
		var req billing.UpdateRequest
		if err := json.Unmarshal([]byte(body), &req); err != nil {
			t.Fatal(err)
		}
		if _, err := svc.UpdateCheckout(t.Context(), caller, string(session.ID), req); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	h.judgeEach(setting{build: b, version: b.version})

	sent := map[string]bool{}
	for _, x := range h.proxy.exchanges() {
		if x.operation() != "POST /v1/checkout/sessions/{id}" {
			continue
		}
		for name := range x.form() {
			sent[anyName(name)] = true
		}
	}
	_, op := b.spec(t).operation(http.MethodPost, "/v1/checkout/sessions/cs_1")
	want, skipped := []string{}, 0
	for _, name := range valueNames("", bodySchema(op)) {
		if neverUpdated[name] != "" {
			skipped++
			if sent[name] {
				t.Errorf("%s is sent, and is said not to be", name)
			}
			continue
		}
		want = append(want, name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(sent))); diff != "" {
		t.Errorf("(-Stripe's +sent):\n%s", diff)
	}
	t.Logf("%d parameters seen arriving, %d never sent", len(want), skipped)
}

var (
	anyIndexed = regexp.MustCompile(`\[[0-9]+\]`)
	anyNamed   = regexp.MustCompile(`\b(metadata|currency_options)(\]?)\[[^\]]*\]`)
)

// anyName is the name of a field without what the sender chose in it.
func anyName(name string) string {
	return anyNamed.ReplaceAllString(anyIndexed.ReplaceAllString(name, "[]"), "${1}${2}[*]")
}

// valueNames are the names of the single values of a schema.
func valueNames(at string, schema *openapi3.Schema) []string {
	if len(schema.AnyOf) > 0 {
		schema = schema.AnyOf[0].Value
	}
	below := func(name string) string {
		if at == "" {
			return name
		}
		return at + "[" + name + "]"
	}
	var out []string
	switch {
	case schema.Items != nil:
		return valueNames(at+"[]", schema.Items.Value)
	case schema.Type.Is(openapi3.TypeObject):
		for name, p := range schema.Properties {
			out = append(out, valueNames(below(name), p.Value)...)
		}
		if free := schema.AdditionalProperties.Schema; free != nil {
			out = append(out, valueNames(below("*"), free.Value)...)
		}
		return out
	default:
		return []string{at}
	}
}

// service is the use cases before the proxy, with plans of this test's own and somebody
// who calls.
func (h *house) service(b build, plans ...catalog.Plan) (*billing.Service, billing.Caller) {
	h.t.Helper()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	reg := prometheus.NewRegistry()
	client, err := stripeclient.New(stripeclient.Options{
		Key: secret.New(stripeKey), BaseURL: h.proxy.server.URL, Version: b.version, Metrics: reg,
	})
	must(err)
	h.t.Cleanup(client.Close)
	known := catalog.New(plans, nil)
	gate := billing.NewGate(billing.GateOptions{Stripe: client, Accounts: nobodySeen{}, Catalog: known})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gate.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	(&child{t: h.t, name: "the gate"}).until("is open", gate.Ready)
	mapping, err := customers.New(storetest.NewMemory(), client, reg, customers.Options{Version: b.version})
	must(err)
	h.t.Cleanup(mapping.Close)
	redirects, err := redirect.New(redirect.Options{Allow: []string{"https://app.example.com"}, Default: "https://app.example.com/account"})
	must(err)
	keys, err := idempotency.New(storetest.NewKeys(), reg, idempotency.Options{})
	must(err)
	svc, err := billing.New(billing.Options{
		Gate: gate, Catalog: known, Customers: mapping, Redirects: redirects, Stripe: client, Metrics: reg, Idempotency: keys,
	})
	must(err)
	caller, err := svc.Caller(auth.Principal{Issuer: "https://id.example.com/", Subject: "alice"})
	must(err)
	return svc, caller
}

// nobodySeen remembers no account.
type nobodySeen struct{}

func (nobodySeen) SeenAccount(context.Context, string) (customers.Account, bool, error) {
	return customers.Account{}, false, nil
}

func (nobodySeen) RememberAccount(context.Context, string, customers.Account) error { return nil }
