package stripeclient_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/stripeclient"
)

// foreign marks values of the fake that belong to somebody else.
const foreign = "ForeignValue"

// T30: answers that are well formed and not what was asked for.
func TestAnswersNotBelieved(t *testing.T) {
	t.Parallel()
	expanded := func(id string) object { return object{"id": id, "object": "customer", "email": email} }
	urls := []string{
		"", "/c/pay/cs_1", "https://" + foreign + ".example/c/pay", "https://checkout.stripe.com.evil.example/" + foreign,
		"https://evil.example/checkout.stripe.com/" + foreign, "http://checkout.stripe.com/" + foreign, "http://billing.stripe.com/" + foreign,
		"https://" + foreign + "@checkout.stripe.com/", "https://a:" + foreign + "@billing.stripe.com/",
		"https://checkout.stripe.com@evil.example/" + foreign, "https://checkout.stripe.com\\@evil.example/" + foreign,
		"https://checkout.stripe.com:444/" + foreign, "https://checkout.stripe.com./" + foreign, "https:checkout.stripe.com/" + foreign,
		"//checkout.stripe.com/" + foreign, "javascript:alert('" + foreign + "')", "javascript://checkout.stripe.com/%0a" + foreign,
		"myapp://checkout.stripe.com/" + foreign, "https://api.stripe.com/" + foreign, "https:///" + foreign, " https://checkout.stripe.com/" + foreign,
		"https://checkout.stripe.com/\n" + foreign, "https://checkout%2estripe.com/" + foreign, "https://[::1/" + foreign,
	}
	changes := map[string][][]any{
		"create checkout": {
			{"id", ""},
			{"id", absent{}},
			{"id", "cs/../" + foreign},
			{"id", strings.Repeat("a", 256)},
			{"object", "billing_portal.session"},
			{"object", absent{}},
			{"livemode", true},
			{"customer", "cus_" + foreign},
			{"customer", nil},
			{"customer", absent{}},
			{"customer", expanded("cus_" + foreign)},
			{"mode", "payment"},
			{"mode", absent{}},
			{"status", "expired"},
			{"status", "complete"},
			{"status", ""},
			{"url", nil},
			{"url", absent{}},
			{"url", nil, "client_secret", ""},
			{"url", "https://evil.example/" + foreign, "client_secret", clientSecret},
		},
		"create portal": {
			{"id", ""},
			{"id", "bps " + foreign},
			{"object", "checkout.session"},
			{"livemode", true},
			{"customer", "cus_" + foreign},
			{"customer", nil},
			{"customer", expanded("cus_" + foreign)},
			{"url", nil},
			{"url", absent{}},
		},
		"read checkout": {
			{"id", "cs_test_" + foreign}, {"id", "CS_TEST_A1"}, {"id", absent{}}, {"object", "checkout.session.list"}, {"livemode", true},
		},
		"create customer": {
			{"id", ""},
			{"id", "cus/" + foreign},
			{"object", "account"},
			{"livemode", true},
			{"metadata", nil},
			{"metadata", absent{}},
			{"metadata", object{"till_subject": "alice"}},
			{"metadata", object{"till_subject": foreign, "till_issuer": "https://id.example/"}},
			{"deleted", true, "metadata", absent{}},
		},
		"read price": {{"id", "price_" + foreign}, {"id", absent{}}, {"object", "plan"}, {"livemode", true}},
		"account":    {{"id", ""}, {"id", "acct/" + foreign}, {"object", "customer"}, {"object", absent{}}},
		"time":       listChanges(newCustomer, with(newCustomer, "deleted", true)),
		"customer's life": {
			{"id", "cus_" + foreign},
			{"id", absent{}},
			{"object", "account"},
			{"object", absent{}},
			{"livemode", true},
			{"deleted", false, "livemode", true},
		},
		"update profile": {
			{"id", "cus_" + foreign}, {"id", absent{}}, {"object", "account"}, {"livemode", true}, {"deleted", true, "livemode", absent{}},
		},
		"past subscriptions": listChanges(aSubscription,
			with(aSubscription, "customer", "cus_"+foreign), with(aSubscription, "customer", nil), with(aSubscription, "status", "")),
		"open sessions": listChanges(checkoutSession,
			with(checkoutSession, "customer", "cus_"+foreign), with(checkoutSession, "status", "complete"), with(checkoutSession, "status", nil)),
		"close session": {
			{"id", "cs_test_" + foreign}, {"object", "account"}, {"livemode", true}, {"customer", "cus_" + foreign}, {"status", "open"}, {"status", nil},
		},
		"list customers": listChanges(newCustomer, with(newCustomer, "deleted", true)),
		"list prices":    listChanges(priceObject),
		"list checkouts": listChanges(checkoutSession, append(foreignSessions(), with(checkoutSession, "url", "https://evil.example/"+foreign))...),
		"list items":     itemChanges(),
		"update checkout": {
			{"id", "cs_test_" + foreign},
			{"id", absent{}},
			{"object", "item"},
			{"livemode", true},
			{"customer", "cus_" + foreign},
			{"customer", nil},
			{"customer", expanded("cus_" + foreign)},
		},
		"expire checkout": {
			{"id", "cs_test_" + foreign},
			{"customer", "cus_" + foreign},
			{"livemode", true},
			{"status", "open"},
			{"status", "complete"},
			{"status", nil},
			{"status", absent{}},
		},
		"list subscriptions": listChanges(shownSubscription, foreignSubscriptions()...),
		"read subscription":  {{"id", "sub_" + foreign}, {"id", absent{}}, {"object", "plan"}, {"livemode", true}},
		"promotion code": listChanges(promotionObject,
			with(promotionObject, "code", foreign), with(promotionObject, "code", absent{}), with(promotionObject, "active", false)),
		"flow's subscription": {
			{"id", "sub_" + foreign},
			{"id", absent{}},
			{"object", "subscription_item"},
			{"livemode", true},
			{"status", ""},
			{"status", absent{}},
			{"items", absent{}},
			{"items", nil},
			{"items", object{"object": "list", "data": []any{}}},
			{"items", listOf(object{"id": "si/" + foreign, "price": object{"id": "price_1"}})},
			{"items", listOf(object{"id": "si_1"})},
			{"items", listOf(object{"id": "si_1", "price": object{"id": "../" + foreign}})},
		},
		"flow's subscriptions": listChanges(subscriptionObject, with(subscriptionObject, "customer", "cus_"+foreign),
			with(subscriptionObject, "customer", nil), with(subscriptionObject, "items", absent{})),
		"portal configuration": {
			{"id", "bpc_" + foreign}, {"id", absent{}}, {"object", "billing_portal.session"}, {"livemode", true},
		},
		"default portal configuration": listChanges(configurationObject, with(configurationObject, "is_default", false)),
	}
	for _, op := range operations {
		cases := changes[op.name]
		if len(cases) == 0 {
			t.Errorf("no answer of %s is tried", op.name)
		}
		if _, hasURL := op.answer["url"]; hasURL {
			for _, u := range urls {
				cases = append(cases, []any{"url", u})
			}
		}
		for _, change := range cases {
			synctest.Test(t, func(t *testing.T) {
				c, stripe := inBubble(t, answers(http.StatusOK, with(op.answer, change...)), stripeclient.Options{})
				got, err := op.call(t.Context(), c)
				if err == nil {
					t.Fatalf("%s believed %v", op.name, change)
				}
				wantProblem(t, err, problem.UpstreamError, 0)
				wantSilence(t, err, foreign, "cus_1", "evil.example")
				if catalog.IsMissing(err) {
					t.Errorf("%s took %v for missing", op.name, change)
				}
				if diff := cmp.Diff(op.zero, got); diff != "" {
					t.Errorf("%s handed something out for %v (-want +got):\n%s", op.name, change, diff)
				}
				if c.violations(t) != 1 || c.calls(t, "disbelieved") != 1 || len(stripe.requests()) != 1 {
					t.Errorf("%s, %v: not one call, one violation", op.name, change)
				}
			})
		}
	}
}

