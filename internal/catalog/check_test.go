package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

type params = catalog.Params

// rules are those of a version that has everything.
var rules = catalog.Rules{Version: "2026-08-26.dahlia"}

func subscription() catalog.Plan {
	return catalog.Plan{
		Name: "pro", Mode: catalog.ModeSubscription,
		LineItems: []catalog.LineItem{{
			Price:    catalog.PriceRef{LookupKey: "pro_monthly"},
			Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 50},
		}},
		Accepts: []catalog.Field{
			catalog.FieldQuantity, catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldLocale,
			catalog.FieldPromotionCode, catalog.FieldMetadata, catalog.FieldCurrency,
		},
		Params: params{
			"automatic_tax": params{"enabled": true}, "customer_update": params{"address": "auto"},
			"subscription_data": params{"trial_period_days": int64(14), "metadata": params{"team": "a"}},
			"metadata":          params{"source": "web", "n": int64(3), "b": true, "f": 1.5}, "locale": "de",
			"allow_promotion_codes": true,
		},
	}
}

func payment() catalog.Plan {
	return catalog.Plan{
		Name: "tshirt", Mode: catalog.ModePayment,
		LineItems: []catalog.LineItem{{
			Price: catalog.PriceRef{ID: "price_1"}, Params: params{"adjustable_quantity": params{"enabled": true}},
		}},
		Params: params{
			"submit_type": "pay", "payment_intent_data": params{"capture_method": "manual"}, "invoice_creation": params{"enabled": true},
			"shipping_options": []any{params{"shipping_rate": "shr_1"}},
		},
	}
}

func setup() catalog.Plan {
	return catalog.Plan{Name: "save-card", Mode: catalog.ModeSetup, Params: params{"currency": "eur", "setup_intent_data": params{"description": "x"}}}
}

func embedded() catalog.Plan {
	return catalog.Plan{
		Name: "embedded", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_1"}}},
		Accepts: []catalog.Field{catalog.FieldReturnURL},
		Params:  params{"ui_mode": "embedded", "redirect_on_completion": "if_required"},
	}
}

func custom() catalog.Plan {
	p := embedded()
	p.Params = params{"ui_mode": "custom"}
	return p
}

func TestValidPlansHaveNoFindings(t *testing.T) {
	t.Parallel()
	withTypes, withAsk := setup(), setup()
	withTypes.Params = params{"payment_method_types": []any{"card"}}
	withAsk.Params, withAsk.Accepts = nil, []catalog.Field{catalog.FieldCurrency}
	full := subscription()
	full.Params["metadata"] = keys(45, "k")
	for _, p := range []catalog.Plan{subscription(), payment(), setup(), embedded(), custom(), withTypes, withAsk, full} {
		if got := p.Check(rules); len(got) != 0 {
			t.Errorf("%s: %+v", p.Name, got)
		}
	}
}

func keys(n int, prefix string) params {
	m := params{}
	for i := range n {
		m[fmt.Sprintf("%s%d", prefix, i)] = "x"
	}
	return m
}

func items(n int) []catalog.LineItem {
	return make([]catalog.LineItem, n)
}

