package sandbox

import "strings"

// Price is one entry of the seed: a price and the product it belongs to.
type Price struct {
	ID         string // "price_pro_monthly"
	LookupKey  string // "pro_monthly"; "" for none
	Product    string // the product's name; prices of one name share a product
	Currency   string // "usd"
	UnitAmount int64  // minor units
	Interval   string // day, week, month, year; "" for a one-time price
	Metered    bool
	Inactive   bool
}

// DefaultSeed is the catalogue of an ordinary sandbox.
func DefaultSeed() []Price {
	return []Price{
		{ID: "price_pro_monthly", LookupKey: "pro_monthly", Product: "Pro", Currency: "usd", UnitAmount: 2000, Interval: "month"},
		{ID: "price_tshirt", LookupKey: "tshirt", Product: "T-shirt", Currency: "usd", UnitAmount: 2500},
		{ID: "price_api_calls", LookupKey: "api_calls", Product: "API calls", Currency: "usd", UnitAmount: 1, Interval: "month", Metered: true},
		{ID: "price_retired", LookupKey: "retired", Product: "Retired", Currency: "usd", UnitAmount: 900, Interval: "month", Inactive: true},
	}
}

// seed fills a new state: the account, the catalogue, the promotion code
// WELCOME10, a shipping rate and the default portal configuration.
func (s *Sandbox) seed(st *state) error {
	c := &call{state: st, sandbox: s, params: params{}, version: defaultVersion, now: s.clock().Unix()}
	for _, step := range []func() error{c.seedPrices, c.seedDiscount, c.seedShipping, c.seedPortal, c.seedAccount} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// seedAccount makes the sandbox's only account. Its id is new each time: what was
// forgotten belonged to another one, so nobody takes the mappings of the last
// sandbox for those of this.
func (c *call) seedAccount() error {
	c.state.account = newLongID("acct")
	_, err := c.create("account", c.state.account, object{}, nil)
	return err
}

func (c *call) seedPrices() error {
	for _, price := range c.sandbox.prices {
		id := "prod_" + strings.ReplaceAll(strings.ToLower(price.Product), " ", "_")
		if c.find("product", id) == nil {
			if _, err := c.newProduct(params{"id": id, "name": price.Product}, true); err != nil {
				return err
			}
		}
		if err := c.seedPrice(price, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) seedPrice(price Price, product string) error {
	p := params{
		"product": product, "currency": price.Currency, "unit_amount": price.UnitAmount, "active": !price.Inactive,
	}
	if price.LookupKey != "" {
		p["lookup_key"] = price.LookupKey
	}
	if price.Interval != "" {
		every := object{"interval": price.Interval}
		if price.Metered {
			every["usage_type"] = "metered"
		}
		p["recurring"] = every
	}
	_, err := c.newPrice(price.ID, p, "")
	return err
}

func (c *call) seedDiscount() error {
	coupon, err := c.create("coupon", "welcome10", object{"name": "Welcome", "percent_off": 10.0, "duration": "once"}, nil)
	if err != nil {
		return err
	}
	_, err = c.create("promotion_code", "promo_welcome10", object{
		"code": "WELCOME10", "active": true, "coupon": c.show("coupon", coupon),
		"promotion": object{"type": "coupon", "coupon": coupon.id},
	}, coupon)
	return err
}

func (c *call) seedShipping() error {
	_, err := c.create("shipping_rate", "shr_standard", object{
		"active": true, "display_name": "Standard", "fixed_amount": object{"amount": int64(500), "currency": "usd"},
	}, nil)
	return err
}

func (c *call) seedPortal() error {
	on := params{}
	for name := range noFeatures {
		on[name] = object{"enabled": name != "subscription_pause"}
	}
	on["customer_update"] = object{"enabled": true, "allowed_updates": []any{"email", "address", "phone", "name"}}
	on["subscription_update"] = object{
		"enabled": true, "default_allowed_updates": []any{"price", "quantity", "promotion_code"},
		"proration_behavior": "create_prorations",
	}
	_, err := c.create("billing_portal.configuration", "bpc_sandbox_default", object{
		"active": true, "is_default": true, "updated": c.now, "features": features(noFeatures, on),
	}, nil)
	return err
}
