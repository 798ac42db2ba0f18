package sandbox

import (
	"net/http"
	"strconv"
	"strings"
)

// flowView is a flow's page: some sentences, at most one field, one button.
type flowView struct {
	Title       string
	Text        []string
	Error       string
	AskQuantity bool
	Quantity    int64
	AskEmail    bool
	Email       string
	Button      string
	Back        string
	BackName    string
	Action      string
	CSRF        string
}

func (c *call) flowPage(session *record, flow object) reply {
	p := portalOf(session)
	v := flowView{
		Error: p.notice, Action: p.token + "/act", CSRF: c.sandbox.csrf(p.token),
		Back: session.str("return_url"), BackName: hostOf(session.str("return_url")),
	}
	p.notice = ""
	c.describeFlow(&v, session, flow)
	return reply{
		status: http.StatusOK, name: "flow.html", data: v,
		targets: []string{session.str("return_url"), flowTarget(flow)},
	}
}

func (c *call) describeFlow(v *flowView, session *record, flow object) {
	sub := c.flowSubscription(flow)
	var name, price string
	if sub != nil {
		name, price = c.describe(sub)
	}
	switch stringOf(flow, "type") {
	case "subscription_cancel":
		v.Title, v.Button = "Cancel your subscription", "Cancel subscription"
		v.Text = []string{name + " – " + price, "If you cancel, it ends on " + date(sub.fields["current_period_end"]) + " unless this shop ends it at once."}
	case "subscription_update":
		v.Title, v.Button = "Change your subscription", "Save changes"
		v.Text = []string{name + " – " + price}
		v.AskQuantity, v.Quantity = true, quantityOf(sub)
	case "subscription_update_confirm":
		v.Title, v.Button = "Confirm your change", "Confirm"
		v.Text = []string{"Now: " + name + " – " + price, "New: " + c.confirmedChange(flow)}
	case "customer_update":
		v.Title, v.Button, v.AskEmail = "Your details", "Save", true
		if customer := c.find("customer", session.customer()); customer != nil {
			v.Email = customer.str("email")
		}
	default:
		v.Title, v.Button = "Add a payment method", "Save test card"
		v.Text = []string{"The test card Visa 4242 becomes your payment method."}
	}
}

// flowSubscription is the subscription that a flow is about, nil for none.
func (c *call) flowSubscription(flow object) *record {
	part, _ := flow[stringOf(flow, "type")].(object)
	return c.find("subscription", stringOf(part, "subscription"))
}

func quantityOf(sub *record) int64 {
	first, _ := subscriptionItems(sub)[0].(object)
	n, _ := first["quantity"].(int64)
	return max(n, 1)
}

func (c *call) confirmedChange(flow object) string {
	item := confirmedItem(flow)
	price := c.find("price", stringOf(item, "price"))
	recurring, _ := price.fields["recurring"].(object)
	text := c.nameOf(price) + " – " + money(unitAmount(price), price.str("currency")) + " " + every(recurring)
	if n, ok := item["quantity"].(int64); ok {
		text += ", quantity " + itoa(int(n))
	}
	return text
}

func confirmedItem(flow object) object {
	part, _ := flow["subscription_update_confirm"].(object)
	items, _ := part["items"].([]any)
	item, _ := items[0].(object)
	return item
}

// flowPost does what the flow is for and follows its after_completion.
func (c *call) flowPost(session *record) reply {
	flow, ok := session.fields["flow"].(object)
	p := portalOf(session)
	if !ok || p.flowDone {
		return see("../" + p.token)
	}
	if p.notice = c.doFlow(session, flow); p.notice != "" {
		return see("../" + p.token)
	}
	p.flowDone = true
	return c.afterFlow(session, flow)
}

// doFlow carries a flow out; it returns what is wrong, "" if nothing.
func (c *call) doFlow(session *record, flow object) string {
	sub := c.flowSubscription(flow)
	if sub != nil && sub.status() == "canceled" {
		return "This subscription has already ended."
	}
	form := c.request.PostForm
	switch stringOf(flow, "type") {
	case "subscription_cancel":
		c.cancelAsConfigured(sub, c.find("billing_portal.configuration", session.str("configuration")))
	case "subscription_update":
		return c.changeQuantity(sub, form.Get("quantity"))
	case "subscription_update_confirm":
		return sentence(c.changeItem(sub, params(confirmedItem(flow)), "items[0]"))
	case "customer_update":
		return c.changeEmail(session.customer(), strings.TrimSpace(form.Get("email")))
	default:
		_, err := c.newCard(session.customer(), buyer{})
		return sentence(err)
	}
	return ""
}

func (c *call) changeQuantity(sub *record, text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > 999_999 {
		return "Enter a quantity from 1 to 999999."
	}
	first, _ := subscriptionItems(sub)[0].(object)
	return sentence(c.changeItem(sub, params{"id": first["id"], "quantity": n}, "items[0]"))
}

func (c *call) changeEmail(id, email string) string {
	customer := c.find("customer", id)
	if customer == nil || !strings.Contains(email, "@") || len(email) > 512 {
		return "Enter a complete e-mail address."
	}
	customer.set(object{"email": email})
	return ""
}

func sentence(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// flowTarget is the URL that a flow's after_completion redirects to.
func flowTarget(flow object) string {
	done, _ := flow["after_completion"].(object)
	redirect, _ := done["redirect"].(object)
	return stringOf(redirect, "return_url")
}

func (c *call) afterFlow(session *record, flow object) reply {
	if target := flowTarget(flow); target != "" {
		return see(target)
	}
	done, _ := flow["after_completion"].(object)
	if confirmation, ok := done["hosted_confirmation"].(object); ok {
		text := orElse(stringOf(confirmation, "custom_message"), "Your change has been made.")
		back := session.str("return_url")
		return linkPage(http.StatusOK, "Done", text, back, "Return to "+hostOf(back))
	}
	portalOf(session).notice = "Your change has been made."
	return see("../" + portalOf(session).token)
}
