package sandbox

// updateSince is the API version that brought the update call.
const updateSince = "2024-09-30"

// updateSession changes an open session. Below its version the URL does not
// exist; line_items need the custom UI, shipping_options and
// collected_information embedded or custom.
func updateSession(c *call) (any, error) {
	if c.version < updateSince {
		return nil, unrecognizedURL(c.request)
	}
	r, err := c.fromPath("checkout.session", "session")
	if err != nil {
		return nil, err
	}
	c.expireIfDue(r)
	if r.status() != "open" && !onlyMetadata(c.params) {
		return nil, notOpen(r, "updated")
	}
	for _, step := range []func(*record) error{c.checkUpdateUI, c.updateItems, c.updateShipping, c.updateCollected} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	r.set(object{"metadata": c.params.metadata(metadataOf(r.fields))})
	return c.show("checkout.session", r), nil
}

func onlyMetadata(p params) bool {
	return !p.has("line_items") && !p.has("shipping_options") && !p.has("collected_information")
}

func (c *call) checkUpdateUI(r *record) error {
	ui := r.str("ui_mode")
	shown := spellUIMode(ui, c.version)
	if c.params.has("line_items") && ui != "custom" {
		return invalid("", "line_items", "You can not update `line_items` when `ui_mode` is `%s`.", shown)
	}
	for _, name := range []string{"shipping_options", "collected_information"} {
		if c.params.has(name) && ui == "hosted" {
			return invalid("", name, "You can not update `%s` when `ui_mode` is `%s`.", name, shown)
		}
	}
	return nil
}

// updateItems replaces all items: an item that names an id keeps what it does
// not mention, one that is left out is gone.
func (c *call) updateItems(r *record) error {
	if !c.params.has("line_items") {
		return nil
	}
	s := checkoutOf(r)
	var items []*lineItem
	for i, p := range c.params.subs("line_items") {
		item, err := c.updatedItem(s.items, p, join("line_items", itoa(i)))
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	if err := checkModeOfItems(r.mode(), items); err != nil {
		return err
	}
	s.items = items
	r.set(totals(s, r.str("currency")))
	return nil
}

func (c *call) updatedItem(old []*lineItem, p params, at string) (*lineItem, error) {
	id := p.str("id")
	if id == "" {
		return c.lineItem(p, at)
	}
	i := indexOfItem(old, id)
	if i < 0 {
		return nil, noSuch("line item", id, join(at, "id"))
	}
	item := *old[i]
	if p.has("price") || p.has("price_data") {
		price, err := c.itemPrice(p, at)
		if err != nil {
			return nil, err
		}
		item.price = price
	}
	if p.has("quantity") {
		if err := checkQuantity(p, item.price, at); err != nil {
			return nil, err
		}
		item.quantity = p.int("quantity")
	}
	if p.has("metadata") {
		item.metadata = p.metadata(item.metadata)
	}
	return &item, nil
}

func (c *call) updateShipping(r *record) error {
	if !c.params.has("shipping_options") {
		return nil
	}
	shown, first, err := c.shippingOptions()
	if err != nil {
		return err
	}
	s := checkoutOf(r)
	s.shipping = first
	r.set(totals(s, r.str("currency")))
	r.set(object{"shipping_options": shown})
	return nil
}

func (c *call) updateCollected(r *record) error {
	details := c.params.sub("collected_information").sub("shipping_details")
	if len(details) == 0 {
		return nil
	}
	shipping := object{"name": details.str("name"), "address": address(details["address"])}
	r.set(object{
		"shipping_details":      shipping,
		"collected_information": object{"shipping_details": shipping, "business_name": nil, "individual_name": nil},
	})
	return nil
}