// Each case breaks one valid plan in one way and wants that found, once, and
// nothing else.
func TestPlanFindings(t *testing.T) {
	t.Parallel()
	priced := func(n int) []catalog.LineItem {
		all := items(n)
		for i := range all {
			all[i].Price.ID = "price_1"
		}
		return all
	}
	bounds := func(least, usual, most int64) func(*catalog.Plan) {
		return func(p *catalog.Plan) {
			p.LineItems[0].Quantity = &catalog.Quantity{Min: least, Default: usual, Max: most}
		}
	}
	set := func(name string, value any) func(*catalog.Plan) {
		return func(p *catalog.Plan) { p.Params[name] = value }
	}
	accept := func(fields ...catalog.Field) func(*catalog.Plan) {
		return func(p *catalog.Plan) { p.Accepts = fields }
	}
	const quantity, ourWrite = "needs 1 ≤ min ≤ default ≤ max ≤ 999999", "cannot be set here: "
	for name, tc := range map[string]struct {
		plan  catalog.Plan
		edit  func(*catalog.Plan)
		where string
		what  string // the beginning of the text
	}{
		"setup with items":        {setup(), func(p *catalog.Plan) { p.LineItems = priced(1) }, "line_items", "a setup plan sells nothing"},
		"payment without items":   {payment(), func(p *catalog.Plan) { p.LineItems = nil }, "line_items", "at least one is required in payment mode"},
		"subscription without":    {embedded(), func(p *catalog.Plan) { p.Mode, p.LineItems = catalog.ModeSubscription, nil }, "line_items", "at least one is required in subscription mode"},
		"101 items":               {payment(), func(p *catalog.Plan) { p.LineItems = priced(101) }, "line_items", "Stripe takes at most 100"},
		"41 items":                {subscription(), func(p *catalog.Plan) { p.LineItems, p.Accepts = priced(41), nil }, "line_items", "Stripe takes at most 20 recurring and 20"},
		"no price":                {payment(), func(p *catalog.Plan) { p.LineItems[0].Price = catalog.PriceRef{} }, "line_items.0.price", "give either id or lookup_key"},
		"two names of a price":    {payment(), func(p *catalog.Plan) { p.LineItems[0].Price.LookupKey = "x" }, "line_items.0.price", "give either id or lookup_key"},
		"a price with a path":     {payment(), func(p *catalog.Plan) { p.LineItems[0].Price.ID = "price_1/../x" }, "line_items.0.price.id", `"price_1/../x" does not look like`},
		"an endless price":        {payment(), func(p *catalog.Plan) { p.LineItems[0].Price.ID = strings.Repeat("p", 256) }, "line_items.0.price.id", `"ppp`},
		"minimum 0":               {subscription(), bounds(0, 1, 5), "line_items.0.quantity", quantity},
		"maximum below minimum":   {subscription(), bounds(5, 5, 4), "line_items.0.quantity", quantity},
		"default below minimum":   {subscription(), bounds(2, 1, 5), "line_items.0.quantity", quantity},
		"default above maximum":   {subscription(), bounds(1, 6, 5), "line_items.0.quantity", quantity},
		"a million":               {subscription(), bounds(1, 1, 1_000_000), "line_items.0.quantity", quantity},
		"price_data":              {payment(), func(p *catalog.Plan) { p.LineItems[0].Params["price_data"] = params{} }, "line_items.0.price_data", "cannot be set here: a price made up"},
		"a mistyped key":          {payment(), func(p *catalog.Plan) { p.LineItems[0].Params["taxrates"] = params{} }, "line_items.0.taxrates", `Stripe has no such parameter; did you mean "tax_rates"?`},
		"a quantity of its own":   {payment(), func(p *catalog.Plan) { p.LineItems[0].Params["quantity"] = int64(2) }, "line_items.0.quantity", "cannot be set here: write it as"},
		"an unknown field":        {embedded(), accept("zzzzzzzz"), "accepts.0", `unknown field "zzzzzzzz"`},
		"a field misspelt":        {embedded(), accept("quantiy"), "accepts.0", `unknown field "quantiy"; did you mean "quantity"?`},
		"a field twice":           {payment(), accept("locale", "metadata", "locale"), "accepts.2", `"locale" is listed twice`},
		"line_items":              {payment(), accept("line_items", "quantity"), "accepts.1", "beside line_items, which have quantities"},
		"items of a setup":        {setup(), accept("line_items"), "accepts.0", "a setup plan has nothing to choose from"},
		"quantity without bounds": {payment(), accept("quantity"), "accepts.0", "a caller's quantity needs exactly one line item"},
		"quantity of two": {subscription(), func(p *catalog.Plan) {
			p.LineItems = append(p.LineItems, catalog.LineItem{Price: catalog.PriceRef{ID: "price_2"}})
		}, "accepts.0", "a caller's quantity needs exactly one line item"},
		"a code for nothing":         {setup(), accept("promotion_code"), "accepts.0", "a setup plan has nothing to discount"},
		"success_url, embedded":      {embedded(), accept("return_url", "success_url"), "accepts.1", "only hosted pages have it; this plan is embedded"},
		"cancel_url, embedded":       {embedded(), accept("cancel_url"), "accepts.0", "only hosted pages have it; this plan is embedded"},
		"return_url, hosted":         {payment(), accept("return_url"), "accepts.0", "hosted pages have success_url and cancel_url"},
		"return_url that never is":   {embedded(), set("redirect_on_completion", "never"), "accepts.0", "nobody returns"},
		"once":                       {payment(), func(p *catalog.Plan) { p.Once = true }, "once", "only subscriptions are live"},
		"a parameter nobody knows":   {payment(), set("zzzzzzzzzzzzzzzzzzzzzzzz", "x"), "params.zzzzzzzzzzzzzzzzzzzzzzzz", "Stripe has no such parameter"},
		"a parameter misspelt":       {payment(), set("alow_promotion_codes", true), "params.alow_promotion_codes", `Stripe has no such parameter; did you mean "allow_promotion_codes"?`},
		"a portal's parameter":       {payment(), set("configuration", "bpc_1"), "params.configuration", "Stripe has no such parameter"},
		"customer":                   {payment(), set("customer", "cus_1"), "params.customer", ourWrite + "the customer comes from"},
		"customer_account":           {payment(), set("customer_account", "acct_1"), "params.customer_account", ourWrite + "the customer comes from"},
		"customer_email":             {payment(), set("customer_email", "a@b"), "params.customer_email", ourWrite},
		"customer_creation":          {payment(), set("customer_creation", "always"), "params.customer_creation", ourWrite},
		"client_reference_id":        {payment(), set("client_reference_id", "x"), "params.client_reference_id", ourWrite},
		"expand":                     {payment(), set("expand", []any{"customer"}), "params.expand", ourWrite},
		"items as a parameter":       {payment(), set("line_items", []any{}), "params.line_items", ourWrite},
		"mode as a parameter":        {payment(), set("mode", "payment"), "params.mode", ourWrite},
		"no value":                   {payment(), set("submit_type", nil), "params.submit_type", "has no value"},
		"a list for one":             {payment(), set("submit_type", []any{"pay"}), "params.submit_type", "must be a single value"},
		"one for a list":             {payment(), set("shipping_options", "shr_1"), "params.shipping_options", "must be a list"},
		"one for a mapping":          {payment(), set("invoice_creation", true), "params.invoice_creation", "must be a mapping"},
		"subscription_data":          {payment(), set("subscription_data", params{}), "params.subscription_data", "Stripe refuses it in payment mode"},
		"payment_method_collection":  {payment(), set("payment_method_collection", "always"), "params.payment_method_collection", "Stripe refuses it in payment mode"},
		"payment_intent_data":        {subscription(), set("payment_intent_data", params{}), "params.payment_intent_data", "Stripe refuses it in subscription mode"},
		"invoice_creation":           {subscription(), set("invoice_creation", params{"enabled": true}), "params.invoice_creation", "Stripe refuses it in subscription mode"},
		"setup_intent_data":          {payment(), set("setup_intent_data", params{}), "params.setup_intent_data", "Stripe refuses it in payment mode"},
		"submit_type for a setup":    {setup(), set("submit_type", "pay"), "params.submit_type", "Stripe refuses it in setup mode"},
		"discounts for a setup":      {setup(), set("discounts", []any{params{"coupon": "x"}}), "params.discounts", "Stripe refuses it in setup mode"},
		"codes for a setup":          {setup(), set("allow_promotion_codes", false), "params.allow_promotion_codes", "Stripe refuses it in setup mode"},
		"a setup in no currency":     {setup(), func(p *catalog.Plan) { delete(p.Params, "currency") }, "params.currency", "a setup plan needs currency or payment_method_types"},
		"an unknown ui_mode":         {embedded(), set("ui_mode", "modal"), "params.ui_mode", `"modal" is none of its values: hosted, embedded, custom`},
		"a fixed return_url, hosted": {payment(), set("return_url", "https://x"), "params.return_url", "Stripe refuses it with ui_mode hosted"},
		"completion, hosted":         {payment(), set("redirect_on_completion", "never"), "params.redirect_on_completion", "Stripe refuses it with ui_mode hosted"},
		"a fixed success_url":        {embedded(), set("success_url", "https://x"), "params.success_url", "Stripe refuses it with ui_mode embedded"},
		"a fixed cancel_url":         {embedded(), set("cancel_url", "https://x"), "params.cancel_url", "Stripe refuses it with ui_mode embedded"},
		"submit_type, custom":        {custom(), set("submit_type", "pay"), "params.submit_type", "Stripe refuses it with ui_mode custom"},
		"codes and discounts":        {subscription(), func(p *catalog.Plan) { p.Params["discounts"], p.Accepts = []any{params{"coupon": "x"}}, nil }, "params.allow_promotion_codes", "Stripe refuses it beside discounts"},
		"no codes and discounts": {payment(), func(p *catalog.Plan) {
			p.Params["discounts"], p.Params["allow_promotion_codes"] = []any{params{"coupon": "x"}}, false
		}, "params.allow_promotion_codes", "Stripe refuses it beside discounts"},
		"a caller's code on top": {payment(), func(p *catalog.Plan) {
			p.Params["discounts"] = []any{params{"coupon": "x"}}
			accept("promotion_code")(p)
		}, "accepts", "promotion_code cannot be accepted beside fixed discounts"},
		"tax without an address":      {subscription(), func(p *catalog.Plan) { delete(p.Params, "customer_update") }, "params.automatic_tax", "Stripe refuses customers without an address"},
		"tax with a name alone":       {subscription(), set("customer_update", params{"name": "auto"}), "params.automatic_tax", "Stripe refuses customers without an address"},
		"a key of ours":               {payment(), set("metadata", params{"till_subject": "x"}), "params.metadata.till_subject", "keys that begin with till_"},
		"a key of ours, further down": {subscription(), set("subscription_data", params{"metadata": params{"till_x": "x"}}), "params.subscription_data.metadata.till_x", "keys that begin with till_"},
		"brackets in a key":           {payment(), set("metadata", params{"a[b]": "x"}), "params.metadata.a[b]", "Stripe takes keys of 1 to 40"},
		"a key of 41":                 {payment(), set("metadata", params{strings.Repeat("é", 41): "x"}), "params.metadata." + strings.Repeat("é", 41), "Stripe takes keys of 1 to 40"},
		"an empty key":                {payment(), set("metadata", params{"": "x"}), "params.metadata.", "Stripe takes keys of 1 to 40"},
		"a value of 501":              {payment(), set("metadata", params{"a": strings.Repeat("é", 501)}), "params.metadata.a", "Stripe takes values of at most 500"},
		"a list as value":             {payment(), set("metadata", params{"a": []any{}}), "params.metadata.a", "must be a single value"},
		"46 keys":                     {payment(), set("metadata", keys(46, "k")), "params.metadata", "may have at most 45 keys"},
		"metadata as a text":          {payment(), set("metadata", "x"), "params.metadata", "must be a mapping"},
		"in the wrong place":          {payment(), set("trial_period_days", int64(3)), "params.trial_period_days", "Stripe has no such parameter here; did you mean subscription_data.trial_period_days?"},
		"a text for a truth":          {payment(), set("allow_promotion_codes", "on"), "params.allow_promotion_codes", "must be true or false"},
		"a truth for a text":          {payment(), set("payment_method_configuration", true), "params.payment_method_configuration", "must be a text"},
		"an empty text":               {payment(), set("payment_method_configuration", ""), "params.payment_method_configuration", "must not be empty"},
		"a number that is none":       {payment(), set("payment_intent_data", params{"application_fee_amount": "1.5"}), "params.payment_intent_data.application_fee_amount", "must be a whole number"},
		"a currency of an option":     {payment(), set("shipping_options", []any{params{"shipping_rate_data": params{"display_name": "x", "fixed_amount": params{"amount": int64(1), "currency": "eur", "currency_options": params{"Usd": params{"amount": int64(1)}}}}}}), "params.shipping_options.0.shipping_rate_data.fixed_amount.currency_options.Usd", "must be three lower-case letters"},
		"a portal's locale":           {payment(), set("locale", "en-AU"), "params.locale", `"en-AU" is none of its values; did you mean "en-GB"?`},
	} {
		tc.edit(&tc.plan)
		got := tc.plan.Check(rules)
		if len(got) != 1 || got[0].Path != tc.where || !strings.HasPrefix(got[0].Text, tc.what) || got[0].Warning {
			t.Errorf("%s: got %+v, want %s: %s…", name, got, tc.where, tc.what)
		}
	}
}

