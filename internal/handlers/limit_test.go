package handlers_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"till/internal/auth/devissuer"
	"till/internal/ratelimit"
)

// still is a clock that stands until it is told to go on.
type still struct{ at atomic.Int64 }

func (s *still) now() time.Time           { return time.Unix(0, s.at.Load()) }
func (s *still) advance(by time.Duration) { s.at.Add(int64(by)) }

// after is what a refusal tells to wait.
func (r response) after(t *testing.T) time.Duration {
	t.Helper()
	want(t, r, http.StatusTooManyRequests, "rate_limited")
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Fatalf("Retry-After: %q", r.header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

func TestWritesOfAnOwnerAreLimited(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{limits: ratelimit.Options{OwnerWritesPerMinute: 20, Now: now.now}})
	alice, bob := h.token("alice"), h.token("bob")

	t.Log("what is no write of alice counts for nothing")
	for range 30 {
		want(t, h.get("/plans", alice), 200, "")
		want(t, h.post("/portal", "", ""), 401, "")
		want(t, h.send(request{method: "POST", path: "/portal", header: http.Header{"Cookie": {sessionCookie + "=" + alice}}}), 403, "csrf_rejected")
	}

	t.Log("a burst, and no more")
	id := h.post("/checkout", alice, `{"plan":"boutique"}`).text(t, "id")
	want(t, h.patch("/checkout/"+id, alice, everyChange), 200, "")
	want(t, h.post("/checkout/"+id+"/expire", alice, ""), 200, "")
	want(t, h.post("/checkout", alice, `{`), 400, "")
	want(t, h.form("/checkout", alice, "plan=tshirt"), 303, "")
	calls := h.stripeCalls("")
	for range 100 {
		h.post("/portal", alice, "").after(t)
	}
	// Before anybody looks at the body, or what it says it is.
	after := h.send(request{method: "POST", path: "/checkout", token: alice, body: strings.Repeat(" ", 65<<10), contentType: "text/plain"}).after(t)
	page := h.form("/portal", alice, "")
	want(t, page, 429, "")
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("a person got %s", page.header.Get("Content-Type"))
	}
	if more := h.stripeCalls("") - calls; more != 0 {
		t.Errorf("%d calls to Stripe for what was refused", more)
	}

	t.Log("others do not notice, nor do reads")
	want(t, h.post("/portal", bob, ""), 201, "")
	want(t, h.get("/checkout/"+id, alice), 200, "")

	t.Log("it works when it was said to")
	now.advance(after)
	want(t, h.post("/portal", alice, ""), 201, "")
	h.post("/portal", alice, "").after(t)
}

func TestMembersShareTheLimitOfTheirOrganisation(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{limits: ratelimit.Options{OwnerWritesPerMinute: 1, Now: now.now}})
	ann := h.mint(devissuer.Claims{Subject: "ann", Org: "org_1", Role: "owner"})
	ben := h.mint(devissuer.Claims{Subject: "ben", Org: "org_1", Role: "owner"})
	reader := h.mint(devissuer.Claims{Subject: "ann", Org: "org_1", Role: "reader"})
	want(t, h.post("/portal", reader, ""), 403, "forbidden")
	want(t, h.post("/portal", ann, ""), 201, "")
	h.post("/portal", ben, "").after(t)
	want(t, h.post("/portal", h.token("ann"), ""), 201, "")
}

func TestRequestsOfAnAddressAreLimited(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{limits: ratelimit.Options{AddressPerMinute: 20, Now: now.now}})
	alice := h.token("alice")
	for range 4 {
		want(t, h.get("/plans", "rubbish"), 401, "")
	}
	want(t, h.post("/portal", alice, ""), 201, "")

	t.Log("nothing is judged any more")
	h.breakAuth = true
	after := h.get("/plans", alice).after(t)
	h.get("/nowhere", "").after(t)
	h.send(request{method: "POST", path: "/checkout", token: alice, body: "{", contentType: "text/plain"}).after(t)

	t.Log("a page can read why")
	refused := h.send(request{method: "GET", path: "/plans", token: alice, header: http.Header{"Origin": {appOrigin}}})
	refused.after(t)
	if refused.header.Get("Access-Control-Allow-Origin") != appOrigin ||
		!strings.Contains(refused.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("a page cannot read it: %v", refused.header)
	}
	for range 30 {
		want(t, h.send(request{method: "OPTIONS", path: "/plans", header: http.Header{
			"Origin": {appOrigin}, "Access-Control-Request-Method": {"GET"},
		}}), 204, "")
	}

	t.Log("nobody restarts it for that")
	want(t, h.get("/healthz", ""), 200, "")
	want(t, h.get("/readyz", ""), 200, "")

	t.Log("it works when it was said to")
	h.breakAuth = false
	now.advance(after)
	want(t, h.get("/plans", alice), 200, "")
}

func TestALimitIsTheClientsNotTheProxys(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{
		limits:  ratelimit.Options{AddressPerMinute: 1, Now: now.now},
		proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
	})
	from := func(hops ...string) response {
		return h.send(request{method: "GET", path: "/openapi.yaml", header: http.Header{"X-Forwarded-For": hops}})
	}
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"} {
		want(t, from(client), 200, "")
		from(client).after(t)
		from("203.0.113.7, " + client + ", 10.1.2.3").after(t)
	}
	from("2001:db8::2").after(t) // the same /64
	for range 5 {                // who knows for how many these ask
		want(t, from(), 200, "")
		want(t, from("10.1.2.3"), 200, "")
		want(t, from("unknown"), 200, "")
	}
}

func TestAProxyThatIsNotTrustedIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{limits: ratelimit.Options{AddressPerMinute: 1, Now: now.now}})
	for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
		h.send(request{method: "GET", path: "/openapi.yaml", header: http.Header{"X-Forwarded-For": {client}}})
	}
	if !strings.Contains(h.logs.String(), "is not in trusted_proxies") {
		t.Errorf("the log does not say what to do:\n%s", h.logs.String())
	}
}

// The log is not what a flood fills: the first refusals of each second have lines, and
// the next one says how many there were.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	var now still
	h := newHouse(t, settings{limits: ratelimit.Options{AddressPerMinute: 1, Now: now.now}})
	begun := time.Now()
	for range 501 {
		h.get("/plans", "")
	}
	lines := strings.Count(h.logs.String(), `"code":"rate_limited"`)
	if seconds := int(time.Since(begun)/time.Second) + 2; lines < 10 || lines > 10*seconds {
		t.Errorf("%d lines about 500 refusals", lines)
	}
	if got := h.metric(t, `till_rate_limited_total{scope="address"}`); got != "500" {
		t.Errorf("%s refusals were counted", got)
	}
}
