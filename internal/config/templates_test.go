package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
	"till/internal/config"
)

// TestWhatAPlanLeavesOpen reads every member that a plan and a portal can have beside
// Stripe's parameters.
func TestWhatAPlanLeavesOpen(t *testing.T) {
	t.Parallel()
	cfg, warnings, problems := load(t, minimal+`stripe: {version: 2026-08-26.dahlia}
plans:
  shop:
    mode: payment
    line_items:
      - {price: {lookup_key: mug}, name: mug, quantity: {default: 1, min: 1, max: 9}, params_unchecked: {shelf: 7}}
      - {price: {id: price_1}, quantity: none}
    accepts: [line_items, ui_mode, currency, success_url, return_url]
    currencies: [eur, usd]
    ui_modes: [hosted_page, elements]
    shipping_options:
      standard: {shipping_rate: shr_1}
      fast: {shipping_rate_data: {display_name: Fast, fixed_amount: {amount: 500, currency: eur}}}
    expires_after: 90m
    params: {submit_type: pay, payment_intent_data: {description: Order}}
    params_unchecked: {payment_intent_data: {novel: yes please}, cart_hints: [a]}
  club:
    mode: subscription
    line_items: [{price: {id: price_2}}]
    accepts: [ui_mode]
    once: true
    trial_once: true
    params: {subscription_data: {trial_period_days: 7}}
portals:
  default:
    flows: [subscription_cancel]
    coupons: [SAVE20]
    params_unchecked: {after_expiration: {type: customer_login}}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []catalog.Plan{{
		Name: "club", Mode: "subscription", LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_2"}}},
		Accepts: []catalog.Field{"ui_mode"}, Once: true, TrialOnce: true, UIModes: []string{"hosted", "embedded", "custom"},
		Params: catalog.Params{"subscription_data": map[string]any{"trial_period_days": int64(7)}},
	}, {
		Name: "shop", Mode: "payment", LineItems: []catalog.LineItem{
			{Price: catalog.PriceRef{LookupKey: "mug"}, Name: "mug", Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 9}, Params: catalog.Params{"shelf": int64(7)}},
			{Price: catalog.PriceRef{ID: "price_1"}},
		},
		Accepts:    []catalog.Field{"line_items", "ui_mode", "currency", "success_url", "return_url"},
		Currencies: []string{"eur", "usd"}, UIModes: []string{"hosted", "custom"}, ExpiresAfter: 90 * time.Minute,
		ShippingOptions: map[string]catalog.Params{
			"standard": {"shipping_rate": "shr_1"},
			"fast":     {"shipping_rate_data": map[string]any{"display_name": "Fast", "fixed_amount": map[string]any{"amount": int64(500), "currency": "eur"}}},
		},
		Params: catalog.Params{
			"submit_type": "pay", "cart_hints": []any{"a"},
			"payment_intent_data": map[string]any{"description": "Order", "novel": "yes please"},
		},
	}}
	if diff := cmp.Diff(want, cfg.Plans); diff != "" {
		t.Error(diff)
	}
	portals := []catalog.Portal{{
		Name: "default", Flows: []string{"subscription_cancel"}, Coupons: []string{"SAVE20"},
		Params: catalog.Params{"after_expiration": map[string]any{"type": "customer_login"}},
	}}
	if diff := cmp.Diff(portals, cfg.Portals); diff != "" {
		t.Error(diff)
	}
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "plans.") || strings.HasPrefix(w.Key, "portals.") {
			t.Errorf("got the warning %v", w)
		}
	}
}

// TestDefaultsAreForEveryTemplate also wants what is wrong with one to be said once,
// where it is written.
func TestDefaultsAreForEveryTemplate(t *testing.T) {
	t.Parallel()
	const plans = `plans:
  a: {mode: setup, params: {currency: usd}}
  b: {mode: payment, line_items: [{price: {id: price_1}}], params: {locale: de}}
  c: {mode: payment, line_items: [{price: {id: price_1}}], params: {ui_mode: embedded}}
`
	cfg, warnings, problems := load(t, minimal+plans+`portals: {other: {params: {locale: de}}}
defaults:
  checkout: {locale: fr, invoice_creation: {enabled: true}, success_url: "HTTPS://app.example.com:443/done", adaptive_pricing: {enabled: true}}
  portal: {locale: fr, return_url: https://app.example.com/back}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	invoice, adaptive := map[string]any{"enabled": true}, map[string]any{"enabled": true}
	for i, want := range []catalog.Params{
		{"locale": "fr", "currency": "usd", "success_url": "https://app.example.com/done", "adaptive_pricing": adaptive},
		{"locale": "de", "invoice_creation": invoice, "success_url": "https://app.example.com/done", "adaptive_pricing": adaptive},
		{"locale": "fr", "invoice_creation": invoice, "ui_mode": "embedded", "adaptive_pricing": adaptive},
	} {
		if diff := cmp.Diff(want, cfg.Plans[i].Params); diff != "" {
			t.Errorf("%s: %s", cfg.Plans[i].Name, diff)
		}
	}
	portals := []catalog.Portal{
		{Name: "default", Params: catalog.Params{"locale": "fr", "return_url": "https://app.example.com/back"}},
		{Name: "other", Params: catalog.Params{"locale": "de", "return_url": "https://app.example.com/back"}},
	}
	if diff := cmp.Diff(portals, cfg.Portals); diff != "" {
		t.Error(diff)
	}
	var said []config.Warning
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "defaults.") || strings.HasPrefix(w.Key, "plans.") {
			said = append(said, w)
		}
	}
	if len(said) != 1 || said[0].Key != "defaults.checkout.adaptive_pricing" || !strings.Contains(said[0].Text, "2023-10-16 may not have it") {
		t.Errorf("got the warnings %v", said)
	}

	_, _, problems = load(t, minimal+plans+`defaults:
  checkout: {automatic_tax: {enabled: true}, tax_id_collection: {enabled: true}, ui_mode: modal}
`)
	want := `till.yaml:9:14: defaults.checkout.automatic_tax: Stripe refuses customers without an address: add customer_update {address: auto}
till.yaml:9:66: defaults.checkout.tax_id_collection.enabled: Stripe refuses it for existing customers, which all are: add customer_update {name: auto}
till.yaml:9:82: defaults.checkout.ui_mode: "modal" is none of its values: hosted, embedded, custom, elements, embedded_page, hosted_page`
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
	// Each is wrong where it is written, the template's own and the default it replaces.
	_, _, problems = load(t, minimal+`defaults: {checkout: {locale: fr}, portal: {return_url: https://evil.example/}}
plans: {a: {mode: setup, params: {currency: usd, locale: xx}}}
portals: {default: {params: {return_url: https://app.example.com/}}}
`)
	want = `till.yaml:4:45: defaults.portal.return_url: redirects.allow does not allow it (host). Fix: write an absolute URL below one of redirects.allow
till.yaml:5:50: plans.a.params.locale: "xx" is none of its values`
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
	_, _, problems = load(t, minimal+"defaults: {portal: {locale: de}}\n")
	if !strings.Contains(lines(problems), "nothing is for sale") {
		t.Errorf("got %v", problems)
	}
}

