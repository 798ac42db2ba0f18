package handlers_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"till/internal/auth/devissuer"
)

func clock() time.Time { return time.Now() }

// TestRefusalsComeInOrder breaks one more thing at a time, from the outside in:
// the answer is always about the outermost.
func TestRefusalsComeInOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice, member := h.token("alice"), h.mint(devissuer.Claims{Subject: "carol", Org: "org_1", Role: "reader"})
	huge := strings.Repeat("{", 65<<10)
	for _, row := range []struct {
		request
		status int
		code   string
	}{
		{request{method: "POST", path: "/nope", token: "bad", body: huge, contentType: "text/plain"}, 404, "not_found"},
		{request{method: "PUT", path: "/checkout", token: "bad", body: huge, contentType: "text/plain"}, 405, "method_not_allowed"},
		{request{method: "POST", path: "/checkout", token: "bad", body: huge, contentType: "text/plain"}, 401, "unauthenticated"},
		{request{method: "POST", path: "/checkout", token: member, body: huge, contentType: "text/plain"}, 403, "forbidden"},
		{request{method: "POST", path: "/checkout", token: alice, body: huge, contentType: "text/plain"}, 415, "unsupported_media_type"},
		{request{method: "POST", path: "/checkout?x=1", token: alice, body: `{`, contentType: "text/plain"}, 415, "unsupported_media_type"},
		{request{method: "POST", path: "/checkout", token: alice, body: huge}, 413, "payload_too_large"},
		{request{method: "POST", path: "/checkout", token: alice, body: `{"plan":"no such","x":1}`}, 400, "malformed_request"},
		{request{method: "POST", path: "/checkout", token: alice, body: `{"plan":"no such"}`}, 422, "catalog_not_allowed"},
	} {
		want(t, h.send(row.request), row.status, row.code)
	}
	if n := h.stripeCalls("customers.create"); n != 0 {
		t.Errorf("%d customers were created", n)
	}
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for _, r := range []request{
		{method: "POST", path: "/checkout", token: alice, body: `{"plan":"tshirt"}`},
		{method: "POST", path: "/portal", token: alice},
		{method: "GET", path: "/healthz"},
		{method: "GET", path: "/nope"},
		{method: "PUT", path: "/portal"},
		{method: "POST", path: "/checkout"},
		{method: "OPTIONS", path: "/checkout"},
	} {
		res := h.send(r)
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Vary": "Origin",
		} {
			if got := res.header.Get(name); got != value {
				t.Errorf("%s %s: %s is %q", r.method, r.path, name, got)
			}
		}
		if res.header.Get("X-Request-Id") == "" || len(res.header.Values("Set-Cookie")) > 0 || res.header.Get("Server") != "" {
			t.Errorf("%s %s: %v", r.method, r.path, res.header)
		}
	}
}

func TestRequestIDsAreTheCallersIfTheyAreFit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for id, kept := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, "a b": false, "\xf0\x9f\x92\xb3": false, "a\tb": false, "<script>": false,
	} {
		res := h.send(request{method: "GET", path: "/nope", header: http.Header{"X-Request-Id": {id}}})
		got := res.header.Get("X-Request-Id")
		if (got == id) != kept || got == "" || res.text(t, "request_id") != got {
			t.Errorf("%q became %q, and %q in the body", id, got, res.text(t, "request_id"))
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	preflight := func(path, origin string) response {
		return h.send(request{method: "OPTIONS", path: path, header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Private-Network": {"true"},
		}})
	}
	cors := func(r response) map[string]string {
		m := map[string]string{}
		for name := range r.header {
			if strings.HasPrefix(name, "Access-Control-") {
				m[strings.TrimPrefix(name, "Access-Control-")] = r.header.Get(name)
			}
		}
		return m
	}
	allowed := preflight("/checkout", appOrigin)
	if diff := cmp.Diff(map[string]string{
		"Allow-Origin": appOrigin, "Allow-Credentials": "true", "Max-Age": "600",
		"Allow-Methods": "GET, POST, PATCH, OPTIONS",
		"Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-CSRF, X-Request-Id, traceparent",
	}, cors(allowed)); diff != "" || allowed.status != 204 {
		t.Errorf("preflight: %d\n%s", allowed.status, diff)
	}
	for _, origin := range []string{
		"https://evil.example", "null", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.",
		"https://APP.example.com", "https://app.example.com.evil.example", "https://sub.app.example.com", "http://localhost:3000", "*",
	} {
		if res := preflight("/checkout", origin); res.status != 204 || len(cors(res)) > 0 {
			t.Errorf("%s: %d %v", origin, res.status, cors(res))
		}
	}
	two := h.send(request{method: "POST", path: "/portal", token: h.token("alice"), header: http.Header{"Origin": {appOrigin, appOrigin}}})
	if len(cors(two)) > 0 {
		t.Errorf("two origins: %v", cors(two))
	}
	actual := h.send(request{method: "POST", path: "/portal", token: h.token("alice"), header: http.Header{"Origin": {appOrigin}}})
	if diff := cmp.Diff(map[string]string{
		"Allow-Origin": appOrigin, "Allow-Credentials": "true",
		"Expose-Headers": "Location, Retry-After, X-Request-Id, Idempotency-Replayed",
	}, cors(actual)); diff != "" || actual.status != 201 {
		t.Errorf("the call itself: %d\n%s", actual.status, diff)
	}
	if res := preflight("/nope", appOrigin); res.status != 404 {
		t.Errorf("a preflight for nothing: %d", res.status)
	}
	// A page must be able to read why it was refused.
	if res := h.send(request{method: "POST", path: "/portal", header: http.Header{"Origin": {appOrigin}}}); res.status != 401 || cors(res)["Allow-Origin"] != appOrigin {
		t.Errorf("a refusal: %d %v", res.status, cors(res))
	}
}

