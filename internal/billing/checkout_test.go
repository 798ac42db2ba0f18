package billing_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/redirect"
)

const account = "https://app.example.com/account"

// owned is the metadata that everything of alice's carries, with more.
func owned(plan string, more params) params {
	m := params{"till_issuer": "https://id.example.com/", "till_kind": "user", "till_subject": "alice", "till_generation": "1", "till_plan": plan}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func TestWhatIsSentForEachKindOfPlan(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want params
	}{
		"a subscription as it is": {`{"plan":"pro"}`, params{
			"mode": "subscription", "customer": "cus_1", "client_reference_id": "alice",
			"line_items":            []any{params{"price": "price_pro", "quantity": int64(2)}},
			"allow_promotion_codes": true, "locale": "de", "success_url": account, "cancel_url": account,
			"automatic_tax": params{"enabled": true}, "customer_update": params{"address": "auto"},
			"metadata": owned("pro", params{"source": "web"}),
			"subscription_data": params{
				"trial_period_days": int64(14), "metadata": owned("pro", params{"team": "growth"}),
			},
		}},
		"a subscription with every wish": {
			`{"plan":"pro","quantity":50,"success_url":"https://app.example.com/ok?s={CHECKOUT_SESSION_ID}","cancel_url":"HTTPS://APP.example.com:443/no",
			  "locale":"fr","currency":"usd","promotion_code":"SPRING","metadata":{"order":"7","a/b":"x"}}`, params{
				"mode": "subscription", "customer": "cus_1", "client_reference_id": "alice",
				"line_items":  []any{params{"price": "price_pro", "quantity": int64(50)}},
				"success_url": "https://app.example.com/ok?s={CHECKOUT_SESSION_ID}", "cancel_url": "https://app.example.com/no",
				"locale": "fr", "currency": "usd", "discounts": []any{params{"promotion_code": "promo_1"}},
				"automatic_tax": params{"enabled": true}, "customer_update": params{"address": "auto"},
				"metadata": owned("pro", params{"source": "web", "order": "7", "a/b": "x"}),
				"subscription_data": params{
					"trial_period_days": int64(14), "metadata": owned("pro", params{"team": "growth"}),
				},
			},
		},
		"a payment": {`{"plan":"shop","metadata":{}}`, params{
			"mode": "payment", "customer": "cus_1", "client_reference_id": "alice",
			"line_items": []any{
				params{"price": "price_shirt", "quantity": int64(1), "adjustable_quantity": params{"enabled": true}},
				params{"price": "price_mug", "quantity": int64(1)},
			},
			"success_url": "https://app.example.com/thanks", "cancel_url": account, "submit_type": "pay",
			"metadata":            owned("shop", nil),
			"payment_intent_data": params{"capture_method": "manual", "metadata": owned("shop", nil)},
		}},
		"a setup": {`{"plan":"save-card"}`, params{
			"mode": "setup", "customer": "cus_1", "client_reference_id": "alice", "currency": "eur",
			"success_url": account, "cancel_url": account, "metadata": owned("save-card", nil),
			"setup_intent_data": params{"metadata": owned("save-card", nil)},
		}},
		"a metered price": {`{"plan":"usage"}`, params{
			"mode": "subscription", "customer": "cus_1", "client_reference_id": "alice",
			"line_items":  []any{params{"price": "price_meter"}},
			"success_url": account, "cancel_url": "https://app.example.com/no", "metadata": owned("usage", nil),
			"subscription_data": params{"metadata": owned("usage", nil)},
		}},
		"embedded": {`{"plan":"embedded"}`, params{
			"mode": "payment", "customer": "cus_1", "client_reference_id": "alice", "ui_mode": "embedded",
			"line_items": []any{params{"price": "price_mug", "quantity": int64(1)}},
			"return_url": account, "metadata": owned("embedded", nil),
			"payment_intent_data": params{"metadata": owned("embedded", nil)},
		}},
		"embedded, with a way back": {`{"plan":"embedded","return_url":"https://app.example.com/back"}`, params{
			"mode": "payment", "customer": "cus_1", "client_reference_id": "alice", "ui_mode": "embedded",
			"line_items": []any{params{"price": "price_mug", "quantity": int64(1)}},
			"return_url": "https://app.example.com/back", "metadata": owned("embedded", nil),
			"payment_intent_data": params{"metadata": owned("embedded", nil)},
		}},
		"embedded, without any": {`{"plan":"embedded-never"}`, params{
			"mode": "payment", "customer": "cus_1", "client_reference_id": "alice", "ui_mode": "embedded",
			"line_items": []any{params{"price": "price_mug", "quantity": int64(1)}}, "redirect_on_completion": "never",
			"metadata": owned("embedded-never", nil), "payment_intent_data": params{"metadata": owned("embedded-never", nil)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			sent := s.buys(t, "alice", request(t, tc.body))
			same(t, "params", sent.Params, tc.want)
			if sent.Customer != "cus_1" || !sent.Livemode || len(sent.IdempotencyKey) < 20 {
				t.Errorf("got %+v, want what the answer has to say, and a key", sent)
			}
		})
	}
}

// The template is shared by all requests: what one caller asked for must not be
// in the next one's session.
func TestTheTemplateIsNeverWrittenTo(t *testing.T) {
	t.Parallel()
	own := plans()
	s := newService(t, func(c *config) { c.plans = own })
	plain := s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "bob", request(t, `{"plan":"pro","quantity":9,"locale":"fr","currency":"usd","promotion_code":"SPRING","metadata":{"order":"7"}}`))
	s.buys(t, "bob", request(t, `{"plan":"shop","metadata":{"order":"8"}}`))
	same(t, "templates", own, plans())
	again := s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	same(t, "the same request again", again.Params, plain.Params)
	if again.IdempotencyKey == plain.IdempotencyKey {
		t.Error("two sessions share a key: the second would be the first")
	}
}

