package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Stripe's three pages, in the spelling of before 2026-03-25.
const (
	uiHosted   = "hosted"
	uiEmbedded = "embedded"
	uiCustom   = "custom"
)

// firstCustom is the first version that has ui_mode custom, called elements from
// 2026-03-25 on.
const firstCustom = "2025-03-31"

// modeGates: which modes a parameter may be used in.
var modeGates = map[string][]Mode{
	"allow_promotion_codes":        {ModePayment, ModeSubscription},
	"discounts":                    {ModePayment, ModeSubscription},
	"invoice_creation":             {ModePayment},
	"optional_items":               {ModePayment, ModeSubscription},
	"payment_intent_data":          {ModePayment},
	"payment_method_collection":    {ModeSubscription},
	"saved_payment_method_options": {ModePayment, ModeSubscription},
	"setup_intent_data":            {ModeSetup},
	"shipping_options":             {ModePayment, ModeSubscription},
	"submit_type":                  {ModePayment, ModeSubscription},
	"subscription_data":            {ModeSubscription},
}

// uiGates: which pages a parameter may be used on.
var uiGates = map[string][]string{
	"after_expiration":       {uiHosted, uiEmbedded},
	"branding_settings":      {uiHosted, uiEmbedded},
	"cancel_url":             {uiHosted},
	"custom_fields":          {uiHosted, uiEmbedded},
	"custom_text":            {uiHosted, uiEmbedded},
	"optional_items":         {uiHosted, uiEmbedded},
	"origin_context":         {uiHosted, uiEmbedded},
	"permissions":            {uiEmbedded, uiCustom},
	"redirect_on_completion": {uiEmbedded},
	"return_url":             {uiEmbedded, uiCustom},
	"submit_type":            {uiHosted, uiEmbedded},
	"success_url":            {uiHosted},
}

// pairs are parameters of which Stripe takes one. That counts for false and "" too.
var pairs = [][2]string{
	{"allow_promotion_codes", "discounts"},
	{"excluded_payment_method_types", "payment_method_types"},
	{"subscription_data.billing_cycle_anchor", "subscription_data.billing_cycle_anchor_config"},
	{"subscription_data.trial_period_days", "subscription_data.trial_end"},
}

// needs: what a parameter with a certain value wants beside it. "" is any value.
var needs = []struct {
	path, value      string
	other, otherWant string // any of the values, split at spaces; "" is any
	text             string
	warning          bool
}{
	{"return_url", "", "redirect_on_completion", "! never", "nobody returns to it: redirect_on_completion is never", false},
	{
		"tax_id_collection.enabled", "true", "customer_update.name", "auto",
		"Stripe refuses it for existing customers, which all are: add customer_update {name: auto}", false,
	},
	{
		"customer_update.shipping", "auto", "shipping_address_collection", "",
		"there is no shipping address to keep: add shipping_address_collection", true,
	},
	{
		"consent_collection.terms_of_service", "required", "", "",
		"Stripe refuses it unless the account's public details in the Dashboard have a terms of service URL", true,
	},
	{
		"custom_text.terms_of_service_acceptance", "", "consent_collection.terms_of_service", "required",
		"it is shown only with consent_collection {terms_of_service: required}", true,
	},
	{
		"subscription_data.proration_behavior", "", "subscription_data.billing_cycle_anchor subscription_data.billing_cycle_anchor_config", "",
		"it matters only beside billing_cycle_anchor", true,
	},
	{
		"after_expiration.recovery.allow_promotion_codes", "true", "after_expiration.recovery.enabled", "true",
		"it matters only with recovery enabled", true,
	},
}

// oneOf are mappings with a member that says which others there are. A kind that needs
// none has "".
var oneOf = []struct {
	path, tag string
	kinds     map[string]string
}{
	{"automatic_tax.liability", "type", map[string]string{"account": "account", "self": ""}},
	{"invoice_creation.invoice_data.issuer", "type", map[string]string{"account": "account", "self": ""}},
	{"subscription_data.invoice_settings.issuer", "type", map[string]string{"account": "account", "self": ""}},
	{"branding_settings.icon", "type", map[string]string{"file": "file", "url": "url"}},
	{"branding_settings.logo", "type", map[string]string{"file": "file", "url": "url"}},
	{"subscription_data.billing_mode", "type", map[string]string{"classic": "", "flexible": "flexible?"}},
	{"custom_fields.*", "type", map[string]string{"dropdown": "dropdown", "numeric": "numeric?", "text": "text?"}},
	{
		"payment_method_options.customer_balance.bank_transfer", "type",
		map[string]string{"eu_bank_transfer": "eu_bank_transfer", "gb_bank_transfer": "", "jp_bank_transfer": "", "mx_bank_transfer": "", "us_bank_transfer": ""},
	},
	{"discounts.*", "", map[string]string{"coupon": "coupon", "promotion_code": "promotion_code"}},
	{"shipping_options.*", "", map[string]string{"shipping_rate": "shipping_rate", "shipping_rate_data": "shipping_rate_data"}},
}

