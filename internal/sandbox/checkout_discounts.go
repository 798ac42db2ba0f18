package sandbox

// chooseDiscount finds the one coupon or promotion code of `discounts`.
func (d *draft) chooseDiscount() error {
	given := d.p.subs("discounts")
	if len(given) == 0 {
		return nil
	}
	if len(given) > 1 {
		return invalid("", "discounts", "You can only pass one discount.")
	}
	coupon, promotion, err := d.discount(given[0], "discounts[0]")
	if err != nil {
		return err
	}
	d.hidden.coupon, d.hidden.promotion = coupon, promotion
	d.fields["discounts"] = shownDiscounts(coupon, promotion)
	return nil
}

// discount resolves {coupon} or {promotion_code} of a parameter called at.
func (c *call) discount(p params, at string) (coupon, promotion *record, err error) {
	if p.has("coupon") == p.has("promotion_code") {
		return nil, nil, invalid("", at, "You must pass one of: %s, %s.", join(at, "coupon"), join(at, "promotion_code"))
	}
	if p.has("coupon") {
		coupon, err = c.fromParam("coupon", p.str("coupon"), join(at, "coupon"))
		return coupon, nil, err
	}
	promotion, err = c.fromParam("promotion_code", p.str("promotion_code"), join(at, "promotion_code"))
	if err != nil {
		return nil, nil, err
	}
	if !c.usable(promotion) {
		return nil, nil, invalid("", join(at, "promotion_code"), "This promotion code is not active.")
	}
	return promotion.hidden.(*record), promotion, nil
}

// usable says whether a promotion code may still be redeemed.
func (c *call) usable(promotion *record) bool {
	until, limited := promotion.fields["expires_at"].(int64)
	most, capped := promotion.fields["max_redemptions"].(int64)
	used, _ := promotion.fields["times_redeemed"].(int64)
	return promotion.fields["active"] == true && (!limited || c.now < until) && (!capped || used < most)
}

func shownDiscounts(coupon, promotion *record) []any {
	shown := object{"coupon": nil, "promotion_code": nil}
	if promotion != nil {
		shown["promotion_code"] = promotion.id
	} else {
		shown["coupon"] = coupon.id
	}
	return []any{shown}
}
