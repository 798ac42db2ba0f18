//go:build contract

package contract_test

import (
	"net/http"
	"strconv"
	"time"
)

// What sessions need at least.
func paying(more ...string) []string {
	return append([]string{"mode=payment", "line_items[0][price]=price_tshirt", "line_items[0][quantity]=2"}, more...)
}

func subscribing(more ...string) []string {
	return append([]string{"mode=subscription", "line_items[0][price]=price_pro_monthly", "line_items[0][quantity]=1"}, more...)
}

const success = "success_url=https://app.example.com/ok?s={CHECKOUT_SESSION_ID}"

func (w *walker) embedded() []string {
	return []string{"ui_mode=" + w.build.embedded, "return_url=https://app.example.com/back?s={CHECKOUT_SESSION_ID}"}
}

func (w *walker) customer(more ...string) string {
	w.t.Helper()
	return w.post("/v1/customers", more...).str("id")
}

func (w *walker) session(params ...string) string {
	w.t.Helper()
	id := w.post("/v1/checkout/sessions", params...).str("id")
	w.get("/v1/checkout/sessions/" + id)
	return id
}

func (w *walker) sessions() {
	customer := w.customer(append([]string{"email=bea@example.com", "name=Bea"}, address...)...)
	later := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	rich := paying(success, "cancel_url=https://app.example.com/cart", "customer="+customer, "customer_update[address]=auto", "customer_update[name]=auto",
		"customer_update[shipping]=auto", "after_expiration[recovery][enabled]=true", "automatic_tax[enabled]=true", "billing_address_collection=required",
		"client_reference_id=bea", "consent_collection[terms_of_service]=required", "consent_collection[promotions]=auto",
		"consent_collection[payment_method_reuse_agreement][position]=hidden",
		"custom_fields[0][key]=size", "custom_fields[0][label][type]=custom", "custom_fields[0][label][custom]=Size", "custom_fields[0][type]=dropdown",
		"custom_fields[0][dropdown][options][0][label]=Small", "custom_fields[0][dropdown][options][0][value]=s",
		"custom_fields[1][key]=note", "custom_fields[1][label][type]=custom", "custom_fields[1][label][custom]=Note", "custom_fields[1][type]=text",
		"custom_fields[1][optional]=true", "custom_fields[1][text][maximum_length]=20",
		"custom_fields[2][key]=card", "custom_fields[2][label][type]=custom", "custom_fields[2][label][custom]=Number", "custom_fields[2][type]=numeric",
		"custom_text[submit][message]=Thanks", "custom_text[shipping_address][message]=Soon", "expires_at="+later, "discounts[0][coupon]=five",
		"invoice_creation[enabled]=true", "invoice_creation[invoice_data][description]=Merch", "invoice_creation[invoice_data][metadata][a]=1",
		"invoice_creation[invoice_data][custom_fields][0][name]=PO", "invoice_creation[invoice_data][custom_fields][0][value]=1",
		"invoice_creation[invoice_data][rendering_options][amount_tax_display]=include_inclusive_tax",
		"locale=de", "metadata[order]=1", "payment_intent_data[capture_method]=automatic", "payment_intent_data[metadata][a]=1",
		"payment_method_options[card][setup_future_usage]=off_session", "payment_method_types[0]=card", "payment_method_types[1]=us_bank_account",
		"phone_number_collection[enabled]=true", "shipping_address_collection[allowed_countries][0]=DE",
		"shipping_options[0][shipping_rate]=shr_standard", "shipping_options[1][shipping_rate_data][display_name]=Fast",
		"shipping_options[1][shipping_rate_data][type]=fixed_amount", "shipping_options[1][shipping_rate_data][fixed_amount][amount]=900",
		"shipping_options[1][shipping_rate_data][fixed_amount][currency]=usd", "submit_type=book", "tax_id_collection[enabled]=true",
		"line_items[0][adjustable_quantity][enabled]=true", "line_items[0][adjustable_quantity][maximum]=9",
		"line_items[1][price_data][currency]=usd", "line_items[1][price_data][unit_amount]=300", "line_items[1][price_data][product_data][name]=Wrap",
		"line_items[1][quantity]=1")
	id := w.session(rich...)
	w.get("/v1/checkout/sessions/"+id, "expand[0]=line_items.data.price.product", "expand[1]=customer", "expand[2]=total_details.breakdown",
		"expand[3]=shipping_cost.shipping_rate", "expand[4]=payment_intent")
	w.get("/v1/checkout/sessions/"+id+"/line_items", "limit=1")
	w.get("/v1/checkout/sessions/"+id+"/line_items", "expand[0]=data.price.product")

	w.session(paying(success)...)
	w.session(paying(append(w.embedded(), "redirect_on_completion=if_required")...)...)
	w.session(paying("ui_mode="+w.build.embedded, "redirect_on_completion=never")...)
	w.session(paying(success, "customer_email=cy@example.com", "customer_creation=always", "allow_promotion_codes=true")...)
	w.session(paying(success, "ui_mode="+w.build.hosted, "discounts[0][promotion_code]=promo_welcome10")...)
	w.session(subscribing(success)...)
	w.session(subscribing(success, "customer="+customer, "subscription_data[trial_period_days]=14", "payment_method_collection=if_required",
		"subscription_data[trial_settings][end_behavior][missing_payment_method]=pause", "subscription_data[metadata][a]=1", "line_items[1][price]=price_api_calls")...)
	w.session(append([]string{"mode=setup", "currency=usd", "customer=" + customer, "setup_intent_data[metadata][a]=1"}, success)...)
	w.session(append([]string{"mode=setup", "payment_method_types[0]=card"}, w.embedded()...)...)
	if w.build.version > "2025" {
		w.newSessions(customer)
	}
	w.get("/v1/checkout/sessions", "limit=3")
	w.get("/v1/checkout/sessions", "customer="+customer, "expand[0]=data.line_items")
}

