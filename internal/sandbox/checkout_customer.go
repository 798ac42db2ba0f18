package sandbox

// chooseCustomer settles whose session it is: a customer of ours, or one that
// completion will make.
func (d *draft) chooseCustomer() error {
	switch {
	case d.p.has("customer"):
		return d.useCustomer(d.p.str("customer"))
	case d.p.has("customer_account"):
		return d.useCustomerAccount("customer_account")
	}
	creation := orElse(d.p.str("customer_creation"), map[string]string{"subscription": "always"}[d.mode])
	d.fields["customer_creation"] = orElse(creation, "if_required")
	d.hidden.makeCustomer = creation == "always"
	if email := d.p.str("customer_email"); email != "" {
		d.fields["customer_email"] = email
		d.fields["customer_details"] = customerDetails(email, nil)
	}
	return nil
}

func (d *draft) useCustomer(id string) error {
	customer, err := d.customerParam(id, "customer")
	if err != nil {
		return err
	}
	d.fields["customer"] = id
	d.fields["customer_details"] = customerDetails(customer.str("email"), customer)
	return nil
}

// knownCustomerAccount takes an account registered with POST
// /sandbox/v1/customer_accounts.
func (c *call) knownCustomerAccount(param string) (string, error) {
	id := c.params.str(param)
	if !c.accounts[id] {
		return "", noSuch("account", id, param)
	}
	return id, nil
}

func (d *draft) useCustomerAccount(param string) error {
	id, err := d.knownCustomerAccount(param)
	d.fields[param] = id
	return err
}

// customerDetails is what a session shows of its buyer.
func customerDetails(email string, customer *record) object {
	details := object{
		"address": nil, "email": nullable(email), "name": nil, "phone": nil,
		"tax_exempt": "none", "tax_ids": nil, "business_name": nil, "individual_name": nil,
	}
	if customer != nil {
		details["name"], details["phone"] = nullable(customer.str("name")), nullable(customer.str("phone"))
		details["address"] = customer.fields["address"]
	}
	return details
}

// checkTaxID refuses to collect a tax id where the business name could not be kept.
func (d *draft) checkTaxID() error {
	if !d.p.sub("tax_id_collection").bool("enabled") || !d.p.has("customer") || d.p.sub("customer_update").str("name") == "auto" {
		return nil
	}
	return invalid("", "", "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an existing customer, please set `customer_update[name]` to `auto`.")
}

// checkTax refuses automatic tax for a customer whose place is unknown and
// will not be asked for.
func (d *draft) checkTax() error {
	if !d.p.sub("automatic_tax").bool("enabled") || !d.p.has("customer") {
		return nil
	}
	update := d.p.sub("customer_update")
	customer := d.find("customer", d.p.str("customer"))
	if customer.fields["address"] != nil || update.str("address") == "auto" || update.str("shipping") == "auto" {
		return nil
	}
	return invalid("customer_tax_location_invalid", "", "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer.")
}
