//go:build contract

package contract_test

import (
	"net/http"
)

// outcomes are sessions that are over, and what they leave behind.
func (w *walker) outcomes() {
	customer := w.customer(append([]string{"email=dee@example.com", "name=Dee"}, address...)...)
	everything := []string{
		"expand[0]=customer", "expand[1]=payment_intent.payment_method", "expand[2]=subscription.latest_invoice",
		"expand[3]=setup_intent", "expand[4]=invoice", "expand[5]=line_items", "expand[6]=payment_intent.latest_charge",
	}
	for _, params := range [][]string{
		paying(success),
		paying(success, "customer="+customer, "invoice_creation[enabled]=true", "shipping_address_collection[allowed_countries][0]=DE",
			"shipping_options[0][shipping_rate]=shr_standard", "phone_number_collection[enabled]=true", "tax_id_collection[enabled]=true",
			"customer_update[name]=auto", "payment_intent_data[setup_future_usage]=off_session"),
		paying(append(w.embedded(), "customer="+customer, "discounts[0][coupon]=gift", "consent_collection[terms_of_service]=required")...),
		paying(success, "customer_creation=always", "discounts[0][promotion_code]=promo_welcome10"),
		subscribing(success),
		subscribing(success, "customer="+customer, "subscription_data[trial_period_days]=14", "line_items[1][price]=price_api_calls"),
		subscribing(success, "customer="+customer, "subscription_data[description]=Pro", "subscription_data[metadata][a]=1", "discounts[0][coupon]=five"),
		append([]string{"mode=setup", "currency=usd", "customer=" + customer}, success),
		append([]string{"mode=setup", "currency=usd"}, success),
	} {
		w.outcome(w.session(params...), everything)
	}
	w.get("/v1/checkout/sessions", "status=complete", "customer="+customer)
	for _, kind := range []string{"invoices", "payment_methods", "subscriptions"} {
		w.get("/v1/"+kind, "customer="+customer)
	}
	w.get("/v1/invoices", "limit=100", "status=paid")

	expired := w.session(paying(success, "after_expiration[recovery][enabled]=true", "after_expiration[recovery][allow_promotion_codes]=true")...)
	w.post("/v1/checkout/sessions/" + expired + "/expire")
	w.get("/v1/checkout/sessions/" + expired)
	w.refused(http.StatusBadRequest, "/v1/checkout/sessions/"+expired+"/expire")
	declined := w.session(paying(success)...)
	w.control(http.MethodPost, "checkout/"+declined+"/decline", "")
	w.get("/v1/checkout/sessions/" + declined)
	w.control(http.MethodPost, "clock", `{"advance":"25h"}`)
	w.get("/v1/checkout/sessions/" + declined) // by now it has expired by itself
	w.get("/v1/checkout/sessions", "status=expired")
}

// outcome completes a session and reads it and everything it made.
func (w *walker) outcome(id string, expand []string) {
	w.t.Helper()
	w.control(http.MethodPost, "checkout/"+id+"/complete", "")
	done := w.get("/v1/checkout/sessions/" + id)
	w.get("/v1/checkout/sessions/"+id, expand...)
	w.get("/v1/checkout/sessions/" + id + "/line_items")
	for _, made := range []struct{ field, path string }{
		{"customer", "/v1/customers/"},
		{"payment_intent", "/v1/payment_intents/"},
		{"setup_intent", "/v1/setup_intents/"},
		{"invoice", "/v1/invoices/"},
		{"subscription", "/v1/subscriptions/"},
	} {
		ref := done.str(made.field)
		if ref == "" {
			continue
		}
		got := w.get(made.path + ref)
		for field, path := range map[string]string{
			"payment_method": "/v1/payment_methods/", "default_payment_method": "/v1/payment_methods/", "latest_invoice": "/v1/invoices/",
		} {
			if inner := got.str(field); inner != "" {
				w.get(path + inner)
			}
		}
	}
}