func TestOneWarmCheckoutIsOneCall(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	same(t, "the first", s.stripe.since(), map[string]int{"create customer": 1, "create checkout": 1})
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	same(t, "the next", s.stripe.since(), map[string]int{"create checkout": 1})
	s.buys(t, "alice", request(t, `{"plan":"pro","promotion_code":"SPRING"}`))
	same(t, "one with a code", s.stripe.since(), map[string]int{"promotion code": 1, "create checkout": 1})
}

func TestTheReferenceFitsStripe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		form    customers.SubjectForm
		subject string
		want    string
	}{
		"short":   {customers.SubjectPlain, "alice", "alice"},
		"longest": {customers.SubjectPlain, strings.Repeat("a", 200), strings.Repeat("a", 200)},
		"longer":  {customers.SubjectPlain, strings.Repeat("a", 201), sha256Of(strings.Repeat("a", 201))},
		"hashed":  {customers.SubjectSHA256, "alice", sha256Of("alice")},
	} {
		s := newService(t, func(c *config) { c.form = tc.form })
		sent := s.buys(t, tc.subject, request(t, `{"plan":"save-card"}`)).Params
		got, _ := sent["client_reference_id"].(string)
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
		if tc.form == customers.SubjectSHA256 && strings.Contains(fmt.Sprint(sent), "alice") {
			t.Errorf("%s: the subject is sent in the clear: %v", name, sent)
		}
	}
}

