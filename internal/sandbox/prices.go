package sandbox

import (
	"slices"
	"strconv"
	"strings"
)

func priceOperations() []operation {
	return []operation{
		{"prices.create", "POST /v1/prices", createPrice},
		{"prices.retrieve", "GET /v1/prices/{price}", retrieve("price", "price")},
		{"prices.list", "GET /v1/prices", listPrices},
	}
}

func createPrice(c *call) (any, error) {
	r, err := c.newPrice(newLongID("price"), c.params, "")
	if err != nil {
		return nil, err
	}
	return c.show("price", r), nil
}

// newPrice stores a price under id, described by the request's own parameters or, with
// at naming them, by a line item's price_data.
func (c *call) newPrice(id string, p params, at string) (*record, error) {
	product, err := c.priceProduct(p, at)
	if err != nil {
		return nil, err
	}
	if err := c.freeLookupKey(p, at); err != nil {
		return nil, err
	}
	fields := object{
		"product": product, "currency": strings.ToLower(p.str("currency")), "type": "one_time",
		"billing_scheme": p.or("billing_scheme", "per_unit"),
		"active":         p.or("active", at == ""), // Stripe keeps inline prices inactive
		"metadata":       p.metadata(object{}),
	}
	p.reflect(fields, "lookup_key", "nickname", "tax_behavior", "tiers_mode", "transform_quantity", "custom_unit_amount")
	if err := setAmount(fields, p, at); err != nil {
		return nil, err
	}
	if p.has("recurring") {
		fields["type"], fields["recurring"] = "recurring", recurring(p.sub("recurring"))
	}
	return c.create("price", id, fields, p.sub("currency_options"))
}

// priceProduct finds or makes the price's product and returns its id.
func (c *call) priceProduct(p params, at string) (string, error) {
	if id := p.str("product"); id != "" {
		_, err := c.fromParam("product", id, prefixed(at, "product"))
		return id, err
	}
	if !p.has("product_data") {
		return "", missing(prefixed(at, "product"))
	}
	r, err := c.newProduct(p.sub("product_data"), true)
	if err != nil {
		return "", err
	}
	return r.id, nil
}

func prefixed(at, name string) string {
	if at == "" {
		return name
	}
	return join(at, name)
}

// freeLookupKey refuses a lookup key that another price has, or takes it over
// if the request says so.
func (c *call) freeLookupKey(p params, at string) error {
	key := p.str("lookup_key")
	if key == "" {
		return nil
	}
	for _, r := range c.tables["price"].rows {
		if r.str("lookup_key") != key {
			continue
		}
		if !p.bool("transfer_lookup_key") {
			return invalid("", prefixed(at, "lookup_key"), "A price (`%s`) already uses that lookup key.", r.id)
		}
		r.fields = over(r.fields, object{"lookup_key": nil})
	}
	return nil
}

// setAmount takes unit_amount or unit_amount_decimal and shows both.
func setAmount(fields object, p params, at string) error {
	decimal := p.str("unit_amount_decimal")
	switch {
	case p.has("unit_amount") && decimal != "":
		return malformed("", prefixed(at, "unit_amount"), "You may only specify one of these parameters: unit_amount, unit_amount_decimal.")
	case p.has("unit_amount") && p.int("unit_amount") < 0:
		return malformed("parameter_invalid_integer", prefixed(at, "unit_amount"), "This value must be greater than or equal to 0.")
	case p.has("unit_amount"):
		fields["unit_amount"] = p.int("unit_amount")
		fields["unit_amount_decimal"] = strconv.FormatInt(p.int("unit_amount"), 10)
	case decimal != "":
		return setDecimal(fields, decimal, prefixed(at, "unit_amount_decimal"))
	case !p.has("custom_unit_amount") && !p.has("tiers"):
		return missing(prefixed(at, "unit_amount"))
	}
	return nil
}

func setDecimal(fields object, decimal, param string) error {
	f, err := strconv.ParseFloat(decimal, 64)
	if err != nil || f < 0 {
		return malformed("", param, "Invalid decimal: %s", decimal)
	}
	fields["unit_amount_decimal"] = decimal
	if whole := int64(f); float64(whole) == f {
		fields["unit_amount"] = whole
	}
	return nil
}

func recurring(p params) object {
	count := p.int("interval_count")
	return object{
		"interval": p.str("interval"), "interval_count": max(count, 1),
		"usage_type": p.or("usage_type", "licensed"), "aggregate_usage": p.or("aggregate_usage", nil),
		"meter": p.or("meter", nil), "trial_period_days": nil,
	}
}

func isRecurring(price *record) bool { return price.str("type") == "recurring" }

func isMetered(price *record) bool {
	r, _ := price.fields["recurring"].(object)
	return stringOf(r, "usage_type") == "metered"
}

// unitAmount is 0 for prices that have none, such as tiered ones.
func unitAmount(price *record) int64 {
	n, _ := price.fields["unit_amount"].(int64)
	return n
}

func listPrices(c *call) (any, error) {
	keys := c.params.strings("lookup_keys")
	if len(keys) > 10 {
		return nil, malformed("", "lookup_keys", "You can look up at most 10 lookup keys at a time.")
	}
	same := c.equals("active", "currency", "product", "type")
	return c.list(listing{kind: "price", match: func(r *record) bool {
		return same(r) && (!c.params.has("lookup_keys") || slices.Contains(keys, r.str("lookup_key"))) && c.sameRecurring(r)
	}})
}

func (c *call) sameRecurring(r *record) bool {
	wanted := c.params.sub("recurring")
	has, _ := r.fields["recurring"].(object)
	for name, value := range wanted {
		if has[name] != value {
			return false
		}
	}
	return true
}