func TestNamesOfPricesInFlows(t *testing.T) {
	t.Parallel()
	text := minimal + `plans:
  a: {mode: subscription, line_items: [{price: {id: price_1}, name: seat}]}
  b: {mode: subscription, line_items: [{price: {id: price_2}, name: seat}]}
portals: {default: {flows: [FLOW]}}
`
	if _, _, problems := load(t, strings.Replace(text, "FLOW", "subscription_update", 1)); problems != nil {
		t.Errorf("without names: %v", problems)
	}
	_, _, problems := load(t, strings.Replace(text, "FLOW", "subscription_update_confirm", 1))
	if len(problems) != 1 || !strings.HasPrefix(lines(problems), `till.yaml:6:40: plans.b.line_items.0: "seat" names another price in another plan`) {
		t.Errorf("got %v", problems)
	}
}

func TestEveryPageNeedsAnEnd(t *testing.T) {
	t.Parallel()
	const head = `public_url: https://billing.example.com
auth: {issuers: [{issuer: https://id.example.com/, audience: [till]}]}
redirects: {allow: ["https://app.example.com"]}
`
	for params, ok := range map[string]bool{
		"success_url: https://app.example.com":                                                         false,
		"return_url: https://app.example.com":                                                          false,
		"success_url: https://app.example.com, return_url: https://app.example.com":                    true,
		"success_url: https://app.example.com, redirect_on_completion: never":                          true,
		"redirect_on_completion: never":                                                                false,
		"success_url: https://app.example.com, return_url: https://app.example.com, ui_mode: embedded": true,
	} {
		_, _, problems := load(t, head+"plans: {a: {mode: setup, accepts: [ui_mode], ui_modes: [hosted, embedded], params: {currency: usd, "+params+"}}}\n")
		if (problems == nil) != ok || !ok && !strings.Contains(lines(problems), "redirects.default: is required") {
			t.Errorf("%s: %v", params, problems)
		}
	}
}