func sha256Of(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestRefusals(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for name, tc := range map[string]struct {
		body string
		want verdict
	}{
		"nothing":                       {`{}`, verdict{problem.ValidationFailed, []string{"/plan"}}},
		"no such plan":                  {`{"plan":"Pro"}`, verdict{problem.CatalogNotAllowed, []string{"/plan"}}},
		"an empty plan":                 {`{"plan":""}`, verdict{problem.CatalogNotAllowed, []string{"/plan"}}},
		"a price for a plan":            {`{"plan":"price_pro"}`, verdict{problem.CatalogNotAllowed, []string{"/plan"}}},
		"quantity 0":                    {`{"plan":"pro","quantity":0}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"quantity -1":                   {`{"plan":"pro","quantity":-1}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"one too many":                  {`{"plan":"pro","quantity":51}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"2^62":                          {`{"plan":"pro","quantity":4611686018427387904}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"quantity of a fixed plan":      {`{"plan":"shop","quantity":1}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"quantity of a metered one":     {`{"plan":"usage","quantity":1}`, verdict{problem.CatalogNotAllowed, []string{"/quantity"}}},
		"line items":                    {`{"plan":"pro","line_items":[{"price":"price_mug","quantity":1}]}`, verdict{problem.CatalogNotAllowed, []string{"/line_items"}}},
		"no line items":                 {`{"plan":"pro","line_items":[]}`, verdict{problem.CatalogNotAllowed, []string{"/line_items"}}},
		"ui_mode":                       {`{"plan":"pro","ui_mode":"embedded"}`, verdict{problem.CatalogNotAllowed, []string{"/ui_mode"}}},
		"return_url of a hosted page":   {`{"plan":"pro","return_url":"https://app.example.com/"}`, verdict{problem.CatalogNotAllowed, []string{"/return_url"}}},
		"success_url of an embedded":    {`{"plan":"embedded","success_url":"https://app.example.com/"}`, verdict{problem.CatalogNotAllowed, []string{"/success_url"}}},
		"currency of a setup":           {`{"plan":"save-card","currency":"usd"}`, verdict{problem.CatalogNotAllowed, []string{"/currency"}}},
		"a foreign success_url":         {`{"plan":"pro","success_url":"https://evil.example/"}`, verdict{problem.RedirectNotAllowed, []string{"/success_url"}}},
		"a foreign cancel_url":          {`{"plan":"pro","cancel_url":"https://app.example.com@evil.example/"}`, verdict{problem.RedirectNotAllowed, []string{"/cancel_url"}}},
		"a foreign return_url":          {`{"plan":"embedded","return_url":"//evil.example"}`, verdict{problem.RedirectNotAllowed, []string{"/return_url"}}},
		"script for a URL":              {`{"plan":"pro","success_url":"javascript:alert(1)"}`, verdict{problem.RedirectNotAllowed, []string{"/success_url"}}},
		"an empty URL":                  {`{"plan":"pro","success_url":""}`, verdict{problem.MalformedRequest, []string{"/success_url"}}},
		"a locale of the portal":        {`{"plan":"pro","locale":"en-AU"}`, verdict{problem.ValidationFailed, []string{"/locale"}}},
		"an unknown locale":             {`{"plan":"pro","locale":"xx"}`, verdict{problem.ValidationFailed, []string{"/locale"}}},
		"no locale":                     {`{"plan":"pro","locale":""}`, verdict{problem.ValidationFailed, []string{"/locale"}}},
		"currency in capitals":          {`{"plan":"pro","currency":"USD"}`, verdict{problem.ValidationFailed, []string{"/currency"}}},
		"currency of two":               {`{"plan":"pro","currency":"us"}`, verdict{problem.ValidationFailed, []string{"/currency"}}},
		"currency in other letters":     {`{"plan":"pro","currency":"é1"}`, verdict{problem.ValidationFailed, []string{"/currency"}}},
		"no promotion code":             {`{"plan":"pro","promotion_code":""}`, verdict{problem.ValidationFailed, []string{"/promotion_code"}}},
		"an endless promotion code":     {`{"plan":"pro","promotion_code":"` + strings.Repeat("x", 501) + `"}`, verdict{problem.ValidationFailed, []string{"/promotion_code"}}},
		"a promotion code of lines":     {`{"plan":"pro","promotion_code":"a\nb"}`, verdict{problem.ValidationFailed, []string{"/promotion_code"}}},
		"a key of ours":                 {`{"plan":"pro","metadata":{"till_subject":"bob"}}`, verdict{problem.ValidationFailed, []string{"/metadata/till_subject"}}},
		"a key of the plan's":           {`{"plan":"pro","metadata":{"source":"mine"}}`, verdict{problem.ValidationFailed, []string{"/metadata/source"}}},
		"a key with brackets":           {`{"plan":"pro","metadata":{"a[b]":"x"}}`, verdict{problem.ValidationFailed, []string{"/metadata/a[b]"}}},
		"a key to escape":               {`{"plan":"pro","metadata":{"a~/[b":"x"}}`, verdict{problem.ValidationFailed, []string{"/metadata/a~0~1[b"}}},
		"an empty key":                  {`{"plan":"pro","metadata":{"":"x"}}`, verdict{problem.ValidationFailed, []string{"/metadata/"}}},
		"a key of 41":                   {`{"plan":"pro","metadata":{"` + strings.Repeat("k", 41) + `":"x"}}`, verdict{problem.ValidationFailed, []string{"/metadata/" + strings.Repeat("k", 41)}}},
		"a key with a line":             {`{"plan":"pro","metadata":{"a\nb":"x"}}`, verdict{problem.ValidationFailed, []string{"/metadata/a\nb"}}},
		"a value of 501":                {`{"plan":"pro","metadata":{"a":"` + strings.Repeat("é", 501) + `"}}`, verdict{problem.ValidationFailed, []string{"/metadata/a"}}},
		"a value with NUL":              {`{"plan":"pro","metadata":{"a":"x\u0000"}}`, verdict{problem.ValidationFailed, []string{"/metadata/a"}}},
		"an empty value":                {`{"plan":"pro","metadata":{"a":""}}`, verdict{problem.ValidationFailed, []string{"/metadata/a"}}},
		"45 keys beside the plan's":     {`{"plan":"pro","metadata":` + many(45) + `}`, verdict{problem.ValidationFailed, []string{"/metadata"}}},
		"46 keys":                       {`{"plan":"shop","metadata":` + many(46) + `}`, verdict{problem.ValidationFailed, []string{"/metadata"}}},
		"metadata that is not taken":    {`{"plan":"usage","metadata":{"a":"b"}}`, verdict{problem.CatalogNotAllowed, []string{"/metadata"}}},
		"a plan whose price is gone":    {`{"plan":"gone"}`, verdict{problem.PlanUnavailable, nil}},
		"several at once":               {`{"plan":"pro","quantity":99,"locale":"xx","success_url":"https://evil.example/"}`, verdict{problem.CatalogNotAllowed, []string{"/quantity", "/locale", "/success_url"}}},
		"the unreadable comes first":    {`{"plan":"pro","quantity":99,"locale":"xx","cancel_url":"","metadata":{"a":"","b":""}}`, verdict{problem.MalformedRequest, []string{"/quantity", "/locale", "/metadata/a", "/metadata/b", "/cancel_url"}}},
		"several that are not accepted": {`{"plan":"save-card","quantity":1,"promotion_code":"X","metadata":{"a":"b"}}`, verdict{problem.CatalogNotAllowed, []string{"/quantity", "/promotion_code", "/metadata"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			got, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, tc.body))
			same(t, "refusal", verdictOf(t, err), tc.want)
			if got.ID != "" {
				t.Errorf("got a session: %+v", got)
			}
			s.untouched(t)
		})
	}
}

func TestAsMuchMetadataAsStripeTakes(t *testing.T) {
	t.Parallel()
	s, metadata := newService(t), map[string]string{}
	for i := range 44 {
		metadata[fmt.Sprintf("%s%02d", strings.Repeat("k", 38), i)] = strings.Repeat("é", 500)
	}
	sent := s.buys(t, "alice", billing.CheckoutRequest{Plan: new("pro"), Metadata: metadata})
	if got := len(sent.Params["metadata"].(params)); got != 50 {
		t.Errorf("got %d keys, want 50", got)
	}
}

func TestWithoutADefaultNothingIsMadeUp(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *config) { c.redirects.Default = "" })
	sent := s.buys(t, "alice", request(t, `{"plan":"shop"}`)).Params
	if _, set := sent["cancel_url"]; set || sent["success_url"] != "https://app.example.com/thanks" {
		t.Errorf("got %v", sent)
	}
}

func TestTheRedirectPolicyIsTheOneGiven(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *config) {
		c.redirects = redirect.Options{Allow: []string{"https://shop.example.com/pay"}, Default: "https://shop.example.com/pay/done"}
	})
	_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"pro","success_url":"https://shop.example.com/payments"}`))
	same(t, "refusal", verdictOf(t, err), verdict{problem.RedirectNotAllowed, []string{"/success_url"}})
	if got := s.buys(t, "alice", request(t, `{"plan":"pro"}`)).Params["success_url"]; got != "https://shop.example.com/pay/done" {
		t.Errorf("got %v", got)
	}
}

func TestAnUnknownPromotionCodeCreatesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, code := range []string{"AUTUMN", "promo_1", "spring"} {
		_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), billing.CheckoutRequest{Plan: new("pro"), PromotionCode: &code})
		same(t, code, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/promotion_code"}})
		same(t, "calls", s.stripe.since(), map[string]int{"promotion code": 1})
	}
	if rows := s.store.Records(); len(rows) != 0 {
		t.Errorf("somebody was reserved: %+v", rows)
	}
}

// What Stripe says about something the caller chose is the caller's to mend; about
// the rest it is not, and nothing of Stripe's text is in the fields.
func TestWhatStripeRefuses(t *testing.T) {
	t.Parallel()
	const everything = `{"plan":"pro","currency":"usd","promotion_code":"SPRING"}`
	for name, tc := range map[string]struct {
		param, body string
		want        verdict
	}{
		"the caller's currency":                 {"currency", everything, verdict{problem.ValidationFailed, []string{"/currency"}}},
		"the caller's promotion":                {"discounts[0][promotion_code]", everything, verdict{problem.ValidationFailed, []string{"/promotion_code"}}},
		"the plan's currency":                   {"currency", `{"plan":"save-card"}`, verdict{problem.UpstreamError, nil}},
		"a price without the caller's currency": {"line_items[0][price]", everything, verdict{problem.ValidationFailed, []string{"/currency"}}},
		"a price":                               {"line_items[0][price]", `{"plan":"pro"}`, verdict{problem.PlanUnavailable, nil}},
		"something else":                        {"subscription_data[trial_period_days]", everything, verdict{problem.UpstreamError, nil}},
		"no parameter":                          {"", everything, verdict{problem.UpstreamError, nil}},
	} {
		s := newService(t)
		s.stripe.create = func(billing.NewSession) error { return refused(stripeError{text: "STRIPE SAYS", param: tc.param}) }
		_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, tc.body))
		same(t, name, verdictOf(t, err), tc.want)
		p, _ := errors.AsType[*problem.Error](err)
		if strings.Contains(fmt.Sprint(p.Fields), "STRIPE") {
			t.Errorf("%s: Stripe's text reaches the caller: %+v", name, p.Fields)
		}
	}
}

