package catalog

import (
	"maps"
	"slices"
)

// The deep-link flows of the Billing Portal, by Stripe's names.
const (
	FlowPaymentMethodUpdate       = "payment_method_update"
	FlowSubscriptionCancel        = "subscription_cancel"
	FlowSubscriptionUpdate        = "subscription_update"
	FlowSubscriptionUpdateConfirm = "subscription_update_confirm"
)

var flows = []string{
	FlowPaymentMethodUpdate, FlowSubscriptionCancel, FlowSubscriptionUpdate, FlowSubscriptionUpdateConfirm,
}

// Flows returns every flow that a portal can list.
func Flows() []string { return slices.Clone(flows) }

// FlowFeature is the feature of a portal configuration that flow needs, by Stripe's name.
func FlowFeature(flow string) string {
	if flow == FlowSubscriptionUpdateConfirm {
		return FlowSubscriptionUpdate
	}
	return flow
}

// Configuration is the id of the portal configuration at Stripe that the template names;
// "" for the account's default.
func (p Portal) Configuration() string {
	id, _ := p.Params["configuration"].(string)
	return id
}

// Portals returns every portal template by name; "default" is always among them.
func (c *Catalog) Portals() []Portal {
	all := maps.Clone(c.portals)
	all["default"], _ = c.Portal("default")
	var sorted []Portal
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// Offered returns the line items of all plans, in the order of the plans' names, that
// callers know by alias.
func (c *Catalog) Offered(alias string) []LineItem {
	return c.lineItems(func(i LineItem) bool { return i.Alias() == alias })
}

// Selling returns the line items of all plans, in that order, whose price has the id at
// the moment.
func (c *Catalog) Selling(priceID string) []LineItem {
	return c.lineItems(func(i LineItem) bool {
		price, ok := c.Price(i.Price)
		return ok && price.ID == priceID
	})
}

func (c *Catalog) lineItems(match func(LineItem) bool) []LineItem {
	var found []LineItem
	for _, name := range slices.Sorted(maps.Keys(c.plans)) {
		for _, item := range c.plans[name].LineItems {
			if match(item) {
				found = append(found, item)
			}
		}
	}
	return found
}
