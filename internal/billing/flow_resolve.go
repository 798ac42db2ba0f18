package billing

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// FlowTarget is what a flow needs to know of a subscription.
type FlowTarget struct {
	ID ID
	// Customer or CustomerAccount is whose it is.
	Customer, CustomerAccount ID
	Status                    string
	Items                     []FlowTargetItem
	// MoreItems says that Items are not all of them.
	MoreItems bool
}

// FlowTargetItem is an item of a subscription. Quantity is nil for metered prices.
type FlowTargetItem struct {
	ID, Price ID
	Quantity  *int64
}

// FlowTargets reads subscriptions from Stripe.
type FlowTargets interface {
	// FlowTarget reads one subscription, or fails with an error that satisfies
	// catalog.IsMissing. Whose it is, is for the caller to judge.
	FlowTarget(ctx context.Context, id string) (FlowTarget, error)
	// FlowTargetsOf reads the customer's subscriptions that are not canceled: the
	// newest hundred, and whether there are more.
	FlowTargetsOf(ctx context.Context, customer customers.Customer) (_ []FlowTarget, more bool, _ error)
}

// over are the statuses that a subscription does not come back from; in the others but
// incomplete it is live.
var over = []string{"canceled", "incomplete_expired"}

func (t FlowTarget) live() bool { return t.Status != "incomplete" && !slices.Contains(over, t.Status) }

func (t FlowTarget) belongsTo(c customers.Customer) bool {
	return c.Has(string(t.Customer), string(t.CustomerAccount))
}

// flowData is flow_data for the customer, with everything looked up; nil for no flow.
func (s *Service) flowData(ctx context.Context, customer customers.Customer, ask flowAsk) (catalog.Params, error) {
	if ask.kind == "" {
		return nil, nil
	}
	data := maps.Clone(ask.set)
	if !ask.needsSubscription() {
		return data, nil
	}
	target, err := s.flowTarget(ctx, customer, ask)
	if err != nil {
		return nil, err
	}
	part := catalog.Params{"subscription": string(target.ID)}
	data[ask.kind] = part
	if retention, ok := data["retention"]; ok {
		delete(data, "retention")
		part["retention"] = retention
	}
	if ask.kind != catalog.FlowSubscriptionUpdateConfirm {
		return data, nil
	}
	item, err := s.flowItem(target, ask)
	if err != nil {
		return nil, err
	}
	part["items"] = []any{item}
	discount, err := s.flowDiscount(ctx, ask)
	if discount != nil {
		part["discounts"] = []any{discount}
	}
	return data, err
}

func refuseTarget(detail string) error {
	return problem.At(problem.ValidationFailed, "/flow/subscription", detail)
}

// flowTarget is the caller's subscription that the flow is about: the one named, or the
// only live one.
func (s *Service) flowTarget(ctx context.Context, customer customers.Customer, ask flowAsk) (FlowTarget, error) {
	if ask.subscription == "" {
		return s.onlyTarget(ctx, customer)
	}
	target, err := s.o.Stripe.FlowTarget(ctx, ask.subscription)
	switch {
	case catalog.IsMissing(err):
		return target, refuseTarget(notTheirs)
	case err != nil:
		return target, err
	case !target.belongsTo(customer):
		s.metrics.foreign.Inc()
		return FlowTarget{}, refuseTarget(notTheirs)
	case slices.Contains(over, target.Status):
		return target, refuseTarget("has ended")
	}
	return target, nil
}

func (s *Service) onlyTarget(ctx context.Context, customer customers.Customer) (FlowTarget, error) {
	all, more, err := s.o.Stripe.FlowTargetsOf(ctx, customer)
	if err != nil {
		return FlowTarget{}, err
	}
	live := slices.DeleteFunc(all, func(t FlowTarget) bool { return !t.live() })
	switch {
	case len(live) > 1 || more:
		return FlowTarget{}, refuseTarget("is required: the caller has several")
	case len(live) == 0:
		return FlowTarget{}, refuseTarget("the caller has no live subscription")
	}
	return live[0], nil
}

