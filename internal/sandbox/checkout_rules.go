package sandbox

import (
	"net/url"
	"slices"
	"strings"
)

// modeRules says in which modes a parameter may appear. The spec states the
// rules; Stripe's wording for most of them could not be checked.
var modeRules = []struct {
	param string
	modes []string
}{
	{"line_items", []string{"payment", "subscription"}},
	{"discounts", []string{"payment", "subscription"}},
	{"allow_promotion_codes", []string{"payment", "subscription"}},
	{"optional_items", []string{"payment", "subscription"}},
	{"submit_type", []string{"payment", "subscription"}},
	{"shipping_options", []string{"payment", "subscription"}},
	{"customer_creation", []string{"payment", "setup"}},
	{"invoice_creation", []string{"payment"}},
	{"payment_intent_data", []string{"payment"}},
	{"payment_method_collection", []string{"subscription"}},
	{"subscription_data", []string{"subscription"}},
	{"setup_intent_data", []string{"setup"}},
	{"saved_payment_method_options", []string{"payment", "subscription"}},
}

// uiRules says in which ui_modes a parameter may appear.
var uiRules = []struct {
	param string
	modes []string
}{
	{"success_url", []string{"hosted"}},
	{"cancel_url", []string{"hosted"}},
	{"return_url", []string{"embedded", "custom"}},
	{"redirect_on_completion", []string{"embedded"}},
	{"after_expiration", []string{"hosted", "embedded"}},
	{"submit_type", []string{"hosted", "embedded"}},
	{"custom_text", []string{"hosted", "embedded"}},
	{"custom_fields", []string{"hosted", "embedded"}},
	{"optional_items", []string{"hosted", "embedded"}},
	{"origin_context", []string{"hosted", "embedded"}},
	{"branding_settings", []string{"hosted", "embedded"}},
	{"permissions", []string{"embedded", "custom"}},
}

// pairs may not appear together. allow_promotion_codes counts even when it is
// false.
var pairs = [][2]string{
	{"customer", "customer_email"},
	{"customer", "customer_account"},
	{"customer_account", "customer_email"},
	{"customer", "customer_creation"},
	{"allow_promotion_codes", "discounts"},
	{"payment_method_types", "excluded_payment_method_types"},
}

func (d *draft) applyRules() error {
	for _, rule := range modeRules {
		if d.p.has(rule.param) && !slices.Contains(rule.modes, d.mode) {
			return invalid("", rule.param, "You can not pass `%s` in `%s` mode.", rule.param, d.mode)
		}
	}
	for _, rule := range uiRules {
		if d.p.has(rule.param) && !slices.Contains(rule.modes, d.ui) {
			return invalid("", rule.param, "You can not pass `%s` when `ui_mode` is `%s`.", rule.param, spellUIMode(d.ui, d.version))
		}
	}
	for _, pair := range pairs {
		if d.p.has(pair[0]) && d.p.has(pair[1]) {
			return invalid("", pair[1], "You may only specify one of these parameters: %s, %s.", pair[0], pair[1])
		}
	}
	return d.checkNeeds()
}

// checkNeeds refuses what is missing for the mode.
func (d *draft) checkNeeds() error {
	switch {
	case d.p.has("customer_update") && !d.p.has("customer") && !d.p.has("customer_account"):
		return invalid("", "customer_update", "`customer_update` can only be used with `customer`.")
	case d.mode != "setup" && len(d.p.list("line_items")) == 0:
		return missing("line_items")
	case d.ui == "hosted" && !d.p.has("success_url"):
		return missing("success_url")
	case d.ui == "embedded" && !d.p.has("return_url") && d.p.str("redirect_on_completion") != "never":
		return missing("return_url")
	case d.p.has("return_url") && d.p.str("redirect_on_completion") == "never":
		return invalid("", "return_url", "You can not pass `return_url` when `redirect_on_completion` is `never`.")
	}
	return nil
}

func (d *draft) checkURLs() error { return checkURLs(d.p, "success_url", "cancel_url", "return_url") }

// checkURLs wants http or https with a host in the named parameters.
func checkURLs(p params, names ...string) error {
	for _, name := range names {
		if p.has(name) && p[name] != "" && !isWebURL(p.str(name)) {
			return malformed("url_invalid", name, "Not a valid URL")
		}
	}
	return nil
}

func isWebURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && !strings.ContainsAny(raw, " \t\r\n")
}
