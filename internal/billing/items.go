package billing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"till/internal/catalog"
	"till/internal/problem"
)

// choice is one line item to sell, and what the caller said of its quantity.
type choice struct {
	catalog.LineItem
	// wanted is the caller's quantity; nil leaves it to the plan. pointer is where it
	// stood in the request.
	wanted  *int64
	pointer string
}

// judgeItems returns what is to be sold: all that the plan lists, or of it what the
// caller names.
func judgeItems(v *verdict, plan catalog.Plan, req CheckoutRequest) []choice {
	if req.LineItems == nil || !plan.AcceptsField(catalog.FieldLineItems) {
		return allItems(v, plan, req.Quantity)
	}
	if req.Quantity != nil && plan.AcceptsField(catalog.FieldQuantity) {
		v.refuse(problem.ValidationFailed, "/quantity", "cannot be given beside line_items, which have their own")
	}
	return judgeChoices(v, plan, req.LineItems)
}

// judgeChoices returns what wishes name of the plan.
func judgeChoices(v *verdict, plan catalog.Plan, wishes []CheckoutItem) []choice {
	const at = "/line_items"
	switch {
	case len(wishes) == 0:
		v.refuse(problem.ValidationFailed, at, "must name at least one")
	case len(wishes) > len(plan.LineItems):
		v.refuse(problem.CatalogNotAllowed, at, "names more than the plan has")
		return nil
	}
	var choices []choice
	seen := map[string]bool{}
	for i, wish := range wishes {
		if c, ok := judgeItem(v, plan, wish, fmt.Sprintf("%s/%d", at, i), seen); ok {
			choices = append(choices, c)
		}
	}
	return choices
}

func allItems(v *verdict, plan catalog.Plan, quantity *int64) []choice {
	choices := make([]choice, len(plan.LineItems))
	for i, item := range plan.LineItems {
		choices[i] = choice{LineItem: item}
	}
	if quantity != nil && plan.AcceptsField(catalog.FieldQuantity) && len(choices) > 0 {
		choices[0].wanted, choices[0].pointer = quantity, "/quantity"
		choices[0].judge(v)
	}
	return choices
}

func judgeItem(v *verdict, plan catalog.Plan, wish CheckoutItem, at string, seen map[string]bool) (choice, bool) {
	if wish.Price == nil {
		v.refuse(problem.ValidationFailed, at+"/price", "is required")
		return choice{}, false
	}
	named := func(item catalog.LineItem) bool { return item.Alias() == *wish.Price }
	i := slices.IndexFunc(plan.LineItems, named)
	switch {
	case i < 0:
		v.refuse(problem.CatalogNotAllowed, at+"/price", "is no line item of this plan")
		return choice{}, false
	case seen[*wish.Price]:
		v.refuse(problem.ValidationFailed, at+"/price", "is there twice")
		return choice{}, false
	}
	seen[*wish.Price] = true
	c := choice{plan.LineItems[i], wish.Quantity, at + "/quantity"}
	c.judge(v)
	return c, true
}

// judge holds the caller's quantity against the plan's bounds.
func (c choice) judge(v *verdict) {
	switch q := c.Quantity; {
	case c.wanted == nil:
	case q == nil:
		v.refuse(problem.CatalogNotAllowed, c.pointer, "cannot be chosen for this item")
	case *c.wanted < q.Min || *c.wanted > q.Max:
		v.refuse(problem.CatalogNotAllowed, c.pointer, fmt.Sprintf("must be between %d and %d", q.Min, q.Max))
	}
}

// lineItems writes the choices with the prices of the moment.
func (s *Service) lineItems(plan catalog.Plan, choices []choice) ([]any, error) {
	if len(choices) > 0 && !s.o.Catalog.Resolved() {
		// An outage is not the plan's fault, and is over when Stripe answers.
		return nil, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: time.Second,
			Err: errors.New("the prices have not been read from Stripe yet"),
		}
	}
	items, recurring := make([]any, 0, len(choices)), false
	for _, c := range choices {
		price, ok := s.o.Catalog.Price(c.Price)
		if !ok {
			return nil, problem.New(problem.PlanUnavailable,
				fmt.Errorf("plan %s: no active price %s at Stripe", plan.Name, c.Price))
		}
		if price.Metered && c.wanted != nil {
			return nil, problem.At(problem.CatalogNotAllowed, c.pointer, "cannot be chosen: it is metered")
		}
		items, recurring = append(items, c.params(price)), recurring || price.Recurring
	}
	if plan.Mode == catalog.ModeSubscription && !recurring && len(choices) < len(plan.LineItems) {
		// Of the plan itself, the operator has been told.
		return nil, problem.At(problem.CatalogNotAllowed, "/line_items", "must name something that recurs")
	}
	return items, nil
}

// params is the item as Stripe wants it.
func (c choice) params(price catalog.Price) catalog.Params {
	out := make(catalog.Params, len(c.Params)+2)
	maps.Copy(out, c.Params)
	out["price"] = price.ID
	switch {
	case price.Metered:
		// Stripe refuses any quantity.
	case c.wanted != nil:
		out["quantity"] = *c.wanted
	case c.Quantity != nil:
		out["quantity"] = c.Quantity.Default
	default:
		out["quantity"] = int64(1)
	}
	return out
}
