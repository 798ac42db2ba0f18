package sandbox_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browse opens a page as a browser would.
func browse(t *testing.T, s *server, target string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.do(req)
	if err != nil {
		t.Fatal(err)
	}
	wantSafe(t, got)
	return got
}

// wantSafe checks what every page must have.
func wantSafe(t *testing.T, got reply) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q", name, v)
		}
	}
	csp := got.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	if got.status != http.StatusSeeOther && !strings.Contains(got.raw, "SANDBOX — no real money moves") {
		t.Errorf("no banner in: %s", got.raw)
	}
	if regexp.MustCompile(`(?i)<script|src=|<link|onclick|javascript:`).MatchString(got.raw) {
		t.Errorf("the page loads or runs something: %s", got.raw)
	}
}

var (
	csrfField  = regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`)
	formAction = regexp.MustCompile(`action="([^"]+)"`)
)

// submit posts a page's form with its own token and action.
func submit(t *testing.T, s *server, page string, fields ...string) reply {
	t.Helper()
	shown := browse(t, s, page)
	token, action := csrfField.FindStringSubmatch(shown.raw), formAction.FindStringSubmatch(shown.raw)
	if token == nil || action == nil {
		t.Fatalf("no form on %s", shown.raw)
	}
	return send(t, s, resolve(t, page, action[1]), append(fields, "csrf="+token[1])...)
}

func send(t *testing.T, s *server, target string, fields ...string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, target, strings.NewReader(encode(fields)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := s.do(req)
	if err != nil {
		t.Fatal(err)
	}
	wantSafe(t, got)
	return got
}

func resolve(t *testing.T, base, ref string) string {
	t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// wantBackAt checks that a form post leads back to its page.
func wantBackAt(t *testing.T, got reply, page, action string) {
	t.Helper()
	if got.status != http.StatusSeeOther || resolve(t, resolve(t, page, action), got.header.Get("Location")) != page {
		t.Errorf("got %d to %q, want back to %s", got.status, got.header.Get("Location"), page)
	}
}

func TestCheckoutPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session(with(subscribing, "line_items[0][quantity]=3", "customer_email=ann@example.com",
		"subscription_data[trial_period_days]=14")...)
	page := browse(t, s, made.str("url"))
	for _, want := range []string{
		"Pro", "Quantity 3, $20.00 each per month", "Total due today", "$0.00", "free trial",
		"ann@example.com", "4242 4242 4242 4242", "Start trial", "Decline card", `href="https://app.example/back"`, `<html lang="en">`, "<main>", `name="viewport"`,
	} {
		if !strings.Contains(page.raw, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if alone := browse(t, s, s.URL+"/checkout/"+made.str("id")); alone.raw != page.raw {
		t.Error("the page differs without the prefix")
	}
	if strings.Contains(page.raw, "Promotion code") {
		t.Error("a code is asked for although the session takes none")
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example") {
		t.Errorf("policy %q", csp)
	}
}

func TestPayingOnThePage(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, success, want string }{
		{"query", "https://app.example/ok?s={CHECKOUT_SESSION_ID}&x=1#top", "https://app.example/ok?s=ID&x=1#top"},
		{"path", "https://app.example/ok/{CHECKOUT_SESSION_ID}", "https://app.example/ok/ID"},
		{"escaped", "https://app.example/ok?s=%7BCHECKOUT_SESSION_ID%7D", "https://app.example/ok?s=ID"},
		{"escaped in lower case", "https://app.example/ok?s=%7bCHECKOUT_SESSION_ID%7d", "https://app.example/ok?s=ID"},
		{"none", "https://app.example/ok", "https://app.example/ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			made := s.session(with(without(subscribing, "success_url"), "success_url="+tt.success)...)
			got := submit(t, s, made.str("url"), "action=pay", "email=bob@example.com")
			want := strings.ReplaceAll(tt.want, "ID", made.str("id"))
			if tt.name == "none" {
				want = tt.want
			}
			if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
				t.Errorf("got %d to %q, want %q", got.status, got.header.Get("Location"), want)
			}
			done := s.get("/v1/checkout/sessions/"+made.str("id"), "expand[]=customer")
			if done.str("status") != "complete" || done.str("customer_details", "email") != "bob@example.com" || done.str("customer", "email") != "bob@example.com" {
				t.Errorf("session: %s", done.raw)
			}
			if page := browse(t, s, made.str("url")); !strings.Contains(page.raw, "You&#39;re all done here") {
				t.Errorf("the page of a complete session: %s", page.raw)
			}
		})
	}
}