// found is a value of a template and its place.
type found struct {
	at    string
	value any
}

// lookUp finds what stands at path below the parameters; * is every entry of a list.
func lookUp(params Params, path string) []found {
	all := []found{{"params", params}}
	for step := range strings.SplitSeq(path, ".") {
		var next []found
		for _, f := range all {
			switch v := f.value.(type) {
			case map[string]any:
				if member, ok := v[step]; ok {
					next = append(next, found{f.at + "." + step, member})
				}
			case []any:
				for i, one := range v {
					next = append(next, found{f.at + "." + strconv.Itoa(i), one})
				}
			}
		}
		all = next
	}
	return all
}

// has reports whether path is there with one of the values; none named: any.
func (p Plan) has(path string, values ...string) bool {
	return slices.ContainsFunc(lookUp(p.Params, path), func(f found) bool {
		word, _ := Scalar(f.value)
		return len(values) == 0 || slices.Contains(values, word)
	})
}

func (p Plan) checkTraps(j *judge) {
	p.checkModeGates(j)
	p.checkUIGates(j)
	p.checkPairs(j)
	p.checkNeeds(j)
	p.checkKinds(j)
	p.checkTax(j)
	p.checkSizes(j)
	p.checkCustomFields(j)
}

func (p Plan) checkModeGates(j *judge) {
	for _, name := range slices.Sorted(maps.Keys(p.Params)) {
		if modes, gated := modeGates[name]; gated && p.Mode.known() && !slices.Contains(modes, p.Mode) {
			j.add("params."+name, "Stripe refuses it in %s mode", p.Mode)
		}
	}
	switch {
	case p.Mode == ModeSetup && !p.has("currency") && !p.has("payment_method_types") && !p.AcceptsField(FieldCurrency):
		j.add("params.currency", "a setup plan needs currency or payment_method_types")
	case p.Mode == ModeSetup && p.has("automatic_tax.enabled", "true"):
		j.warn("params.automatic_tax", "a setup plan sells nothing that could be taxed")
	case p.Mode == ModeSubscription && p.has("shipping_options"):
		j.warn("params.shipping_options", "Stripe documents them for payment mode only")
	case p.Mode == ModeSubscription && p.has("submit_type") && j.rules.version() < newerVersion:
		j.warn("params.submit_type", "Stripe-Version %s may refuse it in subscription mode: %s takes it, %s does not", j.rules.version(), newerVersion, olderVersion)
	case p.Mode == ModePayment && p.has("submit_type", "subscribe"):
		j.warn("params.submit_type", "nothing is subscribed to in payment mode")
	}
}

// checkUIGates refuses what suits none of the plan's pages. What suits some of them is
// used with those.
func (p Plan) checkUIGates(j *judge) {
	fixed := p.UIMode()
	if !slices.Contains(allUIModes, fixed) {
		return // found already
	}
	if fixed == uiCustom {
		j.customAged("params.ui_mode")
	}
	pages := p.Pages()
	for _, name := range slices.Sorted(maps.Keys(p.Params)) {
		suits := func(page string) bool { return allowedOn(name, page) }
		if !slices.ContainsFunc(pages, suits) {
			j.add("params."+name, "Stripe refuses it with ui_mode %s", strings.Join(pages, " and "))
		}
	}
}

func (j *judge) customAged(at string) {
	if version := j.rules.version(); version < firstCustom {
		j.add(at, "Stripe-Version %s has no ui_mode custom: set stripe.version to 2025-03-31.basil or later", version)
	}
}

// allowedOn reports whether Stripe takes the parameter with a ui_mode. Of one that does
// not exist, which is found elsewhere, nothing is known.
func allowedOn(name, page string) bool {
	pages, gated := uiGates[name]
	return !gated || slices.Contains(pages, page) || !slices.Contains(allUIModes, page)
}

func (p Plan) checkPairs(j *judge) {
	for _, pair := range pairs {
		if p.has(pair[0]) && p.has(pair[1]) {
			j.add("params."+pair[0], "Stripe refuses it beside %s, whatever its value", lastStep(pair[1]))
		}
	}
	if p.has("discounts") && p.AcceptsField(FieldPromotionCode) {
		j.add("accepts", "promotion_code cannot be accepted beside fixed discounts: Stripe takes one")
	}
}

