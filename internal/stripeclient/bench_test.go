package stripeclient_test

import (
	"bytes"
	"context"
	_ "embed"
	"io"
	"net/http"
	"testing"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/stripeclient"
)

// lifelike is a new session as Stripe writes it: indented, with everything in it.
//
//go:embed testdata/checkout_session.json
var lifelike []byte

// memory is a Stripe without a network.
type memory struct{ answer []byte }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {"application/json"}, "Request-Id": {"req_1"}, "Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}},
		Body:          io.NopCloser(bytes.NewReader(m.answer)),
		ContentLength: int64(len(m.answer)),
	}, nil
}

// lifelikeParams are those of a subscription with a trial.
func lifelikeParams() catalog.Params {
	about := map[string]any{
		"till_generation": "1", "till_issuer": "https://id.example.com/", "till_kind": "user", "till_plan": "pro",
		"till_subject": "7d1f0a52-4c0e-4b7e-9f3c-0a8b6f1c2d3e",
	}
	return catalog.Params{
		"mode": "subscription", "customer": "cus_RstUvWxYz01234", "client_reference_id": "7d1f0a52-4c0e-4b7e-9f3c-0a8b6f1c2d3e",
		"success_url": "https://app.example.com/account/billing/done?session_id={CHECKOUT_SESSION_ID}",
		"cancel_url":  "https://app.example.com/account/billing?from=checkout",
		"line_items":  []any{map[string]any{"price": "price_1QaBcDeFgHiJkLmN", "quantity": int64(1)}},
		"metadata":    about, "subscription_data": map[string]any{"metadata": about, "trial_period_days": 14},
		"automatic_tax": map[string]any{"enabled": true}, "customer_update": map[string]any{"address": "auto"},
	}
}

// BenchmarkCreateCheckoutSession is what Till adds to a click on "Buy" between its use
// cases and the network. Compare with BenchmarkBareCallRaw.
func BenchmarkCreateCheckoutSession(b *testing.B) {
	c := newClient(b, stripeclient.Options{Transport: memory{lifelike}, RatePerEndpoint: 1e9})
	session := billing.NewSession{IdempotencyKey: "key-1", Customer: "cus_RstUvWxYz01234", Params: lifelikeParams()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.CreateCheckoutSession(b.Context(), session); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareCallRaw is stripe-go alone, with a form that is ready: the least that a
// service of its own would pay.
func BenchmarkBareCallRaw(b *testing.B) {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String("http://stripe.test"), HTTPClient: &http.Client{Transport: memory{lifelike}},
		MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false), LeveledLogger: &stripe.LeveledLogger{},
	})
	ready := &form.Values{}
	form.AppendTo(ready, &stripe.CheckoutSessionParams{
		Mode: stripe.String("subscription"), Customer: stripe.String("cus_RstUvWxYz01234"),
		SuccessURL: stripe.String("https://app.example.com/account/billing/done?session_id={CHECKOUT_SESSION_ID}"),
		CancelURL:  stripe.String("https://app.example.com/account/billing?from=checkout"),
		LineItems:  []*stripe.CheckoutSessionLineItemParams{{Price: stripe.String("price_1QaBcDeFgHiJkLmN"), Quantity: stripe.Int64(1)}},
	})
	b.ReportAllocs()
	for b.Loop() {
		params := &stripe.Params{Context: context.Background(), IdempotencyKey: stripe.String("key-1")}
		var got struct {
			stripe.APIResource
			ID       string `json:"id"`
			URL      string `json:"url"`
			Customer string `json:"customer"`
		}
		if err := backend.CallRaw(http.MethodPost, "/v1/checkout/sessions", secretKey, ready, params, &got); err != nil || got.URL == "" {
			b.Fatal(err)
		}
	}
}