func TestDecliningOnThePage(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session(paying...)
	url, id := made.str("url"), made.str("id")
	wantBackAt(t, submit(t, s, url, "action=decline"), url, id+"/pay")
	if page := browse(t, s, url); !strings.Contains(page.raw, "Your card was declined") || !strings.Contains(page.raw, `role="alert"`) {
		t.Error("the page does not show the refusal")
	}
	if page := browse(t, s, url); strings.Contains(page.raw, "Your card was declined") {
		t.Error("the refusal is shown twice")
	}
	if got := s.get("/v1/checkout/sessions/" + id).str("status"); got != "open" {
		t.Errorf("status %q", got)
	}
	s.control("POST", "/sandbox/v1/checkout/"+id+"/decline", "")
	if page := browse(t, s, url); !strings.Contains(page.raw, "Your card was declined") {
		t.Error("the page does not show the ordered refusal")
	}
	wantBackAt(t, submit(t, s, url, "action=pay", "email=nobody"), url, id+"/pay")
	if s.count("payment_intents") != 0 {
		t.Error("something was paid")
	}
}

func TestPromotionCodeOnThePage(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session(with(paying, "allow_promotion_codes=true")...)
	url := made.str("url")
	submit(t, s, url, "action=code", "code=NOPE")
	if page := browse(t, s, url); !strings.Contains(page.raw, "This code is invalid") {
		t.Error("a wrong code is not refused")
	}
	submit(t, s, url, "action=code", "code=welcome10")
	if page := browse(t, s, url); !strings.Contains(page.raw, "−$5.00") || !strings.Contains(page.raw, "$45.00") {
		t.Errorf("no discount: %s", page.raw)
	}
	if got := s.get("/v1/checkout/sessions/" + made.str("id")); got.at("amount_total") != 4500.0 || got.str("discounts", "0", "promotion_code") != "promo_welcome10" {
		t.Errorf("session: %s", got.raw)
	}
}

func TestPagesOfClosedSessions(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session(subscribing...)
	s.post("/v1/checkout/sessions/" + made.str("id") + "/expire")
	if page := browse(t, s, made.str("url")); page.status != 200 || !strings.Contains(page.raw, "has expired") || !strings.Contains(page.raw, "https://app.example/back") {
		t.Errorf("expired: %d %s", page.status, page.raw)
	}
	for _, path := range []string{"/sandbox/checkout/cs_test_x", "/checkout/cs_test_x", "/sandbox/portal/x", "/sandbox/nothing", "/"} {
		if page := browse(t, s, s.URL+path); page.status != 404 {
			t.Errorf("%s: %d", path, page.status)
		}
	}
}

