package sandbox

func shippingRateOperations() []operation {
	return []operation{
		{"shipping_rates.create", "POST /v1/shipping_rates", createShippingRate},
		{"shipping_rates.retrieve", "GET /v1/shipping_rates/{shipping_rate}", retrieve("shipping_rate", "shipping_rate")},
		{"shipping_rates.list", "GET /v1/shipping_rates", func(c *call) (any, error) {
			return c.list(listing{kind: "shipping_rate", match: c.equals("active")})
		}},
	}
}

func createShippingRate(c *call) (any, error) {
	r, err := c.newShippingRate(c.params, "")
	if err != nil {
		return nil, err
	}
	return c.show("shipping_rate", r), nil
}

// newShippingRate stores a rate from the request's own parameters or from a
// session's shipping_rate_data.
func (c *call) newShippingRate(p params, at string) (*record, error) {
	amount := p.sub("fixed_amount")
	if !p.has("fixed_amount") {
		return nil, missing(prefixed(at, "fixed_amount"))
	}
	fields := object{
		"active": true, "display_name": p.str("display_name"), "metadata": p.metadata(object{}),
		"fixed_amount": object{"amount": amount.int("amount"), "currency": amount.str("currency")},
	}
	p.reflect(fields, "tax_behavior", "tax_code")
	if p.has("delivery_estimate") {
		fields["delivery_estimate"] = over(object{"maximum": nil, "minimum": nil}, object(p.sub("delivery_estimate")))
	}
	return c.create("shipping_rate", newLongID("shr"), fields, nil)
}

// shippingAmount is what a rate costs.
func shippingAmount(rate *record) int64 {
	amount, _ := rate.fields["fixed_amount"].(object)
	n, _ := amount["amount"].(int64)
	return n
}
