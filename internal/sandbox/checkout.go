package sandbox

func checkoutOperations() []operation {
	const one = "/v1/checkout/sessions/{session}"
	return []operation{
		{"checkout.sessions.create", "POST /v1/checkout/sessions", createSession},
		{"checkout.sessions.retrieve", "GET " + one, retrieve("checkout.session", "session")},
		{"checkout.sessions.list", "GET /v1/checkout/sessions", listSessions},
		{"checkout.sessions.update", "POST " + one, updateSession},
		{"checkout.sessions.expire", "POST " + one + "/expire", expireSession},
		{"checkout.sessions.line_items", "GET " + one + "/line_items", listLineItems},
	}
}

// checkout is what the sandbox knows of a session besides what it shows.
type checkout struct {
	items        []*lineItem
	payment      params // payment_intent_data
	subscription params // subscription_data
	setup        params // setup_intent_data
	trialEnd     int64  // 0: no trial
	coupon       *record
	promotion    *record
	shipping     *record
	makeCustomer bool // a customer is born at completion
	declined     string
	base         string // of the hosted pages
}

func checkoutOf(r *record) *checkout { return r.hidden.(*checkout) }

func (r *record) mode() string   { return r.str("mode") }
func (r *record) status() string { return r.str("status") }

// set replaces some of a record's fields.
func (r *record) set(changes object) { r.fields = over(r.fields, changes) }

// expireIfDue closes an open session whose time has come.
func (c *call) expireIfDue(r *record) {
	due, _ := r.fields["expires_at"].(int64)
	if r.status() == "open" && c.now >= due {
		closeSession(r)
	}
}

func closeSession(r *record) {
	r.set(object{"status": "expired", "url": nil, "client_secret": nil})
}

func expireSession(c *call) (any, error) {
	r, err := c.fromPath("checkout.session", "session")
	if err != nil {
		return nil, err
	}
	if err := expireByOrder(c, r); err != nil {
		return nil, err
	}
	return c.show("checkout.session", r), nil
}

func notOpen(r *record, what string) *apiError {
	return invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be %s. This Checkout Session has a status of `%s`.", what, r.status())
}

func listSessions(c *call) (any, error) {
	same := c.equals("customer", "customer_account", "status", "payment_intent", "payment_link", "subscription")
	email := c.params.sub("customer_details").str("email")
	return c.list(listing{
		kind: "checkout.session", customer: c.params.str("customer"),
		match: func(r *record) bool {
			details, _ := r.fields["customer_details"].(object)
			return same(r) && (email == "" || stringOf(details, "email") == email)
		},
	})
}