// TestPagesWithoutLeaveAreCounted: X07, X08, X11, X17, by what is wrong with their origin;
// who has leave, needs none, or names no origin is not.
func TestPagesWithoutLeaveAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	evil, preflight := "https://evil.example", http.Header{"Access-Control-Request-Method": {"POST"}}
	for _, header := range []http.Header{
		{},
		{"Origin": {appOrigin}},
		{"Origin": {"https://billing.example.com"}, "Sec-Fetch-Site": {"same-origin"}},
		{"Origin": {evil}},
		{"Origin": {evil}, "Sec-Fetch-Site": {"cross-site"}},
		{"Origin": {"http://app.example.com"}},
		{"Origin": {"null"}},
		{"Origin": {appOrigin, appOrigin}},
		{"Origin": {"null", "null"}},
	} {
		h.send(request{method: "GET", path: "/healthz", header: header})
		maps.Copy(header, preflight)
		h.send(request{method: "OPTIONS", path: "/portal", header: header})
	}
	for _, line := range []string{
		`till_cors_rejections_total{reason="unlisted"} 6`,
		`till_cors_rejections_total{reason="null"} 2`,
		`till_cors_rejections_total{reason="twice"} 4`,
	} {
		if !strings.Contains(h.scrape(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

// TestNothingHostileAddsASeries: labels come from closed lists.
func TestNothingHostileAddsASeries(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	count := func() int {
		n, err := testutil.GatherAndCount(h.registry)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	for i := range 300 {
		h.get(fmt.Sprintf("/p%d/%d", i, i), fmt.Sprintf("t%d", i))
		h.get(fmt.Sprintf("/checkout/cs_test_%d", i), fmt.Sprintf("a.b%d.c", i))
		h.send(request{method: fmt.Sprintf("M%d", i), path: "/checkout", token: "x"})
		h.post("/checkout", "y"+h.token("alice"), fmt.Sprintf(`{"plan":"p%d"}`, i))
		h.post("/checkout", h.token("alice"), fmt.Sprintf(`{"plan":"p%d"}`, i))
	}
	if after := count(); after != before {
		t.Errorf("%d series became %d", before, after)
	}
	if before > 2000 {
		t.Errorf("%d series, and 2,000 is the most", before)
	}
}

func TestEveryPathIsCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/checkout", alice, `{"plan":"pro"}`), 201, "")
	want(t, h.post("/portal", alice, ""), 201, "")
	want(t, h.post("/checkout", "bad", `{}`), 401, "")
	want(t, h.get("/nope", ""), 404, "")
	expected := map[string]string{
		"till_http_requests_total": `
# HELP till_sessions_created_total Sessions created at Stripe, by kind and by Checkout mode.
# TYPE till_sessions_created_total counter
till_sessions_created_total{kind="checkout",mode="payment"} 0
till_sessions_created_total{kind="checkout",mode="setup"} 0
till_sessions_created_total{kind="checkout",mode="subscription"} 1
till_sessions_created_total{kind="portal",mode="none"} 1
# HELP till_customer_resolutions_total Resolutions of an owner to a Stripe customer, by result.
# TYPE till_customer_resolutions_total counter
till_customer_resolutions_total{result="adopted"} 0
till_customer_resolutions_total{result="cache"} 1
till_customer_resolutions_total{result="created"} 1
till_customer_resolutions_total{result="failed"} 0
till_customer_resolutions_total{result="healed"} 0
till_customer_resolutions_total{result="refused"} 0
till_customer_resolutions_total{result="replayed"} 0
till_customer_resolutions_total{result="store"} 0
`,
	}
	if err := testutil.GatherAndCompare(h.registry, strings.NewReader(expected["till_http_requests_total"]),
		"till_sessions_created_total", "till_customer_resolutions_total"); err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		`till_http_requests_total{method="POST",route="/checkout",status="2xx"} 1`,
		`till_http_requests_total{method="POST",route="/checkout",status="4xx"} 1`,
		`till_http_requests_total{method="other",route="unmatched",status="4xx"} 1`,
		`till_http_request_duration_seconds_count{method="POST",route="/portal",status="2xx"} 1`,
		`till_stripe_calls_total{operation="checkout.sessions.create",outcome="ok"} 1`,
		`till_stripe_calls_total{operation="customers.create",outcome="ok"} 1`,
		`till_stripe_call_duration_seconds_count{operation="billing_portal.sessions.create"} 1`,
		`till_auth_rejections_total{reason="malformed"} 1`,
	} {
		if !strings.Contains(h.scrape(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

// TestFirstVisitsAtOnceMakeOneCustomer goes through the whole service.
func TestFirstVisitsAtOnceMakeOneCustomer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	var wg sync.WaitGroup
	customers := make([]string, 40)
	for i := range customers {
		wg.Go(func() {
			customers[i] = h.post("/checkout", alice, `{"plan":"tshirt"}`).text(t, "customer")
		})
	}
	wg.Wait()
	for _, c := range customers {
		if c != customers[0] || c == "" {
			t.Errorf("customers differ: %q and %q", c, customers[0])
		}
	}
	if n := h.stripeCalls("customers.create"); n != 1 {
		t.Errorf("%d calls created customers", n)
	}
}

// TestAnOutageLeavesTheReservation: whatever Stripe does with the first call,
// the next one finds the one customer.
func TestAnOutageLeavesTheReservation(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{
		"created_then_silence", "drop", "html_502", "garbage_200", "empty_200", "wrong_customer", "flip_livemode", "truncated",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, settings{})
			alice := h.token("alice")
			h.control(http.MethodPost, "faults", `{"operation":"customers.create","kind":"`+kind+`"}`)
			want(t, h.post("/portal", alice, ""), 502, "upstream_error")
			h.control(http.MethodDelete, "faults", "")
			want(t, h.post("/portal", alice, ""), 201, "")
			if owned := h.customersOf("alice"); len(owned) != 1 {
				t.Errorf("customers of alice: %v", owned)
			}
		})
	}
}

// customersOf lists the sandbox's customers that carry the subject.
func (h *house) customersOf(subject string) (ids []string) {
	h.t.Helper()
	var state struct {
		Customers []struct {
			ID       string            `json:"id"`
			Metadata map[string]string `json:"metadata"`
		} `json:"customers"`
	}
	if err := json.Unmarshal(h.control(http.MethodGet, "state", ""), &state); err != nil {
		h.t.Fatal(err)
	}
	for _, c := range state.Customers {
		if c.Metadata["till_subject"] == subject {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// TestNothingUncheckedIsHandedOut: a session that is not the caller's, or leads
// elsewhere, never reaches him.
func TestNothingUncheckedIsHandedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/portal", alice, ""), 201, "")
	for _, kind := range []string{"wrong_customer", "flip_livemode", "foreign_url", "empty_200", "garbage_200", "truncated"} {
		for _, o := range operations("cs_test_x")[:1] {
			h.control(http.MethodPost, "faults", `{"operation":"*","kind":"`+kind+`"}`)
			want(t, h.send(o.with(alice)), 502, "upstream_error")
			want(t, h.post("/portal", alice, ""), 502, "upstream_error")
			h.control(http.MethodDelete, "faults", "")
		}
	}
}

// TestSecretsStayInside looks for everything secret in everything emitted.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	var secrets []string
	var answers strings.Builder
	for _, o := range []operation{operations("")[0], operations("")[2]} {
		for _, fault := range []string{"garbage_200", "foreign_url"} {
			h.control(http.MethodPost, "faults", `{"operation":"*","kind":"`+fault+`"}`)
			answers.Write(h.send(o.with(alice)).body)
			h.control(http.MethodDelete, "faults", "")
		}
		if url := h.send(o.with(alice)).text(t, "url"); url != "" {
			secrets = append(secrets, url[strings.LastIndex(url, "/")+1:])
		}
		answers.Write(h.send(o.with(alice + "x")).body)
	}
	secrets = append(secrets, alice, strings.Split(alice, ".")[2], "sk_test_canarykey")
	emitted := map[string]string{"logs": h.logs.String(), "metrics": h.scrape(), "refusals": answers.String()}
	for where, text := range emitted {
		for i, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("secret %d is in the %s", i, where)
			}
		}
	}
	if len(secrets) < 5 || !strings.Contains(emitted["logs"], `"code":"upstream_error"`) {
		t.Errorf("the test has looked at nothing: %d secrets in\n%s", len(secrets), emitted["logs"])
	}
}

// scrape is the metrics page.
func (h *house) scrape() string {
	h.t.Helper()
	text, err := expose(h.registry)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}
