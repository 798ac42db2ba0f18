package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

// open is a plan that leaves much to the caller.
func open() catalog.Plan {
	return catalog.Plan{
		Name: "open", Mode: catalog.ModePayment,
		LineItems: []catalog.LineItem{
			{Price: catalog.PriceRef{ID: "price_1"}, Name: "mug", Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 9}},
			{Price: catalog.PriceRef{LookupKey: "shirt"}},
		},
		Accepts: []catalog.Field{
			catalog.FieldLineItems, catalog.FieldUIMode, catalog.FieldCurrency,
			catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldReturnURL,
		},
		Currencies: []string{"eur", "usd"}, UIModes: []string{"hosted", "embedded_page"},
		Params: params{
			"submit_type": "pay", "redirect_on_completion": "if_required", "currency": "usd", "success_url": "https://x",
			"permissions": params{"update_shipping_details": "server_only"},
		},
		ShippingOptions: map[string]params{
			"standard": option("shr_1"), "fast": {"shipping_rate_data": params{"display_name": "Fast"}},
		},
		ExpiresAfter: time.Hour,
	}
}

func trial() catalog.Plan {
	p := subscription()
	p.Once, p.TrialOnce = true, true
	return p
}

func TestChoices(t *testing.T) {
	t.Parallel()
	for _, p := range []catalog.Plan{open(), trial()} {
		if got := p.Check(rules); len(got) > 0 {
			t.Errorf("%s: %+v", p.Name, got)
		}
	}
	for name, tc := range map[string]struct {
		plan        catalog.Plan
		edit        func(*catalog.Plan)
		where, what string
	}{
		"a trial of nothing":     {trial(), func(p *catalog.Plan) { delete(p.Params, "subscription_data") }, "trial_once", "there is no trial"},
		"a trial of a payment":   {payment(), func(p *catalog.Plan) { p.TrialOnce = true }, "trial_once", "only subscriptions have trials"},
		"once, setup":            {setup(), func(p *catalog.Plan) { p.Once = true }, "once", "only subscriptions are live"},
		"currencies of nobody's": {payment(), func(p *catalog.Plan) { p.Currencies = []string{"eur"} }, "currencies", "nobody can choose"},
		"a currency in capitals": {open(), func(p *catalog.Plan) { p.Currencies = []string{"usd", "EUR"} }, "currencies.1", "must be three lower-case letters"},
		"a long currency":        {open(), func(p *catalog.Plan) { p.Currencies = []string{"usd", "euro"} }, "currencies.1", "must be three lower-case letters"},
		"a currency twice":       {open(), func(p *catalog.Plan) { p.Currencies = []string{"usd", "usd"} }, "currencies.1", `"usd" is listed twice`},
		"another currency":       {open(), func(p *catalog.Plan) { p.Currencies = []string{"eur"} }, "currencies", `the plan's own params.currency, "usd", is not`},
		"pages of nobody's":      {payment(), func(p *catalog.Plan) { p.UIModes = []string{"hosted"} }, "ui_modes", "nobody can choose"},
		"a page misspelt":        {open(), func(p *catalog.Plan) { p.UIModes[1] = "embedd"; p.Params["ui_mode"] = "hosted" }, "ui_modes.1", "must be hosted, embedded or custom"},
		"a page twice":           {open(), func(p *catalog.Plan) { p.UIModes = append(p.UIModes, "hosted_page") }, "ui_modes.2", `"hosted" is listed twice`},
		"a default that is none": {open(), func(p *catalog.Plan) {
			p.UIModes, p.Accepts = []string{"embedded", "custom"}, p.Accepts[:3]
			p.Params = params{}
		}, "ui_modes", "hosted, which callers get who do not choose, is not among them"},
		"a name with a space": {open(), func(p *catalog.Plan) { p.LineItems[0].Name = "a mug" }, "line_items.0.name", "use 1 to 64 letters"},
		"a long name":         {open(), func(p *catalog.Plan) { p.LineItems[0].Name = strings.Repeat("m", 65) }, "line_items.0.name", "use 1 to 64 letters"},
		"a name twice":        {open(), func(p *catalog.Plan) { p.LineItems[0].Name = "shirt" }, "line_items.1", `has the name "shirt" of item 0`},
		"a long lookup key":   {open(), func(p *catalog.Plan) { p.LineItems[1].Price.LookupKey = strings.Repeat("k", 201) }, "line_items.1.price.lookup_key", "Stripe takes at most 200"},
		"shipping, hosted":    {payment(), func(p *catalog.Plan) { p.ShippingOptions = map[string]params{"a": option("shr_1")} }, "shipping_options", "they are chosen while the page is open"},
		"shipping, setup":     {setup(), func(p *catalog.Plan) { p.ShippingOptions = map[string]params{"a": option("shr_1")} }, "shipping_options", "a setup plan ships nothing"},
		"a rate misspelt":     {open(), func(p *catalog.Plan) { p.ShippingOptions["fast"] = params{"shippin_rate": "x", "shipping_rate": "x"} }, "shipping_options.fast.shippin_rate", `Stripe has no such parameter; did you mean "shipping_rate"?`},
		"no rate":             {open(), func(p *catalog.Plan) { p.ShippingOptions["fast"] = params{} }, "shipping_options.fast", "give either shipping_rate or"},
		"a rate with a space": {open(), func(p *catalog.Plan) { p.ShippingOptions["very fast"] = option("x") }, "shipping_options.very fast", "is no name"},
		"an hour too short":   {open(), func(p *catalog.Plan) { p.ExpiresAfter = 30 * time.Minute }, "expires_after", "must be between 31m0s and 23h59m0s"},
		"a day":               {open(), func(p *catalog.Plan) { p.ExpiresAfter = 24 * time.Hour }, "expires_after", "must be between 31m0s and 23h59m0s"},
		"backwards":           {open(), func(p *catalog.Plan) { p.ExpiresAfter = -time.Hour }, "expires_after", "must be between"},
		"what suits no page": {open(), func(p *catalog.Plan) {
			p.UIModes = []string{"hosted"}
			p.Accepts = p.Accepts[:3]
			p.ShippingOptions = nil
			delete(p.Params, "permissions")
		}, "params.redirect_on_completion", "Stripe refuses it with ui_mode hosted"},
		"URLs of no page": {open(), func(p *catalog.Plan) {
			p.UIModes = []string{"embedded"}
			p.Params = params{"ui_mode": "embedded", "currency": "usd"}
			p.Accepts = p.Accepts[:4]
		}, "accepts.3", "only hosted pages have it; this plan is embedded"},
		"unknown, with a customer": {payment(), func(p *catalog.Plan) { p.Unchecked = params{"customer": "cus_1"} }, "params_unchecked.customer", "cannot be set here"},
		"unknown, with an end":     {payment(), func(p *catalog.Plan) { p.Unchecked = params{"success_url": "https://evil"} }, "params_unchecked.success_url", "is always checked"},
		"unknown, with a page":     {payment(), func(p *catalog.Plan) { p.Unchecked = params{"ui_mode": "modal"} }, "params_unchecked.ui_mode", "is always checked"},
		"unknown, with metadata":   {payment(), func(p *catalog.Plan) { p.Unchecked = params{"x": []any{params{"metadata": params{"till_plan": "y"}}}} }, "params_unchecked.x", "is always checked"},
		"unknown, of an item":      {payment(), func(p *catalog.Plan) { p.LineItems[0].Unchecked = params{"price_data": params{}} }, "line_items.0.params_unchecked.price_data", "cannot be set here"},
	} {
		tc.edit(&tc.plan)
		got := tc.plan.Check(rules)
		if len(got) != 1 || got[0].Path != tc.where || !strings.HasPrefix(got[0].Text, tc.what) || got[0].Warning {
			t.Errorf("%s: got %+v, want %s: %s…", name, got, tc.where, tc.what)
		}
	}
}

