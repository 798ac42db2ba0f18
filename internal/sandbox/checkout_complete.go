package sandbox

// buyer is what the hosted page knows of who pays.
type buyer struct {
	email string
	name  string
}

// complete pays an open session: it makes the customer if one is due, the
// payment method, and what the mode asks for (payment, subscription, setup).
func (c *call) complete(r *record, b buyer) error {
	c.expireIfDue(r)
	if r.status() != "open" {
		return notOpen(r, "completed")
	}
	if err := c.ensureCustomer(r, b); err != nil {
		return err
	}
	method, err := c.newCard(r.customer(), b)
	if err != nil {
		return err
	}
	finish := map[string]func(*record, *record) (object, error){
		"payment": c.completePayment, "subscription": c.completeSubscription, "setup": c.completeSetup,
	}[r.mode()]
	born, err := finish(r, method)
	if err != nil {
		return err
	}
	s := checkoutOf(r)
	if s.promotion != nil {
		used, _ := s.promotion.fields["times_redeemed"].(int64)
		s.promotion.set(object{"times_redeemed": used + 1})
	}
	s.declined = ""
	r.set(born)
	r.set(object{"status": "complete", "url": nil, "client_secret": nil})
	return nil
}

// ensureCustomer gives the session its customer and shows the buyer.
func (c *call) ensureCustomer(r *record, b buyer) error {
	if b.email == "" {
		details, _ := r.fields["customer_details"].(object)
		b.email = orElse(stringOf(details, "email"), "buyer@example.com")
	}
	id := r.customer()
	if id == "" && checkoutOf(r).makeCustomer {
		fields := object{"email": b.email, "name": nullable(b.name), "metadata": object{}}
		customer, err := c.create("customer", newID("cus"), fields, nil)
		if err != nil {
			return err
		}
		id = customer.id
		r.set(object{"customer": id})
		c.tables["checkout.session"].own(r)
	}
	details := customerDetails(b.email, c.find("customer", id))
	if b.name != "" {
		details["name"] = b.name
	}
	r.set(object{"customer_details": details})
	return nil
}

func (c *call) newCard(customer string, b buyer) (*record, error) {
	fields := object{"customer": nullable(customer)}
	if b.email != "" {
		billing, _ := c.sandbox.templates["payment_method"]["billing_details"].(object)
		fields["billing_details"] = over(billing, object{"email": b.email, "name": nullable(b.name)})
	}
	return c.create("payment_method", newLongID("pm"), fields, nil)
}

func (c *call) completePayment(r, method *record) (object, error) {
	amount, _ := r.fields["amount_total"].(int64)
	if amount == 0 {
		return object{"payment_status": "no_payment_required"}, nil
	}
	data := checkoutOf(r).payment
	intent, err := c.newPaymentIntent(r, method, amount, data)
	if err != nil {
		return nil, err
	}
	return object{"payment_status": "paid", "payment_intent": intent.id}, nil
}

func (c *call) newPaymentIntent(r, method *record, amount int64, data params) (*record, error) {
	id := newLongID("pi")
	fields := object{
		"amount": amount, "amount_received": amount, "currency": r.str("currency"),
		"customer": nullable(r.customer()), "payment_method": method.id,
		"client_secret": id + "_secret_" + token(25), "metadata": data.metadata(object{}),
	}
	data.reflect(fields, "description", "receipt_email", "setup_future_usage", "capture_method",
		"statement_descriptor", "statement_descriptor_suffix", "transfer_group")
	return c.create("payment_intent", id, fields, nil)
}

func (c *call) completeSetup(r, method *record) (object, error) {
	id := newLongID("seti")
	data := checkoutOf(r).setup
	fields := object{
		"customer": nullable(r.customer()), "payment_method": method.id,
		"client_secret": id + "_secret_" + token(25), "metadata": data.metadata(object{}),
	}
	data.reflect(fields, "description")
	if _, err := c.create("setup_intent", id, fields, nil); err != nil {
		return nil, err
	}
	return object{"payment_status": "no_payment_required", "setup_intent": id}, nil
}

// completeSubscription makes the subscription and its first invoice, paid by
// a payment intent unless nothing is due today.
func (c *call) completeSubscription(r, method *record) (object, error) {
	s := checkoutOf(r)
	sub, err := c.newSubscription(r, s, method)
	if err != nil {
		return nil, err
	}
	born := object{"subscription": sub.id, "payment_status": "no_payment_required"}
	amount, _ := r.fields["amount_total"].(int64)
	var intent any
	if amount > 0 {
		paid, err := c.newPaymentIntent(r, method, amount, params{})
		if err != nil {
			return nil, err
		}
		intent, born["payment_status"] = paid.id, "paid"
	}
	invoice, err := c.newInvoice(r, sub, amount, intent)
	if err != nil {
		return nil, err
	}
	if id, ok := intent.(string); ok {
		c.find("payment_intent", id).set(object{"invoice": invoice.id})
	}
	sub.set(object{"latest_invoice": invoice.id})
	born["invoice"] = invoice.id
	return born, nil
}
