package catalog_test

import (
	"strings"
	"testing"
	"time"

	"till/internal/catalog"
)

func option(rate string) params { return params{"shipping_rate": rate} }

func lines(n int) []catalog.LineItem {
	all := items(n)
	for i := range all {
		all[i].Price.ID = "price_1"
	}
	return all
}

func repeated(n int, one any) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = one
	}
	return all
}

func field(key, kind string, more params) params {
	f := params{"key": key, "type": kind, "label": params{"type": "custom", "custom": "x"}}
	for name, v := range more {
		f[name] = v
	}
	return f
}

// trap is one valid plan with parameters of which Stripe refuses one, or probably does.
type trap struct {
	name  string
	plan  catalog.Plan
	set   params
	where string // "": nothing is found
	what  string
	warns bool
}

// Each row sets parameters of one valid plan, and wants that found, once, and nothing
// else.
func TestTraps(t *testing.T) {
	t.Parallel()
	tax, address, name := params{"enabled": true}, params{"address": "auto"}, params{"name": "auto"}
	collect := params{"allowed_countries": []any{"DE"}}
	for _, tc := range []trap{
		// Which modes.
		{"items to add, setup", setup(), params{"optional_items": []any{params{"price": "price_1", "quantity": int64(1)}}}, "params.optional_items", "Stripe refuses it in setup mode", false},
		{"shipping, setup", setup(), params{"shipping_options": []any{option("shr_1")}}, "params.shipping_options", "Stripe refuses it in setup mode", false},
		{"shipping, subscription", subscription(), params{"shipping_options": []any{option("shr_1")}}, "params.shipping_options", "Stripe documents them for payment mode only", true},
		{"saved cards, setup", setup(), params{"saved_payment_method_options": params{"payment_method_save": "enabled"}}, "params.saved_payment_method_options", "Stripe refuses it in setup mode", false},
		{"tax, setup", setup(), params{"automatic_tax": tax, "customer_update": address}, "params.automatic_tax", "a setup plan sells nothing", true},
		{"no tax, setup", setup(), params{"automatic_tax": params{"enabled": false}}, "", "", false},
		{"setup by types", setup(), params{"currency": nil, "payment_method_types": []any{"card"}}, "", "", false},
		{"subscribe to a payment", payment(), params{"submit_type": "subscribe"}, "params.submit_type", "nothing is subscribed to", true},
		{"subscribe", subscription(), params{"submit_type": "subscribe"}, "", "", false},

		// Which pages.
		{"recovery, custom", custom(), params{"after_expiration": params{"recovery": tax}}, "params.after_expiration", "Stripe refuses it with ui_mode custom", false},
		{"recovery, embedded", embedded(), params{"after_expiration": params{"recovery": tax}}, "", "", false},
		{"branding, custom", custom(), params{"branding_settings": params{"display_name": "x"}}, "params.branding_settings", "Stripe refuses it with ui_mode custom", false},
		{"fields, custom", custom(), params{"custom_fields": []any{field("a", "text", nil)}}, "params.custom_fields", "Stripe refuses it with ui_mode custom", false},
		{"text, custom", custom(), params{"custom_text": params{"submit": params{"message": "x"}}}, "params.custom_text", "Stripe refuses it with ui_mode custom", false},
		{"items to add, custom", custom(), params{"optional_items": []any{params{"price": "price_1", "quantity": int64(1)}}}, "params.optional_items", "Stripe refuses it with ui_mode custom", false},
		{"origin, custom", custom(), params{"origin_context": "web"}, "params.origin_context", "Stripe refuses it with ui_mode custom", false},
		{"permissions, hosted", payment(), params{"permissions": params{"update_shipping_details": "server_only"}}, "params.permissions", "Stripe refuses it with ui_mode hosted", false},
		{"permissions, custom", custom(), params{"permissions": params{"update_shipping_details": "server_only"}}, "", "", false},
		{"completion, custom", custom(), params{"redirect_on_completion": "always"}, "params.redirect_on_completion", "Stripe refuses it with ui_mode custom", false},
		{"success, elements", custom(), params{"ui_mode": "elements", "success_url": "https://x"}, "params.success_url", "Stripe refuses it with ui_mode custom", false},
		{"a way back that nobody takes", without(embedded()), params{"redirect_on_completion": "never", "return_url": "https://x"}, "params.return_url", "nobody returns to it", false},

		// What goes with what.
		{"types and others", payment(), params{"payment_method_types": []any{"card"}, "excluded_payment_method_types": []any{"klarna"}}, "params.excluded_payment_method_types", "Stripe refuses it beside payment_method_types", false},
		{"two ends of a trial", subscription(), params{"subscription_data": params{"trial_period_days": int64(7), "trial_end": int64(4102444800)}}, "params.subscription_data.trial_period_days", "Stripe refuses it beside trial_end", false},
		{"two anchors", subscription(), params{"subscription_data": params{"billing_cycle_anchor": int64(4102444800), "billing_cycle_anchor_config": params{"day_of_month": int64(1)}}}, "params.subscription_data.billing_cycle_anchor", "Stripe refuses it beside billing_cycle_anchor_config", false},
		{"tax by shipping address", payment(), params{"automatic_tax": tax, "customer_update": params{"shipping": "auto"}, "shipping_address_collection": collect}, "", "", false},
		{"tax ids without a name", payment(), params{"tax_id_collection": tax}, "params.tax_id_collection.enabled", "Stripe refuses it for existing customers", false},
		{"tax ids", payment(), params{"tax_id_collection": tax, "customer_update": name}, "", "", false},
		{"an address that is not asked for", payment(), params{"customer_update": params{"shipping": "auto"}}, "params.customer_update.shipping", "there is no shipping address", true},
		{"terms", payment(), params{"consent_collection": params{"terms_of_service": "required"}}, "params.consent_collection.terms_of_service", "Stripe refuses it unless the account's", true},
		{"no terms", payment(), params{"consent_collection": params{"terms_of_service": "none"}}, "", "", false},
		{"words on no terms", payment(), params{"custom_text": params{"terms_of_service_acceptance": params{"message": "x"}}}, "params.custom_text.terms_of_service_acceptance", "it is shown only with", true},
		{"proration of nothing", subscription(), params{"subscription_data": params{"proration_behavior": "none"}}, "params.subscription_data.proration_behavior", "it matters only beside", true},
		{"proration", subscription(), params{"subscription_data": params{"proration_behavior": "none", "billing_cycle_anchor_config": params{"day_of_month": int64(1)}}}, "", "", false},
		{"codes for no recovery", payment(), params{"after_expiration": params{"recovery": params{"enabled": false, "allow_promotion_codes": true}}}, "params.after_expiration.recovery.allow_promotion_codes", "it matters only with", true},
		{"two discounts", payment(), params{"discounts": []any{params{"coupon": "a"}, params{"coupon": "b"}}}, "params.discounts", "has 2 entries: Stripe takes at most 1", false},
		{"a discount twice named", payment(), params{"discounts": []any{params{"coupon": "a", "promotion_code": "b"}}}, "params.discounts.0", "give either coupon or promotion_code", false},
		{"a discount of nothing", payment(), params{"discounts": []any{params{}}}, "params.discounts.0", "give either coupon or promotion_code", false},
		{"a rate twice named", payment(), params{"shipping_options": []any{params{"shipping_rate": "a", "shipping_rate_data": params{"display_name": "x"}}}}, "params.shipping_options.0", "give either shipping_rate or", false},
		{"an account unnamed", payment(), params{"automatic_tax": params{"enabled": false, "liability": params{"type": "account"}}}, "params.automatic_tax.liability.account", "is required with type account", false},
		{"an account too many", payment(), params{"automatic_tax": params{"enabled": false, "liability": params{"type": "self", "account": "acct_1"}}}, "params.automatic_tax.liability.account", "does not belong to type self", false},
		{"an issuer unnamed", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"issuer": params{"type": "account"}}}}, "params.invoice_creation.invoice_data.issuer.account", "is required with type account", false},
		{"a subscription's issuer unnamed", subscription(), params{"subscription_data": params{"invoice_settings": params{"issuer": params{"type": "account"}}}}, "params.subscription_data.invoice_settings.issuer.account", "is required with type account", false},
		{"an icon without a file", payment(), params{"branding_settings": params{"icon": params{"type": "file"}}}, "params.branding_settings.icon.file", "is required with type file", false},
		{"a logo of two kinds", payment(), params{"branding_settings": params{"logo": params{"type": "url", "url": "https://x", "file": "file_1"}}}, "params.branding_settings.logo.file", "does not belong to type url", false},
		{"a flexible classic", subscription(), params{"subscription_data": params{"billing_mode": params{"type": "classic", "flexible": params{"proration_discounts": "included"}}}}, "params.subscription_data.billing_mode.flexible", "does not belong to type classic", false},
		{"a bank of no country", payment(), params{"payment_method_options": params{"customer_balance": params{"bank_transfer": params{"type": "eu_bank_transfer"}}}}, "params.payment_method_options.customer_balance.bank_transfer.eu_bank_transfer", "is required with type eu_bank_transfer", false},

		// How much.
		{"six rates", payment(), params{"shipping_options": repeated(6, option("shr_1"))}, "params.shipping_options", "has 6 entries: Stripe takes at most 5", false},
		{"eleven items to add", payment(), params{"optional_items": repeated(11, params{"price": "price_1", "quantity": int64(1)})}, "params.optional_items", "has 11 entries: Stripe takes at most 10", false},
		{"five fields of an invoice", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"custom_fields": repeated(5, params{"name": "a", "value": "b"})}}}, "params.invoice_creation.invoice_data.custom_fields", "has 5 entries", false},
		{"four fields", payment(), params{"custom_fields": []any{field("a", "text", nil), field("b", "text", nil), field("c", "text", nil), field("d", "text", nil)}}, "params.custom_fields", "has 4 entries: Stripe takes at most 3", false},
		{"101 with those to add", with(payment(), lines(100)), params{"optional_items": []any{params{"price": "price_1", "quantity": int64(1)}}}, "line_items", "Stripe takes at most 100, optional_items included", false},
		{"41 with those to add", without(with(subscription(), lines(40))), params{"optional_items": []any{params{"price": "price_1", "quantity": int64(1)}}}, "line_items", "Stripe takes at most 20 recurring and 20 one-time ones, optional_items included", false},
		{"46 keys", subscription(), params{"subscription_data": params{"metadata": keys(46, "k")}}, "params.subscription_data.metadata", "may have at most 45 keys", false},
		{"50 keys of another's", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"metadata": keys(50, "k")}}}, "", "", false},
		{"51 keys of another's", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"metadata": keys(51, "k")}}}, "params.invoice_creation.invoice_data.metadata", "may have at most 50 keys", false},
		{"no trial", subscription(), params{"subscription_data": params{"trial_period_days": int64(0)}}, "params.subscription_data.trial_period_days", "must be between 1 and 730", false},
		{"a trial for life", subscription(), params{"subscription_data": params{"trial_period_days": int64(731)}}, "params.subscription_data.trial_period_days", "must be between 1 and 730", false},
		{"a trial of yesterday", subscription(), params{"subscription_data": params{"trial_end": int64(1_700_000_000)}}, "params.subscription_data.trial_end", "lies in the past", false},
		{"a share of 101 %", subscription(), params{"subscription_data": params{"application_fee_percent": 100.5}}, "params.subscription_data.application_fee_percent", "must be between 0 and 100", false},
		{"the 32nd", subscription(), params{"subscription_data": params{"billing_cycle_anchor_config": params{"day_of_month": int64(32)}}}, "params.subscription_data.billing_cycle_anchor_config.day_of_month", "must be between 1 and 31", false},
		{"more than there may be", payment(), params{"optional_items": []any{params{"price": "p", "quantity": int64(1), "adjustable_quantity": params{"enabled": true, "minimum": int64(3), "maximum": int64(2)}}}}, "params.optional_items.0.adjustable_quantity", "its minimum is above its maximum", false},
		{"a fixed end", payment(), params{"expires_at": int64(4102444800)}, "params.expires_at", "cannot be set here: a moment suits one session only", false},

		// Fields.
		{"a field of no kind", payment(), params{"custom_fields": []any{field("a", "dropdown", nil)}}, "params.custom_fields.0.dropdown", "is required with type dropdown", false},
		{"a field of two kinds", payment(), params{"custom_fields": []any{field("a", "text", params{"numeric": params{"maximum_length": int64(3)}})}}, "params.custom_fields.0.numeric", "does not belong to type text", false},
		{"a key twice", payment(), params{"custom_fields": []any{field("a", "text", nil), field("a", "numeric", nil)}}, "params.custom_fields.1.key", `"a" is the key of another field`, false},
		{"a key with a hyphen", payment(), params{"custom_fields": []any{field("a-b", "text", nil)}}, "params.custom_fields.0.key", "Stripe's documentation has letters", true},
		{"a field too long", payment(), params{"custom_fields": []any{field("a", "text", params{"text": params{"maximum_length": int64(256)}})}}, "params.custom_fields.0.text.maximum_length", "must be between 0 and 255", false},
		{"a field upside down", payment(), params{"custom_fields": []any{field("a", "numeric", params{"numeric": params{"minimum_length": int64(9), "maximum_length": int64(8)}})}}, "params.custom_fields.0.numeric", "its minimum_length is above", false},
	} {
		tc.run(t, catalog.Rules{Version: "2026-08-26.dahlia", Now: time.Unix(1_800_000_000, 0)})
	}
}

