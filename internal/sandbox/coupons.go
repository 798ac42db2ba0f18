package sandbox

import (
	"slices"
	"strings"
)

func couponOperations() []operation {
	return []operation{
		{"coupons.create", "POST /v1/coupons", createCoupon},
		{"coupons.retrieve", "GET /v1/coupons/{coupon}", retrieve("coupon", "coupon")},
		{"coupons.list", "GET /v1/coupons", func(c *call) (any, error) { return c.list(listing{kind: "coupon"}) }},
	}
}

func createCoupon(c *call) (any, error) {
	p := c.params
	if p.has("percent_off") == p.has("amount_off") {
		return nil, malformed("", "", "You must pass one of: percent_off, amount_off.")
	}
	if percent, ok := p["percent_off"].(float64); ok && (percent <= 0 || percent > 100) {
		return nil, malformed("", "percent_off", "Invalid percent_off: must be greater than 0 and at most 100.")
	}
	if p.has("amount_off") && p.str("currency") == "" {
		return nil, missing("currency")
	}
	id := orElse(p.str("id"), token(8))
	if c.find("coupon", id) != nil {
		return nil, invalid("resource_already_exists", "id", "Coupon already exists.")
	}
	fields := object{"metadata": p.metadata(object{})}
	p.reflect(fields, "percent_off", "amount_off", "currency", "duration", "duration_in_months", "max_redemptions", "name", "redeem_by")
	r, err := c.create("coupon", id, fields, nil)
	if err != nil {
		return nil, err
	}
	return c.show("coupon", r), nil
}

func promotionCodeOperations() []operation {
	return []operation{
		{"promotion_codes.create", "POST /v1/promotion_codes", createPromotionCode},
		{"promotion_codes.retrieve", "GET /v1/promotion_codes/{promotion_code}", retrieve("promotion_code", "promotion_code")},
		{"promotion_codes.list", "GET /v1/promotion_codes", listPromotionCodes},
	}
}

// createPromotionCode takes the coupon in either spelling: `coupon` of the
// older versions, `promotion[coupon]` of the newer.
func createPromotionCode(c *call) (any, error) {
	param, id := "coupon", c.params.str("coupon")
	if c.params.has("promotion") {
		param, id = "promotion[coupon]", c.params.sub("promotion").str("coupon")
	}
	if id == "" {
		return nil, missing(param)
	}
	coupon, err := c.fromParam("coupon", id, param)
	if err != nil {
		return nil, err
	}
	code := orElse(c.params.str("code"), strings.ToUpper(token(8)))
	if c.promotionCode(code) != nil {
		return nil, invalid("", "code", "An active promotion code with `code: %s` already exists.", code)
	}
	fields := object{
		"code": code, "coupon": c.show("coupon", coupon), "metadata": c.params.metadata(object{}),
		"promotion": object{"type": "coupon", "coupon": id}, "active": c.params.or("active", true),
	}
	c.params.reflect(fields, "customer", "expires_at", "max_redemptions")
	r, err := c.create("promotion_code", newLongID("promo"), fields, coupon)
	if err != nil {
		return nil, err
	}
	return c.show("promotion_code", r), nil
}

// promotionCode finds the active promotion code that a buyer may type; Stripe
// does not mind the case.
func (c *call) promotionCode(code string) *record {
	rows := c.tables["promotion_code"].rows
	at := slices.IndexFunc(rows, func(r *record) bool {
		return strings.EqualFold(r.str("code"), code) && r.fields["active"] == true
	})
	if at < 0 {
		return nil
	}
	return rows[at]
}

func listPromotionCodes(c *call) (any, error) {
	same := c.equals("active", "customer")
	code, coupon := c.params.str("code"), c.params.str("coupon")
	return c.list(listing{kind: "promotion_code", match: func(r *record) bool {
		return same(r) && (code == "" || strings.EqualFold(code, r.str("code"))) &&
			(coupon == "" || r.hidden.(*record).id == coupon)
	}})
}
