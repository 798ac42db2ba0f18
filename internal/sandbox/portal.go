package sandbox

// portalLifetime is how long a portal link waits for its first visit. Stripe
// documents no number; five minutes is what its users report.
const portalLifetime = 5 * 60

func portalOperations() []operation {
	const one = "/v1/billing_portal/configurations/{configuration}"
	kind := "billing_portal.configuration"
	return []operation{
		{"billing_portal.configurations.create", "POST /v1/billing_portal/configurations", createConfiguration},
		{"billing_portal.configurations.retrieve", "GET " + one, retrieve(kind, "configuration")},
		{"billing_portal.configurations.update", "POST " + one, updateConfiguration},
		{"billing_portal.configurations.list", "GET /v1/billing_portal/configurations", func(c *call) (any, error) {
			return c.list(listing{kind: kind, match: c.equals("active", "is_default")})
		}},
		{"billing_portal.sessions.create", "POST /v1/billing_portal/sessions", createPortalSession},
	}
}

// portal is what the sandbox knows of a portal session besides what it shows.
type portal struct {
	token    string // the secret in its URL
	visited  bool
	flowDone bool   // the flow, if it has one, is over
	notice   string // shown by the next page
}

// createPortalSession opens the portal for a customer. The URL is the only way
// in; it carries a secret that the id does not tell.
func createPortalSession(c *call) (any, error) {
	fields := object{}
	if err := checkURLs(c.params, "return_url"); err != nil {
		return nil, err
	}
	if err := c.portalCustomer(fields); err != nil {
		return nil, err
	}
	config, err := c.portalConfiguration()
	if err != nil {
		return nil, err
	}
	fields["configuration"] = config.id
	fields["return_url"] = nullable(orElse(c.params.str("return_url"), config.str("default_return_url")))
	c.params.reflect(fields, "locale", "on_behalf_of")
	if fields["flow"], err = c.portalFlow(config, stringOf(fields, "customer")); err != nil {
		return nil, err
	}
	return c.storePortal(fields)
}

func (c *call) storePortal(fields object) (any, error) {
	p := &portal{token: token(43)}
	fields["url"] = c.sandbox.base(c.request) + "/portal/" + p.token
	r, err := c.create("billing_portal.session", newLongID("bps"), fields, p)
	if err != nil {
		return nil, err
	}
	c.portals.add(p.token, r)
	return c.show("billing_portal.session", r), nil
}

func (c *call) portalCustomer(fields object) error {
	id, account := c.params.str("customer"), c.params.str("customer_account")
	switch {
	case id != "" && account != "":
		return invalid("", "customer_account", "You may only specify one of these parameters: customer, customer_account.")
	case account != "":
		_, err := c.knownCustomerAccount("customer_account")
		// The spec wants a string here even for accounts.
		fields["customer_account"], fields["customer"] = account, ""
		return err
	case id == "":
		return missing("customer")
	}
	fields["customer"] = id
	_, err := c.customerParam(id, "customer")
	return err
}

func (c *call) portalConfiguration() (*record, error) {
	id := c.params.str("configuration")
	if id == "" {
		return c.defaultConfiguration()
	}
	config, err := c.fromParam("billing_portal.configuration", id, "configuration")
	if err == nil && config.fields["active"] != true {
		return nil, invalid("", "configuration", "The configuration '%s' is inactive.", id)
	}
	return config, err
}

func (c *call) defaultConfiguration() (*record, error) {
	for _, r := range c.tables["billing_portal.configuration"].rows {
		if r.fields["is_default"] == true && r.fields["active"] == true {
			return r, nil
		}
	}
	return nil, invalid("", "", "No configuration provided and your test mode default configuration has not been created. Provide a configuration or create your default by saving your customer portal settings in test mode at https://dashboard.stripe.com/test/settings/billing/portal.")
}
