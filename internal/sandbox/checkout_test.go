package sandbox_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSessionLifecycle(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer("email=ann@example.com", "metadata[till_subject]=ann")
	made := s.session(with(subscribing, "customer="+customer, "metadata[a]=b", "client_reference_id=ann")...)
	id := made.str("id")

	if !regexp.MustCompile(`^cs_test_[A-Za-z0-9]{58}$`).MatchString(id) {
		t.Errorf("id %q", id)
	}
	if want := "/sandbox/checkout/" + id; !strings.HasSuffix(made.str("url"), want) {
		t.Errorf("url %q, want it to end with %q", made.str("url"), want)
	}
	for field, want := range map[string]any{
		"object": "checkout.session", "status": "open", "payment_status": "unpaid", "mode": "subscription",
		"ui_mode": "hosted", "customer": customer, "currency": "usd", "amount_subtotal": 2000.0,
		"amount_total": 2000.0, "livemode": false, "client_reference_id": "ann", "client_secret": nil,
		"subscription": nil, "payment_intent": nil, "cancel_url": "https://app.example/back",
	} {
		if got := made.at(field); got != want {
			t.Errorf("%s: got %v, want %v", field, got, want)
		}
	}

	s.complete(id)
	done := s.get("/v1/checkout/sessions/"+id, "expand[0]=subscription.latest_invoice", "expand[1]=line_items", "expand[2]=customer")
	for path, want := range map[string]any{
		"status": "complete", "payment_status": "paid", "url": nil, "subscription.status": "active",
		"subscription.customer": customer, "subscription.latest_invoice.status": "paid",
		"subscription.items.data.0.price.id": "price_pro_monthly", "line_items.data.0.amount_total": 2000.0,
		"customer.email": "ann@example.com", "customer_details.email": "ann@example.com",
		"metadata.a": "b",
	} {
		if got := done.at(strings.Split(path, ".")...); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	wantError(t, s.post("/v1/checkout/sessions/"+id+"/expire"), 400, "", "")
	if got := s.post("/v1/checkout/sessions/" + id + "/expire"); !strings.Contains(got.raw, "Only Checkout Sessions with a status in") {
		t.Errorf("expiring a complete session: %s", got.raw)
	}
}

func TestSessionOutcomesByMode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                 string
		params               []string
		born, absent, status string
		customer             bool // one is made at completion
	}{
		{"payment", paying, "payment_intent", "subscription", "paid", false},
		{"payment with customer", with(paying, "customer_creation=always"), "payment_intent", "setup_intent", "paid", true},
		{"subscription", subscribing, "subscription", "payment_intent", "paid", true},
		{"trial", with(subscribing, "subscription_data[trial_period_days]=14"), "subscription", "payment_intent", "no_payment_required", true},
		{"setup", saving, "setup_intent", "payment_intent", "no_payment_required", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			done := s.complete(s.session(tt.params...).str("id"))
			if done.str(tt.born) == "" || done.at(tt.absent) != nil {
				t.Errorf("%s %v, %s %v", tt.born, done.at(tt.born), tt.absent, done.at(tt.absent))
			}
			if got := done.str("payment_status"); got != tt.status {
				t.Errorf("payment_status %q, want %q", got, tt.status)
			}
			if got := done.str("customer") != ""; got != tt.customer {
				t.Errorf("customer %v", done.at("customer"))
			}
		})
	}
}

func TestTrialCostsNothingTodayAndThenRuns(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session(with(subscribing, "subscription_data[trial_period_days]=14", "subscription_data[metadata][k]=v",
		"line_items[1][price]=price_tshirt", "line_items[1][quantity]=1")...)
	if made.at("amount_total") != 2500.0 {
		t.Errorf("amount_total %v: only the one-time item is due", made.at("amount_total"))
	}
	sub := s.complete(made.str("id")).str("subscription")
	now := s.get("/v1/subscriptions/" + sub)
	if now.str("status") != "trialing" || now.at("trial_end") == nil || now.str("metadata", "k") != "v" {
		t.Errorf("subscription: %s", now.raw)
	}
	s.advance("360h")
	if got := s.get("/v1/subscriptions/" + sub); got.str("status") != "active" || got.at("current_period_end").(float64) <= now.at("trial_end").(float64) {
		t.Errorf("after the trial: %s", got.raw)
	}
}

