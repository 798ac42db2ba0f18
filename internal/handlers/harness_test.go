package handlers_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"till"
	"till/internal/audit"
	"till/internal/auth"
	"till/internal/auth/devissuer"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/handlers"
	"till/internal/overload"
	"till/internal/ratelimit"
	"till/internal/redirect"
	"till/internal/sandbox"
	"till/internal/secret"
	"till/internal/secret/secrettest"
	"till/internal/store"
	"till/internal/stripeclient"
	"till/internal/telemetry"
	"till/web"
)

const (
	publicURL = "https://billing.example.com"
	appOrigin = "https://app.example.com"
)

// house is the whole service on a real sandbox, a real database and real tokens;
// only the listener is a test's.
type house struct {
	t        *testing.T
	url      string
	sandbox  *httptest.Server
	issuer   *devissuer.Issuer
	registry *prometheus.Registry
	logs     *safeBuffer
	surface  http.Handler
	audit    *audit.Log
	rows     audit.Reader
	// ready is what /readyz says; nil is ready.
	ready error
	// breakAuth makes the authenticator panic, as no code of ours should.
	breakAuth bool
	// secrets are looked for in whatever it says.
	secrets *secrettest.Watch
	// routes are all that are registered.
	routes []*echo.Route
	heard  func(operation string, res *http.Response, body []byte)
}

type settings struct {
	// auditStore stands in for the database's.
	auditStore     audit.Store
	requestTimeout time.Duration
	readTimeout    time.Duration
	stripeBase     func(sandboxURL string) string
	proxies        []netip.Prefix
	connections    int
	// limits are off by default.
	limits ratelimit.Options
	// limiter admits everything by default.
	limiter *overload.Limiter
	// version is the Stripe-Version; stripe-go's by default.
	version string
	// plans are those of testPlans by default.
	plans []catalog.Plan
	// polls has the reads of sessions count for a second, as they do.
	polls bool
	// before is called when there is a sandbox, and nobody has asked it for prices yet.
	before func(h *house)
	// shut does not wait for Stripe.
	shut bool
}

