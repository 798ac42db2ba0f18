package sandbox

import "math"

// total computes what is due today and writes it into a new session.
func (d *draft) total() error {
	if d.mode == "setup" {
		return nil
	}
	amounts := totals(d.hidden, stringOf(d.fields, "currency"))
	due := amounts["amount_total"].(int64)
	if d.mode == "payment" && due > 0 && due < 50 && d.fields["currency"] == "usd" {
		return invalid("amount_too_small", "", "The Checkout Session's total amount due must add up to at least $0.50 usd")
	}
	d.fields = over(d.fields, amounts)
	return nil
}

// totals computes the items' amounts in place and returns the session's.
// Recurring items cost nothing today while a trial runs; metered ones never.
func totals(s *checkout, currency string) object {
	var subtotal int64
	for _, item := range s.items {
		item.subtotal = item.unit(currency) * item.quantity
		if s.trialEnd > 0 && isRecurring(item.price) {
			item.subtotal = 0
		}
		subtotal += item.subtotal
	}
	discount := discountOn(s.coupon, subtotal)
	spread(s.items, subtotal, discount)
	var shipping int64
	var cost any
	if s.shipping != nil {
		shipping = shippingAmount(s.shipping)
		cost = object{"amount_subtotal": shipping, "amount_tax": 0, "amount_total": shipping, "shipping_rate": s.shipping.id}
	}
	return object{
		"amount_subtotal": subtotal, "amount_total": subtotal - discount + shipping, "shipping_cost": cost,
		"total_details": object{"amount_discount": discount, "amount_shipping": shipping, "amount_tax": 0},
	}
}

// discountOn is what a coupon takes off; nil takes nothing.
func discountOn(coupon *record, subtotal int64) int64 {
	if coupon == nil {
		return 0
	}
	if percent, ok := coupon.fields["percent_off"].(float64); ok {
		return int64(math.Round(float64(subtotal) * percent / 100))
	}
	off, _ := coupon.fields["amount_off"].(int64)
	return min(off, subtotal)
}

// spread shares a discount out over the items; the last takes the rest.
func spread(items []*lineItem, subtotal, discount int64) {
	left := discount
	for i, item := range items {
		share := left
		if i < len(items)-1 && subtotal > 0 {
			share = min(left, discount*item.subtotal/subtotal)
		}
		item.discount = share
		left -= share
	}
}