func TestAnUnknownModeIsFound(t *testing.T) {
	t.Parallel()
	for _, mode := range []catalog.Mode{"", "PAYMENT", "payment ", "subscriptions"} {
		p := catalog.Plan{Mode: mode, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_1"}}}}
		if diff := cmp.Diff([]catalog.Finding{{Path: "mode", Text: "must be payment, setup or subscription"}}, p.Check(rules)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", mode, diff)
		}
	}
}

func TestAllFindingsAreReportedTogether(t *testing.T) {
	t.Parallel()
	p := catalog.Plan{
		Mode: "x", LineItems: []catalog.LineItem{{}}, Accepts: []catalog.Field{"x", "locale", "locale"}, Once: true,
		Params: params{"mode": "x", "ui_mode": "elements", "locale": "xx", "success_url": "x", "metadata": params{"till_a": "", "b[": ""}},
	}
	var got []string
	for _, f := range p.Check(rules) {
		got = append(got, f.Path)
	}
	want := []string{
		"mode", "line_items.0.price", "accepts.0", "accepts.2", "once", "params.locale", "params.metadata.b[", "params.metadata.till_a",
		"params.mode", "params.success_url",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestPortalFindings(t *testing.T) {
	t.Parallel()
	valid := func() catalog.Portal {
		return catalog.Portal{
			Name:   "default",
			Params: params{"configuration": "bpc_1", "locale": "en-AU", "return_url": "https://x", "on_behalf_of": "acct_1"},
			Flows:  []string{"payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm"},
		}
	}
	for _, missing := range []string{"", "create", "refuse"} {
		for _, deleted := range []string{"", "recreate", "refuse"} {
			p := valid()
			p.MissingCustomer, p.DeletedCustomer = missing, deleted
			if got := p.Check(rules); len(got) != 0 {
				t.Errorf("a valid portal, %q and %q: %+v", missing, deleted, got)
			}
		}
	}
	for name, tc := range map[string]struct {
		edit        func(*catalog.Portal)
		where, what string
	}{
		"a parameter of Checkout": {func(p *catalog.Portal) { p.Params["success_url"] = "x" }, "params.success_url", "Stripe has no such parameter"},
		"a parameter misspelt":    {func(p *catalog.Portal) { p.Params["retrun_url"] = "x" }, "params.retrun_url", `Stripe has no such parameter; did you mean "return_url"?`},
		"customer":                {func(p *catalog.Portal) { p.Params["customer"] = "cus_1" }, "params.customer", "cannot be set here"},
		"flow_data":               {func(p *catalog.Portal) { p.Params["flow_data"] = params{} }, "params.flow_data", "cannot be set here"},
		"expand":                  {func(p *catalog.Portal) { p.Params["expand"] = []any{} }, "params.expand", "cannot be set here"},
		"a mapping for one":       {func(p *catalog.Portal) { p.Params["return_url"] = params{} }, "params.return_url", "must be a single value"},
		"an unknown locale":       {func(p *catalog.Portal) { p.Params["locale"] = "en-US" }, "params.locale", `"en-US" is none of its values; did you mean "en-AU"?`},
		"another policy":          {func(p *catalog.Portal) { p.MissingCustomer = "none" }, "missing_customer", "must be create or refuse"},
		"the other's policy":      {func(p *catalog.Portal) { p.MissingCustomer = "recreate" }, "missing_customer", "must be create or refuse"},
		"a policy in capitals":    {func(p *catalog.Portal) { p.MissingCustomer = "Refuse" }, "missing_customer", "must be create or refuse"},
		"another policy, deleted": {func(p *catalog.Portal) { p.DeletedCustomer = "heal" }, "deleted_customer", "must be recreate or refuse"},
		"the other's, deleted":    {func(p *catalog.Portal) { p.DeletedCustomer = "create" }, "deleted_customer", "must be recreate or refuse"},
		"a policy as a parameter": {func(p *catalog.Portal) { p.Params["missing_customer"] = "refuse" }, "params.missing_customer", "Stripe has no such parameter"},
		"a flow twice":            {func(p *catalog.Portal) { p.Flows[1] = p.Flows[0] }, "flows.1", `"payment_method_update" is listed twice`},
		"a coupon twice":          {func(p *catalog.Portal) { p.Coupons = []string{"a", "a"} }, "coupons.1", `"a" is listed twice`},
		"a coupon with a path":    {func(p *catalog.Portal) { p.Coupons = []string{"a/b"} }, "coupons.0", `"a/b" does not look like`},
		"coupons for no flow":     {func(p *catalog.Portal) { p.Coupons, p.Flows = []string{"SAVE-20"}, p.Flows[:1] }, "coupons", "no flow takes one"},
		"a place of Checkout's":   {func(p *catalog.Portal) { p.Params["trial_period_days"] = int64(3) }, "params.trial_period_days", "Stripe has no such parameter; one that is newer"},
		"a flow misspelt":         {func(p *catalog.Portal) { p.Flows[1] = "subscription_cancle" }, "flows.1", `unknown flow "subscription_cancle"; did you mean "subscription_cancel"?`},
	} {
		p := valid()
		tc.edit(&p)
		got := p.Check(rules)
		if len(got) != 1 || got[0].Path != tc.where || !strings.HasPrefix(got[0].Text, tc.what) {
			t.Errorf("%s: got %+v, want %s: %s…", name, got, tc.where, tc.what)
		}
	}
}

func TestLocales(t *testing.T) {
	t.Parallel()
	portal, checkout := catalog.PortalLocales(), catalog.CheckoutLocales()
	if len(portal) != 47 || len(checkout) != 41 {
		t.Errorf("got %d and %d locales, want 47 and 41", len(portal), len(checkout))
	}
	seen := map[string]bool{}
	for _, l := range portal {
		if seen[l] || !catalog.IsPortalLocale(l) {
			t.Errorf("%s is listed twice, or unknown", l)
		}
		seen[l] = true
	}
	for _, l := range checkout {
		if !seen[l] || !catalog.IsCheckoutLocale(l) {
			t.Errorf("%s is a Checkout locale and none of the portal", l)
		}
		delete(seen, l)
	}
	want := map[string]bool{"en-AU": true, "en-CA": true, "en-IE": true, "en-IN": true, "en-NZ": true, "en-SG": true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("portal only (-want +got):\n%s", diff)
	}
	for _, l := range []string{"", "xx", "EN", "en-US", "en_GB", "de "} {
		if catalog.IsPortalLocale(l) || catalog.IsCheckoutLocale(l) {
			t.Errorf("%q is known", l)
		}
	}
	portal[0] = "changed"
	if catalog.PortalLocales()[0] == "changed" {
		t.Error("callers share the list")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	candidates := []string{"mode", "locale", "success_url", "cancel_url", "allow_promotion_codes"}
	for name, want := range map[string]string{
		"moed": "mode", "Mode": "mode", "lcoale": "locale", "succes_url": "success_url", "success": "", "canel_url": "cancel_url",
		"allow_promo_codes": "allow_promotion_codes", "x": "", "": "", "entirely": "", "mode": "mode",
	} {
		if got := catalog.Nearest(name, candidates); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := catalog.Nearest("ab", []string{"ax", "ay"}); got != "ax" {
		t.Errorf("of equals got %q, want the first", got)
	}
	if got := catalog.Nearest("ab", nil); got != "" {
		t.Errorf("of none got %q", got)
	}
}

func TestScalar(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   any
		want string
		ok   bool
	}{
		{"", "", true},
		{"x", "x", true},
		{true, "true", true},
		{false, "false", true},
		{7, "7", true},
		{int64(-7), "-7", true},
		{int64(1) << 53, "9007199254740992", true},
		{1.5, "1.5", true},
		{1e21, "1000000000000000000000", true},
		{0.1, "0.1", true},
		{nil, "", false},
		{[]any{}, "", false},
		{params{}, "", false},
		{uint8(1), "", false},
	} {
		if got, ok := catalog.Scalar(tc.in); got != tc.want || ok != tc.ok {
			t.Errorf("%#v: got %q, %t, want %q, %t", tc.in, got, ok, tc.want, tc.ok)
		}
	}
}