// listChanges are lists that are not whole, and lists with an item that is not
// what was asked for.
func listChanges(good object, bad ...object) [][]any {
	changes := [][]any{
		{"object", absent{}},
		{"object", "search_result"},
		{"data", absent{}},
		{"data", nil},
		{"has_more", absent{}},
		{"has_more", nil},
		{"data", []any{}, "has_more", true},
		{"data", []any{nil}},
	}
	bad = append(bad, with(good, "id", absent{}), with(good, "id", "x/"+foreign), with(good, "object", "plan"), with(good, "livemode", true))
	for _, item := range bad {
		changes = append(changes, []any{"data", []any{good, item}})
	}
	return changes
}

func TestAnswersBelieved(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		op     string
		answer object
	}{
		{"customer expanded", "create checkout", with(checkoutSession, "customer", object{"id": "cus_1", "object": "customer", "email": email})},
		{"customer expanded", "create portal", with(portalSession, "customer", object{"id": "cus_1", "object": "customer"})},
		{"client secret, no URL", "create checkout", with(checkoutSession, "url", nil, "client_secret", clientSecret)},
		{"both", "create checkout", with(checkoutSession, "client_secret", clientSecret)},
		{"no status", "create checkout", with(checkoutSession, "status", nil)},
		{"billing host", "create checkout", with(checkoutSession, "url", "https://billing.stripe.com/c/pay/cs#frag?x")},
		{"another customer: for the caller to judge", "read checkout", with(checkoutSession, "customer", "cus_2")},
		{"expired", "read checkout", with(checkoutSession, "status", "expired", "url", nil)},
		{"complete", "read checkout", with(checkoutSession, "status", "complete", "url", nil)},
		{"more metadata", "create customer", with(newCustomer, "metadata",
			object{"till_subject": "alice", "till_issuer": "https://id.example/", "crm": "7"})},
		{"unknown members", "create portal", with(portalSession, "new", object{"a": []any{1}}, "url2", "http://evil.example")},
		{"no customers", "list customers", listOf()},
		{"inactive: for the catalogue to judge", "read price", with(priceObject, "active", false)},
		{"one-time", "read price", with(priceObject, "recurring", nil)},
		{"code in another case", "promotion code", listOf(with(promotionObject, "code", "sPRING"))},
	}
	for _, tt := range tests {
		t.Run(tt.op+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			for _, op := range operations {
				if op.name != tt.op {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					c, _ := inBubble(t, answers(http.StatusOK, tt.answer), stripeclient.Options{})
					if _, err := op.call(t.Context(), c); err != nil || c.violations(t) != 0 {
						t.Errorf("not believed: %v", err)
					}
				})
			}
		})
	}
}

