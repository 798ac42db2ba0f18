package sandbox_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"till/internal/sandbox"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("sk_test_123:"))
	tests := []struct {
		name, authorization string
		status              int
		says                string
	}{
		{"test key", "Bearer sk_test_abc", 200, ""},
		{"restricted test key", "Bearer rk_test_abc_def", 200, ""},
		{"basic", basic, 200, ""},
		{"none", "", 401, "You did not provide an API key"},
		{"empty", "Bearer ", 401, "You did not provide an API key"},
		{"live", "Bearer sk_live_abc", 401, "refuses live keys"},
		{"restricted live", "Bearer rk_live_abc", 401, "refuses live keys"},
		{"publishable", "Bearer pk_test_abc", 401, "Invalid API Key"},
		{"nonsense", "Bearer foo", 401, "Invalid API Key"},
		{"other characters", "Bearer sk_test_a-b", 401, "Invalid API Key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.call("GET", "/v1/account", nil, "Authorization: "+tt.authorization)
			if got.status != tt.status || !strings.Contains(got.raw, tt.says) {
				t.Errorf("got %d %s", got.status, got.raw)
			}
			if key := strings.TrimPrefix(tt.authorization, "Bearer "); tt.status == 401 && len(key) > 3 && strings.Contains(got.raw, key) {
				t.Errorf("the answer echoes the key: %s", got.raw)
			}
			if !strings.HasPrefix(got.header.Get("Request-Id"), "req_") {
				t.Errorf("Request-Id %q", got.header.Get("Request-Id"))
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts sandbox.Options
	}{
		{"live key", sandbox.Options{Keys: []string{"sk_test_1", "sk_live_1"}}},
		{"no key", sandbox.Options{Keys: []string{""}}},
		{"no url", sandbox.Options{PublicURL: "localhost:8080"}},
		{"query", sandbox.Options{PublicURL: "http://localhost/sandbox?x=1"}},
		{"seed twice", sandbox.Options{Seed: []sandbox.Price{{ID: "price_1", LookupKey: "a", Product: "A", Currency: "usd"}, {ID: "price_2", LookupKey: "a", Product: "A", Currency: "usd"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := sandbox.New(tt.opts); err == nil {
				t.Error("accepted")
			} else if strings.Contains(err.Error(), "sk_live_1") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestOnlyTheGivenKeys(t *testing.T) {
	t.Parallel()
	s := startWith(t, sandbox.Options{Keys: []string{"sk_test_ours"}})
	if got := s.call("GET", "/v1/account", nil, "Authorization: Bearer sk_test_ours"); got.status != 200 {
		t.Errorf("ours: %d", got.status)
	}
	if got := s.call("GET", "/v1/account", nil); got.status != 401 {
		t.Errorf("another: %d", got.status)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	s := start(t)
	tests := []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/account", 200},
		{"GET", "/sandbox/v1/account", 200},
		{"GET", "/v1/customers", 200},
		{"GET", "/sandbox/v1/customers", 200},
		{"GET", "/sandbox/v1/clock", 200},
		{"GET", "/v1/clock", 200},
		{"GET", "/v1/nonsense", 404},
		{"PUT", "/v1/customers", 404},
		{"DELETE", "/v1/checkout/sessions", 404},
		{"GET", "/v1/customers/", 404},
		{"GET", "/v1/checkout/..", 404},
		{"GET", "/v1//customers", 404},
		{"GET", "/v1/accounts/acct_other", 403},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := s.call(tt.method, tt.path, nil)
			if got.status != tt.status {
				t.Errorf("got %d, want %d: %s", got.status, tt.status, got.raw)
			}
			if tt.status == 404 && !strings.Contains(got.raw, "Unrecognized request URL ("+tt.method+": "+tt.path) {
				t.Errorf("message: %s", got.raw)
			}
		})
	}
	own := s.get("/v1/account").str("id")
	if got := s.get("/v1/accounts/" + own); !strings.HasPrefix(own, "acct_") || got.str("id") != own {
		t.Errorf("own account %q: %s", own, got.raw)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	got := s.call("POST", "/v1/customers", nil, "Idempotency-Key: k", "Stripe-Version: "+dahlia)
	for name, want := range map[string]string{"Idempotency-Key": "k", "Stripe-Version": dahlia, "Idempotent-Replayed": "", "Content-Type": "application/json"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if got := s.call("GET", "/v1/account", nil, "Stripe-Version: yesterday"); got.status != 400 {
		t.Errorf("a version that is none: %d", got.status)
	}
	if got := s.call("GET", "/v1/account", nil, "Stripe-Account: acct_other"); got.status != 403 || got.str("error", "code") != "account_invalid" {
		t.Errorf("another account: %s", got.raw)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := start(t)
	json := s.call("POST", "/v1/customers", []string{"name=x"}, "Content-Type: application/json")
	wantError(t, json, 400, "", "")
	if got := s.post("/v1/customers", "description="+strings.Repeat("x", 1<<20)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over 1 MiB: %d", got.status)
	}
	wantError(t, s.post("/v1/customers", "a[b=1"), 400, "parameter_unknown", "a[b")
	wantError(t, s.post("/v1/customers", "metadata[a][b]=1"), 400, "", "metadata[a]")
	wantError(t, s.post("/v1/customers", "a=1", "b=2"), 400, "parameter_unknown", "a")
	if got := s.count("customers"); got != 0 {
		t.Errorf("%d customers", got)
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.must("/v1/customers", "email=ann@example.com", "name=Ann", "metadata[a]=1", "metadata[b]=2", "address[city]=Bonn")
	path := "/v1/customers/" + made.str("id")
	changed := s.must(path, "email=ann@example.org", "metadata[a]=", "metadata[c]=3", "name=")
	if changed.str("email") != "ann@example.org" || changed.at("name") != nil || changed.str("address", "city") != "Bonn" ||
		changed.at("metadata", "a") != nil || changed.str("metadata", "b") != "2" || changed.str("metadata", "c") != "3" {
		t.Errorf("updated: %s", changed.raw)
	}
	if got := s.get(path); got.str("email") != "ann@example.org" {
		t.Errorf("read back: %s", got.raw)
	}
	wantError(t, s.get("/v1/customers/cus_nobody"), 404, "resource_missing", "id")
	wantError(t, s.post("/v1/customers", "email=nobody"), 400, "email_invalid", "email")
	if got := s.get("/v1/customers/cus_live_x"); !strings.Contains(got.raw, "No such customer: 'cus_live_x'; a similar object exists in live mode") {
		t.Errorf("live hint: %s", got.raw)
	}

	sub := s.complete(s.session(with(subscribing, "customer="+made.str("id"))...).str("id")).str("subscription")
	if got := s.call("DELETE", path, nil); got.at("deleted") != true || got.str("id") != made.str("id") {
		t.Errorf("deleting: %s", got.raw)
	}
	if got := s.get(path); got.status != 200 || got.at("deleted") != true || got.at("email") != nil {
		t.Errorf("reading a deleted one: %s", got.raw)
	}
	wantError(t, s.post(path, "name=x"), 404, "resource_missing", "id")
	wantError(t, s.post("/v1/billing_portal/sessions", "customer="+made.str("id")), 400, "resource_missing", "customer")
	if got := s.get("/v1/subscriptions/" + sub).str("status"); got != "canceled" {
		t.Errorf("subscription of a deleted customer: %q", got)
	}
	if got := s.get("/v1/customers"); len(got.at("data").([]any)) != 0 {
		t.Errorf("the list shows a deleted customer: %s", got.raw)
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	id := s.complete(s.session(with(subscribing, "customer="+customer)...).str("id")).str("subscription")
	path := "/v1/subscriptions/" + id
	list := func(params ...string) int {
		return len(s.get("/v1/subscriptions", params...).at("data").([]any))
	}
	if list("customer="+customer) != 1 || list("price=price_pro_monthly") != 1 || list("price=price_tshirt") != 0 || list("customer="+s.customer()) != 0 {
		t.Error("the list filters wrongly")
	}
	if got := s.must(path, "cancel_at_period_end=true"); got.at("cancel_at_period_end") != true || got.at("cancel_at") != got.at("current_period_end") {
		t.Errorf("canceling at period end: %s", got.raw)
	}
	if got := s.must(path, "cancel_at_period_end=false"); got.at("cancel_at") != nil {
		t.Errorf("resuming: %s", got.raw)
	}
	item := s.get(path).str("items", "data", "0", "id")
	if got := s.must(path, "items[0][id]="+item, "items[0][quantity]=3"); got.at("items", "data", "0", "quantity") != 3.0 {
		t.Errorf("quantity: %s", got.raw)
	}
	s.must(path, "cancel_at_period_end=true")
	s.advance("800h")
	if got := s.get(path); got.str("status") != "canceled" {
		t.Errorf("after the period: %s", got.raw)
	}
	if list("customer="+customer) != 0 || list("customer="+customer, "status=all") != 1 || list("status=canceled") != 1 {
		t.Error("the list shows canceled ones wrongly")
	}
	wantError(t, s.call("DELETE", path, nil), 404, "resource_missing", "id")
	other := s.complete(s.session(subscribing...).str("id")).str("subscription")
	if got := s.call("DELETE", "/v1/subscriptions/"+other, nil); got.str("status") != "canceled" {
		t.Errorf("canceling now: %s", got.raw)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := func(got reply) string {
		var out []string
		for _, row := range got.at("data").([]any) {
			out = append(out, row.(object)["id"].(string))
		}
		return strings.Join(out, " ")
	}
	tests := []struct{ query, want string }{
		{"lookup_keys[0]=pro_monthly", "price_pro_monthly"},
		{"lookup_keys[]=tshirt&lookup_keys[]=pro_monthly", "price_tshirt price_pro_monthly"},
		{"lookup_keys[]=retired&active=true", ""},
		{"active=false", "price_retired"},
		{"type=one_time", "price_tshirt"},
		{"recurring[usage_type]=metered", "price_api_calls"},
	}
	for _, tt := range tests {
		if got := ids(s.get("/v1/prices?" + tt.query)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
	if got := s.get("/v1/prices", "lookup_keys[]=pro_monthly", "expand[]=data.product").str("data", "0", "product", "name"); got != "Pro" {
		t.Errorf("expanded product: %q", got)
	}
	if got := s.get("/v1/prices/price_pro_monthly"); got.str("product") == "" || got.str("recurring", "interval") != "month" {
		t.Errorf("price: %s", got.raw)
	}
	if got := ids(s.get("/v1/promotion_codes", "code=WELCOME10", "active=true")); got != "promo_welcome10" {
		t.Errorf("promotion codes: %q", got)
	}
	if got := ids(s.get("/v1/promotion_codes", "code=NOPE")); got != "" {
		t.Errorf("promotion codes: %q", got)
	}
	product := s.must("/v1/products", "name=Mug").str("id")
	made := s.must("/v1/prices", "product="+product, "currency=EUR", "unit_amount=700", "lookup_key=mug")
	if made.str("currency") != "eur" || made.str("unit_amount_decimal") != "700" {
		t.Errorf("made: %s", made.raw)
	}
	wantError(t, s.post("/v1/prices", "product="+product, "currency=eur", "unit_amount=1", "lookup_key=mug"), 400, "", "lookup_key")
	wantError(t, s.post("/v1/prices", "product=prod_x", "currency=eur", "unit_amount=1"), 400, "resource_missing", "product")
	coupon := s.must("/v1/coupons", "percent_off=25", "duration=once").str("id")
	s.must("/v1/promotion_codes", "coupon="+coupon, "code=A")
	s.must("/v1/promotion_codes", "promotion[type]=coupon", "promotion[coupon]="+coupon, "code=B")
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	var ids []string // oldest first
	for range 5 {
		ids = append(ids, s.customer("email=same@example.com"))
	}
	tests := []struct {
		name  string
		query []string
		want  []int // indexes into ids
		more  bool
	}{
		{"all, newest first", nil, []int{4, 3, 2, 1, 0}, false},
		{"first page", []string{"limit=2"}, []int{4, 3}, true},
		{"next page", []string{"limit=2", "starting_after=" + ids[3]}, []int{2, 1}, true},
		{"last page", []string{"limit=2", "starting_after=" + ids[1]}, []int{0}, false},
		{"after the last", []string{"starting_after=" + ids[0]}, nil, false},
		{"page before", []string{"limit=2", "ending_before=" + ids[1]}, []int{3, 2}, true},
		{"before the first", []string{"ending_before=" + ids[4]}, nil, false},
		{"exactly full", []string{"limit=5"}, []int{4, 3, 2, 1, 0}, false},
		{"by e-mail", []string{"email=other@example.com"}, nil, false},
		{"created since", []string{"created[gte]=1"}, []int{4, 3, 2, 1, 0}, false},
		{"created before", []string{"created[lt]=1"}, nil, false},
		{"created at", []string{"created=1"}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.get("/v1/customers", tt.query...)
			rows, _ := got.at("data").([]any)
			if len(rows) != len(tt.want) || got.at("has_more") != tt.more || got.str("object") != "list" || got.str("url") != "/v1/customers" {
				t.Fatalf("got %s", got.raw)
			}
			for i, row := range rows {
				if row.(object)["id"] != ids[tt.want[i]] {
					t.Errorf("row %d is not the expected one", i)
				}
			}
		})
	}
	wantError(t, s.get("/v1/customers", "limit=0"), 400, "parameter_invalid_integer", "limit")
	wantError(t, s.get("/v1/customers", "limit=101"), 400, "parameter_invalid_integer", "limit")
	wantError(t, s.get("/v1/customers", "limit=abc"), 400, "parameter_invalid_integer", "limit")
	wantError(t, s.get("/v1/customers", "starting_after=cus_x"), 400, "resource_missing", "starting_after")
	wantError(t, s.get("/v1/customers", "starting_after="+ids[0], "ending_before="+ids[1]), 400, "", "")
	wantError(t, s.get("/v1/customers", "colour=red"), 400, "parameter_unknown", "colour")
}

func TestCreatedRangesFollowTheClock(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.must("/v1/customers").at("created").(float64)
	s.advance("1h")
	late := s.customer()
	got := s.get("/v1/customers", "created[gt]="+itoa(int(first)+60), "created[lte]="+itoa(int(first)+7200))
	if rows := got.at("data").([]any); len(rows) != 1 || got.str("data", "0", "id") != late {
		t.Errorf("got %s", got.raw)
	}
}

func TestSessionLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	ann, bob := s.customer("email=ann@example.com"), s.customer()
	paid := s.session(with(paying, "customer="+ann)...).str("id")
	done := s.complete(paid)
	open := s.session(with(subscribing, "customer="+ann)...).str("id")
	s.session(with(paying, "customer="+bob)...)
	tests := []struct {
		query string
		want  string
	}{
		{"customer=" + ann, open + " " + paid},
		{"customer=" + ann + "&status=complete", paid},
		{"customer=" + ann + "&status=open", open},
		{"customer=" + ann + "&status=expired", ""},
		{"payment_intent=" + done.str("payment_intent"), paid},
		{"customer_details[email]=ann@example.com", open + " " + paid},
		{"customer=cus_nobody", ""},
		{"customer=" + ann + "&limit=1&starting_after=" + open, paid},
	}
	for _, tt := range tests {
		var got []string
		for _, row := range s.get("/v1/checkout/sessions?" + tt.query).at("data").([]any) {
			got = append(got, row.(object)["id"].(string))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", tt.query, got, tt.want)
		}
	}
	if got := s.get("/v1/checkout/sessions", "customer="+ann, "expand[]=data.line_items"); got.str("data", "0", "line_items", "object") != "list" {
		t.Errorf("expanding line items of a list: %s", got.raw)
	}
}

func TestLineItems(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.session(with(paying, "line_items[1][price]=price_tshirt", "line_items[1][quantity]=5")...).str("id")
	path := "/v1/checkout/sessions/" + id + "/line_items"
	all := s.get(path)
	if all.str("data", "0", "description") != "T-shirt" || all.at("data", "1", "quantity") != 5.0 {
		t.Errorf("items: %s", all.raw)
	}
	if got := s.get(path, "limit=1"); got.at("has_more") != true || len(got.at("data").([]any)) != 1 {
		t.Errorf("first page: %s", got.raw)
	}
	if got := s.get(path, "limit=1", "starting_after="+all.str("data", "0", "id")); got.at("data", "0", "quantity") != 5.0 || got.at("has_more") != false {
		t.Errorf("second page: %s", got.raw)
	}
	wantError(t, s.get("/v1/checkout/sessions/cs_test_x/line_items"), 404, "resource_missing", "id")
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	s := startWith(t, sandbox.Options{PublicURL: "https://dev.example/sandbox/"})
	if got := s.session(paying...).str("url"); !strings.HasPrefix(got, "https://dev.example/sandbox/checkout/cs_test_") {
		t.Errorf("url %q", got)
	}
}

func TestMountedWithoutStripping(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/sandbox/", s.Handler())
	ts := httptest.NewServer(mux)
	defer ts.Close()
	srv := &server{t: t, Server: ts, version: "2023-10-16"}
	got := srv.call("POST", "/sandbox/v1/checkout/sessions", paying)
	if want := ts.URL + "/sandbox/checkout/" + got.str("id"); got.str("url") != want {
		t.Errorf("url %q, want %q", got.str("url"), want)
	}
	if page := browse(t, srv, got.str("url")); !strings.Contains(page.raw, "SANDBOX") {
		t.Errorf("page: %d", page.status)
	}
}

// TestRequiredFields holds every field that either OpenAPI document requires.
func TestRequiredFields(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	session := s.session(with(subscribing, "customer="+customer)...)
	done := s.complete(session.str("id"))
	portal := s.must("/v1/billing_portal/sessions", "customer="+customer)
	tests := map[string]struct {
		got    reply
		fields string
	}{
		"checkout.session": {session, "automatic_tax created custom_fields custom_text expires_at id livemode mode object payment_method_types payment_status shipping_options"},
		"customer":         {s.get("/v1/customers/" + customer), "created id livemode object"},
		"price":            {s.get("/v1/prices/price_tshirt"), "active billing_scheme created currency id livemode metadata object product type"},
		"product":          {s.get("/v1/products/prod_pro"), "active created features marketing_features id images livemode metadata name object updated"},
		"subscription": {s.get("/v1/subscriptions/" + done.str("subscription")), "automatic_tax billing_cycle_anchor billing_mode billing_schedules cancel_at_period_end collection_method created currency " +
			"current_period_end current_period_start customer discounts id invoice_settings items livemode metadata object start_date status"},
		"promotion_code":         {s.get("/v1/promotion_codes/promo_welcome10"), "active code coupon created id livemode object promotion restrictions times_redeemed"},
		"coupon":                 {s.get("/v1/coupons/welcome10"), "created duration id livemode object times_redeemed valid"},
		"account":                {s.get("/v1/account"), "id object"},
		"billing_portal.session": {portal, "configuration created customer id livemode object url"},
		"billing_portal.configuration": {
			s.get("/v1/billing_portal/configurations/" + portal.str("configuration")),
			"active business_profile created features id is_default livemode login_page object updated",
		},
	}
	for kind, tt := range tests {
		if tt.got.str("object") != kind {
			t.Errorf("%s: object %q", kind, tt.got.str("object"))
		}
		for _, field := range strings.Fields(tt.fields) {
			if tt.got.at(field) == nil {
				t.Errorf("%s: %s is missing or null", kind, field)
			}
		}
	}
}