// flowItem is what the item of the subscription is to become.
func (s *Service) flowItem(target FlowTarget, ask flowAsk) (catalog.Params, error) {
	item, err := pickItem(target, ask.item)
	if err != nil {
		return nil, err
	}
	out := catalog.Params{"id": string(item.ID)}
	offered, quantity := ask.offered, ask.item.Quantity
	switch {
	case offered != nil:
		price, err := s.flowPrice(offered[0])
		if err != nil {
			return nil, err
		}
		out["price"] = price.ID
		if quantity == nil && !price.Metered {
			// What the customer has now must be something the new price may be sold in.
			quantity = item.Quantity
		}
	case quantity != nil:
		// The present price stays, and so do the bounds that it is sold with.
		if offered = s.o.Catalog.Selling(string(item.Price)); offered == nil {
			return nil, problem.At(problem.CatalogNotAllowed, "/flow/items/0/price", "is required: the present one is not for sale any more")
		}
	case ask.coupon == "" && ask.promotionCode == "":
		return nil, problem.At(problem.ValidationFailed, "/flow/items/0", "needs price or quantity")
	}
	if ask.item.Quantity != nil {
		out["quantity"] = *ask.item.Quantity
	}
	return out, judgeResultingQuantity(offered, quantity, ask.item.Quantity == nil)
}

// judgeResultingQuantity holds the quantity that comes out to the bounds of what is
// offered. A kept quantity of 1 is what an item without bounds is sold in.
func judgeResultingQuantity(offered []catalog.LineItem, quantity *int64, kept bool) error {
	fixed := func(i catalog.LineItem) bool { return i.Quantity == nil }
	if quantity == nil || offered == nil || kept && *quantity == 1 && slices.ContainsFunc(offered, fixed) {
		return nil
	}
	var v verdict
	judgeFlowQuantity(&v, offered, *quantity)
	return v.err()
}

// pickItem finds the item that the caller names, or the only one.
func pickItem(target FlowTarget, asked FlowItem) (FlowTargetItem, error) {
	if asked.ID == nil {
		if len(target.Items) != 1 || target.MoreItems {
			return FlowTargetItem{}, problem.At(problem.ValidationFailed, "/flow/items/0/id", "is required: the subscription has several items")
		}
		return target.Items[0], nil
	}
	for _, item := range target.Items {
		if string(item.ID) == *asked.ID {
			return item, nil
		}
	}
	return FlowTargetItem{}, problem.At(problem.ValidationFailed, "/flow/items/0/id", notAnItem)
}

// flowPrice is the price of the moment.
func (s *Service) flowPrice(item catalog.LineItem) (catalog.Price, error) {
	price, ok := s.o.Catalog.Price(item.Price)
	switch {
	case ok && !price.Recurring:
		return price, problem.At(problem.CatalogNotAllowed, "/flow/items/0/price", "is not a price of subscriptions")
	case ok:
		return price, nil
	case !s.o.Catalog.Resolved():
		return price, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: time.Second,
			Err: errors.New("the prices have not been read from Stripe yet"),
		}
	default:
		return price, problem.New(problem.PlanUnavailable, errors.New("no active price "+item.Price.String()+" at Stripe"))
	}
}

// flowDiscount is the discount as Stripe wants it; nil for none.
func (s *Service) flowDiscount(ctx context.Context, ask flowAsk) (catalog.Params, error) {
	switch {
	case ask.coupon != "":
		return catalog.Params{"coupon": ask.coupon}, nil
	case ask.promotionCode == "":
		return nil, nil
	}
	id, err := s.o.Stripe.PromotionCodeID(ctx, ask.promotionCode)
	if catalog.IsMissing(err) {
		return nil, problem.At(problem.ValidationFailed, "/flow/discounts/0/promotion_code", "is not an active promotion code")
	}
	if err != nil {
		return nil, err
	}
	return catalog.Params{"promotion_code": id}, nil
}
