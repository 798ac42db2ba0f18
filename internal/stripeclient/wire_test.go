package stripeclient_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/secret"
	"till/internal/stripeclient"
)

// onLoopback returns a client and the Stripe it talks to over real sockets.
func onLoopback(t testing.TB, answer http.HandlerFunc, o stripeclient.Options) (*client, *fake) {
	t.Helper()
	f := &fake{answer: answer}
	server := httptest.NewServer(f)
	o.BaseURL = server.URL
	c := newClient(t, o)
	t.Cleanup(func() { c.Close(); server.Close() })
	return c, f
}

// only returns the one request that reached Stripe.
func only(t *testing.T, f *fake) request {
	t.Helper()
	got := f.requests()
	if len(got) != 1 {
		t.Fatalf("%d requests reached Stripe, want 1", len(got))
	}
	return got[0]
}

func TestRequestsOnTheWire(t *testing.T) {
	t.Parallel()
	nested := createCheckout
	nested.Params = catalog.Params{
		"mode": "subscription", "customer": "cus_1", "allow_promotion_codes": true,
		"success_url": "https://app.example/ok?a=1&b={CHECKOUT_SESSION_ID}",
		"line_items": []any{
			catalog.Params{"price": "price_1", "quantity": int64(2), "adjustable_quantity": map[string]any{"enabled": false}},
			map[string]any{"price": "price_2", "quantity": 1},
		},
		"subscription_data": map[string]any{"metadata": map[string]any{"b": "é +", "a": ""}, "trial_period_days": float64(14)},
		"expires_at":        int64(1794000000), "tax_id_types": []any{"eu_vat", "gb_vat"},
	}
	many := []string{"pro_monthly", "with space", "a&b=c"}
	tests := []struct {
		name   string
		call   func(*client) error
		answer object
		method string
		uri    string
		body   string
	}{
		{
			"checkout: nested, in order",
			func(c *client) error { _, err := c.CreateCheckoutSession(t.Context(), nested); return err },
			checkoutSession, http.MethodPost, "/v1/checkout/sessions",
			"allow_promotion_codes=true&customer=cus_1&expires_at=1794000000" +
				"&line_items[0][adjustable_quantity][enabled]=false&line_items[0][price]=price_1&line_items[0][quantity]=2" +
				"&line_items[1][price]=price_2&line_items[1][quantity]=1&mode=subscription" +
				"&subscription_data[metadata][a]=&subscription_data[metadata][b]=%C3%A9+%2B&subscription_data[trial_period_days]=14" +
				"&success_url=https%3A%2F%2Fapp.example%2Fok%3Fa%3D1%26b%3D%7BCHECKOUT_SESSION_ID%7D" +
				"&tax_id_types[0]=eu_vat&tax_id_types[1]=gb_vat",
		},
		{
			"portal",
			func(c *client) error { _, err := c.CreatePortalSession(t.Context(), createPortal); return err },
			portalSession, http.MethodPost, "/v1/billing_portal/sessions", "customer=cus_1",
		},
		{
			"customer: frozen parameters",
			func(c *client) error { _, err := c.CreateCustomer(t.Context(), createCustomer); return err },
			newCustomer, http.MethodPost, "/v1/customers",
			"metadata[till_issuer]=https%3A%2F%2Fid.example%2F&metadata[till_subject]=alice",
		},
		{
			"read checkout",
			func(c *client) error { _, err := c.CheckoutSession(t.Context(), "cs_test_a1", false); return err },
			checkoutSession, http.MethodGet, "/v1/checkout/sessions/cs_test_a1", "",
		},
		{
			"customers: first page, the last second included",
			func(c *client) error {
				_, _, err := c.CustomersCreated(t.Context(), time.Unix(1000, 999), time.Unix(2000, 1), "")
				return err
			},
			listOf(newCustomer), http.MethodGet, "/v1/customers?created[gte]=1000&created[lte]=2001&limit=100", "",
		},
		{
			"customers: next page, a cursor that is no parameter",
			func(c *client) error {
				_, _, err := c.CustomersCreated(t.Context(), time.Unix(1, 0), time.Unix(2, 0), "cus_1&limit=1")
				return err
			},
			listOf(), http.MethodGet, "/v1/customers?created[gte]=1&created[lte]=3&limit=100&starting_after=cus_1%26limit%3D1", "",
		},
		{
			"time",
			func(c *client) error { _, err := c.Time(t.Context()); return err },
			listOf(newCustomer), http.MethodGet, "/v1/customers?limit=1", "",
		},
		{
			"customer's life",
			func(c *client) error { _, err := c.CustomerLife(t.Context(), "cus_1"); return err },
			newCustomer, http.MethodGet, "/v1/customers/cus_1", "",
		},
		{
			"price",
			func(c *client) error { _, err := c.PriceByID(t.Context(), "price_1"); return err },
			priceObject, http.MethodGet, "/v1/prices/price_1", "",
		},
		{
			"prices",
			func(c *client) error { _, err := c.PricesByLookupKey(t.Context(), many); return err },
			listOf(priceObject), http.MethodGet,
			"/v1/prices?lookup_keys[0]=pro_monthly&lookup_keys[1]=with+space&lookup_keys[2]=a%26b%3Dc&active=true&limit=100", "",
		},
		{
			"account",
			func(c *client) error { _, err := c.AccountID(t.Context()); return err },
			object{"id": "acct_1", "object": "account"},
			http.MethodGet, "/v1/account", "",
		},
		{
			"promotion code",
			func(c *client) error { _, err := c.PromotionCodeID(t.Context(), "spring"); return err },
			listOf(promotionObject), http.MethodGet, "/v1/promotion_codes?code=spring&active=true&limit=1", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, stripe := onLoopback(t, answers(http.StatusOK, tt.answer), stripeclient.Options{})
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			got := only(t, stripe)
			if got.Method != tt.method || got.RequestURI != tt.uri || got.body != tt.body {
				t.Errorf("sent %s %s\n%s\nwant %s %s\n%s", got.Method, got.RequestURI, got.body, tt.method, tt.uri, tt.body)
			}
			if got.ContentLength != int64(len(tt.body)) || len(got.TransferEncoding) != 0 {
				t.Errorf("the body's length is %d (%v), want %d", got.ContentLength, got.TransferEncoding, len(tt.body))
			}
			wantHeaders(t, got)
		})
	}
}

