package sandbox

import (
	"net/http"
	"strings"
)

// checkoutView is what the checkout page shows.
type checkoutView struct {
	Title   string
	Error   string
	Lines   []line
	Sums    []line
	Trial   string
	AskCode bool
	Code    string
	Email   string
	Button  string
	Back    string
	Action  string
	CSRF    string
}

// line is one row of a list of amounts.
type line struct{ Name, Detail, Amount string }

func checkoutPage(c *call) reply {
	session, closed := c.openSession(c.path("secret"))
	if closed != nil {
		return *closed
	}
	return reply{
		status: http.StatusOK, name: "checkout.html", data: c.checkoutView(session),
		targets: []string{destination(session), session.str("cancel_url")},
	}
}

// openSession finds a session that can still be paid, or the page to show
// instead.
func (c *call) openSession(id string) (*record, *reply) {
	r := c.find("checkout.session", id)
	if r == nil {
		return nil, new(unknownLink())
	}
	c.expireIfDue(r)
	switch r.status() {
	case "complete":
		return nil, new(sentencePage(http.StatusOK, "You're all done here", "This checkout has been completed. You can close this page."))
	case "expired":
		return nil, new(linkPage(http.StatusOK, "This checkout has expired", "This page has expired. Go back to the shop and start again.", r.str("cancel_url"), "Back to the shop"))
	}
	return r, nil
}

func (c *call) checkoutView(r *record) checkoutView {
	s := checkoutOf(r)
	details, _ := r.fields["customer_details"].(object)
	v := checkoutView{
		Title: map[string]string{"setup": "Save a card", "subscription": "Subscribe", "payment": "Pay"}[r.mode()],
		Error: s.declined, Lines: c.orderLines(r), Sums: orderSums(r),
		AskCode: r.fields["allow_promotion_codes"] == true,
		Email:   orElse(stringOf(details, "email"), r.str("customer_email")),
		Button:  c.payLabel(r), Back: r.str("cancel_url"),
		Action: r.id + "/pay", CSRF: c.sandbox.csrf(r.id),
	}
	if s.promotion != nil {
		v.Code = s.promotion.str("code")
	}
	if s.trialEnd > 0 {
		v.Trial = "Your free trial runs until " + date(s.trialEnd) + ". The price shown per period applies from then on."
	}
	s.declined = "" // shown once
	return v
}

func (c *call) orderLines(r *record) []line {
	var out []line
	currency := r.str("currency")
	for _, item := range checkoutOf(r).items {
		detail := money(item.unit(currency), currency)
		if item.quantity > 1 {
			detail = "Quantity " + itoa(int(item.quantity)) + ", " + detail + " each"
		}
		if recurring, ok := item.price.fields["recurring"].(object); ok {
			detail += " " + every(recurring)
		}
		if isMetered(item.price) {
			detail += ", billed by use"
		}
		out = append(out, line{c.nameOf(item.price), detail, money(item.subtotal, currency)})
	}
	return out
}

func orderSums(r *record) []line {
	currency := r.str("currency")
	at := func(o object, name string) int64 { n, _ := o[name].(int64); return n }
	details, _ := r.fields["total_details"].(object)
	sums := []line{{Name: "Subtotal", Amount: money(at(r.fields, "amount_subtotal"), currency)}}
	if n := at(details, "amount_discount"); n > 0 {
		sums = append(sums, line{Name: "Discount", Amount: off(n, currency)})
	}
	if r.fields["shipping_cost"] != nil {
		sums = append(sums, line{Name: "Shipping", Amount: money(at(details, "amount_shipping"), currency)})
	}
	return append(sums, line{Name: "Total due today", Amount: money(at(r.fields, "amount_total"), currency)})
}

func (c *call) payLabel(r *record) string {
	switch {
	case r.mode() == "setup":
		return "Save card"
	case checkoutOf(r).trialEnd > 0:
		return "Start trial"
	case r.mode() == "subscription":
		return "Subscribe"
	}
	amount, _ := r.fields["amount_total"].(int64)
	return "Pay " + money(amount, r.str("currency"))
}

// checkoutPost takes the page's buttons: pay, decline, apply a code.
func checkoutPost(c *call) reply {
	session, closed := c.openSession(c.path("secret"))
	if closed != nil {
		return *closed
	}
	again := see("../" + session.id)
	form := c.request.PostForm
	var err error
	switch form.Get("action") {
	case "pay":
		if err = c.payByPage(session, strings.TrimSpace(form.Get("email"))); err == nil {
			return see(orElse(destination(session), again.location))
		}
	case "decline":
		err = c.decline(session)
	case "code":
		c.applyCode(session, form.Get("code"))
	}
	if err != nil {
		checkoutOf(session).declined = err.Error()
	}
	return again
}

func (c *call) payByPage(session *record, email string) error {
	if email != "" && (!strings.Contains(email, "@") || len(email) > 512) {
		return malformed("email_invalid", "email", "Enter a complete e-mail address, or leave it empty.")
	}
	return c.complete(session, buyer{email: email})
}

// destination is where a paid session sends its buyer, with the session's id
// filled in whether or not the braces were percent-encoded on the way.
func destination(r *record) string {
	target := orElse(r.str("success_url"), r.str("return_url"))
	return strings.NewReplacer(
		"{CHECKOUT_SESSION_ID}", r.id,
		"%7BCHECKOUT_SESSION_ID%7D", r.id, "%7bCHECKOUT_SESSION_ID%7d", r.id,
	).Replace(target)
}

// applyCode puts a promotion code on a session; an empty one takes it off.
func (c *call) applyCode(session *record, code string) {
	s := checkoutOf(session)
	if session.fields["allow_promotion_codes"] != true {
		return
	}
	code = strings.TrimSpace(code)
	promotion := c.promotionCode(code)
	if code != "" && (promotion == nil || !c.usable(promotion)) {
		s.declined = "This code is invalid."
		return
	}
	s.coupon, s.promotion = nil, nil
	session.set(object{"discounts": nil})
	if code != "" {
		s.coupon, s.promotion = promotion.hidden.(*record), promotion
		session.set(object{"discounts": shownDiscounts(s.coupon, s.promotion)})
	}
	session.set(totals(s, session.str("currency")))
}