func TestCustomPagesNeedAVersion(t *testing.T) {
	t.Parallel()
	p := open()
	p.UIModes = append(p.UIModes, "custom")
	got := p.Check(catalog.Rules{})
	if len(got) != 2 || got[0].Path != "ui_modes.2" || !strings.Contains(got[0].Text, "Stripe-Version 2023-10-16 has no ui_mode custom") || !got[1].Warning {
		t.Errorf("got %+v", got)
	}
	for version, want := range map[string][]string{
		"": {"hosted", "embedded"}, "2025-03-31.basil": {"hosted", "embedded", "custom"}, "2026-08-26.dahlia": {"hosted", "embedded", "custom"},
	} {
		p.UIModes = nil
		settled := p.Settled(catalog.Rules{Version: version})
		if diff := cmp.Diff(want, settled.UIModes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
		if got := p.Check(catalog.Rules{Version: version}); slices.ContainsFunc(got, func(f catalog.Finding) bool { return !f.Warning }) {
			t.Errorf("%s: %+v", version, got)
		}
	}
	if got := open().Settled(catalog.Rules{}).UIModes; !slices.Equal(got, []string{"hosted", "embedded"}) {
		t.Errorf("the old spelling is not used: %v", got)
	}
}

func TestAPlanInOnePage(t *testing.T) {
	t.Parallel()
	p := open()
	for page, want := range map[string]params{
		"hosted":   {"submit_type": "pay", "currency": "usd", "success_url": "https://x"},
		"embedded": {"submit_type": "pay", "currency": "usd", "ui_mode": "embedded", "redirect_on_completion": "if_required", "permissions": params{"update_shipping_details": "server_only"}},
		"custom":   {"currency": "usd", "ui_mode": "custom", "permissions": params{"update_shipping_details": "server_only"}},
	} {
		in := p.In(page)
		if diff := cmp.Diff(want, in.Params); diff != "" || in.UIMode() != page {
			t.Errorf("%s is %s (-want +got):\n%s", page, in.UIMode(), diff)
		}
	}
	if diff := cmp.Diff(open(), p); diff != "" {
		t.Errorf("the template was written to: %s", diff)
	}
	for mode, want := range map[string]string{"": "hosted", "hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom", "custom": "custom"} {
		if got := (catalog.Plan{Params: params{"ui_mode": mode}}).UIMode(); got != want {
			t.Errorf("%q is %q, want %q", mode, got, want)
		}
	}
}

func TestWhatIsNotKnownIsAddedUnchecked(t *testing.T) {
	t.Parallel()
	p := payment()
	p.Unchecked = params{"cart_hints": params{"color": "blue"}, "payment_intent_data": params{"novel": true}, "payment_method_types": []any{"novel_pay"}}
	p.LineItems[0].Unchecked = params{"shelf": int64(7)}
	if got := p.Check(rules); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
	settled := p.Settled(rules)
	want := payment()
	want.Params["cart_hints"] = params{"color": "blue"}
	want.Params["payment_intent_data"] = params{"capture_method": "manual", "novel": true}
	want.Params["payment_method_types"] = []any{"novel_pay"}
	want.LineItems[0].Params["shelf"] = int64(7)
	if diff := cmp.Diff(want, settled); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(p.Params["payment_intent_data"].(params)) != 1 || p.LineItems[0].Params["shelf"] != nil {
		t.Error("the template was written to")
	}
	p.Unchecked = params{"allow_promotion_codes": true}
	if got := p.Check(rules); len(got) != 1 || !got[0].Warning || got[0].Path != "params_unchecked.allow_promotion_codes" {
		t.Errorf("what is known: got %+v", got)
	}
	portal := catalog.Portal{Params: params{"locale": "de"}, Unchecked: params{"after_expiration": params{"type": "customer_login"}}}
	if got := portal.Check(rules); len(got) > 0 {
		t.Errorf("a portal: %+v", got)
	}
	if diff := cmp.Diff(params{"locale": "de", "after_expiration": params{"type": "customer_login"}}, portal.Settled().Params); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	d := catalog.Defaults{
		Checkout: params{
			"allow_promotion_codes": true, "automatic_tax": params{"enabled": true}, "customer_update": params{"address": "auto"},
			"subscription_data": params{"trial_period_days": int64(3)}, "success_url": "https://x", "permissions": params{"update_shipping_details": "server_only"},
			"locale": "fr", "excluded_payment_method_types": []any{"klarna"},
		},
		Portal: params{"locale": "fr", "return_url": "https://x"},
	}
	if got := d.Check(rules); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
	both, shop := open(), payment()
	both.Params = params{"locale": "de"}
	shop.Params = params{"discounts": []any{params{"coupon": "x"}}, "payment_method_types": []any{"card"}}
	for name, tc := range map[string]struct {
		plan catalog.Plan
		want []string
	}{
		"subscription": {catalog.Plan{Mode: catalog.ModeSubscription}, []string{
			"allow_promotion_codes", "automatic_tax", "customer_update", "excluded_payment_method_types", "locale", "subscription_data", "success_url",
		}},
		"setup":               {setup(), []string{"currency", "customer_update", "excluded_payment_method_types", "locale", "setup_intent_data", "success_url"}},
		"embedded":            {embedded(), []string{"allow_promotion_codes", "automatic_tax", "customer_update", "excluded_payment_method_types", "locale", "permissions", "redirect_on_completion", "ui_mode"}},
		"both pages":          {both, []string{"allow_promotion_codes", "automatic_tax", "customer_update", "excluded_payment_method_types", "locale", "permissions", "success_url"}},
		"beside what clashes": {shop, []string{"automatic_tax", "customer_update", "discounts", "locale", "payment_method_types", "success_url"}},
	} {
		before := len(tc.plan.Params)
		got := d.Plan(tc.plan)
		var names []string
		for name := range got.Params {
			names = append(names, name)
		}
		slices.Sort(names)
		if diff := cmp.Diff(tc.want, names); diff != "" || len(tc.plan.Params) != before {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := d.Plan(both).Params["locale"]; got != "de" {
		t.Errorf("a plan's own locale is %v", got)
	}
	if diff := cmp.Diff(params{"locale": "de", "return_url": "https://x"}, d.OfPortal(catalog.Portal{Params: params{"locale": "de"}}).Params); diff != "" {
		t.Error(diff)
	}
	d.Checkout, d.Portal = params{"locale": "xx", "mode": "payment", "automatic_tax": params{"enabled": "x"}}, params{"flow_data": params{}}
	var paths []string
	for _, f := range d.Check(rules) {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"checkout.automatic_tax.enabled", "checkout.locale", "checkout.mode", "portal.flow_data"}, paths); diff != "" {
		t.Error(diff)
	}
}

func TestNamesThatFlowsUse(t *testing.T) {
	t.Parallel()
	seat := func(plan, price string) catalog.Plan {
		return catalog.Plan{Name: plan, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "base"}}, {Name: "seat", Price: catalog.PriceRef{ID: price}}}}
	}
	if got := catalog.Ambiguous([]catalog.Plan{seat("a", "price_1"), seat("b", "price_1")}); len(got) > 0 {
		t.Errorf("one price: %+v", got)
	}
	got := catalog.Ambiguous([]catalog.Plan{seat("a", "price_1"), seat("b", "price_2"), seat("c", "price_1")})
	if len(got) != 1 || got[0].Path != "plans.b.line_items.1" || !strings.HasPrefix(got[0].Text, `"seat" names another price`) {
		t.Errorf("two prices: %+v", got)
	}
}