// newSessions have what only the newer version has.
func (w *walker) newSessions(customer string) {
	w.session(paying("ui_mode=elements", "return_url=https://app.example.com/back", "customer="+customer)...)
	w.session(paying(success, "customer="+customer, "adaptive_pricing[enabled]=true", "origin_context=mobile_app",
		"name_collection[business][enabled]=true", "name_collection[individual][enabled]=true", "name_collection[individual][optional]=true",
		"optional_items[0][price]=price_tshirt", "optional_items[0][quantity]=1", "wallet_options[link][display]=never",
		"branding_settings[display_name]=Example", "branding_settings[border_style]=pill", "branding_settings[icon][type]=url",
		"branding_settings[icon][url]=https://app.example.com/i.png", "excluded_payment_method_types[0]=klarna", "line_items[0][metadata][a]=1",
		"saved_payment_method_options[allow_redisplay_filters][0]=always", "saved_payment_method_options[payment_method_save]=enabled",
		"tax_id_collection[enabled]=true", "tax_id_collection[required]=if_supported", "customer_update[name]=auto",
		"automatic_tax[enabled]=true", "automatic_tax[liability][type]=self", "customer_update[address]=auto")...)
	w.control(http.MethodPost, "customer_accounts", `{"id":"acct_customer1"}`)
	w.session(paying(success, "customer_account=acct_customer1")...)
	w.post("/v1/billing_portal/sessions", "customer_account=acct_customer1")
}

func (w *walker) updates() {
	if w.build.version < "2024-09-30" {
		w.refused(http.StatusNotFound, "/v1/checkout/sessions/"+w.session(paying(success)...), "metadata[a]=1")
		return
	}
	hosted := "/v1/checkout/sessions/" + w.session(paying(success)...)
	w.post(hosted, "metadata[a]=1", "metadata[b]=2")
	w.post(hosted, "metadata[a]=")
	w.post(hosted, "metadata=")
	w.refused(http.StatusBadRequest, hosted, "shipping_options[0][shipping_rate]=shr_standard")

	embedded := "/v1/checkout/sessions/" + w.session(paying(append(w.embedded(), "permissions[update_shipping_details]=server_only",
		"shipping_address_collection[allowed_countries][0]=DE", "shipping_options[0][shipping_rate]=shr_standard")...)...)
	w.post(embedded, "shipping_options[0][shipping_rate_data][display_name]=New", "shipping_options[0][shipping_rate_data][fixed_amount][amount]=1",
		"shipping_options[0][shipping_rate_data][fixed_amount][currency]=usd")
	w.post(embedded, "collected_information[shipping_details][name]=Ann", "collected_information[shipping_details][address][line1]=Am Markt 1",
		"collected_information[shipping_details][address][country]=DE")

	elements := "/v1/checkout/sessions/" + w.session(paying("ui_mode=elements", "return_url=https://app.example.com/back")...)
	item := w.get(elements+"/line_items").str("data", "0", "id")
	w.post(elements, "line_items[0][id]="+item, "line_items[0][quantity]=5", "line_items[1][price]=price_tshirt", "line_items[1][quantity]=1")
}