// wantHeaders checks what all requests have in common.
func wantHeaders(t *testing.T, r request) {
	t.Helper()
	keys := []string{"key-1"}
	if r.Method == http.MethodGet {
		keys = nil
	}
	if got := r.Header["Idempotency-Key"]; !cmp.Equal(got, keys) {
		t.Errorf("idempotency keys are %q, want %q", got, keys)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + secretKey, "Stripe-Version": "2023-10-16",
		"User-Agent": "Stripe/v1 GoBindings/76.25.0", "Accept-Encoding": "gzip",
	} {
		if got := r.Header[name]; !cmp.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q once", name, got, want)
		}
	}
	for _, name := range []string{"X-Stripe-Client-Telemetry", "Stripe-Account", "Cookie", "Referer"} {
		if got, sent := r.Header[name]; sent {
			t.Errorf("%s is sent: %q", name, got)
		}
	}
	var about map[string]any
	if err := json.Unmarshal([]byte(r.Header.Get("X-Stripe-Client-User-Agent")), &about); err != nil {
		t.Fatal(err)
	}
	if _, says := about["uname"]; says {
		t.Error("the client's user agent has the output of uname")
	}
	if v, _ := about["bindings_version"].(string); !strings.HasSuffix(r.UserAgent(), "/"+v) {
		t.Errorf("the bindings are of version %q here and %q there", v, r.UserAgent())
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), host) {
			t.Errorf("%s has this host's name: %q", name, values)
		}
	}
}

