package sandbox

func (d *draft) chooseShipping() error {
	shown, first, err := d.shippingOptions()
	if err != nil {
		return err
	}
	d.hidden.shipping = first
	d.fields["shipping_options"] = shown
	return nil
}

// shippingOptions resolves the parameter; the first option is preselected and
// counts in the total, as at Stripe.
func (c *call) shippingOptions() (shown []any, first *record, err error) {
	given := c.params.subs("shipping_options")
	if len(given) > 5 {
		return nil, nil, invalid("", "shipping_options", "You can pass at most 5 shipping options.")
	}
	shown = []any{}
	for i, p := range given {
		rate, err := c.shippingOption(p, join("shipping_options", itoa(i)))
		if err != nil {
			return nil, nil, err
		}
		if first == nil {
			first = rate
		}
		shown = append(shown, object{"shipping_amount": shippingAmount(rate), "shipping_rate": rate.id})
	}
	return shown, first, nil
}

func (c *call) shippingOption(p params, at string) (*record, error) {
	switch {
	case p.has("shipping_rate") == p.has("shipping_rate_data"):
		return nil, invalid("", at, "You must pass one of: %s, %s.", join(at, "shipping_rate"), join(at, "shipping_rate_data"))
	case p.has("shipping_rate"):
		return c.fromParam("shipping_rate", p.str("shipping_rate"), join(at, "shipping_rate"))
	}
	return c.newShippingRate(p.sub("shipping_rate_data"), join(at, "shipping_rate_data"))
}