func TestPagesNeedTheirToken(t *testing.T) {
	t.Parallel()
	s := start(t)
	one, two := s.session(paying...), s.session(paying...)
	token := csrfField.FindStringSubmatch(browse(t, s, two.str("url")).raw)[1]
	for name, fields := range map[string][]string{
		"none": {"action=pay"}, "empty": {"action=pay", "csrf="}, "another session's": {"action=pay", "csrf=" + token},
	} {
		if got := send(t, s, one.str("url")+"/pay", fields...); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := s.get("/v1/checkout/sessions/" + one.str("id")).str("status"); got != "open" {
		t.Errorf("status %q", got)
	}
}

func TestPagesEscape(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.session("mode=payment", "success_url=https://app.example;script-src/ok", "line_items[0][quantity]=1",
		"line_items[0][price_data][currency]=usd", "line_items[0][price_data][unit_amount]=100",
		"line_items[0][price_data][product_data][name]=<script>alert(1)</script>")
	page := browse(t, s, made.str("url")) // browse refuses a page with <script
	if csp := page.header.Get("Content-Security-Policy"); strings.Contains(csp, "script-src") {
		t.Errorf("the URL wrote into the policy: %q", csp)
	}
}

func TestPortalPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	sub := s.complete(s.session(with(subscribing, "customer="+customer)...).str("id")).str("subscription")
	foreign := s.complete(s.session(subscribing...).str("id")).str("subscription")
	made := s.must("/v1/billing_portal/sessions", "customer="+customer, "return_url=https://app.example/account")
	link := made.str("url")
	token := link[strings.LastIndex(link, "/")+1:]
	if !strings.HasPrefix(made.str("id"), "bps_") || len(token) < 32 || strings.Contains(link, made.str("id")) {
		t.Errorf("id %q, url %q", made.str("id"), link)
	}

	page := browse(t, s, link)
	for _, want := range []string{"Pro", "$20.00 per month", "Visa ending in 4242", "SANDBOX-", "Cancel subscription", `href="https://app.example/account"`, "Return to app.example"} {
		if !strings.Contains(page.raw, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page.raw, foreign) {
		t.Error("the page shows another customer's subscription")
	}
	action := token + "/act"
	wantBackAt(t, submit(t, s, link, "action=cancel", "subscription="+sub), link, action)
	if got := s.get("/v1/subscriptions/" + sub); got.at("cancel_at_period_end") != true {
		t.Errorf("canceling: %s", got.raw)
	}
	if page := browse(t, s, link); !strings.Contains(page.raw, "Keep subscription") || !strings.Contains(page.raw, "Cancels on") {
		t.Errorf("after canceling: %s", page.raw)
	}
	submit(t, s, link, "action=resume", "subscription="+sub)
	if got := s.get("/v1/subscriptions/" + sub); got.at("cancel_at_period_end") != false {
		t.Errorf("resuming: %s", got.raw)
	}
	submit(t, s, link, "action=cancel", "subscription="+foreign)
	if got := s.get("/v1/subscriptions/" + foreign); got.at("cancel_at_period_end") != false {
		t.Error("the page canceled another customer's subscription")
	}
	if got := send(t, s, link+"/act", "action=cancel", "subscription="+sub); got.status != http.StatusForbidden {
		t.Errorf("without token: %d", got.status)
	}
}

func TestPortalLinksExpire(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	open := func() string {
		return s.must("/v1/billing_portal/sessions", "customer="+customer, "return_url=https://app.example/account").str("url")
	}
	unvisited, visited := open(), open()
	browse(t, s, visited)
	s.advance("5m")
	if page := browse(t, s, unvisited); page.status != http.StatusGone || !strings.Contains(page.raw, "This link has expired") {
		t.Errorf("unvisited: %d", page.status)
	}
	if page := browse(t, s, visited); page.status != 200 {
		t.Errorf("visited: %d", page.status)
	}
	s.advance("1h")
	if page := browse(t, s, visited); page.status != http.StatusGone {
		t.Errorf("visited, an hour later: %d", page.status)
	}
}

func TestPortalFlows(t *testing.T) {
	t.Parallel()
	const redirect = "flow_data[after_completion][type]=redirect"
	const target = "flow_data[after_completion][redirect][return_url]=https://app.example/done"
	tests := []struct {
		name   string
		params []string // SUB and ITEM are filled in
		fields []string
		shows  string
		check  func(*testing.T, *server, reply)
	}{
		{
			"cancel",
			[]string{"flow_data[type]=subscription_cancel", "flow_data[subscription_cancel][subscription]=SUB"},
			nil, "Cancel your subscription",
			func(t *testing.T, s *server, sub reply) {
				if sub.at("cancel_at_period_end") != true {
					t.Errorf("subscription: %s", sub.raw)
				}
			},
		},
		{
			"quantity",
			[]string{"flow_data[type]=subscription_update", "flow_data[subscription_update][subscription]=SUB"},
			[]string{"quantity=7"},
			"Change your subscription",
			func(t *testing.T, s *server, sub reply) {
				if sub.at("items", "data", "0", "quantity") != 7.0 {
					t.Errorf("subscription: %s", sub.raw)
				}
			},
		},
		{
			"confirm",
			[]string{
				"flow_data[type]=subscription_update_confirm", "flow_data[subscription_update_confirm][subscription]=SUB",
				"flow_data[subscription_update_confirm][items][0][id]=ITEM", "flow_data[subscription_update_confirm][items][0][quantity]=4",
				"flow_data[subscription_update_confirm][discounts][0][promotion_code]=promo_welcome10",
			},
			nil, "Confirm your change",
			func(t *testing.T, s *server, sub reply) {
				if sub.at("items", "data", "0", "quantity") != 4.0 {
					t.Errorf("subscription: %s", sub.raw)
				}
			},
		},
		{
			"card",
			[]string{"flow_data[type]=payment_method_update"},
			nil, "Add a payment method",
			func(t *testing.T, s *server, sub reply) {
				if got := s.count("payment_methods"); got != 2 {
					t.Errorf("%d payment methods", got)
				}
			},
		},
		{
			"details",
			[]string{"flow_data[type]=customer_update"},
			[]string{"email=new@example.com"},
			"Your details",
			func(t *testing.T, s *server, sub reply) {
				if got := s.get("/v1/customers/" + sub.str("customer")).str("email"); got != "new@example.com" {
					t.Errorf("e-mail %q", got)
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			customer := s.customer()
			sub := s.complete(s.session(with(subscribing, "customer="+customer)...).str("id")).str("subscription")
			item := s.get("/v1/subscriptions/"+sub).str("items", "data", "0", "id")
			var params []string
			for _, p := range tt.params {
				params = append(params, strings.NewReplacer("SUB", sub, "ITEM", item).Replace(p))
			}
			made := s.must("/v1/billing_portal/sessions", append(params, "customer="+customer, redirect, target)...)
			if made.str("flow", "type") == "" || made.str("flow", "after_completion", "redirect", "return_url") != "https://app.example/done" {
				t.Errorf("flow: %v", made.at("flow"))
			}
			if page := browse(t, s, made.str("url")); !strings.Contains(page.raw, tt.shows) {
				t.Errorf("page: %s", page.raw)
			}
			got := submit(t, s, made.str("url"), append(tt.fields, "action=flow")...)
			if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://app.example/done" {
				t.Errorf("got %d to %q", got.status, got.header.Get("Location"))
			}
			tt.check(t, s, s.get("/v1/subscriptions/"+sub))
			if page := browse(t, s, made.str("url")); !strings.Contains(page.raw, "Your billing") {
				t.Error("a finished flow does not lead to the portal")
			}
		})
	}
}

func TestFlowCompletions(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	open := func(params ...string) string {
		return s.must("/v1/billing_portal/sessions", append(params, "customer="+customer, "flow_data[type]=payment_method_update", "return_url=https://app.example/account")...).str("url")
	}
	confirmed := submit(t, s, open("flow_data[after_completion][type]=hosted_confirmation", "flow_data[after_completion][hosted_confirmation][custom_message]=All set"), "action=flow")
	if confirmed.status != 200 || !strings.Contains(confirmed.raw, "All set") || !strings.Contains(confirmed.raw, "https://app.example/account") {
		t.Errorf("confirmation: %d %s", confirmed.status, confirmed.raw)
	}
	home := open()
	if got := submit(t, s, home, "action=flow"); got.status != http.StatusSeeOther {
		t.Errorf("homepage: %d", got.status)
	}
	if page := browse(t, s, home); !strings.Contains(page.raw, "Your change has been made") {
		t.Errorf("homepage: %s", page.raw)
	}
}

func TestPortalRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	ann, bob := s.customer(), s.customer()
	sub := s.complete(s.session(with(subscribing, "customer="+bob)...).str("id")).str("subscription")
	bare := s.must("/v1/billing_portal/configurations", "features[invoice_history][enabled]=true").str("id")
	off := s.must("/v1/billing_portal/configurations", "features[invoice_history][enabled]=true").str("id")
	s.must("/v1/billing_portal/configurations/"+off, "active=false")
	tests := []struct {
		name        string
		params      []string
		code, param string
	}{
		{"no customer", nil, "parameter_missing", "customer"},
		{"unknown customer", []string{"customer=cus_x"}, "resource_missing", "customer"},
		{"both", []string{"customer=" + ann, "customer_account=acct_x"}, "", "customer_account"},
		{"unknown parameter", []string{"customer=" + ann, "metadata[a]=b"}, "parameter_unknown", "metadata"},
		{"locale", []string{"customer=" + ann, "locale=xx"}, "", "locale"},
		{"return url", []string{"customer=" + ann, "return_url=/account"}, "url_invalid", "return_url"},
		{"unknown configuration", []string{"customer=" + ann, "configuration=bpc_x"}, "resource_missing", "configuration"},
		{"inactive configuration", []string{"customer=" + ann, "configuration=" + off}, "", "configuration"},
		{"flow without type", []string{"customer=" + ann, "flow_data[subscription_update][subscription]=" + sub}, "parameter_missing", "flow_data[type]"},
		{"unknown flow", []string{"customer=" + ann, "flow_data[type]=dance"}, "", "flow_data[type]"},
		{"flow without its part", []string{"customer=" + ann, "flow_data[type]=subscription_cancel"}, "parameter_missing", "flow_data[subscription_cancel]"},
		{"feature not enabled", []string{"customer=" + ann, "configuration=" + bare, "flow_data[type]=payment_method_update"}, "", "flow_data[type]"},
		{"unknown subscription", []string{"customer=" + ann, "flow_data[type]=subscription_update", "flow_data[subscription_update][subscription]=sub_x"}, "resource_missing", "flow_data[subscription_update][subscription]"},
		{"another customer's subscription", []string{"customer=" + ann, "flow_data[type]=subscription_update", "flow_data[subscription_update][subscription]=" + sub}, "resource_missing", "flow_data[subscription_update][subscription]"},
		{"redirect without url", []string{"customer=" + ann, "flow_data[type]=payment_method_update", "flow_data[after_completion][type]=redirect"}, "parameter_missing", "flow_data[after_completion][redirect][return_url]"},
		{"unknown coupon", []string{
			"customer=" + bob, "flow_data[type]=subscription_cancel", "flow_data[subscription_cancel][subscription]=" + sub,
			"flow_data[subscription_cancel][retention][type]=coupon_offer", "flow_data[subscription_cancel][retention][coupon_offer][coupon]=nope",
		}, "resource_missing", "flow_data[subscription_cancel][retention][coupon_offer][coupon]"},
		{"confirm without items", []string{"customer=" + bob, "flow_data[type]=subscription_update_confirm", "flow_data[subscription_update_confirm][subscription]=" + sub}, "parameter_missing", "flow_data[subscription_update_confirm][items]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, s.post("/v1/billing_portal/sessions", tt.params...), 400, tt.code, tt.param)
		})
	}
	several := s.complete(s.session(with(subscribing, "customer="+ann, "line_items[1][price]=price_api_calls")...).str("id")).str("subscription")
	for kind, more := range map[string][]string{
		"subscription_update":         nil,
		"subscription_update_confirm": {"flow_data[subscription_update_confirm][items][0][id]=si_x"},
	} {
		at := "flow_data[" + kind + "][subscription]"
		wantError(t, s.post("/v1/billing_portal/sessions", append(more, "customer="+ann, "flow_data[type]="+kind, at+"="+several)...), 400, "", at)
	}
	if got := s.count("billing_portal_sessions"); got != 0 {
		t.Errorf("%d portal sessions", got)
	}
	for _, locale := range []string{"auto", "en-AU", "zh-TW"} {
		if got := s.must("/v1/billing_portal/sessions", "customer="+ann, "locale="+locale).str("locale"); got != locale {
			t.Errorf("locale %q", got)
		}
	}
	list := s.get("/v1/billing_portal/configurations", "is_default=true", "limit=1")
	if len(list.at("data").([]any)) != 1 || list.at("data", "0", "is_default") != true {
		t.Errorf("default configuration: %s", list.raw)
	}
	wantError(t, s.get("/v1/billing_portal/sessions"), 404, "", "")
	got := s.must("/v1/billing_portal/sessions", "customer="+ann, "expand[]=configuration", "on_behalf_of=acct_x")
	if got.str("configuration", "object") != "billing_portal.configuration" || got.str("on_behalf_of") != "acct_x" {
		t.Errorf("expanded: %s", got.raw)
	}
}

