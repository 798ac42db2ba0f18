package sandbox

// reflectAll copies into the session what it shows of its parameters.
func (d *draft) reflectAll() error {
	d.p.reflect(d.fields, "allow_promotion_codes", "billing_address_collection", "cancel_url",
		"client_reference_id", "integration_identifier", "locale", "origin_context",
		"payment_method_types", "excluded_payment_method_types",
		"phone_number_collection", "redirect_on_completion", "return_url",
		"shipping_address_collection", "submit_type", "success_url", "wallet_options",
		"adaptive_pricing", "managed_payments", "permissions")
	d.fields["metadata"] = d.p.metadata(object{})
	d.reflectCollection()
	d.reflectMethodOptions()
	for name, whole := range wholes {
		if d.p.has(name) {
			d.fields[name] = over(whole, object(d.p.sub(name)))
		}
	}
	if err := d.reflectCustomFields(); err != nil {
		return err
	}
	d.reflectRest()
	return nil
}

// wholes are parameters that come back with all their parts, given or not.
var wholes = map[string]object{
	"automatic_tax":                {"enabled": false, "liability": nil, "provider": nil, "status": nil},
	"consent_collection":           {"payment_method_reuse_agreement": nil, "promotions": nil, "terms_of_service": nil},
	"custom_text":                  {"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil},
	"saved_payment_method_options": {"allow_redisplay_filters": nil, "payment_method_remove": nil, "payment_method_save": nil},
	"tax_id_collection":            {"enabled": false, "required": "never"},
	"branding_settings": {
		"background_color": "#ffffff", "border_style": "rounded", "button_color": "#0074d4",
		"display_name": "Till Sandbox", "font_family": "default", "icon": nil, "logo": nil,
	},
}

// reflectCollection: whether a payment method is asked for.
func (d *draft) reflectCollection() {
	byMode := map[string]string{"payment": "if_required", "subscription": "always", "setup": "always"}
	d.fields["payment_method_collection"] = d.p.or("payment_method_collection", byMode[d.mode])
}

// reflectMethodOptions fills in what an answer has although it may be left out.
func (d *draft) reflectMethodOptions() {
	given := d.p.sub("payment_method_options")
	shown := object{}
	for method, options := range given {
		parts, _ := options.(object)
		shown[method] = over(methodDefaults[method], parts)
	}
	d.fields["payment_method_options"] = shown
}

var methodDefaults = map[string]object{
	"card":   {"request_three_d_secure": "automatic"},
	"boleto": {"expires_after_days": 3},
	"oxxo":   {"expires_after_days": 3},
}

func (d *draft) reflectRest() {
	if tax, ok := d.fields["automatic_tax"].(object); ok && tax["enabled"] == true {
		tax["status"] = "requires_location_inputs"
		tax["liability"] = d.p.sub("automatic_tax").or("liability", object{"type": "self"})
		tax["provider"] = "stripe"
	}
	if recovery := d.p.sub("after_expiration").sub("recovery"); len(recovery) > 0 {
		whole := object{"allow_promotion_codes": false, "enabled": false, "expires_at": nil, "url": nil}
		d.fields["after_expiration"] = object{"recovery": over(whole, object(recovery))}
	}
	if id := d.p.str("payment_method_configuration"); id != "" {
		d.fields["payment_method_configuration_details"] = object{"id": id, "parent": nil}
	}
	if names := d.p.sub("name_collection"); len(names) > 0 {
		d.fields["name_collection"] = nameCollection(names)
	}
	if d.mode == "payment" {
		d.fields["invoice_creation"] = invoiceCreation(d.p.sub("invoice_creation"))
	}
	d.reflectOptionalItems()
}

func nameCollection(p params) object {
	out := object{}
	for _, who := range []string{"business", "individual"} {
		if p.has(who) {
			out[who] = over(object{"enabled": false, "optional": false}, object(p.sub(who)))
		}
	}
	return out
}

func invoiceCreation(p params) object {
	data := object{
		"account_tax_ids": nil, "custom_fields": nil, "description": nil, "footer": nil,
		"issuer": nil, "metadata": nil, "rendering_options": nil,
	}
	for name, value := range p.sub("invoice_data") {
		if value != "" {
			data[name] = value
		}
	}
	if given, ok := data["rendering_options"].(object); ok {
		data["rendering_options"] = over(object{"amount_tax_display": nil, "template": nil}, given)
	}
	return object{"enabled": p.bool("enabled"), "invoice_data": data}
}

func (d *draft) reflectOptionalItems() {
	if !d.p.has("optional_items") {
		return
	}
	shown := []any{}
	for _, p := range d.p.subs("optional_items") {
		item := over(object{"adjustable_quantity": nil}, object(p))
		if p.has("adjustable_quantity") {
			item["adjustable_quantity"] = over(object{"minimum": nil, "maximum": nil}, object(p.sub("adjustable_quantity")))
		}
		shown = append(shown, item)
	}
	d.fields["optional_items"] = shown
}

// reflectCustomFields shows each field with the value still to come.
func (d *draft) reflectCustomFields() error {
	given := d.p.subs("custom_fields")
	if len(given) > 3 {
		return invalid("", "custom_fields", "You can pass at most 3 custom fields.")
	}
	shown := []any{}
	for i, p := range given {
		kind := p.str("type")
		if kind == "dropdown" && !p.has("dropdown") {
			return missing(join(join("custom_fields", itoa(i)), "dropdown"))
		}
		field := object{"key": p.str("key"), "label": p["label"], "type": kind, "optional": p.bool("optional")}
		field[kind] = over(customFieldParts[kind], object(p.sub(kind)))
		shown = append(shown, field)
	}
	d.fields["custom_fields"] = shown
	return nil
}

var customFieldParts = map[string]object{
	"dropdown": {"default_value": nil, "value": nil},
	"numeric":  {"default_value": nil, "maximum_length": nil, "minimum_length": nil, "value": nil},
	"text":     {"default_value": nil, "maximum_length": nil, "minimum_length": nil, "value": nil},
}