func TestNoTelemetryAfterTheFirstCall(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, checkoutSession, "Request-Id: req_1"), stripeclient.Options{})
	for range 3 {
		if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range stripe.requests() {
		wantHeaders(t, r)
	}
}

func TestStripeVersion(t *testing.T) {
	t.Parallel()
	frozen := func(version string) func(*client) error {
		n := createCustomer
		n.Version = version
		return func(c *client) error { _, err := c.CreateCustomer(t.Context(), n); return err }
	}
	account := func(c *client) error { _, err := c.AccountID(t.Context()); return err }
	tests := []struct {
		name       string
		configured string
		own        map[string]string
		call       func(*client) error
		want       string
	}{
		{"the library's by default", "", nil, account, "2023-10-16"},
		{"configured", "2026-08-26.dahlia", nil, account, "2026-08-26.dahlia"},
		{"of the operation", "", map[string]string{"account.retrieve": "2022-11-15"}, account, "2022-11-15"},
		{"of another operation", "", map[string]string{"customers.create": "2022-11-15"}, account, "2023-10-16"},
		{"of the operation, though another is common", "2026-08-26.dahlia", map[string]string{"account.retrieve": "2024-09-30.acacia"}, account, "2024-09-30.acacia"},
		{"frozen wins over the default", "", nil, frozen("2022-11-15"), "2022-11-15"},
		{"frozen wins over the configured one", "2026-08-26.dahlia", nil, frozen("2022-11-15"), "2022-11-15"},
		{"frozen wins over the operation's", "", map[string]string{"customers.create": "2026-08-26.dahlia"}, frozen("2022-11-15"), "2022-11-15"},
		{"nothing frozen", "2026-08-26.dahlia", nil, frozen(""), "2026-08-26.dahlia"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, stripe := onLoopback(t, func(w http.ResponseWriter, r *http.Request) {
				answer := newCustomer
				if r.URL.Path == "/v1/account" {
					answer = object{"id": "acct_1", "object": "account"}
				}
				answers(http.StatusOK, answer)(w, r)
			}, stripeclient.Options{Version: tt.configured, Versions: tt.own})
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			if got := only(t, stripe).Header["Stripe-Version"]; !cmp.Equal(got, []string{tt.want}) {
				t.Errorf("Stripe-Version is %q, want %q", got, tt.want)
			}
		})
	}
}

// What customers are created with is frozen beside their parameters.
func TestTheVersionThatCustomersAreCreatedWith(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		common string
		own    map[string]string
		want   string
	}{
		{"", nil, "2023-10-16"},
		{"2026-08-26.dahlia", nil, "2026-08-26.dahlia"},
		{"2026-08-26.dahlia", map[string]string{"customers.create": "2025-03-31.basil"}, "2025-03-31.basil"},
	} {
		c := newClient(t, stripeclient.Options{Version: row.common, Versions: row.own})
		if got := c.CustomerVersion(); got != row.want {
			t.Errorf("%+v: got %q", row, got)
		}
	}
}

func TestAVersionOfNoOperationIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "account", "checkout.sessions", "Account.retrieve"} {
		_, err := stripeclient.New(stripeclient.Options{
			Key: secret.New(secretKey), Metrics: prometheus.NewRegistry(), Versions: map[string]string{name: "2025-03-31.basil"},
		})
		if err == nil {
			t.Errorf("%q: taken", name)
		}
	}
	for name := range stripeclient.Operations() {
		newClient(t, stripeclient.Options{Versions: map[string]string{name: "2025-03-31.basil"}})
	}
}