func TestAPriceThatGoesAwayStopsItsPlanAlone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	delete(s.stripe.prices, "price_pro")
	if _, err := s.catalog.Refresh(t.Context(), s.stripe, true); err != nil {
		t.Fatal(err)
	}
	s.stripe.since()
	_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"pro"}`))
	same(t, "refusal", verdictOf(t, err), verdict{problem.PlanUnavailable, nil})
	s.untouched(t)
	s.buys(t, "alice", request(t, `{"plan":"shop"}`))
}

func TestALookupKeyThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	next := s.stripe.prices["price_pro"]
	next.ID = "price_pro_2"
	s.stripe.prices = map[string]catalog.Price{"price_pro_2": next}
	if _, err := s.catalog.Refresh(t.Context(), s.stripe, true); err != nil {
		t.Fatal(err)
	}
	sent := s.buys(t, "alice", request(t, `{"plan":"pro"}`)).Params["line_items"]
	same(t, "items", sent, []any{params{"price": "price_pro_2", "quantity": int64(2)}})
}

func TestSessionsAreCounted(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "alice", request(t, `{"plan":"usage"}`))
	s.buys(t, "alice", request(t, `{"plan":"save-card"}`))
	if _, err := s.OpenPortal(t.Context(), s.caller(t, "alice"), billing.PortalRequest{}); err != nil {
		t.Fatal(err)
	}
	s.stripe.create = func(billing.NewSession) error { return refused(stripeError{text: "no"}) }
	_, _ = s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"shop"}`))
	same(t, "counted", s.counted(t, "till_sessions_created_total"), map[string]float64{
		"checkout payment": 0, "checkout setup": 1, "checkout subscription": 2, "portal none": 1,
	})
}

