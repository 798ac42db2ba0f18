package sandbox

// flowFeatures is what each flow needs enabled in the configuration.
var flowFeatures = map[string]string{
	"customer_update":             "customer_update",
	"payment_method_update":       "payment_method_update",
	"subscription_cancel":         "subscription_cancel",
	"subscription_update":         "subscription_update",
	"subscription_update_confirm": "subscription_update",
}

// portalFlow checks flow_data and returns it as the session shows it, or nil.
func (c *call) portalFlow(config *record, customer string) (any, error) {
	if !c.params.has("flow_data") {
		return nil, nil
	}
	p := c.params.sub("flow_data")
	kind := p.str("type")
	if !enabled(config, flowFeatures[kind]) {
		return nil, invalid("", "flow_data[type]", "The feature `%s` is not enabled in the portal configuration `%s`.", flowFeatures[kind], config.id)
	}
	flow := object{
		"type": kind, "subscription_cancel": nil, "subscription_update": nil, "subscription_update_confirm": nil,
	}
	if err := c.flowTarget(flow, p, kind, customer); err != nil {
		return nil, err
	}
	done, err := flowCompletion(p.sub("after_completion"))
	flow["after_completion"] = done
	return flow, err
}

// flowTarget checks the part that a subscription flow needs and that only it
// may have.
func (c *call) flowTarget(flow object, p params, kind, customer string) error {
	for _, other := range []string{"subscription_cancel", "subscription_update", "subscription_update_confirm"} {
		at := join("flow_data", other)
		if other != kind && p.has(other) {
			return invalid("", at, "You can not pass `%s` when `flow_data[type]` is `%s`.", at, kind)
		}
		if other != kind {
			continue
		}
		if !p.has(kind) {
			return missing(at)
		}
		shown, err := c.subscriptionFlow(p.sub(kind), kind, at, customer)
		if err != nil {
			return err
		}
		flow[kind] = shown
	}
	return nil
}

func (c *call) subscriptionFlow(p params, kind, at, customer string) (object, error) {
	sub, err := c.fromParam("subscription", p.str("subscription"), join(at, "subscription"))
	if err != nil {
		return nil, err
	}
	c.renewIfDue(sub)
	if sub.customer() != customer || sub.str("customer_account") != c.params.str("customer_account") {
		return nil, noSuch("subscription", sub.id, join(at, "subscription"))
	}
	if sub.status() == "canceled" {
		return nil, invalid("", join(at, "subscription"), "This subscription is already canceled.")
	}
	if kind != "subscription_cancel" && len(subscriptionItems(sub)) > 1 {
		return nil, invalid("", join(at, "subscription"), "This subscription has several items and cannot be updated in the portal.")
	}
	shown := object{"subscription": sub.id}
	switch kind {
	case "subscription_cancel":
		return c.cancelFlow(shown, p, sub, at)
	case "subscription_update_confirm":
		return c.confirmFlow(shown, p, sub, at)
	}
	return shown, nil
}

func (c *call) cancelFlow(shown object, p params, sub *record, at string) (object, error) {
	if sub.fields["cancel_at_period_end"] == true {
		return nil, invalid("", join(at, "subscription"), "This subscription is already set to be canceled at period end.")
	}
	shown["retention"] = nil
	if offer := p.sub("retention").sub("coupon_offer").str("coupon"); offer != "" {
		param := at + "[retention][coupon_offer][coupon]"
		if _, err := c.fromParam("coupon", offer, param); err != nil {
			return nil, err
		}
		shown["retention"] = object{"type": "coupon_offer", "coupon_offer": object{"coupon": offer}}
	}
	return shown, nil
}

// confirmFlow: one item that the subscription has, at most one discount.
func (c *call) confirmFlow(shown object, p params, sub *record, at string) (object, error) {
	items, discounts := p.subs("items"), p.subs("discounts")
	if len(items) != 1 {
		return nil, invalid("", join(at, "items"), "You must pass exactly one item.")
	}
	if len(discounts) > 1 {
		return nil, invalid("", join(at, "discounts"), "You can only pass one discount.")
	}
	item, err := c.confirmItem(items[0], sub, at+"[items][0]")
	if err != nil {
		return nil, err
	}
	shown["items"], shown["discounts"] = []any{item}, nil
	for _, d := range discounts {
		coupon, promotion, err := c.discount(d, at+"[discounts][0]")
		if err != nil {
			return nil, err
		}
		shown["discounts"] = shownDiscounts(coupon, promotion)
	}
	return shown, nil
}

func (c *call) confirmItem(p params, sub *record, at string) (object, error) {
	for _, row := range subscriptionItems(sub) {
		had := row.(object)
		if had["id"] != p.str("id") {
			continue
		}
		price, _ := had["price"].(object)
		shown := object{"id": p.str("id"), "price": p.or("price", price["id"])}
		if q := p.or("quantity", had["quantity"]); q != nil {
			shown["quantity"] = q
		}
		_, err := c.fromParam("price", stringOf(shown, "price"), join(at, "price"))
		return shown, err
	}
	return nil, noSuch("subscription_item", p.str("id"), join(at, "id"))
}

func flowCompletion(p params) (object, error) {
	at := "flow_data[after_completion]"
	kind := orElse(p.str("type"), "portal_homepage")
	done := object{"type": kind, "redirect": nil, "hosted_confirmation": nil}
	switch kind {
	case "redirect":
		target := p.sub("redirect").str("return_url")
		if target == "" {
			return nil, missing(at + "[redirect][return_url]")
		}
		if !isWebURL(target) {
			return nil, malformed("url_invalid", at+"[redirect][return_url]", "Not a valid URL")
		}
		done["redirect"] = object{"return_url": target}
	case "hosted_confirmation":
		message := p.sub("hosted_confirmation").or("custom_message", nil)
		done["hosted_confirmation"] = object{"custom_message": message}
	}
	return done, nil
}
