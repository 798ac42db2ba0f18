package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Finding is something wrong with a template. Path is the place below the plan
// or portal, members joined by dots and indexes as numbers: "line_items.0.price".
type Finding struct {
	Path string
	Text string
	// Warning marks what looks wrong but is left for Stripe to judge.
	Warning bool
}

type findings []Finding

func (f *findings) add(path, format string, args ...any) {
	*f = append(*f, Finding{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (f *findings) warn(path, format string, args ...any) {
	*f = append(*f, Finding{Path: path, Text: fmt.Sprintf(format, args...), Warning: true})
}

// Check returns everything that Stripe would refuse, or that could not be right,
// in p. It needs no network.
func (p Plan) Check() []Finding {
	var f findings
	if !slices.Contains([]Mode{ModePayment, ModeSetup, ModeSubscription}, p.Mode) {
		f.add("mode", "must be payment, setup or subscription")
	}
	p.checkLineItems(&f)
	p.checkAccepts(&f)
	checkNames(&f, "params", p.Params, checkoutParams, sessionOurs)
	p.checkModeGates(&f)
	p.checkUIGates(&f)
	p.checkPromotions(&f)
	p.checkTax(&f)
	checkMetadata(&f, "params.metadata", p.Params["metadata"])
	for _, name := range []string{"payment_intent_data", "setup_intent_data", "subscription_data"} {
		if data, ok := p.Params[name].(map[string]any); ok {
			checkMetadata(&f, "params."+name+".metadata", data["metadata"])
		}
	}
	if l, ok := p.Params["locale"].(string); ok && !IsCheckoutLocale(l) {
		f.add("params.locale", "%q is not a Checkout locale", l)
	}
	return f
}

// Check returns everything wrong with the portal template.
func (p Portal) Check() []Finding {
	var f findings
	checkNames(&f, "params", p.Params, portalParams, sessionOurs)
	if l, ok := p.Params["locale"].(string); ok && !IsPortalLocale(l) {
		f.add("params.locale", "%q is not a Billing Portal locale", l)
	}
	for _, policy := range []struct{ name, value, other string }{
		{"missing_customer", p.MissingCustomer, "create"}, {"deleted_customer", p.DeletedCustomer, "recreate"},
	} {
		if policy.value != "" && policy.value != policy.other && policy.value != Refuse {
			f.add(policy.name, "must be %s or %s", policy.other, Refuse)
		}
	}
	for i, flow := range p.Flows {
		if !slices.Contains(flows, flow) {
			f.add(fmt.Sprintf("flows.%d", i), "unknown flow %q%s", flow, didYouMean(Nearest(flow, flows)))
		}
	}
	return f
}

func (p Plan) checkLineItems(f *findings) {
	switch {
	case p.Mode == ModeSetup && len(p.LineItems) > 0:
		f.add("line_items", "a setup plan sells nothing: remove them")
	case p.Mode != ModeSetup && len(p.LineItems) == 0:
		f.add("line_items", "at least one is required in %s mode", p.Mode)
	case p.Mode == ModePayment && len(p.LineItems) > 100:
		f.add("line_items", "Stripe takes at most 100")
	case p.Mode == ModeSubscription && len(p.LineItems) > 40:
		f.add("line_items", "Stripe takes at most 20 recurring and 20 one-time ones")
	}
	for i, item := range p.LineItems {
		at := fmt.Sprintf("line_items.%d", i)
		if (item.Price.ID == "") == (item.Price.LookupKey == "") {
			f.add(at+".price", "give either id or lookup_key")
		}
		if item.Price.ID != "" && !ValidPriceID(item.Price.ID) {
			f.add(at+".price.id", "%q does not look like a price id", item.Price.ID)
		}
		if q := item.Quantity; q != nil && (q.Min < 1 || q.Max < q.Min || q.Default < q.Min || q.Default > q.Max || q.Max > 999999) {
			f.add(at+".quantity", "needs 1 ≤ min ≤ default ≤ max ≤ 999999")
		}
		checkNames(f, at, item.Params, lineItemParams, lineItemOurs)
	}
}

func (p Plan) checkAccepts(f *findings) {
	for i, field := range p.Accepts {
		at := fmt.Sprintf("accepts.%d", i)
		switch {
		case !slices.Contains(fields, field):
			f.add(at, "unknown field %q%s", field, didYouMean(nearestField(field)))
		case slices.Index(p.Accepts, field) != i:
			f.add(at, "%q is listed twice", field)
		case field == FieldLineItems || field == FieldUIMode:
			f.add(at, "%q is not available in this version", field)
		case field == FieldQuantity && (len(p.LineItems) != 1 || p.LineItems[0].Quantity == nil):
			f.add(at, "a caller's quantity needs exactly one line item, with quantity bounds")
		case field == FieldPromotionCode && p.Mode == ModeSetup:
			f.add(at, "a setup plan has nothing to discount")
		case (field == FieldSuccessURL || field == FieldCancelURL) && p.UIMode() != "hosted":
			f.add(at, "only hosted pages have it; this plan is %s", p.UIMode())
		case field == FieldReturnURL && p.Params["redirect_on_completion"] == "never":
			f.add(at, "nobody returns: redirect_on_completion is never")
		case field == FieldReturnURL && p.UIMode() == "hosted":
			f.add(at, "hosted pages have success_url and cancel_url instead")
		}
	}
	if p.Once {
		f.add("once", "not available in this version; remove it, and guard against a second subscription yourself")
	}
}

func nearestField(name Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	return Nearest(string(name), names)
}

func checkNames(f *findings, below string, params Params, known map[string]kind, ours map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		at := below + "." + name
		want, ok := known[name]
		why, isOurs := ours[name]
		switch {
		case !ok:
			f.add(at, "Stripe has no such parameter%s", didYouMean(nearestKey(name, known)))
		case isOurs:
			f.add(at, "cannot be set here: %s", why)
		case params[name] == nil:
			f.add(at, "has no value")
		case kindOf(params[name]) != want:
			f.add(at, "must be %s", [...]string{"a single value", "a list", "a mapping"}[want])
		}
	}
}

func kindOf(v any) kind {
	switch v.(type) {
	case []any:
		return list
	case map[string]any:
		return object
	default:
		return scalar
	}
}

// modeGates: which modes a parameter may be used in.
var modeGates = map[string][]Mode{
	"payment_method_collection": {ModeSubscription},
	"subscription_data":         {ModeSubscription},
	"submit_type":               {ModePayment, ModeSubscription},
	"payment_intent_data":       {ModePayment},
	"invoice_creation":          {ModePayment},
	"setup_intent_data":         {ModeSetup},
	"discounts":                 {ModePayment, ModeSubscription},
	"allow_promotion_codes":     {ModePayment, ModeSubscription},
}

func (p Plan) checkModeGates(f *findings) {
	for _, name := range slices.Sorted(maps.Keys(p.Params)) {
		if modes, gated := modeGates[name]; gated && !slices.Contains(modes, p.Mode) {
			f.add("params."+name, "Stripe refuses it in %s mode", p.Mode)
		}
	}
	_, hasCurrency := p.Params["currency"]
	_, hasTypes := p.Params["payment_method_types"]
	if p.Mode == ModeSetup && !hasCurrency && !hasTypes && !p.AcceptsField(FieldCurrency) {
		f.add("params", "a setup plan needs currency or payment_method_types")
	}
}

func (p Plan) checkUIGates(f *findings) {
	hosted := p.UIMode() == "hosted"
	if mode := p.UIMode(); mode != "hosted" && mode != "embedded" {
		f.add("params.ui_mode", "must be hosted or embedded (hosted_page or embedded_page)")
	}
	forbidden := []string{"return_url", "redirect_on_completion"}
	if !hosted {
		forbidden = []string{"success_url", "cancel_url", "submit_type"}
	}
	for _, name := range forbidden {
		if _, set := p.Params[name]; set {
			f.add("params."+name, "Stripe refuses it with ui_mode %s", p.UIMode())
		}
	}
}

func (p Plan) checkPromotions(f *findings) {
	_, allow := p.Params["allow_promotion_codes"]
	_, discounts := p.Params["discounts"]
	switch {
	case allow && discounts:
		// Stripe refuses the pair even when the first one is false.
		f.add("params.allow_promotion_codes", "Stripe refuses it beside discounts, whatever its value")
	case discounts && p.AcceptsField(FieldPromotionCode):
		f.add("accepts", "promotion_code cannot be accepted beside fixed discounts: Stripe takes one")
	}
}

func (p Plan) checkTax(f *findings) {
	tax, _ := p.Params["automatic_tax"].(map[string]any)
	if enabled, _ := tax["enabled"].(bool); !enabled {
		return
	}
	update, _ := p.Params["customer_update"].(map[string]any)
	if update["address"] != "auto" && update["shipping"] != "auto" {
		f.add("params.automatic_tax", "Stripe refuses customers without an address: add customer_update {address: auto}")
	}
}

// MaxMetadataKeys is what is left of the 50 keys that Stripe takes: the service
// writes five of its own.
const MaxMetadataKeys = 45

func checkMetadata(f *findings, at string, value any) {
	metadata, ok := value.(map[string]any)
	if !ok {
		return
	}
	if len(metadata) > MaxMetadataKeys {
		f.add(at, "may have at most %d keys: Stripe takes 50, and the service writes the others", MaxMetadataKeys)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		switch text, isScalar := Scalar(metadata[key]); {
		case strings.HasPrefix(key, "till_"):
			f.add(at+"."+key, "keys that begin with till_ are written by the service")
		case !isScalar:
			f.add(at+"."+key, "must be a single value")
		case !ValidMetadataKey(key):
			f.add(at+"."+key, "Stripe takes keys of 1 to 40 characters without [ and ]")
		case len([]rune(text)) > 500:
			f.add(at+"."+key, "Stripe takes values of at most 500 characters")
		}
	}
}

// ValidMetadataKey reports whether Stripe takes key in metadata.
func ValidMetadataKey(key string) bool {
	n := len([]rune(key))
	return n >= 1 && n <= 40 && !strings.ContainsAny(key, "[]")
}

// ValidID judges the shape of any Stripe id: opaque, 1 to 255 characters, and
// nothing that could reach another path at Stripe, as an empty one or a dot would.
func ValidID(id string) bool {
	if id == "" || len(id) > 255 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

// ValidPriceID is ValidID for prices. Those that began as plans have the ids that
// people gave them, with hyphens and dots.
func ValidPriceID(id string) bool {
	return strings.Trim(id, ".") != "" && ValidID(strings.NewReplacer("-", "_", ".", "_").Replace(id))
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", name)
}