// Where session URLs may lead, by configuration.
func TestURLHosts(t *testing.T) {
	t.Parallel()
	const stripe = "https://api.stripe.com"
	tests := []struct {
		name, base string
		hosts      []string
		url        string
		ok         bool
	}{
		{"Stripe's", stripe, nil, "https://checkout.stripe.com/c/pay/1", true},
		{"Stripe's API is no page", stripe, nil, "https://api.stripe.com/c/pay/1", false},
		{"Stripe's API with a slash is no page", stripe + "/", nil, "https://api.stripe.com/c/pay/1", false},
		{"not configured", stripe, nil, "https://pay.example.com/c/pay/1", false},
		{"configured", stripe, []string{"pay.example.com"}, "https://pay.example.com/c/pay/1", true},
		{"configured is not below", stripe, []string{"example.com"}, "https://pay.example.com/c/pay/1", false},
		{"configured, http", stripe, []string{"pay.example.com"}, "http://pay.example.com/c/pay/1", false},
		{"configured, another port", stripe, []string{"pay.example.com"}, "https://pay.example.com:8443/", false},
		{"configured with port", stripe, []string{"pay.example.com:8443"}, "https://pay.example.com:8443/", true},
		{"configured with userinfo", stripe, []string{"pay.example.com"}, "https://a@pay.example.com/", false},
		{"Stripe's by http, though configured", stripe, []string{"checkout.stripe.com"}, "http://checkout.stripe.com/", false},
		{"counterpart's own", "http://127.0.0.1:12111/sandbox", nil, "http://127.0.0.1:12111/sandbox/pay/1", true},
		{"counterpart's own, https", "http://127.0.0.1:12111", nil, "https://127.0.0.1:12111/pay/1", true},
		{"counterpart's own, another port", "http://127.0.0.1:12111", nil, "http://127.0.0.1:12112/pay/1", false},
		{"counterpart's public host", "http://127.0.0.1:12111", []string{"localhost:8080"}, "http://localhost:8080/pay/1", true},
		{"counterpart by https", "https://stripe.internal", nil, "http://stripe.internal/pay/1", false},
		{"counterpart, Stripe's by http", "http://127.0.0.1:12111", nil, "http://checkout.stripe.com/pay/1", false},
		{"counterpart, another scheme", "http://127.0.0.1:12111", nil, "ftp://127.0.0.1:12111/pay/1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{answer: answers(http.StatusOK, with(checkoutSession, "url", tt.url))}
			var config *tls.Config
			if strings.HasPrefix(tt.base, "https:") {
				config = serverTLS(trusted)
			}
			c := newClient(t, stripeclient.Options{
				BaseURL: tt.base, URLHosts: tt.hosts, DialContext: inMemoryServer(t, f, config),
			})
			got, err := c.CreateCheckoutSession(t.Context(), createCheckout)
			if ok := err == nil; ok != tt.ok {
				t.Fatalf("believed: %v, want %v (%v)", ok, tt.ok, err)
			}
			if tt.ok && (got.URL == nil || *got.URL != tt.url) {
				t.Errorf("the URL is %v", got.URL)
			}
			if !tt.ok {
				wantProblem(t, err, problem.UpstreamError, 0)
			}
		})
	}
}

