package sandbox

import "net/http"

// portalAfterVisit is how long an opened portal stays open.
const portalAfterVisit = 60 * 60

type portalView struct {
	Title         string
	Notice        string
	Subscriptions []subscriptionView
	Methods       []string
	Invoices      []line
	Back          string
	BackName      string
	Action        string
	CSRF          string
}

type subscriptionView struct {
	ID, Name, Price, Status, When string
	Ending                        bool
	Do, Label                     string // the button's action and text; "" for none
}

func portalOf(r *record) *portal { return r.hidden.(*portal) }

func portalPage(c *call) reply {
	session, closed := c.openPortal(c.path("secret"))
	if closed != nil {
		return *closed
	}
	p := portalOf(session)
	p.visited = true
	if flow, ok := session.fields["flow"].(object); ok && !p.flowDone {
		return c.flowPage(session, flow)
	}
	return reply{
		status: http.StatusOK, name: "portal.html", data: c.portalView(session),
		targets: []string{session.str("return_url")},
	}
}

// openPortal finds the portal session that a link leads to, or the page to
// show instead.
func (c *call) openPortal(token string) (*record, *reply) {
	r := c.portals.byToken[token]
	if r == nil {
		return nil, new(unknownLink())
	}
	limit := int64(portalLifetime)
	if portalOf(r).visited {
		limit = portalAfterVisit
	}
	customer := c.find("customer", r.customer())
	if c.now-r.created >= limit || customer != nil && customer.fields["deleted"] == true {
		return nil, new(linkPage(http.StatusGone, "This link has expired", "This link has expired. Go back and open the billing page again.", r.str("return_url"), "Go back"))
	}
	return r, nil
}

func (c *call) portalView(r *record) portalView {
	p := portalOf(r)
	v := portalView{
		Title: "Your billing", Notice: p.notice, Action: p.token + "/act", CSRF: c.sandbox.csrf(p.token),
		Back: r.str("return_url"), BackName: hostOf(r.str("return_url")),
	}
	p.notice = "" // shown once
	config := c.find("billing_portal.configuration", r.str("configuration"))
	if owner := r.customer(); owner != "" {
		c.fillPortal(&v, owner, config)
	}
	return v
}

func (c *call) fillPortal(v *portalView, owner string, config *record) {
	for _, sub := range c.tables["subscription"].of(owner) {
		v.Subscriptions = append(v.Subscriptions, c.subscriptionView(sub, config))
	}
	for _, method := range c.tables["payment_method"].of(owner) {
		card, _ := over(c.tables["payment_method"].template, method.fields)["card"].(object)
		v.Methods = append(v.Methods, "Visa ending in "+stringOf(card, "last4"))
	}
	for _, invoice := range c.tables["invoice"].of(owner) {
		total, _ := invoice.fields["total"].(int64)
		name := date(invoice.created) + " – " + invoice.str("number") + " – " + invoice.str("status")
		v.Invoices = append(v.Invoices, line{Name: name, Amount: money(total, invoice.str("currency"))})
	}
}

func (c *call) subscriptionView(r, config *record) subscriptionView {
	c.renewIfDue(r)
	v := subscriptionView{ID: r.id, Status: r.status(), When: "Renews on " + date(r.fields["current_period_end"])}
	v.Name, v.Price = c.describe(r)
	switch {
	case r.status() == "canceled":
		v.Ending, v.When = true, "Ended on "+date(r.fields["ended_at"])
	case r.fields["cancel_at_period_end"] == true:
		v.Ending, v.When = true, "Cancels on "+date(r.fields["cancel_at"])
		v.Do, v.Label = "resume", "Keep subscription"
	case enabled(config, "subscription_cancel"):
		v.Do, v.Label = "cancel", "Cancel subscription"
	}
	return v
}

// describe names a subscription by its first item.
func (c *call) describe(r *record) (name, price string) {
	first, _ := subscriptionItems(r)[0].(object)
	shown, _ := first["price"].(object)
	amount, _ := shown["unit_amount"].(int64)
	recurring, _ := shown["recurring"].(object)
	price = money(amount, r.str("currency")) + " " + every(recurring)
	if n, ok := first["quantity"].(int64); ok && n > 1 {
		price = itoa(int(n)) + " × " + price
	}
	if record := c.find("price", stringOf(shown, "id")); record != nil {
		name = c.nameOf(record)
	}
	return name, price
}

// portalPost takes the portal's buttons: cancel, resume, and a flow's own.
func portalPost(c *call) reply {
	session, closed := c.openPortal(c.path("secret"))
	if closed != nil {
		return *closed
	}
	form := c.request.PostForm
	if form.Get("action") == "flow" {
		return c.flowPost(session)
	}
	p := portalOf(session)
	p.notice = c.portalAct(session, form.Get("action"), form.Get("subscription"))
	return see("../" + p.token)
}

// portalAct cancels or resumes one of the customer's own subscriptions and
// says what happened.
func (c *call) portalAct(session *record, action, id string) string {
	sub := c.find("subscription", id)
	if sub == nil || sub.customer() != session.customer() || sub.status() == "canceled" {
		return "That subscription cannot be changed."
	}
	config := c.find("billing_portal.configuration", session.str("configuration"))
	switch {
	case action == "resume":
		c.cancelAtPeriodEnd(sub, false)
		return "Your subscription goes on."
	case action == "cancel" && enabled(config, "subscription_cancel"):
		c.cancelAsConfigured(sub, config)
		return "Your subscription has been canceled."
	}
	return "That is not possible here."
}

func (c *call) cancelAsConfigured(sub, config *record) {
	all, _ := config.fields["features"].(object)
	cancel, _ := all["subscription_cancel"].(object)
	if cancel["mode"] == "immediately" {
		c.cancelNow(sub)
		return
	}
	c.cancelAtPeriodEnd(sub, true)
}