func (p Plan) checkNeeds(j *judge) {
	for _, n := range needs {
		if n.value != "" && !p.has(n.path, n.value) || !p.has(n.path) || p.meets(n.other, n.otherWant) {
			continue
		}
		if n.warning {
			j.warn("params."+n.path, "%s", n.text)
		} else {
			j.add("params."+n.path, "%s", n.text)
		}
	}
}

// meets reports whether one of the paths is there with one of the values; "! value"
// wants it absent.
func (p Plan) meets(paths, want string) bool {
	if value, absent := strings.CutPrefix(want, "! "); absent {
		return !p.has(paths, value)
	}
	return slices.ContainsFunc(strings.Fields(paths), func(path string) bool { return p.has(path, strings.Fields(want)...) })
}

func (p Plan) checkKinds(j *judge) {
	for _, rule := range oneOf {
		for _, f := range lookUp(p.Params, rule.path) {
			if m, ok := f.value.(map[string]any); ok {
				j.kinds(f.at, m, rule.tag, rule.kinds)
			}
		}
	}
}

// kinds judges a mapping of which a tag, or what is there, says what belongs to it.
func (j *judge) kinds(at string, m map[string]any, tag string, kinds map[string]string) {
	if tag == "" {
		var given []string
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			if _, ok := m[name]; ok {
				given = append(given, name)
			}
		}
		if len(given) != 1 {
			j.add(at, "give either %s", strings.Join(slices.Sorted(maps.Keys(kinds)), " or "))
		}
		return
	}
	kind, _ := m[tag].(string)
	if _, ok := kinds[kind]; !ok {
		return // the value itself is judged elsewhere
	}
	wants, optional := strings.CutSuffix(kinds[kind], "?")
	if _, given := m[wants]; wants != "" && !optional && !given {
		j.add(at+"."+wants, "is required with %s %s", tag, kind)
	}
	for _, member := range slices.Sorted(maps.Values(kinds)) {
		member = strings.TrimSuffix(member, "?")
		if _, given := m[member]; member != "" && member != wants && given {
			j.add(at+"."+member, "does not belong to %s %s", tag, kind)
		}
	}
}

func (p Plan) checkTax(j *judge) {
	if p.has("automatic_tax.enabled", "true") && !p.has("customer_update.address", "auto") && !p.has("customer_update.shipping", "auto") {
		j.add("params.automatic_tax", "Stripe refuses customers without an address: add customer_update {address: auto}")
	}
}

// checkSizes counts what shares a limit.
func (p Plan) checkSizes(j *judge) {
	optional, _ := p.Params["optional_items"].([]any)
	total, at := len(p.LineItems)+len(optional), "line_items"
	also := ""
	if len(optional) > 0 {
		also = ", optional_items included"
	}
	switch {
	case p.Mode == ModePayment && total > 100:
		j.add(at, "Stripe takes at most 100%s", also)
	case p.Mode == ModeSubscription && total > 40:
		j.add(at, "Stripe takes at most 20 recurring and 20 one-time ones%s", also)
	}
	for _, f := range slices.Concat(lookUp(p.Params, "optional_items.*.adjustable_quantity"), p.adjustable()) {
		m, _ := f.value.(map[string]any)
		least, hasLeast := m["minimum"].(int64)
		most, hasMost := m["maximum"].(int64)
		if hasLeast && hasMost && least > most {
			j.add(f.at, "its minimum is above its maximum")
		}
	}
}

func (p Plan) adjustable() []found {
	var all []found
	for i, item := range p.LineItems {
		if v, ok := item.Params["adjustable_quantity"]; ok {
			all = append(all, found{"line_items." + strconv.Itoa(i) + ".adjustable_quantity", v})
		}
	}
	return all
}

func (p Plan) checkCustomFields(j *judge) {
	seen := map[string]bool{}
	for _, f := range lookUp(p.Params, "custom_fields.*.key") {
		key, _ := Scalar(f.value)
		switch {
		case seen[key]:
			j.add(f.at, "%q is the key of another field", key)
		case strings.Trim(key, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "":
			j.warn(f.at, "Stripe's documentation has letters and digits only")
		}
		seen[key] = true
	}
	for _, kind := range []string{"numeric", "text"} {
		for _, f := range lookUp(p.Params, "custom_fields.*."+kind) {
			m, _ := f.value.(map[string]any)
			least, hasLeast := m["minimum_length"].(int64)
			most, hasMost := m["maximum_length"].(int64)
			if hasLeast && hasMost && least > most {
				j.add(f.at, "its minimum_length is above its maximum_length")
			}
		}
	}
}

func lastStep(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