func newHouse(t *testing.T, set settings) *house {
	t.Helper()
	h := &house{t: t, registry: prometheus.NewRegistry(), logs: &safeBuffer{}, secrets: secrettest.New(nil)}
	// The last to be called, when nothing is said any more.
	t.Cleanup(func() {
		h.checkLog()
		h.secrets.Check(t, "the metrics", h.scrape())
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fake, err := sandbox.New(sandbox.Options{})
	must(err)
	h.sandbox = httptest.NewServer(fake.Handler())
	t.Cleanup(h.sandbox.Close)
	if set.before != nil {
		set.before(h)
	}
	h.issuer, err = devissuer.New(publicURL, "till", time.Now)
	must(err)
	logger := slog.New(slog.NewJSONHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))

	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "till.db"), nil)
	must(err)
	t.Cleanup(func() { _ = db.Close() })
	base := h.sandbox.URL
	if set.stripeBase != nil {
		base = set.stripeBase(base)
	}
	client, err := stripeclient.New(stripeclient.Options{
		Key: secret.New("sk_test_canarykey"), BaseURL: base, Version: set.version, Metrics: h.registry,
		URLHosts: []string{strings.TrimPrefix(h.sandbox.URL, "http://")},
	})
	must(err)
	t.Cleanup(client.Close)
	verifier, err := auth.New([]auth.Issuer{{
		Issuer: publicURL, Audience: []string{"till"}, StaticJWKS: h.issuer.JWKS(),
		Org: auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner"}},
	}}, auth.Options{Cookie: sessionCookie, Metrics: h.registry, Logger: logger})
	must(err)
	redirects, err := redirect.New(redirect.Options{
		Allow: []string{appOrigin, "https://shop.example.com/pay/"}, Default: appOrigin + "/account",
		Apps: map[string]string{"ios": "myapp://billing"}, PublicURL: publicURL,
	})
	must(err)
	if set.plans == nil {
		set.plans = append(testPlans(), choosing()...)
	}
	plans := catalog.New(set.plans, testPortals())
	mapping, err := customers.New(db, client, h.registry, customers.Options{Version: client.CustomerVersion()})
	must(err)
	gate := billing.NewGate(billing.GateOptions{
		Stripe: client, Accounts: db, Catalog: plans, Fingerprint: "test", Logger: logger,
	})
	service, err := billing.New(billing.Options{
		Gate: gate, Catalog: plans, Customers: mapping, Redirects: redirects, Stripe: client, Metrics: h.registry,
		Idempotency: keysOf(t, db, h.registry), Now: set.now(),
	})
	must(err)
	if set.auditStore == nil {
		set.auditStore = db
	}
	h.rows = set.auditStore
	h.audit, err = audit.New(audit.Options{Store: set.auditStore, Metrics: h.registry, Logger: logger, Mode: audit.Sync})
	must(err)
	set.limits.Metrics = h.registry
	limits, err := ratelimit.New(set.limits)
	must(err)
	if set.limiter == nil {
		// How busy the machine of the tests is has no part in them.
		set.limiter, err = overload.New(overload.Options{Places: 1000, Metrics: h.registry, Yield: func() {}})
		must(err)
	}
	surface, err := handlers.New(handlers.Options{
		Service: service, Auth: authenticator{h, verifier}, Limits: limits, Limiter: set.limiter,
		Audit: h.audit, Apps: redirects, TrustedProxies: set.proxies, Ready: func() error { return h.ready },
		Origins: []string{appOrigin}, OpenAPI: till.OpenAPI, Metrics: h.registry, Logger: logger,
		RequestTimeout: set.requestTimeout,
		Dev: &handlers.Dev{
			Mint: func(r handlers.DevTokenRequest) (string, time.Time, error) {
				return h.issuer.Mint(devissuer.Claims{Subject: r.Subject})
			},
			Host: "billing.example.com", WellKnown: h.issuer.Handler(), Demo: web.Handler(),
		},
	})
	must(err)
	h.surface = surface
	server := httptest.NewUnstartedServer(surface)
	server.Config = handlers.NewServer(surface, logger)
	if set.readTimeout > 0 {
		server.Config.ReadTimeout = set.readTimeout
	}
	server.Listener, err = handlers.LimitConnections(server.Config, server.Listener, handlers.ConnectionOptions{
		Limit: set.connections, TrustedProxies: set.proxies, Metrics: h.registry,
	})
	must(err)
	server.Start()
	t.Cleanup(server.Close)
	h.routes = surface.(interface{ Routes() []*echo.Route }).Routes()
	h.url = server.URL

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gate.Run(ctx) }()
	var auditing sync.WaitGroup
	auditing.Go(func() { _ = h.audit.Run(ctx) })
	t.Cleanup(func() {
		stop()
		auditing.Wait()
		if err := <-ended; err != nil {
			t.Errorf("the gate: %v", err)
		}
	})
	for !gate.Ready() && !set.shut {
		select {
		case err := <-ended:
			t.Fatalf("the gate did not open: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return h
}

func testPlans() []catalog.Plan {
	everything := []catalog.Field{
		catalog.FieldQuantity, catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldLocale,
		catalog.FieldPromotionCode, catalog.FieldMetadata,
	}
	many := &catalog.Quantity{Default: 1, Min: 1, Max: 50}
	return []catalog.Plan{
		{
			Name: "pro", Mode: catalog.ModeSubscription, Accepts: everything,
			LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Quantity: many}},
			Params:    catalog.Params{"subscription_data": catalog.Params{"trial_period_days": int64(14)}, "allow_promotion_codes": true},
		},
		{
			Name: "tshirt", Mode: catalog.ModePayment, Accepts: everything,
			LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_tshirt"}, Quantity: many}},
		},
		{Name: "save-card", Mode: catalog.ModeSetup, Params: catalog.Params{"currency": "usd"}},
		{
			Name: "embedded", Mode: catalog.ModePayment, Accepts: []catalog.Field{catalog.FieldReturnURL},
			LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "tshirt"}}},
			Params:    catalog.Params{"ui_mode": "embedded"},
		},
		{
			Name: "boutique", Mode: catalog.ModePayment, Accepts: []catalog.Field{catalog.FieldMetadata, catalog.FieldLineItems},
			LineItems:       []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "tshirt"}, Name: "shirt", Quantity: many}},
			ShippingOptions: map[string]catalog.Params{"standard": {"shipping_rate": "shr_standard"}},
			Params: catalog.Params{
				"ui_mode": "custom", "shipping_address_collection": catalog.Params{"allowed_countries": []any{"DE"}},
			},
		},
	}
}

