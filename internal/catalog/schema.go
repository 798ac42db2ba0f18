package catalog

import "slices"

// lineItemOurs are read by the configuration itself, or never.
var lineItemOurs = map[string]string{
	"price":      "write it as {id: …} or {lookup_key: …}",
	"price_data": "a price made up on the spot is in no catalogue",
	"quantity":   "write it as {default: …, min: …, max: …}",
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
	"expires_at":          "a moment suits one session only: write expires_after, such as 2h, beside params",
	"line_items":          "write them as the plan's own line_items",
	"mode":                "write it as the plan's own mode",
	"flow_data":           "flows are asked for by the caller and listed under the portal's flows",
}

// PortalLocales returns the 47 locales of the Billing Portal.
func PortalLocales() []string { return slices.Clone(portalShape().at("locale").choices) }

// CheckoutLocales returns the 41 locales of Checkout.
func CheckoutLocales() []string { return slices.Clone(checkoutShape().at("locale").choices) }

// IsPortalLocale reports whether the Billing Portal knows l.
func IsPortalLocale(l string) bool { return slices.Contains(portalShape().at("locale").choices, l) }

// IsCheckoutLocale reports whether Checkout knows l.
func IsCheckoutLocale(l string) bool {
	return slices.Contains(checkoutShape().at("locale").choices, l)
}
