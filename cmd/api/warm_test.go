package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"till/internal/billing"
	"till/internal/config"
	"till/internal/sandbox"
	"till/internal/stripeclient"
	"till/internal/telemetry"
)

// warmStripe is Stripe without a network: the sandbox answers, but for the sessions after
// the first, which are that one.
type warmStripe struct {
	sandbox http.Handler
	calls   atomic.Int64

	mu     sync.Mutex
	first  *http.Response
	form   []byte
	answer []byte
}

const sessions = "/v1/checkout/sessions"

// RoundTrip implements http.RoundTripper.
func (m *warmStripe) RoundTrip(r *http.Request) (*http.Response, error) {
	m.calls.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	session := r.URL.Path == sessions
	if session && m.first != nil {
		res := *m.first
		res.Request, res.Body = r, io.NopCloser(bytes.NewReader(m.answer))
		return &res, nil
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(form))
	w := httptest.NewRecorder()
	m.sandbox.ServeHTTP(w, r)
	if session && w.Code == http.StatusOK {
		m.form, m.answer = form, w.Body.Bytes()
		m.first = w.Result()
	}
	return w.Result(), nil
}

// issuerKey signs as most issuers do: RS256 with a key of 2048 bits.
var issuerKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

const warmIssuer = "https://id.example.com/"

// signedRS256 returns a token of warmIssuer for the subject, and its key set.
func signedRS256(tb testing.TB, subject string) (token string, keys []byte) {
	tb.Helper()
	key, err := issuerKey()
	if err != nil {
		tb.Fatal(err)
	}
	write := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		return text
	}
	encode := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	text := encode(write(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "warm"})) + "." + encode(write(map[string]any{
		"iss": warmIssuer, "aud": "till", "sub": subject, "iat": now, "exp": now + 3600, "email": subject + "@example.com", "email_verified": true,
	}))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + encode(signature), write(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "warm", "alg": "RS256", "use": "sig",
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

const warmConfig = `public_url: https://billing.example.com
plans:
  pro:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}, quantity: {default: 1, min: 1, max: 50}}]
    accepts: [quantity, success_url, cancel_url, locale, promotion_code, metadata]
    params: {allow_promotion_codes: true, billing_address_collection: auto}
limits: {owner_writes_per_minute: 0, address_per_minute: 0}
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/account"}
`

// warm is a whole service that has served its caller before.
type warm struct {
	*service
	stripe *warmStripe
	header http.Header
}

// newWarm starts one that says what happens to log.
func newWarm(tb testing.TB, log io.Writer, authentication, audit string) *warm {
	tb.Helper()
	folder := filepath.ToSlash(tb.TempDir())
	token, keys := signedRS256(tb, "alice")
	text := warmConfig + "database: {url: \"sqlite://" + folder + "/till.db\"}\n" +
		"auth: {issuers: [{issuer: \"" + warmIssuer + "\", audience: [till], jwks_file: \"" + folder + "/jwks.json\"}]" + authentication + "}\n" +
		"audit: {mode: " + audit + "}\n"
	if err := errors.Join(
		os.WriteFile(folder+"/till.yaml", []byte(text), 0o600), os.WriteFile(folder+"/jwks.json", keys, 0o600),
	); err != nil {
		tb.Fatal(err)
	}
	cfg, _, err := config.Load(config.Source{Path: folder + "/till.yaml", Operations: stripeclient.Operations(), Environ: []string{
		"STRIPE_SECRET_KEY=sk_test_warm", "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0", "TILL_LIMITS_STRIPE_RPS_PER_ENDPOINT=0",
	}})
	if err != nil {
		tb.Fatal(err)
	}
	fake, err := sandbox.New(sandbox.Options{PublicURL: "https://checkout.stripe.com"})
	if err != nil {
		tb.Fatal(err)
	}
	w := &warm{stripe: &warmStripe{sandbox: fake.Handler()}, header: http.Header{
		"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"warm"},
	}}
	lines := telemetry.NewLines(log)
	tb.Cleanup(lines.Close)
	if w.service, err = newService(tb.Context(), cfg, lines.Logger(), serveOptions{stripe: w.stripe}); err != nil {
		tb.Fatal(err)
	}
	w.runs(tb)
	return w
}

// runs starts the service, and ends it with the test.
func (w *warm) runs(tb testing.TB) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	for end := time.Now().Add(20 * time.Second); w.checkout(tb) != http.StatusCreated; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("no session is opened")
		}
	}
	w.stripe.calls.Store(0)
}