// checkLog fails the test for a secret in the log, and for what could end a line or steer
// a terminal, whatever was sent.
func (h *house) checkLog() {
	h.t.Helper()
	log := h.logs.String()
	h.secrets.Check(h.t, "the log", log)
	for line := range strings.Lines(log) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x202e }) {
			h.t.Errorf("control characters in the log: %q", line)
		}
		if !strings.HasPrefix(line, `{"time":`) {
			h.t.Errorf("a line that is none of the logger's: %q", line)
		}
	}
}

type authenticator struct {
	h    *house
	real handlers.Authenticator
}

func (a authenticator) Authenticate(r *http.Request) (auth.Principal, error) {
	if a.h.breakAuth {
		panic("broken on purpose with " + r.Header.Get("Authorization") + secrettest.Mark)
	}
	return a.real.Authenticate(r)
}

// sessionCookie may carry a token.
const sessionCookie = "__Host-session"

func (h *house) token(subject string) string {
	h.t.Helper()
	return h.mint(devissuer.Claims{Subject: subject})
}

func (h *house) mint(c devissuer.Claims) string {
	h.t.Helper()
	token, _, err := h.issuer.Mint(c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.secrets.AddToken("a token", token)
	return token
}

// request is one request; zero members are left out.
type request struct {
	method, path, token, body string
	contentType, host         string
	header                    http.Header
	// stalls sends a body that does not come.
	stalls bool
}

// stalled is a body that does not come before ctx has ended.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// send sends r and returns what came back.
func (h *house) send(r request) response {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, h.url+r.path, strings.NewReader(r.body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.host != "" {
		req.Host = r.host
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.stalls {
		req.Body, req.ContentLength = io.NopCloser(stalled{req.Context()}), 100
		r.contentType = "application/json"
	}
	if r.contentType == "" && r.body != "" {
		r.contentType = "application/json"
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	res, err := noRedirects.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.heard != nil {
		h.heard(r.method+" "+r.path, res, body)
	}
	if res.StatusCode >= http.StatusBadRequest {
		h.secrets.Check(h.t, fmt.Sprintf("the answer %d to %s", res.StatusCode, r.method), fmt.Sprint(res.Header)+string(body))
	}
	return response{res.StatusCode, res.Header, body}
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// post is a POST with a JSON body.
func (h *house) post(path, token, body string) response {
	h.t.Helper()
	return h.send(request{method: http.MethodPost, path: path, token: token, body: body})
}

// patch is a PATCH with a JSON body.
func (h *house) patch(path, token, body string) response {
	h.t.Helper()
	return h.send(request{method: http.MethodPatch, path: path, token: token, body: body})
}

func (h *house) get(path, token string) response {
	h.t.Helper()
	return h.send(request{method: http.MethodGet, path: path, token: token})
}

// member returns one member of the JSON object in the body.
func (r response) member(t *testing.T, name string) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return m[name]
}

func (r response) text(t *testing.T, name string) string {
	t.Helper()
	s, _ := r.member(t, name).(string)
	return s
}

// control calls the sandbox's own interface.
func (h *house) control(method, path, body string) []byte {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.sandbox.URL+"/sandbox/v1/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	return answer
}

// stripeCalls counts what has reached the sandbox so far.
func (h *house) stripeCalls(operation string) int {
	h.t.Helper()
	var journal struct {
		Data []struct {
			Operation string `json:"operation"`
		} `json:"data"`
	}
	if err := json.Unmarshal(h.control(http.MethodGet, "requests", ""), &journal); err != nil {
		h.t.Fatal(err)
	}
	n := 0
	for _, r := range journal.Data {
		if operation == "" || r.Operation == operation {
			n++
		}
	}
	return n
}

type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func decodeAny(body []byte) (any, error) {
	var v any
	err := json.Unmarshal(body, &v)
	return v, err
}

// expose is the text that a scraper would get.
func expose(reg *prometheus.Registry) (string, error) {
	rec := httptest.NewRecorder()
	telemetry.MetricsHandler(reg).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		return "", fmt.Errorf("scrape: %d", rec.Code)
	}
	return rec.Body.String(), nil
}

func decodeInto(r io.Reader, v any) error { return json.UnmarshalRead(r, v) }