func (tc trap) run(t *testing.T, r catalog.Rules) {
	t.Helper()
	for name, value := range tc.set {
		tc.plan.Params[name] = value
		if value == nil {
			delete(tc.plan.Params, name)
		}
	}
	got := tc.plan.Check(r)
	if tc.where == "" {
		if len(got) > 0 {
			t.Errorf("%s: got %+v, want nothing", tc.name, got)
		}
		return
	}
	if len(got) != 1 || got[0].Path != tc.where || !strings.HasPrefix(got[0].Text, tc.what) || got[0].Warning != tc.warns {
		t.Errorf("%s: got %+v, want %s: %s…", tc.name, got, tc.where, tc.what)
	}
}

// without is the plan without what it accepts.
func without(p catalog.Plan) catalog.Plan {
	p.Accepts = nil
	return p
}

func with(p catalog.Plan, items []catalog.LineItem) catalog.Plan {
	p.LineItems = items
	return p
}

// What a version may not have is Stripe's to refuse, but for pages.
func TestVersions(t *testing.T) {
	t.Parallel()
	const mayNot = " may not have it"
	reuse := params{"payment_intent_data": nil, "metadata": nil}
	for version, rows := range map[string][]trap{
		"": {
			{"new", payment(), params{"adaptive_pricing": params{"enabled": true}}, "params.adaptive_pricing", "Stripe-Version 2023-10-16" + mayNot, true},
			{"new, further down", subscription(), params{"subscription_data": params{"billing_mode": params{"type": "flexible"}}}, "params.subscription_data.billing_mode", "Stripe-Version 2023-10-16" + mayNot, true},
			{"a new value", payment(), params{"payment_method_types": []any{"card", "twint"}}, "params.payment_method_types.1", "Stripe-Version 2023-10-16 may not have this value", true},
			{"of stripe-go v76", payment(), params{"payment_method_options": params{"swish": params{"reference": "x"}}}, "", "", false},
			{"submit_type of a subscription", subscription(), params{"submit_type": "pay"}, "params.submit_type", "Stripe-Version 2023-10-16 may refuse it in subscription mode", true},
			{"31 characters", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"custom_fields": []any{params{"name": strings.Repeat("n", 31), "value": "v"}}}}}, "params.invoice_creation.invoice_data.custom_fields.0.name", "has 31 characters: Stripe-Version 2023-10-16 takes at most 30", true},
			{"41 characters", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"custom_fields": []any{params{"name": strings.Repeat("n", 41), "value": "v"}}}}}, "params.invoice_creation.invoice_data.custom_fields.0.name", "has 41 characters: Stripe takes at most 40", false},
			{"hosted_page", payment(), params{"ui_mode": "hosted_page"}, "", "", false},
			{"custom", custom(), nil, "params.ui_mode", "Stripe-Version 2023-10-16 has no ui_mode custom", false},
		},
		"2025-03-31.basil": {
			{"custom", custom(), reuse, "", "", false},
			{"elements", custom(), params{"ui_mode": "elements"}, "", "", false},
			{"new", payment(), params{"adaptive_pricing": params{"enabled": true}}, "params.adaptive_pricing", "Stripe-Version 2025-03-31.basil" + mayNot, true},
			{"gone", withRates(payment()), nil, "line_items.0.dynamic_tax_rates", "Stripe-Version 2025-03-31.basil" + mayNot, true},
		},
		"2026-08-26.dahlia": {
			{"embedded", embedded(), nil, "", "", false},
			{"new", payment(), params{"adaptive_pricing": params{"enabled": true}}, "", "", false},
			{"gone", withRates(payment()), nil, "line_items.0.dynamic_tax_rates", "Stripe-Version 2026-08-26.dahlia" + mayNot, true},
			{"31 characters", payment(), params{"invoice_creation": params{"enabled": true, "invoice_data": params{"custom_fields": []any{params{"name": strings.Repeat("n", 31), "value": "v"}}}}}, "", "", false},
		},
		"2026-10-28.endive": {
			{"new", payment(), params{"adaptive_pricing": params{"enabled": true}}, "", "", false},
		},
		"2023-10-16": {{"gone later", withRates(payment()), nil, "", "", false}},
	} {
		for _, tc := range rows {
			tc.name += " at " + version
			tc.run(t, catalog.Rules{Version: version})
		}
	}
}

func withRates(p catalog.Plan) catalog.Plan {
	p.LineItems[0].Params["dynamic_tax_rates"] = []any{"txr_1"}
	return p
}
