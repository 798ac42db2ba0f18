package catalog

import "slices"

// kind is the shape of a Stripe parameter's value.
type kind int

const (
	scalar kind = iota
	list
	object
)

// checkoutParams are the top-level parameters of POST /v1/checkout/sessions in
// API version 2026-08-26.dahlia, the ones stripe-go v76 has no field for included:
// they travel as a form, not through the SDK's structs.
var checkoutParams = map[string]kind{
	"adaptive_pricing": object, "after_expiration": object, "allow_promotion_codes": scalar,
	"automatic_tax": object, "billing_address_collection": scalar, "branding_settings": object,
	"cancel_url": scalar, "client_reference_id": scalar, "consent_collection": object,
	"currency": scalar, "custom_fields": list, "custom_text": object, "customer": scalar,
	"customer_account": scalar, "customer_creation": scalar, "customer_email": scalar,
	"customer_update": object, "discounts": list, "excluded_payment_method_types": list,
	"expand": list, "expires_at": scalar, "integration_identifier": scalar,
	"invoice_creation": object, "line_items": list, "locale": scalar, "managed_payments": object,
	"metadata": object, "mode": scalar, "name_collection": object, "optional_items": list,
	"origin_context": scalar, "payment_intent_data": object, "payment_method_collection": scalar,
	"payment_method_configuration": scalar, "payment_method_data": object,
	"payment_method_options": object, "payment_method_types": list, "permissions": object,
	"phone_number_collection": object, "redirect_on_completion": scalar, "return_url": scalar,
	"saved_payment_method_options": object, "setup_intent_data": object,
	"shipping_address_collection": object, "shipping_options": list, "submit_type": scalar,
	"subscription_data": object, "success_url": scalar, "tax_id_collection": object,
	"ui_mode": scalar, "wallet_options": object,
}

// lineItemParams are Stripe's parameters of a line item.
var lineItemParams = map[string]kind{
	"price": scalar, "price_data": object, "quantity": scalar,
	"adjustable_quantity": object, "dynamic_tax_rates": list, "metadata": object, "tax_rates": list,
}

// lineItemOurs are read by the configuration itself, or never.
var lineItemOurs = map[string]string{
	"price":      "write it as {id: …} or {lookup_key: …}",
	"price_data": "a price made up on the spot is in no catalogue",
	"quantity":   "write it as {default: …, min: …, max: …}",
}

// portalParams are the parameters of POST /v1/billing_portal/sessions.
var portalParams = map[string]kind{
	"configuration": scalar, "customer": scalar, "customer_account": scalar, "expand": list,
	"flow_data": object, "locale": scalar, "on_behalf_of": scalar, "return_url": scalar,
}

// sessionOurs are written by the service for each request; a template that set them
// could sell to the wrong customer or decode into nothing we know.
var sessionOurs = map[string]string{
	"customer":            "the customer comes from the caller's credential",
	"customer_account":    "the customer comes from the caller's credential",
	"customer_email":      "Stripe refuses it beside customer, which is always sent",
	"customer_creation":   "a customer always exists before the session",
	"client_reference_id": "it is always the caller's subject",
	"expand":              "answers have a fixed shape",
	"line_items":          "write them as the plan's own line_items",
	"mode":                "write it as the plan's own mode",
	"flow_data":           "flows are asked for by the caller and listed under the portal's flows",
}

var portalLocales = []string{
	"auto", "bg", "cs", "da", "de", "el", "en", "en-AU", "en-CA", "en-GB", "en-IE", "en-IN", "en-NZ", "en-SG",
	"es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt",
	"nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
}

// portalOnlyLocales are known to the portal and refused by Checkout.
var portalOnlyLocales = []string{"en-AU", "en-CA", "en-IE", "en-IN", "en-NZ", "en-SG"}

// PortalLocales returns the 47 locales of the Billing Portal.
func PortalLocales() []string { return slices.Clone(portalLocales) }

// CheckoutLocales returns the 41 locales of Checkout.
func CheckoutLocales() []string {
	return slices.DeleteFunc(slices.Clone(portalLocales), func(l string) bool {
		return slices.Contains(portalOnlyLocales, l)
	})
}

// IsPortalLocale reports whether the Billing Portal knows l.
func IsPortalLocale(l string) bool { return slices.Contains(portalLocales, l) }

// IsCheckoutLocale reports whether Checkout knows l.
func IsCheckoutLocale(l string) bool {
	return IsPortalLocale(l) && !slices.Contains(portalOnlyLocales, l)
}
