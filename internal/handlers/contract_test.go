package handlers_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"

	"till"
	"till/internal/auth/devissuer"
	"till/internal/ratelimit"
)

// ledger holds every answer against openapi.yaml and remembers which of the
// documented ones were seen.
type ledger struct {
	t      *testing.T
	doc    *openapi3.T
	router routers.Router
	mu     sync.Mutex
	seen   map[string]bool
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(till.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &ledger{t: t, doc: doc, router: router, seen: map[string]bool{}}
}

func (l *ledger) hear(name string, res *http.Response, body []byte) {
	l.t.Helper()
	if err := l.judge(res, body); err != nil {
		l.t.Errorf("%s answered %d, and openapi.yaml says otherwise: %v\n%s", name, res.StatusCode, err, body)
	}
}

func (l *ledger) judge(res *http.Response, body []byte) error {
	route, params, err := l.router.FindRoute(res.Request)
	if res.StatusCode == http.StatusRequestURITooLong {
		return l.judgeUnlisted(res, body)
	}
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		return l.judgeUnlisted(res, body)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.seen[route.Operation.OperationID+" "+strconv.Itoa(res.StatusCode)] = true
	l.mu.Unlock()
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: res.Request, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	input.SetBodyBytes(body)
	return openapi3filter.ValidateResponse(res.Request.Context(), input)
}

// judgeUnlisted: what is no operation is a problem of the closed list.
func (l *ledger) judgeUnlisted(res *http.Response, body []byte) error {
	switch {
	case res.Request.Method == http.MethodOptions && res.StatusCode == http.StatusNoContent:
		return nil
	case !slices.Contains([]int{404, 405, 414}, res.StatusCode):
		return errors.New("no operation, and neither 404 nor 405 nor 414")
	}
	value, err := decodeAny(body)
	if err != nil {
		return err
	}
	return l.doc.Components.Schemas["Problem"].Value.VisitJSON(value)
}

// missing lists the documented answers that nothing has produced.
func (l *ledger) missing() []string {
	var missing []string
	for _, item := range l.doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if key := op.OperationID + " " + status; !l.seen[key] {
					missing = append(missing, key)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// TestContractBothWays drives every operation to every status that openapi.yaml
// gives it, and holds every answer on the way against it.
func TestContractBothWays(t *testing.T) {
	t.Parallel()
	book := newLedger(t)
	h := newHouse(t, settings{})
	h.heard = book.hear
	alice, bob := h.token("alice"), h.token("bob")

	t.Log("what works")
	created := h.post("/checkout", alice, `{"plan":"pro","quantity":3,"locale":"de",
		"success_url":"https://app.example.com/done?s={CHECKOUT_SESSION_ID}","metadata":{"ref":"42"}}`)
	want(t, created, http.StatusCreated, "")
	id := created.text(t, "id")
	if got := created.header.Get("Location"); got != "/checkout/"+id {
		t.Errorf("Location: got %q", got)
	}
	for _, body := range []string{
		`{"plan":"tshirt","promotion_code":"WELCOME10"}`, `{"plan":"save-card"}`,
		`{"plan":"embedded","return_url":"https://app.example.com/back?s={CHECKOUT_SESSION_ID}"}`,
	} {
		want(t, h.post("/checkout", alice, body), http.StatusCreated, "")
	}
	want(t, h.get("/checkout/"+id, alice), http.StatusOK, "")
	h.control(http.MethodPost, "checkout/"+id+"/complete", "{}")
	want(t, h.get("/checkout/"+id, alice), http.StatusOK, "")
	want(t, h.post("/portal", alice, ""), http.StatusCreated, "")
	want(t, h.post("/portal", alice, `{"return_url":"https://app.example.com/x","locale":"en-AU"}`), http.StatusCreated, "")
	want(t, h.form("/checkout", alice, "plan=tshirt"), http.StatusSeeOther, "")
	want(t, h.form("/portal", alice, ""), http.StatusSeeOther, "")
	for _, path := range []string{"/return/ios", "/return/ios/paid"} {
		want(t, h.get(path, ""), http.StatusOK, "")
		want(t, h.get(strings.Replace(path, "ios", "evil", 1), ""), http.StatusNotFound, "")
	}
	open := h.post("/checkout", alice, `{"plan":"boutique"}`).text(t, "id")
	for _, path := range []string{"/checkout", "/checkout?limit=1&status=open", "/checkout/" + id + "/line_items", "/plans", "/subscriptions"} {
		want(t, h.get(path, alice), http.StatusOK, "")
	}
	want(t, h.patch("/checkout/"+open, alice, everyChange), http.StatusOK, "")
	want(t, h.get("/healthz", ""), http.StatusOK, "")
	want(t, h.get("/readyz", ""), http.StatusOK, "")
	want(t, h.get("/openapi.yaml", ""), http.StatusOK, "")
	want(t, h.post("/dev/token", "", `{"sub":"alice"}`), http.StatusCreated, "")

	t.Log("what is refused")
	member := h.mint(devissuer.Claims{Subject: "carol", Org: "org_1", Role: "reader"})
	writes := []request{
		{method: "POST", path: "/checkout"},
		{method: "POST", path: "/portal"},
		{method: "POST", path: "/dev/token"},
		{method: "PATCH", path: "/checkout/" + open},
		{method: "POST", path: "/checkout/" + open + "/expire"},
	}
	for _, r := range writes {
		body := func(text, contentType string) response {
			r.token, r.body, r.contentType = alice, text, contentType
			return h.send(r)
		}
		want(t, body("{", ""), 400, "malformed_request")
		want(t, body(strings.Repeat(" ", 64<<10)+"{}", ""), 413, "payload_too_large")
		want(t, body("a=b", "text/plain"), 415, "unsupported_media_type")
	}
	for _, path := range []string{"/checkout", "/checkout/" + id + "/line_items", "/subscriptions"} {
		want(t, h.get(path+"?customer=cus_other", alice), 400, "malformed_request")
		want(t, h.get(path+"?limit=0", alice), 422, "validation_failed")
	}
	want(t, h.get("/plans?limit=1", alice), 400, "malformed_request")
	want(t, h.get("/plans", ""), 401, "unauthenticated")
	want(t, h.get("/plans", member), 403, "forbidden")
	want(t, h.patch("/checkout/"+open, alice, `{"metadata":{"till_x":"y"}}`), 422, "validation_failed")
	want(t, h.patch("/checkout/"+open, bob, everyChange), 404, "not_found")
	want(t, h.get("/checkout/"+open+"/line_items", bob), 404, "not_found")
	want(t, h.post("/checkout/"+open+"/expire", bob, ""), 404, "not_found")
	want(t, h.post("/checkout", alice, `{"plan":"no such"}`), 422, "catalog_not_allowed")
	want(t, h.post("/portal", alice, `{"return_url":"https://evil.example/"}`), 422, "redirect_not_allowed")
	want(t, h.post("/dev/token", "", `{"sub":""}`), 422, "validation_failed")
	for _, r := range operations(open) {
		want(t, h.send(r.with("")), 401, "unauthenticated")
		want(t, h.send(r.with(member)), 403, "forbidden")
	}
	want(t, h.get("/checkout/"+id, bob), 404, "not_found")
	want(t, h.post("/portal", bob, `{"portal":"customers-only"}`), 409, "no_customer")
	want(t, h.post("/checkout", alice, `{"plan":"single"}`), 409, "already_subscribed")
	want(t, h.buy(alice, "no key", `{"plan":"pro"}`), 400, "idempotency_key_invalid")
	want(t, h.buy(alice, "key", `{"plan":"pro"}`), 201, "")
	want(t, h.buy(alice, "key", `{"plan":"pro"}`), 201, "")
	want(t, h.buy(alice, "key", `{"plan":"tshirt"}`), 422, "idempotency_key_reused")
	want(t, h.get("/checkout/"+id+"?expand=customer", alice), 400, "malformed_request")

	want(t, h.send(request{method: "POST", path: "/dev/token", host: "evil.example", body: `{"sub":"alice"}`}), 403, "csrf_rejected")

	t.Log("what does not arrive")
	hasty := newHouse(t, settings{readTimeout: 300 * time.Millisecond})
	hasty.heard = book.hear
	for _, r := range writes {
		r.token, r.stalls = hasty.token("alice"), true
		want(t, hasty.send(r), 408, "request_timeout")
	}

	t.Log("what is too much")
	var now still
	greedy := newHouse(t, settings{limits: ratelimit.Options{OwnerWritesPerMinute: 1, AddressPerMinute: 1, Now: now.now}})
	greedy.heard = book.hear
	want(t, greedy.get("/openapi.yaml", ""), 200, "")
	for _, r := range append(writes, reads(open)...) {
		r.token = greedy.token("alice")
		want(t, greedy.send(r), 429, "rate_limited")
	}
	for _, path := range []string{"/return/ios", "/return/ios/paid"} {
		want(t, greedy.get(path, ""), 429, "")
	}
	want(t, greedy.form("/checkout", alice, "plan=tshirt"), 429, "")

	t.Log("what goes wrong behind us")
	for _, r := range operations(open) {
		// Not garbage: so many failures in a row are what the breaker opens for.
		h.control(http.MethodPost, "faults", `{"operation":"*","kind":"empty_200"}`)
		want(t, h.send(r.with(alice)), 502, "upstream_error")
		h.control(http.MethodDelete, "faults", "")
		h.control(http.MethodPost, "faults", `{"operation":"*","kind":"rate_limit"}`)
		want(t, h.send(r.with(alice)), 503, "overloaded")
		h.control(http.MethodDelete, "faults", "")
		h.breakAuth = true
		want(t, h.send(r.with(alice)), 500, "internal")
		h.breakAuth = false
		want(t, h.send(r.with(alice)), r.success, "")
	}
	want(t, h.post("/checkout/"+open+"/expire", alice, ""), 409, "session_not_open")
	want(t, h.patch("/checkout/"+open, alice, everyChange), 409, "session_not_open")
	h.breakAuth = true
	want(t, h.get("/plans", alice), 500, "internal")
	h.breakAuth = false
	shut := newHouse(t, settings{shut: true, stripeBase: func(string) string { return "http://127.0.0.1:1" }})
	shut.heard = book.hear
	want(t, shut.get("/plans", shut.token("alice")), 503, "dependency_unavailable")
	busy := newHouse(t, settings{limiter: full(t)})
	busy.heard = book.hear
	want(t, busy.get("/openapi.yaml", ""), 503, "overloaded")
	want(t, busy.post("/dev/token", "", `{"sub":"alice"}`), 503, "overloaded")
	h.ready = errors.New("not yet")
	want(t, h.get("/readyz", ""), 503, "dependency_unavailable")

	t.Log("what takes too long")
	slow := newHouse(t, settings{requestTimeout: 1500 * time.Millisecond})
	slow.heard = book.hear
	slowID := slow.post("/checkout", slow.token("alice"), `{"plan":"pro"}`).text(t, "id")
	for _, r := range operations(slowID) {
		slow.control(http.MethodPost, "faults", `{"operation":"*","kind":"delay","delay":"5s"}`)
		want(t, slow.send(r.with(slow.token("alice"))), 504, "upstream_timeout")
		slow.control(http.MethodDelete, "faults", "")
	}

	t.Log("what is no operation")
	for _, r := range []request{
		{method: "GET", path: "/nope"},
		{method: "DELETE", path: "/checkout"},
		{method: "DELETE", path: "/portal"},
		{method: "GET", path: "/checkout/x/expire"},
		{method: "PATCH", path: "/checkout"},
		{method: "GET", path: "/checkout/"},
		{method: "GET", path: "/metrics"},
		{method: "GET", path: "/checkout/x/y"},
		{method: "GET", path: "/checkout/" + strings.Repeat("a", 5000)},
	} {
		if res := h.send(r); res.status < 404 {
			t.Errorf("%s %s: got %d", r.method, r.path, res.status)
		}
	}
	if diff := cmp.Diff([]string(nil), book.missing()); diff != "" {
		t.Errorf("openapi.yaml documents what no request produced (-want +got):\n%s", diff)
	}
}

type operation struct {
	request
	success int
}

// operations are the ones that need a caller and Stripe.
func operations(id string) []operation {
	return []operation{
		{request{method: "POST", path: "/checkout", body: `{"plan":"tshirt"}`}, 201},
		{request{method: "GET", path: "/checkout/" + id}, 200},
		{request{method: "POST", path: "/portal"}, 201},
		{request{method: "GET", path: "/checkout"}, 200},
		{request{method: "PATCH", path: "/checkout/" + id, body: `{"metadata":{"ref":"43"}}`}, 200},
		{request{method: "GET", path: "/checkout/" + id + "/line_items"}, 200},
		{request{method: "GET", path: "/subscriptions"}, 200},
		// The last one, because nothing can be done with the session after it.
		{request{method: "POST", path: "/checkout/" + id + "/expire"}, 200},
	}
}

// reads are the operations that change nothing and may be refused.
func reads(id string) (all []request) {
	for _, path := range []string{
		"/checkout", "/checkout/" + id, "/checkout/" + id + "/line_items", "/plans", "/subscriptions", "/openapi.yaml",
	} {
		all = append(all, request{method: "GET", path: path})
	}
	return all
}

// everyChange is an update of a session of the plan boutique.
const everyChange = `{
	"metadata": {"ref": "44", "gone": ""}, "shipping_options": ["standard"], "line_items": [{"price": "shirt", "quantity": 3}],
	"collected_information": {"shipping_details": {"name": "Ann", "address": {"line1": "Am Markt 1", "country": "DE"}}}
}`

func (o operation) with(token string) request {
	o.token = token
	return o.request
}

func want(t *testing.T, r response, status int, code string) {
	t.Helper()
	if r.status != status {
		t.Errorf("got %d, want %d: %s", r.status, status, r.body)
		return
	}
	if code != "" && r.text(t, "code") != code {
		t.Errorf("got code %q, want %q", r.text(t, "code"), code)
	}
}

// TestContractLedgerCanFail holds the judge itself to account.
func TestContractLedgerCanFail(t *testing.T) {
	t.Parallel()
	book := newLedger(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	good := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"x"}, "Cache-Control": {"no-store"}}
	for name, res := range map[string]*http.Response{
		"a status that is not listed": {Request: req, StatusCode: 418, Header: good},
		"a header that is missing":    {Request: req, StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}},
	} {
		if book.judge(res, []byte(`{"status":"ok"}`)) == nil {
			t.Errorf("%s was let through", name)
		}
	}
	ok := &http.Response{Request: req, StatusCode: http.StatusOK, Header: good}
	if book.judge(ok, []byte(`{"status":7}`)) == nil {
		t.Error("a body of another type was let through")
	}
	if err := book.judge(ok, []byte(`{"status":"ok"}`)); err != nil {
		t.Errorf("a good answer was refused: %v", err)
	}
	if len(book.missing()) < 20 {
		t.Errorf("most answers are missing at this point, and only %v are listed", book.missing())
	}
}
