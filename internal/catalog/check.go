package catalog

import (
	"fmt"
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
func (p Plan) Check(r Rules) []Finding {
	j := &judge{rules: r, root: checkoutShape()}
	p.UIModes = p.choosable(r)
	if !p.Mode.known() {
		j.add("mode", "must be payment, setup or subscription")
	}
	p.checkLineItems(j)
	p.checkAccepts(j)
	p.checkChoices(j)
	j.members("params", j.root, p.Params, sessionOurs)
	j.unchecked("params_unchecked", j.root, p.Unchecked, sessionOurs)
	p.checkTraps(j)
	return j.findings
}

// Check returns everything wrong with the portal template.
func (p Portal) Check(r Rules) []Finding {
	j := &judge{rules: r, root: portalShape()}
	j.members("params", j.root, p.Params, sessionOurs)
	j.unchecked("params_unchecked", j.root, p.Unchecked, sessionOurs)
	for _, policy := range []struct{ name, value, other string }{
		{"missing_customer", p.MissingCustomer, "create"}, {"deleted_customer", p.DeletedCustomer, "recreate"},
	} {
		if policy.value != "" && policy.value != policy.other && policy.value != Refuse {
			j.add(policy.name, "must be %s or %s", policy.other, Refuse)
		}
	}
	p.checkFlows(j)
	return j.findings
}

func (p Portal) checkFlows(j *judge) {
	for i, flow := range p.Flows {
		at := fmt.Sprintf("flows.%d", i)
		switch {
		case !slices.Contains(flows, flow):
			j.add(at, "unknown flow %q%s", flow, didYouMean(Nearest(flow, flows)))
		case slices.Index(p.Flows, flow) != i:
			j.add(at, "%q is listed twice", flow)
		}
	}
	for i, coupon := range p.Coupons {
		at := fmt.Sprintf("coupons.%d", i)
		switch {
		case !ValidCouponID(coupon):
			j.add(at, "%q does not look like the id of a coupon", coupon)
		case slices.Index(p.Coupons, coupon) != i:
			j.add(at, "%q is listed twice", coupon)
		}
	}
	if len(p.Coupons) > 0 && !slices.Contains(p.Flows, FlowSubscriptionCancel) && !slices.Contains(p.Flows, FlowSubscriptionUpdateConfirm) {
		j.add("coupons", "no flow takes one: add %s or %s to flows", FlowSubscriptionCancel, FlowSubscriptionUpdateConfirm)
	}
}

func (p Plan) checkLineItems(j *judge) {
	switch {
	case p.Mode == ModeSetup && len(p.LineItems) > 0:
		j.add("line_items", "a setup plan sells nothing: remove them")
	case p.Mode != ModeSetup && p.Mode.known() && len(p.LineItems) == 0:
		j.add("line_items", "at least one is required in %s mode", p.Mode)
	}
	takes := checkoutShape().at("line_items").elem
	for i, item := range p.LineItems {
		at := fmt.Sprintf("line_items.%d", i)
		if (item.Price.ID == "") == (item.Price.LookupKey == "") {
			j.add(at+".price", "give either id or lookup_key")
		}
		if item.Price.ID != "" && !ValidPriceID(item.Price.ID) {
			j.add(at+".price.id", "%q does not look like a price id", item.Price.ID)
		}
		if len(item.Price.LookupKey) > maxLookupKey {
			j.add(at+".price.lookup_key", "Stripe takes at most %d characters", maxLookupKey)
		}
		if item.Name != "" && !validAlias(item.Name) {
			j.add(at+".name", "use 1 to 64 letters, digits, and . _ : -")
		}
		if q := item.Quantity; q != nil && (q.Min < 1 || q.Max < q.Min || q.Default < q.Min || q.Default > q.Max || q.Max > 999999) {
			j.add(at+".quantity", "needs 1 ≤ min ≤ default ≤ max ≤ 999999")
		}
		j.members(at, takes, item.Params, lineItemOurs)
		j.unchecked(at+".params_unchecked", takes, item.Unchecked, lineItemOurs)
	}
}

// maxLookupKey is Stripe's limit, in characters.
const maxLookupKey = 200

// validAlias judges a name that callers write.
func validAlias(name string) bool {
	const allowed = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-"
	return name != "" && len(name) <= 64 && strings.Trim(name, allowed) == ""
}

func (p Plan) checkAccepts(j *judge) {
	for i, field := range p.Accepts {
		at := fmt.Sprintf("accepts.%d", i)
		switch {
		case !slices.Contains(fields, field):
			j.add(at, "unknown field %q%s", field, didYouMean(nearestField(field)))
		case slices.Index(p.Accepts, field) != i:
			j.add(at, "%q is listed twice", field)
		default:
			p.checkAccepted(j, at, field)
		}
	}
	if p.AcceptsField(FieldLineItems) {
		p.checkAliases(j)
	}
}

func (p Plan) checkAccepted(j *judge, at string, field Field) {
	pages := p.Pages()
	reachable := func(name string) bool {
		return slices.ContainsFunc(pages, func(page string) bool { return allowedOn(name, page) })
	}
	switch {
	case field == FieldQuantity && p.AcceptsField(FieldLineItems):
		j.add(at, "beside line_items, which have quantities of their own, it would be ambiguous")
	case field == FieldQuantity && (len(p.LineItems) != 1 || p.LineItems[0].Quantity == nil):
		j.add(at, "a caller's quantity needs exactly one line item, with quantity bounds")
	case (field == FieldLineItems || field == FieldPromotionCode) && p.Mode == ModeSetup:
		j.add(at, "a setup plan has nothing to %s", map[Field]string{FieldLineItems: "choose from", FieldPromotionCode: "discount"}[field])
	case (field == FieldSuccessURL || field == FieldCancelURL) && !reachable(string(field)):
		j.add(at, "only hosted pages have it; this plan is %s", strings.Join(pages, " and "))
	case field == FieldReturnURL && p.Params["redirect_on_completion"] == "never":
		j.add(at, "nobody returns: redirect_on_completion is never")
	case field == FieldReturnURL && !reachable(string(field)):
		j.add(at, "hosted pages have success_url and cancel_url instead")
	}
}

// checkAliases wants callers to be able to tell the items apart.
func (p Plan) checkAliases(j *judge) {
	seen := map[string]int{}
	for i, item := range p.LineItems {
		if first, twice := seen[item.Alias()]; twice && item.Alias() != "" {
			j.add(fmt.Sprintf("line_items.%d", i), "has the name %q of item %d: give it another with name", item.Alias(), first)
			continue
		}
		seen[item.Alias()] = i
	}
}

// Ambiguous returns the names of line items that stand for different prices in
// different plans, as findings at the later ones; their paths begin with "plans". A
// portal's flows name prices without naming a plan.
func Ambiguous(plans []Plan) []Finding {
	var f findings
	first := map[string]PriceRef{}
	for _, p := range plans {
		for i, item := range p.LineItems {
			price, taken := first[item.Alias()]
			if taken && price != item.Price {
				f.add(fmt.Sprintf("plans.%s.line_items.%d", p.Name, i),
					"%q names another price in another plan, and the flows of a portal name prices of all plans: give it another name", item.Alias())
				continue
			}
			first[item.Alias()] = item.Price
		}
	}
	return f
}

func nearestField(name Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	return Nearest(string(name), names)
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

// ValidCouponID is ValidID for coupons and promotion codes, whose ids people choose, too:
// with hyphens.
func ValidCouponID(id string) bool { return ValidID(strings.ReplaceAll(id, "-", "_")) }

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", name)
}
