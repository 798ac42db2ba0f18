package sandbox

// paymentOperations read what completed sessions leave behind.
func paymentOperations() []operation {
	return []operation{
		{"payment_intents.retrieve", "GET /v1/payment_intents/{intent}", retrieve("payment_intent", "intent")},
		{"setup_intents.retrieve", "GET /v1/setup_intents/{intent}", retrieve("setup_intent", "intent")},
		{"payment_methods.retrieve", "GET /v1/payment_methods/{payment_method}", retrieve("payment_method", "payment_method")},
		{"payment_methods.list", "GET /v1/payment_methods", func(c *call) (any, error) {
			return c.list(listing{kind: "payment_method", customer: c.params.str("customer"), match: c.equals("customer")})
		}},
		{"invoices.retrieve", "GET /v1/invoices/{invoice}", retrieve("invoice", "invoice")},
		{"invoices.list", "GET /v1/invoices", func(c *call) (any, error) {
			return c.list(listing{kind: "invoice", customer: c.params.str("customer"), match: c.equals("customer", "status", "subscription")})
		}},
	}
}

// newInvoice is the paid first invoice of a subscription.
func (c *call) newInvoice(session, sub *record, amount int64, intent any) (*record, error) {
	id := newLongID("in")
	end := sub.fields["current_period_end"]
	fields := object{
		"customer": session.customer(), "subscription": sub.id, "payment_intent": intent,
		"currency": session.str("currency"), "amount_due": amount, "amount_paid": amount,
		"subtotal": session.fields["amount_subtotal"], "total": amount, "status": "paid",
		"collection_method": "charge_automatically", "number": "SANDBOX-" + token(6),
		"period_start": c.now, "period_end": c.now, "effective_at": c.now,
		"status_transitions": object{"finalized_at": c.now, "marked_uncollectible_at": nil, "paid_at": c.now, "voided_at": nil},
		"parent": object{
			"type": "subscription_details", "quote_details": nil,
			"subscription_details": object{"metadata": metadataOf(sub.fields), "subscription": sub.id},
		},
	}
	fields["lines"] = listOf("/v1/invoices/"+id+"/lines", c.invoiceLines(session, id, end), false)
	return c.create("invoice", id, fields, nil)
}

func (c *call) invoiceLines(session *record, invoice string, end any) []any {
	var out []any
	for _, item := range checkoutOf(session).items {
		out = append(out, object{
			"id": newLongID("il"), "object": "line_item", "amount": item.subtotal,
			"currency": session.str("currency"), "description": c.nameOf(item.price),
			"discount_amounts": nil, "discountable": true, "discounts": []any{}, "invoice": invoice,
			"livemode": false, "metadata": item.metadata, "period": object{"start": c.now, "end": end},
			"price": c.show("price", item.price), "proration": false, "proration_details": nil,
			"quantity": item.shownQuantity(), "subtotal": item.subtotal, "subscription": nil,
			"type": "subscription", "parent": nil, "pricing": nil, "taxes": nil, "tax_amounts": []any{},
			"tax_rates": []any{}, "pretax_credit_amounts": nil,
		})
	}
	return out
}
