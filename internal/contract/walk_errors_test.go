//go:build contract

package contract_test

import (
	"net/http"
	"slices"
	"strings"
)

// errors are refusals of every status and type.
func (w *walker) errors() {
	bad, none := http.StatusBadRequest, http.StatusNotFound
	for _, path := range []string{
		"customers", "prices", "products", "coupons", "promotion_codes", "shipping_rates", "checkout/sessions", "subscriptions",
		"payment_intents", "setup_intents", "payment_methods", "invoices", "billing_portal/configurations",
	} {
		w.call(none, http.MethodGet, "/v1/"+path+"/no_such_id")
	}
	w.call(http.StatusForbidden, http.MethodGet, "/v1/accounts/acct_other")
	w.call(none, http.MethodGet, "/v1/no_such_thing")
	w.call(bad, http.MethodGet, "/v1/customers", "limit=0")
	w.call(bad, http.MethodGet, "/v1/customers", "starting_after=cus_none")
	w.refused(bad, "/v1/customers", "no_such_parameter=1")
	w.refused(bad, "/v1/customers", "email=nobody")
	for _, params := range [][]string{
		{},
		{"mode=dance"},
		{"mode=payment"},
		paying(), paying(success, "customer=cus_none"), paying(success, "ui_mode=odd"),
		paying(success, "line_items[0][price]=price_none"), paying(success, "line_items[0][price]=price_retired"),
		subscribing(success, "line_items[0][price]=price_tshirt"), paying(success, "allow_promotion_codes=false", "discounts[0][coupon]=five"),
		paying(success, "expires_at=1"), paying("success_url=nowhere"), paying(success, "automatic_tax[enabled]=true", "customer="+w.customer()),
	} {
		w.refused(bad, "/v1/checkout/sessions", unique(params)...)
	}
	w.refused(bad, "/v1/billing_portal/sessions")
	w.refused(bad, "/v1/billing_portal/sessions", "customer=cus_none")
	w.refused(bad, "/v1/billing_portal/sessions", "customer="+w.customer(), "flow_data[type]=dance")

	// What a healthy sandbox does not answer.
	for kind, status := range map[string]int{
		`"rate_limit"`: http.StatusTooManyRequests, `"lock_timeout"`: http.StatusTooManyRequests, `"missing"`: none,
		`"created_then_500"`: http.StatusInternalServerError, `"status","status":503`: http.StatusServiceUnavailable,
		`"status","status":402,"type":"card_error","code":"card_declined"`: http.StatusPaymentRequired,
	} {
		w.control(http.MethodPost, "faults", `{"operation":"customers.create","count":1,"kind":`+kind+`}`)
		w.refused(status, "/v1/customers")
	}
	w.unauthorized()
	w.repeated()
}

// unauthorized is refused before anything is looked at.
func (w *walker) unauthorized() {
	for _, authorization := range []string{"", "Bearer sk_live_nobody", "Basic !"} {
		w.calling(http.StatusUnauthorized, http.MethodGet, "/v1/account", http.Header{"Authorization": {authorization}})
	}
}

// repeated sends an idempotency key twice: the same request is answered again, another
// one is refused.
func (w *walker) repeated() {
	key := http.Header{"Idempotency-Key": {"once"}}
	for range 2 {
		w.calling(http.StatusOK, http.MethodPost, "/v1/customers", key, "name=Ann")
	}
	w.calling(http.StatusBadRequest, http.MethodPost, "/v1/customers", key, "name=Bob")
}

// unique keeps the last of each parameter.
func unique(params []string) []string {
	var out []string
	for i, p := range params {
		name, _, _ := strings.Cut(p, "=")
		if !slices.ContainsFunc(params[i+1:], func(later string) bool { return strings.HasPrefix(later, name+"=") }) {
			out = append(out, p)
		}
	}
	return out
}