func TestSessionExpiresByTheClock(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.session(paying...).str("id")
	s.advance("23h59m")
	if got := s.get("/v1/checkout/sessions/" + id); got.str("status") != "open" || got.str("url") == "" {
		t.Errorf("before: %s", got.raw)
	}
	s.advance("1m")
	if got := s.get("/v1/checkout/sessions/" + id); got.str("status") != "expired" || got.at("url") != nil {
		t.Errorf("after: %s", got.raw)
	}
	if got := s.control("POST", "/sandbox/v1/checkout/"+id+"/complete", ""); got.status != 400 {
		t.Errorf("completing an expired session: %d", got.status)
	}
}

func TestExpireSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.session(paying...).str("id")
	// No body and no Content-Type: stripe-go sends nil params like that.
	if got := s.post("/v1/checkout/sessions/" + id + "/expire"); got.str("status") != "expired" || got.str("id") != id {
		t.Errorf("expire: %s", got.raw)
	}
	other := s.session(paying...).str("id")
	if got := s.control("POST", "/sandbox/v1/checkout/"+other+"/expire", ""); got.str("status") != "expired" {
		t.Errorf("expire by control: %s", got.raw)
	}
	wantError(t, s.post("/v1/checkout/sessions/cs_test_nobody/expire"), 404, "resource_missing", "id")
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                      string
		params                    []string
		subtotal, discount, total float64
	}{
		{"two shirts", paying, 5000, 0, 5000},
		{"coupon", with(paying, "discounts[0][coupon]=welcome10"), 5000, 500, 4500},
		{"promotion code", with(paying, "discounts[0][promotion_code]=promo_welcome10"), 5000, 500, 4500},
		{"shipping", with(paying, "shipping_options[0][shipping_rate]=shr_standard"), 5000, 0, 5500},
		{"price data", []string{
			"mode=payment", "success_url=https://app.example/", "line_items[0][quantity]=3",
			"line_items[0][price_data][currency]=eur", "line_items[0][price_data][unit_amount]=700",
			"line_items[0][price_data][product_data][name]=Mug",
		}, 2100, 0, 2100},
		{"metered", []string{"mode=subscription", "success_url=https://app.example/", "line_items[0][price]=price_api_calls"}, 0, 0, 0},
		{"unindexed list", []string{
			"mode=payment", "success_url=https://app.example/", "line_items[0][price]=price_tshirt",
			"line_items[0][quantity]=1", "payment_method_types[]=card",
		}, 2500, 0, 2500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := start(t).session(tt.params...)
			for path, want := range map[string]float64{
				"amount_subtotal": tt.subtotal, "amount_total": tt.total, "total_details.amount_discount": tt.discount,
			} {
				if v := got.at(strings.Split(path, ".")...); v != want {
					t.Errorf("%s: got %v, want %v", path, v, want)
				}
			}
		})
	}
}

func TestUIModeByVersion(t *testing.T) {
	t.Parallel()
	embedded := with(without(paying, "success_url"), "return_url=https://app.example/done")
	tests := []struct {
		version, sent, shown string
		base                 []string
		status               int
	}{
		{"2023-10-16", "", "hosted", paying, 200},
		{"2023-10-16", "hosted", "hosted", paying, 200},
		{"2023-10-16", "embedded", "embedded", embedded, 200},
		{"2025-03-31.basil", "custom", "custom", embedded, 200},
		{"2023-10-16", "hosted_page", "", paying, 400},
		{"2026-02-25.clover", "hosted", "hosted", paying, 200},
		{"2026-03-25.dahlia", "hosted", "", paying, 400},
		{dahlia, "", "hosted_page", paying, 200},
		{dahlia, "hosted_page", "hosted_page", paying, 200},
		{dahlia, "embedded_page", "embedded_page", embedded, 200},
		{dahlia, "elements", "elements", embedded, 200},
		{dahlia, "embedded", "", embedded, 400},
	}
	for _, tt := range tests {
		t.Run(tt.version+" "+tt.sent, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.version = tt.version
			params := tt.base
			if tt.sent != "" {
				params = with(params, "ui_mode="+tt.sent)
			}
			got := s.post("/v1/checkout/sessions", params...)
			if tt.status != 200 {
				wantError(t, got, 400, "", "ui_mode")
				return
			}
			if got.str("ui_mode") != tt.shown {
				t.Errorf("ui_mode %q, want %q", got.str("ui_mode"), tt.shown)
			}
			hosted := strings.HasPrefix(tt.shown, "hosted")
			if (got.str("url") != "") != hosted || (got.str("client_secret") != "") == hosted {
				t.Errorf("url %v, client_secret %v", got.at("url"), got.at("client_secret"))
			}
			// The same session, seen by the other version.
			id := got.str("id")
			s.version = map[bool]string{true: "2023-10-16", false: dahlia}[tt.version == dahlia]
			if seen := s.get("/v1/checkout/sessions/" + id).str("ui_mode"); seen == tt.shown && (tt.version == dahlia || tt.version == "2023-10-16") {
				t.Errorf("the other version sees %q too", seen)
			}
		})
	}
}

