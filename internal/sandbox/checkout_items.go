package sandbox

import "strings"

// lineItem is one line of a session. Its id stays across updates that name it.
type lineItem struct {
	id         string
	price      *record
	quantity   int64 // 0: metered, no quantity
	adjustable any
	metadata   object
	subtotal   int64
	discount   int64
}

// chooseItems resolves the line items and checks them against the mode.
func (d *draft) chooseItems() error {
	if d.mode == "setup" {
		return nil
	}
	for i, p := range d.p.subs("line_items") {
		item, err := d.lineItem(p, join("line_items", itoa(i)))
		if err != nil {
			return err
		}
		d.hidden.items = append(d.hidden.items, item)
	}
	if err := checkModeOfItems(d.mode, d.hidden.items); err != nil {
		return err
	}
	return d.oneCurrency()
}

func (c *call) lineItem(p params, at string) (*lineItem, error) {
	price, err := c.itemPrice(p, at)
	if err != nil {
		return nil, err
	}
	if err := checkQuantity(p, price, at); err != nil {
		return nil, err
	}
	item := &lineItem{id: newLongID("li"), price: price, quantity: p.int("quantity"), metadata: p.metadata(object{})}
	if p.has("adjustable_quantity") {
		item.adjustable = over(object{"minimum": nil, "maximum": nil}, object(p.sub("adjustable_quantity")))
	}
	return item, nil
}

// itemPrice finds the item's price or makes it of price_data.
func (c *call) itemPrice(p params, at string) (*record, error) {
	switch {
	case p.has("price") && p.has("price_data"):
		return nil, invalid("", at, "You may only specify one of these parameters: price, price_data.")
	case p.has("price_data"):
		return c.newPrice(newLongID("price"), p.sub("price_data"), join(at, "price_data"))
	case !p.has("price"):
		return nil, missing(join(at, "price"))
	}
	price, err := c.fromParam("price", p.str("price"), join(at, "price"))
	if err == nil && price.fields["active"] != true {
		return nil, invalid("", join(at, "price"), "The price specified is inactive. This field only accepts active prices.")
	}
	return price, err
}

func checkQuantity(p params, price *record, at string) error {
	param := join(at, "quantity")
	switch {
	case isMetered(price) && p.has("quantity"):
		return invalid("", param, "Quantity should not be specified where usage_type is `metered`. Remove `quantity` from `%s`", at)
	case !isMetered(price) && !p.has("quantity"):
		return invalid("", param, "Quantity is required. Add `quantity` to `%s`", at)
	case p.has("quantity") && p.int("quantity") < 1:
		return invalid("parameter_invalid_integer", param, "This value must be greater than or equal to 1.")
	case p.int("quantity") > 999_999:
		return invalid("parameter_invalid_integer", param, "This value must be less than or equal to 999999.")
	}
	return nil
}

// checkModeOfItems holds the rules of payment and subscription mode.
func checkModeOfItems(mode string, items []*lineItem) error {
	recurring := 0
	for _, item := range items {
		if isRecurring(item.price) {
			recurring++
		}
	}
	once := len(items) - recurring
	switch {
	case mode == "payment" && recurring > 0:
		return invalid("", "mode", "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.")
	case mode == "subscription" && recurring == 0:
		return invalid("", "line_items", "You must provide at least one recurring price in `subscription` mode when using prices.")
	case mode == "payment" && once > 100:
		return invalid("", "line_items", "You can pass at most 100 line items in `payment` mode.")
	case mode == "subscription" && (recurring > 20 || once > 20):
		return invalid("", "line_items", "You can pass at most 20 recurring and 20 one-time line items in `subscription` mode.")
	}
	return nil
}

// oneCurrency wants every price to be in the session's currency, by itself or
// by one of its currency_options.
func (d *draft) oneCurrency() error {
	want := strings.ToLower(d.p.str("currency"))
	for i, item := range d.hidden.items {
		own := item.price.str("currency")
		if want == "" {
			want = own
		}
		if own != want && !item.sells(want) {
			return invalid("", join(join("line_items", itoa(i)), "price"), "The price specified only supports `%s`. This doesn't match the expected currency: `%s`.", own, want)
		}
	}
	d.fields["currency"] = want
	return nil
}

func (i *lineItem) sells(currency string) bool {
	options, _ := i.price.hidden.(params)
	return options.has(currency)
}

// unit is the item's unit amount in a currency.
func (i *lineItem) unit(currency string) int64 {
	options, _ := i.price.hidden.(params)
	if options.has(currency) {
		return options.sub(currency).int("unit_amount")
	}
	return unitAmount(i.price)
}

func listLineItems(c *call) (any, error) {
	r, err := c.fromPath("checkout.session", "session")
	if err != nil {
		return nil, err
	}
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	items, more, err := c.pageItems(checkoutOf(r).items, limit)
	if err != nil {
		return nil, err
	}
	return listOf(c.request.URL.Path, c.showItems(r, items), more), nil
}

// pageItems pages through a session's items in their own order.
func (c *call) pageItems(items []*lineItem, limit int) ([]*lineItem, bool, error) {
	if id := c.params.str("starting_after"); id != "" {
		at := indexOfItem(items, id)
		if at < 0 {
			return nil, false, noSuch("line item", id, "starting_after")
		}
		items = items[at+1:]
	}
	if id := c.params.str("ending_before"); id != "" {
		at := indexOfItem(items, id)
		if at < 0 {
			return nil, false, noSuch("line item", id, "ending_before")
		}
		items = items[:at]
		return items[max(0, len(items)-limit):], len(items) > limit, nil
	}
	return items[:min(limit, len(items))], len(items) > limit, nil
}

func indexOfItem(items []*lineItem, id string) int {
	for i, item := range items {
		if item.id == id {
			return i
		}
	}
	return -1
}

// lineItemsOf is what expanding a session's line_items shows: the first ten.
func (c *call) lineItemsOf(session string) (any, *apiError) {
	r := c.find("checkout.session", session)
	if r == nil {
		return nil, notFound("checkout.session", session)
	}
	items := checkoutOf(r).items
	shown := c.showItems(r, items[:min(10, len(items))])
	return listOf("/v1/checkout/sessions/"+session+"/line_items", shown, len(items) > 10), nil
}

func (c *call) showItems(session *record, items []*lineItem) []any {
	var out []any
	for _, item := range items {
		out = append(out, c.showItem(session, item))
	}
	return out
}

func (c *call) showItem(session *record, item *lineItem) object {
	return over(c.sandbox.templates["item"], object{
		"id": item.id, "currency": session.str("currency"), "description": c.nameOf(item.price),
		"price": c.show("price", item.price), "quantity": item.shownQuantity(),
		"adjustable_quantity": item.adjustable, "metadata": item.metadata,
		"amount_subtotal": item.subtotal, "amount_discount": item.discount, "amount_tax": 0,
		"amount_total": item.subtotal - item.discount,
	})
}

func (i *lineItem) shownQuantity() any {
	if i.quantity == 0 {
		return nil
	}
	return i.quantity
}

// nameOf is the name of a price's product.
func (c *call) nameOf(price *record) string {
	if product := c.find("product", price.str("product")); product != nil {
		return product.str("name")
	}
	return price.id
}
