package billing

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"till/internal/catalog"
	"till/internal/problem"
)

// flowAsk is the flow that a caller asked for, after it was judged; the zero value is none.
type flowAsk struct {
	kind         string
	subscription string
	item         FlowItem
	// offered are the line items that item may become; nil when it names no price.
	offered       []catalog.LineItem
	coupon        string
	promotionCode string
	// set are the members of flow_data that need no look-up.
	set catalog.Params
}

// needsSubscription: all flows but one are about a subscription, so they are not for
// callers who cannot have one.
func (a flowAsk) needsSubscription() bool {
	return a.kind != "" && a.kind != catalog.FlowPaymentMethodUpdate
}

// flowMembers are the members of a flow, besides type and after_completion, that
// belong to each type.
var flowMembers = map[string][]string{
	catalog.FlowPaymentMethodUpdate:       nil,
	catalog.FlowSubscriptionCancel:        {"subscription", "retention"},
	catalog.FlowSubscriptionUpdate:        {"subscription"},
	catalog.FlowSubscriptionUpdateConfirm: {"subscription", "items", "discounts"},
}

func (s *Service) judgeFlow(v *verdict, portal catalog.Portal, req *FlowRequest) flowAsk {
	if req == nil {
		return flowAsk{}
	}
	ask := flowAsk{set: catalog.Params{}}
	switch {
	case req.Type == nil:
		v.refuse(problem.ValidationFailed, "/flow/type", "is required")
	case !slices.Contains(catalog.Flows(), *req.Type):
		v.refuse(problem.ValidationFailed, "/flow/type", "is not a flow of the Billing Portal")
	case !slices.Contains(portal.Flows, *req.Type):
		v.refuse(problem.CatalogNotAllowed, "/flow/type", "is not accepted by this portal")
	default:
		ask.kind, ask.set["type"] = *req.Type, *req.Type
	}
	if ask.kind != "" {
		refuseMisplaced(v, *req)
	}
	ask.subscription = judgeFlowSubscription(v, req.Subscription)
	if ask.kind == catalog.FlowSubscriptionUpdateConfirm {
		s.judgeFlowItems(v, req.Items, &ask)
	}
	judgeFlowDiscounts(v, portal, req.Discounts, &ask)
	judgeRetention(v, portal, req.Retention, ask.set)
	s.judgeCompletion(v, req.AfterCompletion, ask.set)
	return ask
}

func refuseMisplaced(v *verdict, req FlowRequest) {
	for _, member := range []struct {
		name string
		sent bool
	}{
		{"subscription", req.Subscription != nil},
		{"items", req.Items != nil},
		{"discounts", req.Discounts != nil},
		{"retention", req.Retention != nil},
	} {
		if member.sent && !slices.Contains(flowMembers[*req.Type], member.name) {
			v.refuse(problem.ValidationFailed, "/flow/"+member.name, "is not a member of this type of flow")
		}
	}
}

// notTheirs is all that is said of a subscription that the caller may not name: another
// owner's, an unknown one, and what is no id are the same.
const notTheirs = "is not a subscription of the caller"

func judgeFlowSubscription(v *verdict, id *string) string {
	if id == nil {
		return ""
	}
	if !catalog.ValidID(*id) {
		v.refuse(problem.ValidationFailed, "/flow/subscription", notTheirs)
	}
	return *id
}

const notAnItem = "is not an item of the subscription"

func (s *Service) judgeFlowItems(v *verdict, items []FlowItem, ask *flowAsk) {
	if len(items) != 1 {
		v.refuse(problem.ValidationFailed, "/flow/items", "must have exactly one entry")
		return
	}
	ask.item = items[0]
	if id := ask.item.ID; id != nil && !catalog.ValidID(*id) {
		v.refuse(problem.ValidationFailed, "/flow/items/0/id", notAnItem)
	}
	if ask.item.Price == nil {
		return
	}
	ask.offered = s.o.Catalog.Offered(*ask.item.Price)
	another := func(i catalog.LineItem) bool { return i.Price != ask.offered[0].Price }
	switch {
	case len(ask.offered) == 0:
		v.refuse(problem.CatalogNotAllowed, "/flow/items/0/price", "is not a price of this service")
	case slices.ContainsFunc(ask.offered, another):
		v.refuse(problem.CatalogNotAllowed, "/flow/items/0/price", "stands for several prices")
	case ask.item.Quantity != nil:
		judgeFlowQuantity(v, ask.offered, *ask.item.Quantity)
	}
}

// judgeFlowQuantity allows what one of the line items allows.
func judgeFlowQuantity(v *verdict, offered []catalog.LineItem, quantity int64) {
	var bounds []string
	for _, item := range offered {
		q := item.Quantity
		if q == nil {
			continue
		}
		if quantity >= q.Min && quantity <= q.Max {
			return
		}
		bounds = append(bounds, fmt.Sprintf("between %d and %d", q.Min, q.Max))
	}
	if bounds == nil {
		v.refuse(problem.CatalogNotAllowed, "/flow/items/0/quantity", "is not the caller's to choose for this price")
		return
	}
	v.refuse(problem.CatalogNotAllowed, "/flow/items/0/quantity", "must be "+strings.Join(slices.Compact(bounds), ", or "))
}

