package sandbox

// newSubscription is born of a completed session: trialing if there is a
// trial, else active.
func (c *call) newSubscription(session *record, s *checkout, method *record) (*record, error) {
	id := newLongID("sub")
	end := s.trialEnd
	status, trialStart, trialEnd := "trialing", any(c.now), any(end)
	if end == 0 {
		end, status, trialStart, trialEnd = firstPeriodEnd(s.items, c.now), "active", nil, nil
	}
	fields := object{
		"customer": session.customer(), "customer_account": nullable(session.str("customer_account")), "currency": session.str("currency"), "status": status,
		"trial_start": trialStart, "trial_end": trialEnd, "start_date": c.now, "billing_cycle_anchor": end,
		"default_payment_method": method.id, "metadata": s.subscription.metadata(object{}),
	}
	if s.trialEnd == 0 {
		fields["billing_cycle_anchor"] = c.now
	}
	s.subscription.reflect(fields, "description", "trial_settings", "on_behalf_of")
	items := c.newSubscriptionItems(id, s.items)
	fields["items"] = listOf("/v1/subscription_items?subscription="+id, items, false)
	first := items[0].(object)
	fields["quantity"], fields["plan"] = first["quantity"], first["plan"]
	r, err := c.create("subscription", id, fields, nil)
	if err != nil {
		return nil, err
	}
	setPeriod(r, c.now, end)
	return r, nil
}

// newSubscriptionItems makes one item per recurring line.
func (c *call) newSubscriptionItems(subscription string, lines []*lineItem) []any {
	var out []any
	for _, line := range lines {
		if !isRecurring(line.price) {
			continue
		}
		item := over(c.sandbox.templates["subscription_item"], object{
			"id": newID("si"), "created": c.now, "subscription": subscription,
			"price": c.show("price", line.price), "metadata": line.metadata,
			"plan": c.plan(line.price),
		})
		if line.quantity > 0 {
			item["quantity"] = line.quantity
		}
		out = append(out, item)
	}
	return out
}

// plan is the older shape of a recurring price.
func (c *call) plan(price *record) object {
	shown := c.show("price", price)
	every, _ := shown["recurring"].(object)
	return object{
		"id": price.id, "object": "plan", "active": shown["active"], "amount": shown["unit_amount"],
		"amount_decimal": shown["unit_amount_decimal"], "billing_scheme": shown["billing_scheme"],
		"created": price.created, "currency": shown["currency"], "interval": every["interval"],
		"interval_count": every["interval_count"], "livemode": false, "metadata": shown["metadata"],
		"nickname": shown["nickname"], "product": shown["product"], "tiers_mode": nil,
		"transform_usage": nil, "trial_period_days": nil, "usage_type": every["usage_type"],
		"aggregate_usage": every["aggregate_usage"], "meter": every["meter"],
	}
}

// setPeriod writes the current period where both API versions look for it: on
// the subscription, and on each item since 2025-03-31.basil.
func setPeriod(r *record, start, end int64) {
	var rows []any
	for _, row := range subscriptionItems(r) {
		rows = append(rows, over(row.(object), object{"current_period_start": start, "current_period_end": end}))
	}
	items, _ := r.fields["items"].(object)
	r.set(object{
		"current_period_start": start, "current_period_end": end,
		"items": over(items, object{"data": rows}),
	})
}