// The settings of the portal were never saved: Stripe names neither code nor parameter.
func TestAPortalWithoutSettings(t *testing.T) {
	t.Parallel()
	s := start(t)
	customer := s.customer()
	named := s.must("/v1/billing_portal/configurations", "features[invoice_history][enabled]=true").str("id")
	s.control("DELETE", "/sandbox/v1/portal_settings", "")
	wantError(t, s.post("/v1/billing_portal/sessions", "customer="+customer), 400, "", "")
	if got := s.get("/v1/billing_portal/configurations", "is_default=true").at("data").([]any); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	s.must("/v1/billing_portal/sessions", "customer="+customer, "configuration="+named)
	s.control("POST", "/sandbox/v1/reset", "")
	s.must("/v1/billing_portal/sessions", "customer="+s.customer())
}

// An account in the place of a customer has subscriptions of its own.
func TestSubscriptionsOfACustomerAccount(t *testing.T) {
	t.Parallel()
	s := start(t)
	own := s.control("POST", "/sandbox/v1/customer_accounts", `{}`).str("id")
	other := s.control("POST", "/sandbox/v1/customer_accounts", `{}`).str("id")
	sub := s.complete(s.session(with(subscribing, "customer_account="+own)...).str("id")).str("subscription")
	if got := s.get("/v1/subscriptions/" + sub).str("customer_account"); got != own {
		t.Errorf("the subscription is of %q", got)
	}
	for account, want := range map[string]int{own: 1, other: 0} {
		if got := s.get("/v1/subscriptions", "customer_account="+account).at("data").([]any); len(got) != want {
			t.Errorf("%s has %v", account, got)
		}
	}
	at := "flow_data[subscription_cancel][subscription]"
	s.must("/v1/billing_portal/sessions", "customer_account="+own, "flow_data[type]=subscription_cancel", at+"="+sub)
	for _, whose := range []string{"customer_account=" + other, "customer=" + s.customer()} {
		wantError(t, s.post("/v1/billing_portal/sessions", whose, "flow_data[type]=subscription_cancel", at+"="+sub), 400, "resource_missing", at)
	}
	for _, name := range []string{"customer", "customer_account"} {
		wantError(t, s.call("GET", "/v1/subscriptions", []string{name + "=acct_nobody"}), 400, "resource_missing", name)
	}
}
