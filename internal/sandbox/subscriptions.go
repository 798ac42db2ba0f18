package sandbox

import "slices"

func subscriptionOperations() []operation {
	const one = "/v1/subscriptions/{subscription}"
	return []operation{
		{"subscriptions.retrieve", "GET " + one, retrieve("subscription", "subscription")},
		{"subscriptions.list", "GET /v1/subscriptions", listSubscriptions},
		{"subscriptions.update", "POST " + one, updateSubscription},
		{"subscriptions.cancel", "DELETE " + one, cancelSubscription},
	}
}

// listSubscriptions leaves canceled ones out unless asked, as Stripe does.
func listSubscriptions(c *call) (any, error) {
	if id := c.params.str("customer"); id != "" && c.find("customer", id) == nil {
		return nil, noSuch("customer", id, "customer")
	}
	if c.params.has("customer_account") {
		if _, err := c.knownCustomerAccount("customer_account"); err != nil {
			return nil, err
		}
	}
	same := c.equals("customer", "customer_account", "collection_method")
	price := c.params.str("price")
	return c.list(listing{
		kind: "subscription", customer: c.params.str("customer"),
		match: func(r *record) bool {
			return same(r) && c.wantedStatus(r.status()) && (price == "" || hasPrice(r, price))
		},
	})
}

func (c *call) wantedStatus(status string) bool {
	switch want := c.params.str("status"); want {
	case "all":
		return true
	case "ended":
		return status == "canceled" || status == "incomplete_expired"
	case "":
		return status != "canceled"
	default:
		return status == want
	}
}

// subscriptionItems are the items as shown.
func subscriptionItems(r *record) []any {
	items, _ := r.fields["items"].(object)
	rows, _ := items["data"].([]any)
	return rows
}

func hasPrice(r *record, id string) bool {
	return slices.ContainsFunc(subscriptionItems(r), func(row any) bool {
		price, _ := row.(object)["price"].(object)
		return price["id"] == id
	})
}

// updateSubscription does what the portal pages and most tests need: cancel
// at period end, metadata, description, quantity and price of an item.
func updateSubscription(c *call) (any, error) {
	r, err := c.fromPath("subscription", "subscription")
	if err != nil {
		return nil, err
	}
	c.renewIfDue(r)
	if r.status() == "canceled" {
		return nil, invalid("", "", "A canceled subscription can only update its cancellation_details and metadata.")
	}
	if err := c.updateItemsOf(r); err != nil {
		return nil, err
	}
	changes := object{"metadata": c.params.metadata(metadataOf(r.fields))}
	c.params.reflect(changes, "description", "default_payment_method")
	r.set(changes)
	if c.params.has("cancel_at_period_end") {
		c.cancelAtPeriodEnd(r, c.params.bool("cancel_at_period_end"))
	}
	return c.show("subscription", r), nil
}

func (c *call) updateItemsOf(r *record) error {
	for i, p := range c.params.subs("items") {
		if err := c.changeItem(r, p, join("items", itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

// changeItem changes price and quantity of the item that p names.
func (c *call) changeItem(r *record, p params, at string) error {
	rows := slices.Clone(subscriptionItems(r))
	i := slices.IndexFunc(rows, func(row any) bool { return row.(object)["id"] == p.str("id") })
	if i < 0 {
		return noSuch("subscription_item", p.str("id"), join(at, "id"))
	}
	item := over(rows[i].(object), nil)
	if id := p.str("price"); id != "" {
		price, err := c.fromParam("price", id, join(at, "price"))
		if err != nil {
			return err
		}
		item["price"] = c.show("price", price)
	}
	if p.has("quantity") {
		item["quantity"] = p.int("quantity")
	}
	rows[i] = item
	items, _ := r.fields["items"].(object)
	r.set(object{"items": over(items, object{"data": rows})})
	return nil
}

func cancelSubscription(c *call) (any, error) {
	r, err := c.fromPath("subscription", "subscription")
	if err != nil {
		return nil, err
	}
	c.renewIfDue(r)
	if r.status() == "canceled" {
		return nil, notFound("subscription", r.id)
	}
	c.cancelNow(r)
	return c.show("subscription", r), nil
}

func (c *call) cancelNow(r *record) {
	if r.status() == "canceled" {
		return
	}
	r.set(object{"status": "canceled", "canceled_at": c.now, "ended_at": c.now, "cancellation_details": cancelled()})
}

// cancelAtPeriodEnd schedules the end, or takes it back.
func (c *call) cancelAtPeriodEnd(r *record, end bool) {
	if !end {
		r.set(object{"cancel_at_period_end": false, "cancel_at": nil, "canceled_at": nil, "cancellation_details": noDetails()})
		return
	}
	r.set(object{
		"cancel_at_period_end": true, "cancel_at": r.fields["current_period_end"],
		"canceled_at": c.now, "cancellation_details": cancelled(),
	})
}

func cancelled() object { return over(noDetails(), object{"reason": "cancellation_requested"}) }

func noDetails() object {
	return object{"comment": nil, "feedback": nil, "feedback_option": nil, "reason": nil}
}
