//go:build contract

package contract_test

import (
	"net/http"
)

// subscribed is a live subscription of a new customer.
func (w *walker) subscribed(more ...string) (customer, subscription, item string) {
	w.t.Helper()
	customer = w.customer("email=eve@example.com", "name=Eve")
	id := w.session(subscribing(append(more, success, "customer="+customer)...)...)
	w.control(http.MethodPost, "checkout/"+id+"/complete", "")
	subscription = w.get("/v1/checkout/sessions/" + id).str("subscription")
	return customer, subscription, w.get("/v1/subscriptions/"+subscription).str("items", "data", "0", "id")
}

func (w *walker) subscriptions() {
	customer, sub, item := w.subscribed("subscription_data[trial_period_days]=3")
	path := "/v1/subscriptions/" + sub
	w.get(path, "expand[0]=customer", "expand[1]=latest_invoice", "expand[2]=default_payment_method", "expand[3]=items.data.price.product")
	w.post(path, "metadata[a]=1", "description=Pro", "items[0][id]="+item, "items[0][quantity]=4", "proration_behavior=none")
	w.post(path, "cancel_at_period_end=true", "cancellation_details[comment]=Bye", "cancellation_details[feedback]=too_expensive")
	w.post(path, "cancel_at_period_end=false", "description=", "metadata=", "cancellation_details[comment]=", "cancellation_details[feedback]=")
	w.post(path, "trial_end=now", "pending_invoice_item_interval=")
	w.control(http.MethodPost, "clock", `{"advance":"1000h"}`) // the trial is over, and a renewal
	w.get(path)
	w.get("/v1/subscriptions", "customer="+customer, "status=active", "price=price_pro_monthly", "expand[0]=data.latest_invoice")
	w.call(http.StatusOK, http.MethodDelete, path)
	w.get(path)
	w.get("/v1/subscriptions", "status=all", "limit=100")
	w.get("/v1/subscriptions", "status=canceled", "customer="+customer)
	w.call(http.StatusNotFound, http.MethodDelete, path)
	_, ending, _ := w.subscribed()
	w.post("/v1/subscriptions/"+ending, "cancel_at_period_end=true")
	w.control(http.MethodPost, "clock", `{"advance":"1000h"}`)
	w.get("/v1/subscriptions/" + ending)
}

func (w *walker) portal() {
	made := w.post("/v1/billing_portal/configurations",
		"business_profile[headline]=Example", "business_profile[privacy_policy_url]=https://app.example.com/privacy",
		"business_profile[terms_of_service_url]=https://app.example.com/terms", "default_return_url=https://app.example.com/account",
		"login_page[enabled]=true", "metadata[a]=1", "features[customer_update][enabled]=true", "features[customer_update][allowed_updates][0]=email",
		"features[invoice_history][enabled]=true", "features[payment_method_update][enabled]=true", "features[subscription_cancel][enabled]=true",
		"features[subscription_cancel][mode]=immediately", "features[subscription_cancel][proration_behavior]=create_prorations",
		"features[subscription_cancel][cancellation_reason][enabled]=true", "features[subscription_cancel][cancellation_reason][options][0]=too_expensive",
		"features[subscription_update][enabled]=true", "features[subscription_update][default_allowed_updates][0]=quantity",
		"features[subscription_update][products][0][product]=prod_pro", "features[subscription_update][products][0][prices][0]=price_pro_monthly",
		"features[subscription_update][proration_behavior]=none")
	configuration := made.str("id")
	path := "/v1/billing_portal/configurations/" + configuration
	w.get(path)
	w.post(path, "default_return_url=", "features[invoice_history][enabled]=false", "metadata[a]=", "business_profile[headline]=")
	w.post(path, "features[subscription_update][products]=", "features[subscription_update][default_allowed_updates]=", "features[customer_update][allowed_updates]=", "metadata=")
	w.post(path, "features[subscription_cancel][enabled]=true", "features[subscription_cancel][cancellation_reason][enabled]=true",
		"features[subscription_cancel][cancellation_reason][options]=")
	if w.build.version > "2025" {
		w.post(path, "features[subscription_update][products][0][product]=prod_pro", "features[subscription_update][products][0][prices][0]=price_pro_monthly",
			"features[subscription_update][products][0][adjustable_quantity][enabled]=true", "features[subscription_update][schedule_at_period_end][conditions]=",
			"features[subscription_update][trial_update_behavior]=continue_trial", "features[subscription_update][billing_cycle_anchor]=now", "name=Example")
		w.post(path, "features[subscription_update][schedule_at_period_end][conditions][0][type]=shortening_interval")
	}
	w.get("/v1/billing_portal/configurations", "is_default=true", "limit=1", "active=true")
	bare := []string{"features[invoice_history][enabled]=true"}
	if w.build.version < "2024" {
		bare = append(bare, "business_profile[headline]=") // required then
	}
	w.post("/v1/billing_portal/configurations", append(bare, "features[subscription_cancel][enabled]=true",
		"features[subscription_cancel][cancellation_reason][enabled]=false", "features[subscription_cancel][cancellation_reason][options][0]=other")...)
	off := w.post("/v1/billing_portal/configurations", bare...).str("id")
	w.post("/v1/billing_portal/configurations/"+off, "active=false")
	w.get("/v1/billing_portal/configurations")

	customer, sub, item := w.subscribed()
	open := func(params ...string) {
		w.t.Helper()
		w.post("/v1/billing_portal/sessions", append(params, "customer="+customer)...)
	}
	open()
	open("return_url=https://app.example.com/account", "locale=en-AU", "configuration="+configuration)
	open("expand[0]=configuration")
	for _, end := range [][]string{
		nil,
		{"flow_data[after_completion][type]=portal_homepage"},
		{"flow_data[after_completion][type]=redirect", "flow_data[after_completion][redirect][return_url]=https://app.example.com/done"},
		{"flow_data[after_completion][type]=hosted_confirmation", "flow_data[after_completion][hosted_confirmation][custom_message]=Done"},
	} {
		open(append(end, "flow_data[type]=payment_method_update")...)
		open(append(end, "flow_data[type]=subscription_cancel", "flow_data[subscription_cancel][subscription]="+sub)...)
		open(append(end, "flow_data[type]=subscription_cancel", "flow_data[subscription_cancel][subscription]="+sub,
			"flow_data[subscription_cancel][retention][type]=coupon_offer", "flow_data[subscription_cancel][retention][coupon_offer][coupon]=five")...)
		open(append(end, "flow_data[type]=subscription_update", "flow_data[subscription_update][subscription]="+sub)...)
		confirm := append(end, "flow_data[type]=subscription_update_confirm", "flow_data[subscription_update_confirm][subscription]="+sub,
			"flow_data[subscription_update_confirm][items][0][id]="+item, "flow_data[subscription_update_confirm][items][0][quantity]=2",
			"flow_data[subscription_update_confirm][items][0][price]=price_pro_monthly")
		open(confirm...)
		open(append(confirm, "flow_data[subscription_update_confirm][discounts][0][promotion_code]=promo_welcome10")...)
		if w.build.version > "2025" {
			open(append(end, "flow_data[type]=customer_update")...)
		}
	}
}
