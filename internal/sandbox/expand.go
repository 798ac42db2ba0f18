package sandbox

import (
	"maps"
	"strings"
)

// references are the fields that hold another object's id, by name.
var references = map[string]string{
	"customer": "customer", "product": "product", "price": "price", "coupon": "coupon",
	"promotion_code": "promotion_code", "subscription": "subscription",
	"payment_intent": "payment_intent", "setup_intent": "setup_intent",
	"payment_method": "payment_method", "default_payment_method": "payment_method",
	"invoice": "invoice", "latest_invoice": "invoice", "shipping_rate": "shipping_rate",
	"default_price": "price", "configuration": "billing_portal.configuration",
}

// emptyReferences can be expanded, but hold nothing here.
var emptyReferences = map[string]bool{
	"application": true, "balance_transaction": true, "breakdown": true, "charge": true, "currency_options": true, "customer_account": true,
	"default_source": true, "discounts": true, "latest_charge": true, "on_behalf_of": true,
	"payment_link": true, "pending_setup_intent": true, "quote": true, "review": true,
	"schedule": true, "sources": true, "subscriptions": true, "tax": true, "tax_ids": true,
	"test_clock": true, "tiers": true,
}

// expand follows the request's `expand` paths in a result.
func (c *call) expand(result any) (any, error) {
	o, ok := result.(object)
	if !ok {
		return result, nil
	}
	for i, path := range c.params.strings("expand") {
		steps := strings.Split(path, ".")
		if len(steps) > 5 || len(steps) == 5 && steps[0] != "data" {
			return nil, invalid("", "expand", "You cannot expand more than 4 levels of a property. Property: %s", path)
		}
		grown, err := c.grow(o, steps)
		if err != nil {
			err.Param = join("expand", itoa(i))
			return nil, err
		}
		o = grown
	}
	return o, nil
}

// grow returns o with one path expanded; what it changes, it copies.
func (c *call) grow(o object, steps []string) (object, *apiError) {
	name := steps[0]
	if name == "*" {
		return o, nil
	}
	value, err := c.expanded(o, name)
	if err != nil {
		return nil, err
	}
	if len(steps) > 1 {
		if value, err = c.growValue(value, steps[1:]); err != nil {
			return nil, err
		}
	}
	out := maps.Clone(o)
	if value != nil || has(o, name) {
		out[name] = value
	}
	return out, nil
}

func has(o object, name string) bool { _, ok := o[name]; return ok }

func (c *call) growValue(value any, steps []string) (any, *apiError) {
	switch v := value.(type) {
	case object:
		return c.grow(v, steps)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			grown, err := c.growValue(v[i], steps)
			if err != nil {
				return nil, err
			}
			out[i] = grown
		}
		return out, nil
	}
	return value, nil
}

// expanded returns what stands behind one field.
func (c *call) expanded(o object, name string) (any, *apiError) {
	value := o[name]
	if o["object"] == "checkout.session" && name == "line_items" {
		return c.lineItemsOf(stringOf(o, "id"))
	}
	id, isID := value.(string)
	if kind := references[name]; kind != "" {
		if !isID {
			return value, nil
		}
		if r := c.find(kind, id); r != nil {
			return c.show(kind, r), nil
		}
		return value, nil
	}
	if emptyReferences[name] || isNested(value) {
		return value, nil
	}
	return nil, invalid("", "", "This property cannot be expanded (%s).", name)
}

// isNested says whether a path may go through the value.
func isNested(value any) bool {
	switch value.(type) {
	case object, []any:
		return true
	}
	return false
}
