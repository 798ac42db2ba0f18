package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
)

const checkoutBody = `{"plan":"pro","quantity":2,"success_url":"https://app.example.com/paid?s={CHECKOUT_SESSION_ID}","metadata":{"ref":"42"}}`

func BenchmarkDecode(b *testing.B) {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/checkout"},
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(checkoutBody)),
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(checkoutBody))
		var req billing.CheckoutRequest
		if err := decode(r, required, &req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeyed hashes a body that came with an Idempotency-Key.
func BenchmarkKeyed(b *testing.B) {
	h := http.Header{"Idempotency-Key": {"0123456789abcdef"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keyed(billing.Caller{}, h, []byte(checkoutBody)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	page, status := "https://checkout.stripe.com/c/pay/cs_test_a1"+strings.Repeat("x", 300), "open"
	session := billing.CheckoutSession{
		ID: "cs_test_a1", Object: "checkout.session", URL: &page, Mode: "subscription", Status: &status, PaymentStatus: "unpaid",
		Customer: "cus_1", Metadata: map[string]string{"till_plan": "pro", "till_subject": "alice", "till_kind": "user"},
	}
	e := echo.New()
	b.ReportAllocs()
	for b.Loop() {
		c := e.NewContext(nil, httptest.NewRecorder())
		if err := answer(c, http.StatusCreated, &session); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	m, err := newMetrics(prometheus.NewRegistry(), []*echo.Route{{Method: http.MethodPost, Path: "/checkout"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.observe(http.MethodPost, "/checkout", http.StatusCreated, time.Millisecond)
	}
}