// A base may have a path, where the sandbox is mounted.
func TestBaseWithPath(t *testing.T) {
	t.Parallel()
	f := &fake{answer: answers(http.StatusOK, checkoutSession)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c := newClient(t, stripeclient.Options{BaseURL: server.URL + "/sandbox"})
	if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil {
		t.Fatal(err)
	}
	if got := only(t, f).URL.Path; got != "/sandbox/v1/checkout/sessions" {
		t.Errorf("the path is %s", got)
	}
}

// What does not reach the wire at all.
func TestNotSent(t *testing.T) {
	t.Parallel()
	session := func(change func(*billing.NewSession)) func(*client) error {
		return func(c *client) error {
			s := createCheckout
			change(&s)
			_, checkout := c.CreateCheckoutSession(t.Context(), s)
			_, portal := c.CreatePortalSession(t.Context(), s)
			wantProblem(t, portal, problem.Internal, 0)
			return checkout
		}
	}
	customer := func(change func(*customers.NewCustomer)) func(*client) error {
		return func(c *client) error {
			n := createCustomer
			change(&n)
			_, err := c.CreateCustomer(t.Context(), n)
			return err
		}
	}
	tests := map[string]struct {
		call func(*client) error
		code problem.Code
	}{
		"session without key":     {session(func(s *billing.NewSession) { s.IdempotencyKey = "" }), problem.Internal},
		"session with long key":   {session(func(s *billing.NewSession) { s.IdempotencyKey = strings.Repeat("k", 256) }), problem.Internal},
		"session of nobody":       {session(func(s *billing.NewSession) { s.Customer = "" }), problem.Internal},
		"session of a path":       {session(func(s *billing.NewSession) { s.Customer = "../x" }), problem.Internal},
		"parameter without form":  {session(func(s *billing.NewSession) { s.Params = catalog.Params{"a": struct{}{}} }), problem.Internal},
		"null parameter":          {session(func(s *billing.NewSession) { s.Params = catalog.Params{"a": []any{nil}} }), problem.Internal},
		"customer without key":    {customer(func(n *customers.NewCustomer) { n.IdempotencyKey = "" }), problem.Internal},
		"frozen form, not a form": {customer(func(n *customers.NewCustomer) { n.Params = "%zz" }), problem.Internal},
		"frozen form, semicolon":  {customer(func(n *customers.NewCustomer) { n.Params = "a=1;b=2" }), problem.Internal},
	}
	for _, id := range []string{
		"", ".", "..", "a/b", "../prices", "a?b", "a#b", "a%2fb", "a b", "a\nb", "cs_é", "a\x00", strings.Repeat("a", 256),
	} {
		tests["checkout "+id] = struct {
			call func(*client) error
			code problem.Code
		}{func(c *client) error { _, err := c.CheckoutSession(t.Context(), id, false); return err }, problem.NotFound}
		tests["price "+id] = struct {
			call func(*client) error
			code problem.Code
		}{func(c *client) error { _, err := c.PriceByID(t.Context(), id); return err }, problem.Internal}
		tests["life "+id] = struct {
			call func(*client) error
			code problem.Code
		}{func(c *client) error { _, err := c.CustomerLife(t.Context(), id); return err }, problem.Internal}
		tests["profile "+id] = struct {
			call func(*client) error
			code problem.Code
		}{func(c *client) error { return c.UpdateProfile(t.Context(), id, ann) }, problem.Internal}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, stripe := onLoopback(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{})
			err := tt.call(c)
			wantProblem(t, err, tt.code, 0)
			if catalog.IsMissing(err) {
				t.Error("a call that was not made says that something is missing")
			}
			if got := len(stripe.requests()); got != 0 {
				t.Errorf("%d requests reached Stripe", got)
			}
		})
	}
}