// counted returns the series of one metric by their labels' values.
func (s *service) counted(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if family.GetName() == name {
				got[strings.Join(labels, " ")] = m.GetCounter().GetValue()
			}
		}
	}
	return got
}

// The operator sees which origin somebody forgot to allow, and nothing else of
// the URL.
func TestARefusedRedirectIsForTheLog(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"pro","success_url":"https://other.example.com/secret?token=1"}`))
	if text := err.Error(); !strings.Contains(text, "success_url: redirect refused: host other.example.com") || strings.Contains(text, "secret") {
		t.Errorf("the log would say %q", text)
	}
	counted := s.counted(t, "till_redirect_rejections_total")
	if counted["host"] != 1 || len(counted) != len(redirect.Reasons()) {
		t.Errorf("counted %v", counted)
	}
}

// An outage from the start on is not the plan's fault.
func TestPricesThatWereNeverAskedFor(t *testing.T) {
	t.Parallel()
	fresh := catalog.New([]catalog.Plan{{
		Name: "pro", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_1"}}},
	}}, nil)
	if _, ok := fresh.Price(catalog.PriceRef{ID: "price_1"}); ok || fresh.Resolved() {
		t.Error("a price is known that nobody asked for")
	}
	s := newService(t, func(c *config) { c.unresolved = true })
	_, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"pro"}`))
	same(t, "refusal", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
}