func TestSessionUpdate(t *testing.T) {
	t.Parallel()
	s := start(t)
	hosted := s.session(with(paying, "metadata[a]=1", "metadata[b]=2")...).str("id")
	wantError(t, s.post("/v1/checkout/sessions/"+hosted, "metadata[a]=9"), 404, "", "") // not in this version

	s.version = dahlia
	path := "/v1/checkout/sessions/" + hosted
	if got := s.must(path, "metadata[a]=9", "metadata[b]="); got.str("metadata", "a") != "9" || got.at("metadata", "b") != nil {
		t.Errorf("metadata: %v", got.at("metadata"))
	}
	if got := s.must(path, "metadata="); len(got.at("metadata").(object)) != 0 {
		t.Errorf("metadata: %v", got.at("metadata"))
	}
	wantError(t, s.post(path, "success_url=https://x.example"), 400, "parameter_unknown", "success_url")
	wantError(t, s.post(path, "shipping_options[0][shipping_rate]=shr_standard"), 400, "", "shipping_options")
	wantError(t, s.post(path, "line_items[0][price]=price_tshirt", "line_items[0][quantity]=1"), 400, "", "line_items")

	custom := s.session(with(without(paying, "success_url"), "return_url=https://app.example/done", "ui_mode=elements")...).str("id")
	path = "/v1/checkout/sessions/" + custom
	item := s.get(path+"/line_items").str("data", "0", "id")
	if got := s.must(path, "line_items[0][id]="+item, "line_items[0][quantity]=1", "shipping_options[0][shipping_rate]=shr_standard"); got.at("amount_total") != 3000.0 {
		t.Errorf("amount_total %v", got.at("amount_total"))
	}
	got := s.must(path, "collected_information[shipping_details][name]=Ann",
		"collected_information[shipping_details][address][country]=DE", "collected_information[shipping_details][address][line1]=Weg 1")
	if got.str("collected_information", "shipping_details", "address", "country") != "DE" {
		t.Errorf("collected_information: %v", got.at("collected_information"))
	}
}

func TestParametersAreReflected(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.version = dahlia
	got := s.session(with(paying,
		"locale=de", "submit_type=donate", "billing_address_collection=required", "phone_number_collection[enabled]=true",
		"shipping_address_collection[allowed_countries][0]=DE", "automatic_tax[enabled]=true",
		"consent_collection[promotions]=auto", "custom_text[submit][message]=Hi", "tax_id_collection[enabled]=true",
		"custom_fields[0][key]=size", "custom_fields[0][type]=text", "custom_fields[0][label][type]=custom", "custom_fields[0][label][custom]=Size",
		"after_expiration[recovery][enabled]=true", "invoice_creation[enabled]=true", "invoice_creation[invoice_data][description]=Hello",
		"payment_method_types[0]=card", "payment_method_options[card][setup_future_usage]=off_session",
		"saved_payment_method_options[payment_method_save]=enabled", "name_collection[individual][enabled]=true",
		"optional_items[0][price]=price_tshirt", "optional_items[0][quantity]=1", "wallet_options[link][display]=never",
		"branding_settings[display_name]=Shop", "origin_context=web", "integration_identifier=till", "managed_payments[enabled]=false",
		"adaptive_pricing[enabled]=true", "payment_method_configuration=pmc_1",
		"payment_intent_data[description]=Shirts", "payment_intent_data[metadata][k]=v", "customer_creation=always",
	)...)
	for path, want := range map[string]any{
		"locale": "de", "submit_type": "donate", "phone_number_collection.enabled": true,
		"automatic_tax.enabled": true, "consent_collection.promotions": "auto", "custom_text.submit.message": "Hi",
		"custom_text.after_submit": nil, "custom_fields.0.key": "size", "custom_fields.0.optional": false,
		"after_expiration.recovery.enabled": true, "invoice_creation.invoice_data.description": "Hello",
		"payment_method_types.0": "card", "name_collection.individual.enabled": true, "optional_items.0.price": "price_tshirt",
		"wallet_options.link.display": "never", "branding_settings.display_name": "Shop", "origin_context": "web",
		"payment_method_configuration_details.id": "pmc_1", "customer_creation": "always",
	} {
		if v := got.at(strings.Split(path, ".")...); v != want {
			t.Errorf("%s: got %v, want %v", path, v, want)
		}
	}
	intent := s.get("/v1/payment_intents/" + s.complete(got.str("id")).str("payment_intent"))
	if intent.str("metadata", "k") != "v" || intent.str("description") != "Shirts" {
		t.Errorf("payment_intent: %s", intent.raw)
	}
}

func TestSessionRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	ann, gone := s.customer(), s.customer()
	s.call("DELETE", "/v1/customers/"+gone, nil)
	at := func(d time.Duration) string { return fmt.Sprintf("expires_at=%d", time.Now().Add(d).Unix()) }
	item := func(price string) []string {
		return with(without(subscribing, "line_items[0][price]"), "line_items[0][price]="+price)
	}
	embedded := with(without(paying, "success_url"), "ui_mode=embedded")
	tests := []struct {
		name        string
		params      []string
		code, param string
	}{
		{"unknown parameter", with(paying, "colour=red"), "parameter_unknown", "colour"},
		{"unknown nested parameter", with(paying, "line_items[0][colour]=red"), "parameter_unknown", "line_items[0][colour]"},
		{"no mode", without(paying, "mode"), "parameter_missing", "mode"},
		{"wrong mode", with(without(paying, "mode"), "mode=give"), "", "mode"},
		{"no items", without(paying, "line_items[0][price]", "line_items[0][quantity]"), "parameter_missing", "line_items"},
		{"no price", without(paying, "line_items[0][price]"), "parameter_missing", "line_items[0][price]"},
		{"no success url", without(paying, "success_url"), "parameter_missing", "success_url"},
		{"empty success url", with(paying, "cancel_url="), "parameter_invalid_empty", "cancel_url"},
		{"unknown customer", with(paying, "customer=cus_nobody"), "resource_missing", "customer"},
		{"deleted customer", with(paying, "customer="+gone), "resource_missing", "customer"},
		{"unknown customer account", with(paying, "customer_account=acct_nobody"), "resource_missing", "customer_account"},
		{"unknown price", item("price_nothing"), "resource_missing", "line_items[0][price]"},
		{"inactive price", item("price_retired"), "", "line_items[0][price]"},
		{"payment with recurring price", with(item("price_pro_monthly")[1:], "mode=payment"), "", "mode"},
		{"subscription without recurring price", item("price_tshirt"), "", "line_items"},
		{"metered with quantity", item("price_api_calls"), "", "line_items[0][quantity]"},
		{"licensed without quantity", without(paying, "line_items[0][quantity]"), "", "line_items[0][quantity]"},
		{"quantity 0", with(paying, "line_items[0][quantity]=0"), "parameter_invalid_integer", "line_items[0][quantity]"},
		{"quantity no number", with(paying, "line_items[0][quantity]=two"), "parameter_invalid_integer", "line_items[0][quantity]"},
		{"customer and e-mail", with(paying, "customer="+ann, "customer_email=a@example.com"), "", "customer_email"},
		{"codes and discounts", with(paying, "allow_promotion_codes=true", "discounts[0][coupon]=welcome10"), "", "discounts"},
		{"codes false and discounts", with(paying, "allow_promotion_codes=false", "discounts[0][coupon]=welcome10"), "", "discounts"},
		{"codes in setup", with(saving, "allow_promotion_codes=false"), "", "allow_promotion_codes"},
		{"items in setup", with(saving, "line_items[0][price]=price_tshirt"), "", "line_items"},
		{"setup without currency", without(saving, "currency"), "parameter_missing", "currency"},
		{"customer creation in subscription", with(subscribing, "customer_creation=always"), "", "customer_creation"},
		{"subscription data in payment", with(paying, "subscription_data[description]=x"), "", "subscription_data"},
		{"payment intent data in subscription", with(subscribing, "payment_intent_data[description]=x"), "", "payment_intent_data"},
		{"setup intent data in payment", with(paying, "setup_intent_data[description]=x"), "", "setup_intent_data"},
		{"collection in payment", with(paying, "payment_method_collection=always"), "", "payment_method_collection"},
		{"submit type in setup", with(saving, "submit_type=pay"), "", "submit_type"},
		{"saved cards in setup", with(saving, "saved_payment_method_options[payment_method_save]=enabled"), "", "saved_payment_method_options"},
		{"permissions of a hosted page", with(paying, "permissions[update_shipping_details]=server_only"), "", "permissions"},
		{"a custom page with branding", with(without(embedded, "ui_mode"), "ui_mode=custom", "return_url=https://app.example/", "branding_settings[display_name]=x"), "", "branding_settings"},
		{"a tax id without a name to keep", with(paying, "customer="+ann, "tax_id_collection[enabled]=true"), "", ""},
		{"customer update alone", with(paying, "customer_update[name]=auto"), "", "customer_update"},
		{"return url when hosted", with(paying, "return_url=https://app.example/"), "", "return_url"},
		{"embedded without return url", embedded, "parameter_missing", "return_url"},
		{"embedded with success url", with(embedded, "success_url=https://app.example/", "return_url=https://app.example/"), "", "success_url"},
		{"custom with submit type", with(without(embedded, "ui_mode"), "ui_mode=custom", "return_url=https://app.example/", "submit_type=pay"), "", "submit_type"},
		{"expires too soon", with(paying, at(29*time.Minute)), "", "expires_at"},
		{"expires too late", with(paying, at(25*time.Hour)), "", "expires_at"},
		{"custom scheme", with(paying, "success_url=myapp://done"), "url_invalid", "success_url"},
		{"no url", with(paying, "cancel_url=not a url"), "url_invalid", "cancel_url"},
		{"javascript", with(paying, "cancel_url=javascript:alert(1)"), "url_invalid", "cancel_url"},
		{"portal's locale", with(paying, "locale=en-AU"), "", "locale"},
		{"long reference", with(paying, "client_reference_id="+strings.Repeat("x", 201)), "", "client_reference_id"},
		{"long metadata key", with(paying, "metadata["+strings.Repeat("k", 41)+"]=v"), "", "metadata[" + strings.Repeat("k", 41) + "]"},
		{"long metadata value", with(paying, "metadata[k]="+strings.Repeat("v", 501)), "", "metadata[k]"},
		{"much metadata", with(paying, manyKeys(51)...), "", "metadata"},
		{"unknown coupon", with(paying, "discounts[0][coupon]=nope"), "resource_missing", "discounts[0][coupon]"},
		{"unknown promotion code", with(paying, "discounts[0][promotion_code]=promo_x"), "resource_missing", "discounts[0][promotion_code]"},
		{"two discounts", with(paying, "discounts[0][coupon]=welcome10", "discounts[1][coupon]=welcome10"), "", "discounts"},
		{"unknown shipping rate", with(paying, "shipping_options[0][shipping_rate]=shr_x"), "resource_missing", "shipping_options[0][shipping_rate]"},
		{"wrong currency", with(paying, "currency=eur"), "", "line_items[0][price]"},
		{"trial too short", with(subscribing, "subscription_data[trial_period_days]=0"), "parameter_invalid_integer", "subscription_data[trial_period_days]"},
		{"tax without address", with(paying, "customer="+ann, "automatic_tax[enabled]=true"), "customer_tax_location_invalid", ""},
		{"no boolean", with(paying, "phone_number_collection[enabled]=yes"), "", "phone_number_collection[enabled]"},
		{"no expansion", with(paying, "expand[0]=nonsense"), "", "expand[0]"},
		{"scalar for object", with(paying, "automatic_tax=true"), "", "automatic_tax"},
		{"empty list", with(paying, "payment_method_types="), "", "payment_method_types"},
	}
	before := s.count("checkout_sessions")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.post("/v1/checkout/sessions", tt.params...)
			wantError(t, got, 400, tt.code, tt.param)
			if got.str("error", "message") == "" || got.str("error", "type") != "invalid_request_error" || got.str("error", "request_log_url") == "" {
				t.Errorf("incomplete error: %s", got.raw)
			}
			if (got.str("error", "doc_url") != "") != (tt.code != "") {
				t.Errorf("doc_url %q with code %q", got.str("error", "doc_url"), tt.code)
			}
		})
	}
	// An expansion is refused after execution, as at Stripe; the rest made nothing.
	if got := s.count("checkout_sessions"); got > before+1 {
		t.Errorf("%d sessions were made by refused requests", got-before)
	}
}

func manyKeys(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("metadata[k%d]=v", i))
	}
	return out
}

func TestCustomerAccounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.version = dahlia
	id := s.control("POST", "/sandbox/v1/customer_accounts", `{}`).str("id")
	got := s.session(with(paying, "customer_account="+id)...)
	if got.str("customer_account") != id || got.at("customer") != nil {
		t.Errorf("customer_account %v, customer %v", got.at("customer_account"), got.at("customer"))
	}
	wantError(t, s.post("/v1/checkout/sessions", with(paying, "customer_account="+id, "customer="+s.customer())...), 400, "", "customer_account")
	if got := s.must("/v1/billing_portal/sessions", "customer_account="+id); got.str("customer_account") != id {
		t.Errorf("portal: %s", got.raw)
	}
}