// An id of 255 characters is the longest that Stripe may have.
func TestLongestID(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 255)
	c, _ := onLoopback(t, answers(http.StatusOK, with(checkoutSession, "id", id)), stripeclient.Options{})
	got, err := c.CheckoutSession(t.Context(), id, false)
	if err != nil || string(got.ID) != id {
		t.Errorf("read %q, %v", got.ID, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	whole := func() stripeclient.Options {
		c := newClient(t, stripeclient.Options{})
		return stripeclient.Options{Key: secret.New(secretKey), Metrics: c.metrics}
	}
	tests := map[string]func(*stripeclient.Options){
		"no key":          func(o *stripeclient.Options) { o.Key = secret.Secret{} },
		"no metrics":      func(o *stripeclient.Options) { o.Metrics = nil },
		"metrics twice":   func(*stripeclient.Options) {},
		"base, no host":   func(o *stripeclient.Options) { o.BaseURL = "https://" },
		"base, no URL":    func(o *stripeclient.Options) { o.BaseURL = "https://a b" + secretKey },
		"base, no scheme": func(o *stripeclient.Options) { o.BaseURL = "//api.stripe.com" },
		"base, a file":    func(o *stripeclient.Options) { o.BaseURL = "ftp://api.stripe.com" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := whole()
			change(&o)
			c, err := stripeclient.New(o)
			if err == nil || c != nil {
				t.Fatalf("New returned %v, %v", c, err)
			}
			wantSilence(t, err)
		})
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	for key, live := range map[string]bool{
		"sk_live_1": true, "rk_live_1": true, "sk_test_1": false, "rk_test_1": false, "pk_live_1": false, "": false,
	} {
		if got := stripeclient.Livemode(secret.New(key)); got != live {
			t.Errorf("%q is live: %v, want %v", key, got, live)
		}
	}
	seen := map[string]bool{}
	for _, of := range [][2]string{
		{"sk_test_1", ""}, {"sk_test_2", ""}, {"sk_test_1", "acct_1"}, {"sk_test_1", "acct_2"}, {"sk_test_1acct_1", ""},
	} {
		got := stripeclient.Fingerprint(secret.New(of[0]), of[1])
		if seen[got] || len(got) != 32 || strings.Contains(got, "sk_") || strings.Contains(got, "acct_") {
			t.Errorf("%v: the fingerprint is %q", of, got)
		}
		seen[got] = true
	}
	// Databases know keys by it.
	if got := stripeclient.Fingerprint(secret.New("sk_test_1"), ""); got != "15f32aff2cab602f53aea96641c04afb" {
		t.Errorf("got %q: databases would not know their keys again", got)
	}
}

func orPinned(version string) string {
	if version == "" {
		return stripeclient.APIVersion
	}
	return version
}

// Stripe renamed the values of ui_mode: each version refuses the other's.
func TestUIModeIsSpelledAsTheVersionWantsIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ version, mode, want string }{
		{"", "hosted", "hosted"},
		{"", "hosted_page", "hosted"},
		{"", "embedded_page", "embedded"},
		{"2026-03-24", "embedded", "embedded"},
		{"2026-03-25.dahlia", "embedded", "embedded_page"},
		{"2026-08-26.dahlia", "hosted", "hosted_page"},
		{"2026-08-26.dahlia", "embedded_page", "embedded_page"},
		{"2025-03-31.basil", "elements", "custom"},
		{"2026-08-26.dahlia", "custom", "elements"},
		{"2026-08-26.dahlia", "odd", "odd"},
		{"2026-08-26.dahlia", "custom", "elements"},
		{"2026-08-26.dahlia", "elements", "elements"},
		{"2026-08-26.dahlia", "form", "form"},
		{"", "custom", "custom"},
		{"", "elements", "custom"},
	} {
		c, f := onLoopback(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Version: row.version})
		session := createCheckout
		session.Params = maps.Clone(session.Params)
		session.Params["ui_mode"] = row.mode
		if _, err := c.CreateCheckoutSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		if form, _ := url.ParseQuery(only(t, f).body); form.Get("ui_mode") != row.want {
			t.Errorf("%q at %q: sent %q, want %q", row.mode, row.version, form.Get("ui_mode"), row.want)
		}
		if session.Params["ui_mode"] != row.mode {
			t.Error("the template was written to")
		}
		c, f = onLoopback(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{
			Versions: map[string]string{"checkout.sessions.create": orPinned(row.version)},
		})
		if _, err := c.CreateCheckoutSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		if form, _ := url.ParseQuery(only(t, f).body); form.Get("ui_mode") != row.want {
			t.Errorf("%q at %q of the operation: sent %q, want %q", row.mode, row.version, form.Get("ui_mode"), row.want)
		}
	}
}