// What is handed on of answers that are believed.
func TestWhatIsHandedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stripe := inBubble(t, nil, stripeclient.Options{})
		stripe.set(answers(http.StatusOK, with(checkoutSession, "customer", object{"id": "cus_1"}, "client_secret", clientSecret)))
		session, err := c.CreateCheckoutSession(t.Context(), createCheckout)
		if err != nil || session.Customer != "cus_1" || *session.ClientSecret != clientSecret || *session.AmountTotal != 2000 ||
			session.Locale != nil || session.Metadata["till_plan"] != "pro" || session.NextPollAfterMS != nil {
			t.Errorf("session is %+v, %v", session, err)
		}

		stripe.set(answers(http.StatusOK, with(portalSession, "locale", "de")))
		portal, err := c.CreatePortalSession(t.Context(), createPortal)
		want := billing.PortalSession{
			ID: "bps_1", Object: "billing_portal.session", Customer: "cus_1", URL: portalURL,
			Locale: new("de"),
		}
		if diff := cmp.Diff(want, portal); diff != "" || err != nil {
			t.Errorf("portal session, %v (-want +got):\n%s", err, diff)
		}

		for replayed, header := range map[bool]string{true: "Idempotent-Replayed: true", false: "Idempotent-Replayed: false"} {
			stripe.set(answers(http.StatusOK, newCustomer, header))
			created, err := c.CreateCustomer(t.Context(), createCustomer)
			if created != (customers.Created{ID: "cus_1", Replayed: replayed}) || err != nil {
				t.Errorf("with %q: %+v, %v", header, created, err)
			}
		}

		stripe.set(answers(http.StatusOK, with(listOf(newCustomer, with(newCustomer, "id", "cus_0", "metadata", object{})), "has_more", true)))
		listed, more, err := c.CustomersCreated(t.Context(), time.Unix(1, 0), time.Unix(2, 0), "")
		wantListed := []customers.Listed{
			{ID: "cus_1", Metadata: map[string]string{"till_subject": "alice", "till_issuer": "https://id.example/"}},
			{ID: "cus_0", Metadata: map[string]string{}},
		}
		if diff := cmp.Diff(wantListed, listed); diff != "" || !more || err != nil {
			t.Errorf("more: %v, %v (-want +got):\n%s", more, err, diff)
		}

		metered := with(priceObject, "id", "price_2", "lookup_key", "usage", "unit_amount", nil,
			"recurring", object{"usage_type": "metered", "interval": "month", "interval_count": 3})
		stripe.set(answers(http.StatusOK, listOf(priceObject, metered, with(priceObject, "id", "price_3", "lookup_key", "not asked for"))))
		prices, err := c.PricesByLookupKey(t.Context(), []string{"pro_monthly", "usage", "missing"})
		wantPrices := []catalog.Price{
			{ID: "price_1", LookupKey: "pro_monthly", Active: true, Currency: "eur", UnitAmount: 2000, HasUnitAmount: true, Recurring: true},
			{ID: "price_2", LookupKey: "usage", Active: true, Currency: "eur", Recurring: true, Metered: true, Interval: "month", IntervalCount: 3},
		}
		if diff := cmp.Diff(wantPrices, prices); diff != "" || err != nil {
			t.Errorf("prices, %v (-want +got):\n%s", err, diff)
		}

		stripe.set(answers(http.StatusOK, listOf(promotionObject)))
		if id, err := c.PromotionCodeID(t.Context(), "spring"); id != "promo_1" || err != nil {
			t.Errorf("promotion code is %q, %v", id, err)
		}
		// None is an answer: no violation, no failure, and said so.
		stripe.set(answers(http.StatusOK, listOf()))
		id, err := c.PromotionCodeID(t.Context(), "spring")
		if wantProblem(t, err, problem.NotFound, 0); id != "" || !catalog.IsMissing(err) {
			t.Errorf("promotion code is %q, %v", id, err)
		}
		if got := c.metric(t, "till_stripe_calls_total"); int(got) != c.calls(t, "ok") || c.violations(t) != 0 {
			t.Errorf("%v calls, %d ok, %d violations", got, c.calls(t, "ok"), c.violations(t))
		}
	})
}
