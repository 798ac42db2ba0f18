package handlers_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"

	"till/internal/catalog"
)

// examplePlans are those that the examples of openapi.yaml speak of.
func examplePlans() []catalog.Plan {
	many := &catalog.Quantity{Default: 1, Min: 1, Max: 50}
	pro := catalog.Plan{
		Name: "pro", Mode: catalog.ModeSubscription,
		LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "pro_everywhere"}, Quantity: many}},
		Accepts: []catalog.Field{
			catalog.FieldQuantity, catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldLocale, catalog.FieldCurrency,
			catalog.FieldPromotionCode, catalog.FieldMetadata,
		},
	}
	embedded := pro
	embedded.Name, embedded.Accepts, embedded.Params = "pro-embedded", []catalog.Field{catalog.FieldReturnURL}, catalog.Params{"ui_mode": "embedded"}
	team := pro
	team.Name, team.LineItems = "team", []catalog.LineItem{
		{Name: "seats", Price: catalog.PriceRef{LookupKey: "pro_everywhere"}, Quantity: many},
		{Name: "support", Price: catalog.PriceRef{LookupKey: "pro_monthly"}},
	}
	team.Accepts = []catalog.Field{catalog.FieldLineItems, catalog.FieldUIMode, catalog.FieldCurrency}
	return []catalog.Plan{
		pro, embedded, team,
		{Name: "save-card", Mode: catalog.ModeSetup, Params: catalog.Params{"currency": "usd"}},
		{
			Name: "tshirt", Mode: catalog.ModePayment, Accepts: []catalog.Field{catalog.FieldMetadata, catalog.FieldLineItems},
			LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "tshirt"}, Quantity: many}},
			ShippingOptions: map[string]catalog.Params{
				"standard": {"shipping_rate": "shr_standard"}, "express": {"shipping_rate": "shr_standard"},
			},
			Params: catalog.Params{"ui_mode": "custom", "shipping_address_collection": catalog.Params{"allowed_countries": []any{"DE"}}},
		},
	}
}

// TestContractExamplesWork sends every example of a request, and of a parameter, and
// wants the operation's success; what comes back is held against openapi.yaml.
func TestContractExamplesWork(t *testing.T) {
	t.Parallel()
	book := newLedger(t)
	h := newHouse(t, settings{plans: examplePlans(), before: func(h *house) {
		h.stripePost(t, "prices", url.Values{
			"currency": {"usd"}, "unit_amount": {"2000"}, "lookup_key": {"pro_everywhere"}, "recurring[interval]": {"month"},
			"product_data[name]": {"Pro"}, "currency_options[eur][unit_amount]": {"1900"},
		})
		h.stripePost(t, "promotion_codes", url.Values{"coupon": {"welcome10"}, "code": {"SPRING25"}})
	}})
	h.heard = book.hear
	sent := 0
	for path, item := range book.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for name, r := range h.examples(t, op, method, path) {
				if strings.Contains(r.body, `"flow":`) {
					continue // TestExamplesOfPortals sends those, about subscriptions that exist
				}
				sent++
				if res := h.send(r); op.Responses.Value(fmt.Sprint(res.status)) == nil || res.status >= 400 {
					t.Errorf("%s %s, example %s: got %d %s", r.method, r.path, name, res.status, res.body)
				}
			}
		}
	}
	if sent < 25 {
		t.Errorf("only %d examples were sent", sent)
	}
	t.Logf("%d examples", sent)
}

// examples are the requests that the contract shows for an operation.
func (h *house) examples(t *testing.T, op *openapi3.Operation, method, path string) map[string]request {
	t.Helper()
	base := request{method: method, path: strings.NewReplacer("{app}", "ios", "{path}", "paid").Replace(path)}
	if op.Security == nil {
		base.token = h.token("alice")
	}
	all := map[string]request{"nothing": base}
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && p.Value.Example != nil {
			r := base
			r.path += "?" + url.QueryEscape(p.Value.Name) + "=" + plain(p.Value.Example)
			all[p.Value.Name] = r
		}
	}
	if op.RequestBody != nil {
		if op.RequestBody.Value.Required {
			delete(all, "nothing")
		}
		for kind, media := range op.RequestBody.Value.Content {
			for name, example := range media.Examples {
				all[name] = base.saying(t, kind, example.Value.Value)
			}
		}
	}
	for name, r := range all {
		if strings.Contains(path, "{id}") {
			// One for each: some of them end it.
			id := h.post("/checkout", h.token("alice"), `{"plan":"tshirt"}`).text(t, "id")
			r.path = strings.Replace(r.path, "{id}", id, 1)
			all[name] = r
		}
	}
	return all
}

// saying is the request with an example as its body.
func (r request) saying(t *testing.T, kind string, example any) request {
	t.Helper()
	text, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	if kind == "application/json" {
		r.body = string(text)
		return r
	}
	form := url.Values{}
	for name, value := range example.(map[string]any) {
		if nested, ok := value.(map[string]any); ok {
			for key, v := range nested {
				form.Set(name+"["+key+"]", plain(v))
			}
			continue
		}
		form.Set(name, plain(value))
	}
	r.body, r.contentType = form.Encode(), kind
	return r
}

// plain is a value as people write it: YAML's numbers come as floats.
func plain(v any) string {
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