// checkout opens a session, as net/http would have it done, and returns the status.
func (w *warm) checkout(tb testing.TB) int {
	tb.Helper()
	return w.serve(tb, &discarded{header: http.Header{}})
}

// sent is the session that was opened last, to be opened once more.
func (w *warm) sent(tb testing.TB) billing.NewSession {
	tb.Helper()
	fields, err := url.ParseQuery(string(w.stripe.form))
	if err != nil {
		tb.Fatal(err)
	}
	params := map[string]any{}
	for name, values := range fields {
		params[name] = values[0]
	}
	return billing.NewSession{IdempotencyKey: "key", Params: params, Customer: fields.Get("customer")}
}

const warmBody = `{"plan":"pro","quantity":2}`

func (w *warm) serve(tb testing.TB, to *discarded) int {
	tb.Helper()
	w.public.Handler.ServeHTTP(to, &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/checkout"}, RequestURI: "/checkout", Host: "billing.example.com",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "127.0.0.1:4711", Header: w.header,
		Body: io.NopCloser(strings.NewReader(warmBody)), ContentLength: int64(len(warmBody)),
	})
	return to.status
}

// discarded is an answer of which only the status is kept.
type discarded struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (d *discarded) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *discarded) WriteHeader(status int) { d.status = status }

// SetWriteDeadline is for http.ResponseController.
func (d *discarded) SetWriteDeadline(time.Time) error { return nil }

// Write implements http.ResponseWriter.
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }

// TestAWarmCheckoutAsksStripeOnceAndNobodyElse: the database is not even there.
func TestAWarmCheckoutAsksStripeOnceAndNobodyElse(t *testing.T) {
	t.Parallel()
	var log output
	w := newWarm(t, &log, "", "off")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	said := len(log.String())
	for n := range int64(5) {
		if status := w.checkout(t); status != http.StatusCreated {
			t.Fatal(status)
		}
		if got := w.stripe.calls.Load(); got != n+1 {
			t.Fatalf("%d calls to Stripe for %d checkouts", got, n+1)
		}
	}
	if news := log.String()[said:]; strings.Contains(news, `"level":"WARN"`) || strings.Contains(news, `"level":"ERROR"`) {
		t.Errorf("somebody has missed the database:\n%s", news)
	}
}

// BenchmarkWarmCheckout is a checkout of somebody who was here before, but for what
// net/http and the wire cost; BenchmarkBareCallRaw is the least that stripe-go needs for
// the same session. Rows of the audit are written beside it, and count.
func BenchmarkWarmCheckout(b *testing.B) {
	for name, lines := range map[string][2]string{
		"token cached": {"", "off"}, "token verified": {", token_cache: 0", "off"}, "audited": {"", "async"},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWarm(b, io.Discard, lines[0], lines[1])
			to := &discarded{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(to.header)
				if status := w.serve(b, to); status != http.StatusCreated {
					b.Fatal(status)
				}
			}
		})
	}
}

// BenchmarkBareCallRaw sends a ready form and decodes the answer.
func BenchmarkBareCallRaw(b *testing.B) {
	call := newWarm(b, io.Discard, "", "off").bare(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// BenchmarkWarmToBare says how much longer a warm checkout takes than a bare CallRaw. They
// take turns, so that whatever else the machine does slows both.
func BenchmarkWarmToBare(b *testing.B) {
	const turn = 100
	w := newWarm(b, io.Discard, "", "off")
	call, to := w.bare(b), &discarded{header: http.Header{}}
	var ratios []float64
	for b.Loop() {
		began := time.Now()
		for range turn {
			call()
		}
		between := time.Now()
		for range turn {
			clear(to.header)
			w.serve(b, to)
		}
		ratios = append(ratios, float64(time.Since(between))/float64(between.Sub(began)))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-bare")
}

// bare is the least that stripe-go needs for the session that was opened first.
func (w *warm) bare(tb testing.TB) (call func()) {
	tb.Helper()
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		HTTPClient: &http.Client{Transport: w.stripe}, MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry: stripe.Bool(false), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	fields, err := url.ParseQuery(string(w.stripe.form))
	if err != nil {
		tb.Fatal(err)
	}
	body := &form.Values{}
	for name, values := range fields {
		body.Add(name, values[0])
	}
	return func() {
		params := &stripe.Params{Context: tb.Context()}
		params.SetIdempotencyKey("key")
		if err := backend.CallRaw(http.MethodPost, sessions, "sk_test_warm", body, params, new(stripe.CheckoutSession)); err != nil {
			tb.Fatal(err)
		}
	}
}
