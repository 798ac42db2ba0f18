//go:build contract

package contract_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestWhatTheSandboxAnswers walks through every operation of the sandbox as each version
// and holds every answer against that version's specification.
func TestWhatTheSandboxAnswers(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			w := newWalker(t, b)
			defer w.report()
			w.account()
			w.customers()
			w.catalogue()
			w.discounts()
			w.sessions()
			w.updates()
			w.outcomes()
			w.subscriptions()
			w.portal()
			w.errors()

			missing := w.leftOut()
			if b.version < "2024-09-30" {
				// That version has no such operation.
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == "checkout.sessions.update" })
			}
			if len(missing) > 0 {
				t.Errorf("the walk leaves out %v", missing)
			}
			total := 0
			for _, n := range w.judged {
				total += n
			}
			t.Logf("%d answers judged, of %d operations and statuses", total, len(w.judged))
		})
	}
}

func (w *walker) account() {
	own := w.get("/v1/account").str("id")
	w.get("/v1/accounts/" + own)
}

var address = []string{
	"address[line1]=Am Markt 1", "address[line2]=2. Stock", "address[city]=Bonn", "address[postal_code]=53111", "address[country]=DE",
}

func (w *walker) customers() {
	w.post("/v1/customers")
	made := w.post("/v1/customers", append([]string{
		"email=ann@example.com", "name=Ann", "phone=+4922800", "description=First", "metadata[a]=1",
		"preferred_locales[0]=de", "tax_exempt=none", "invoice_prefix=ANN", "balance=-500",
		"shipping[name]=Ann", "shipping[address][line1]=Am Markt 1",
		"invoice_settings[footer]=Thanks", "invoice_settings[custom_fields][0][name]=PO", "invoice_settings[custom_fields][0][value]=4711",
	}, address...)...)
	path := "/v1/customers/" + made.str("id")
	w.get(path)
	w.get(path, "expand[0]=default_source", "expand[1]=invoice_settings.default_payment_method", "expand[2]=subscriptions")
	w.post(path, "email=", "name=Ann B.", "metadata[a]=", "metadata[b]=2", "shipping=", "address=")
	w.post(path, "metadata=", "description=", "tax_exempt=", "invoice_settings[custom_fields]=", "invoice_settings[rendering_options]=")
	w.post(path, "tax_exempt=reverse", "invoice_settings[rendering_options][amount_tax_display]=include_inclusive_tax", "phone=", "balance=0")
	w.get("/v1/customers")
	w.post(path, "email=ann.b@example.com", "name=Ann")
	w.get("/v1/customers", "limit=1")
	w.get("/v1/customers", "limit=1", "created[gte]=1", "email=ann.b@example.com")
	w.get("/v1/customers", "starting_after="+made.str("id"), "created[lt]=1")
	w.call(http.StatusOK, http.MethodDelete, path)
	w.get(path) // now a deleted customer
	w.call(http.StatusNotFound, http.MethodPost, path, "email=ann@example.com", "name=Ann")
	w.call(http.StatusNotFound, http.MethodGet, "/v1/customers/cus_nobody")
}

func (w *walker) catalogue() {
	made := w.post("/v1/products", "name=Mug", "description=Blue", "metadata[a]=1", "images[0]=https://app.example.com/mug.png",
		"shippable=true", "statement_descriptor=MUG", "unit_label=mug", "url=https://app.example.com/mug", "tax_code=txcd_99999999",
		"package_dimensions[height]=1.5", "package_dimensions[length]=2", "package_dimensions[weight]=3", "package_dimensions[width]=4")
	product := made.str("id")
	w.get("/v1/products/" + product)
	w.get("/v1/products/"+product, "expand[0]=default_price")
	w.get("/v1/products", "active=true", "ids[0]="+product)

	for _, more := range [][]string{
		{"product=" + product, "unit_amount=1200", "lookup_key=mug", "nickname=Mug", "metadata[a]=1", "tax_behavior=exclusive"},
		{"product=" + product, "unit_amount=500", "recurring[interval]=year", "recurring[interval_count]=2", "recurring[usage_type]=licensed"},
		{"product=" + product, "unit_amount_decimal=0.5", "recurring[interval]=month", "recurring[usage_type]=metered"},
		{"product_data[name]=Cup", "unit_amount=900", "active=false"},
		{"product=" + product, "custom_unit_amount[enabled]=true", "custom_unit_amount[minimum]=100", "custom_unit_amount[preset]=500"},
		{"product=" + product, "billing_scheme=tiered", "tiers_mode=graduated", "tiers[0][up_to]=10", "tiers[0][unit_amount]=100", "tiers[1][up_to]=inf", "tiers[1][flat_amount]=50", "recurring[interval]=month"},
		{"product=" + product, "unit_amount=1000", "currency_options[eur][unit_amount]=900", "transform_quantity[divide_by]=10", "transform_quantity[round]=up"},
	} {
		price := w.post("/v1/prices", append(more, "currency=usd")...)
		w.get("/v1/prices/"+price.str("id"), "expand[0]=product", "expand[1]=tiers", "expand[2]=currency_options")
	}
	w.get("/v1/prices", "limit=100", "expand[0]=data.product")
	w.get("/v1/prices", "lookup_keys[0]=mug", "lookup_keys[1]=tshirt", "active=true")
	w.get("/v1/prices", "type=recurring", "currency=usd", "recurring[interval]=month", "product="+product)
	w.get("/v1/prices/price_tshirt")

	rate := w.post("/v1/shipping_rates", "display_name=Express", "type=fixed_amount", "fixed_amount[amount]=1500", "fixed_amount[currency]=usd",
		"delivery_estimate[minimum][unit]=business_day", "delivery_estimate[minimum][value]=1",
		"delivery_estimate[maximum][unit]=business_day", "delivery_estimate[maximum][value]=3", "metadata[a]=1", "tax_behavior=exclusive")
	w.get("/v1/shipping_rates/" + rate.str("id"))
	w.get("/v1/shipping_rates", "active=true")
}

func (w *walker) discounts() {
	soon := strconv.FormatInt(time.Now().Add(48*time.Hour).Unix(), 10)
	coupon := w.post("/v1/coupons", "percent_off=12.5", "duration=repeating", "duration_in_months=3", "name=Spring", "max_redemptions=5", "redeem_by="+soon, "metadata[a]=1")
	w.post("/v1/coupons", "amount_off=500", "currency=usd", "duration=forever", "id=five")
	w.post("/v1/coupons", "percent_off=100", "duration=once", "id=gift")
	w.get("/v1/coupons/" + coupon.str("id"))
	w.get("/v1/coupons", "limit=2")

	name := "coupon"
	if w.build.version > "2025" {
		name = "promotion[coupon]"
	}
	params := []string{name + "=five", "code=FIVE", "max_redemptions=3", "expires_at=" + soon, "metadata[a]=1"}
	if name != "coupon" {
		params = append(params, "promotion[type]=coupon")
	}
	code := w.post("/v1/promotion_codes", params...)
	w.get("/v1/promotion_codes/" + code.str("id"))
	w.get("/v1/promotion_codes", "code=WELCOME10", "active=true", "limit=1")
	w.get("/v1/promotion_codes", "expand[0]=data.customer")
	w.get("/v1/promotion_codes", "code=NOSUCH")
}