func judgeFlowDiscounts(v *verdict, portal catalog.Portal, discounts []FlowDiscount, ask *flowAsk) {
	const at = "/flow/discounts"
	if discounts == nil {
		return
	}
	if len(discounts) != 1 {
		v.refuse(problem.ValidationFailed, at, "must have exactly one entry; leave it out for none")
		return
	}
	switch d := discounts[0]; {
	case (d.Coupon == nil) == (d.PromotionCode == nil):
		v.refuse(problem.ValidationFailed, at+"/0", "needs either coupon or promotion_code")
	case d.Coupon != nil:
		ask.coupon = judgeCoupon(v, portal, at+"/0/coupon", *d.Coupon)
	case !validPromotionCode(*d.PromotionCode):
		v.refuse(problem.ValidationFailed, at+"/0/promotion_code", "must be 1 to 500 printable characters")
	default:
		ask.promotionCode = *d.PromotionCode
	}
}

func validPromotionCode(code string) bool { return code != "" && len(code) <= 500 && !hasControl(code) }

func judgeCoupon(v *verdict, portal catalog.Portal, pointer, coupon string) string {
	if !slices.Contains(portal.Coupons, coupon) {
		v.refuse(problem.CatalogNotAllowed, pointer, "is not a coupon of this portal")
	}
	return coupon
}

const couponOffer = "coupon_offer"

func judgeRetention(v *verdict, portal catalog.Portal, req *FlowRetention, set catalog.Params) {
	const at = "/flow/retention"
	switch {
	case req == nil:
		return
	case req.Type == nil:
		v.refuse(problem.ValidationFailed, at+"/type", "is required")
	case *req.Type != couponOffer:
		v.refuse(problem.ValidationFailed, at+"/type", "must be coupon_offer")
	}
	if req.CouponOffer == nil || req.CouponOffer.Coupon == nil {
		v.refuse(problem.ValidationFailed, at+"/coupon_offer/coupon", "is required")
		return
	}
	coupon := judgeCoupon(v, portal, at+"/coupon_offer/coupon", *req.CouponOffer.Coupon)
	set["retention"] = catalog.Params{"type": couponOffer, couponOffer: catalog.Params{"coupon": coupon}}
}

// The ways in which a flow can end.
const (
	completionConfirmation = "hosted_confirmation"
	completionHomepage     = "portal_homepage"
	completionRedirect     = "redirect"
)

func (s *Service) judgeCompletion(v *verdict, req *FlowCompletion, set catalog.Params) {
	const at = "/flow/after_completion"
	if req == nil {
		return
	}
	if req.Type == nil {
		v.refuse(problem.ValidationFailed, at+"/type", "is required")
		return
	}
	out := catalog.Params{"type": *req.Type}
	if !slices.Contains([]string{completionConfirmation, completionHomepage, completionRedirect}, *req.Type) {
		v.refuse(problem.ValidationFailed, at+"/type", "must be hosted_confirmation, portal_homepage or redirect")
		return
	}
	if req.HostedConfirmation != nil && *req.Type != completionConfirmation {
		v.refuse(problem.ValidationFailed, at+"/hosted_confirmation", "does not belong to this type")
	}
	if req.Redirect != nil && *req.Type != completionRedirect {
		v.refuse(problem.ValidationFailed, at+"/redirect", "does not belong to this type")
	}
	if *req.Type == completionRedirect {
		out[completionRedirect] = s.judgeFlowRedirect(v, req.Redirect)
	}
	if confirm := req.HostedConfirmation; confirm != nil && confirm.CustomMessage != nil {
		judgeMessage(v, *confirm.CustomMessage)
		out[completionConfirmation] = catalog.Params{"custom_message": *confirm.CustomMessage}
	}
	set["after_completion"] = out
}

// judgeFlowRedirect is judgeURL for a URL that no template has: left out, it is the
// default, as everywhere.
func (s *Service) judgeFlowRedirect(v *verdict, req *FlowRedirect) catalog.Params {
	const name = "flow/after_completion/redirect/return_url"
	if req == nil {
		req = &FlowRedirect{}
	}
	url := s.judgeURL(v, name, req.ReturnURL, nil)
	if req.ReturnURL == nil && url == "" {
		v.refuse(problem.ValidationFailed, "/"+name, "is required")
	}
	return catalog.Params{"return_url": url}
}

// maxMessage is Stripe's limit, in characters.
const maxMessage = 500

func judgeMessage(v *verdict, text string) {
	if n := utf8.RuneCountInString(text); n == 0 || n > maxMessage || hasControl(text) {
		v.refuse(problem.ValidationFailed, "/flow/after_completion/hosted_confirmation/custom_message",
			"must be 1 to 500 printable characters")
	}
}

// flowPointers are where the parts of flow_data come from in a request, by what Stripe's
// name of a parameter ends with. The first that fits counts.
var flowPointers = []struct{ param, pointer string }{
	{"[coupon_offer]", "/flow/retention/coupon_offer/coupon"},
	{"[discounts]", "/flow/discounts/0"},
	{"[quantity]", "/flow/items/0/quantity"},
	{"[price]", "/flow/items/0/price"},
	{"[items]", "/flow/items/0"},
	{"[after_completion]", "/flow/after_completion"},
	{"[subscription]", "/flow/subscription"},
}

// flowPointer is the member of the request that Stripe's param came from; "" for none.
func flowPointer(param string) string {
	if !strings.HasPrefix(param, "flow_data[") {
		return ""
	}
	for _, p := range flowPointers {
		if strings.Contains(param, p.param) {
			return p.pointer
		}
	}
	return ""
}
