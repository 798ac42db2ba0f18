package handlers_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/audit"
	"till/internal/auth"
	"till/internal/billing"
	"till/internal/handlers"
	"till/internal/redirect"
)

// BenchmarkRefusal is what the surface does for a request that is shed; net/http's part, to
// read it and to write the answer, comes on top.
func BenchmarkRefusal(b *testing.B) {
	apps, err := redirect.New(redirect.Options{Allow: []string{appOrigin}, Default: appOrigin, PublicURL: publicURL})
	if err != nil {
		b.Fatal(err)
	}
	surface, err := handlers.New(handlers.Options{
		Service: &billing.Service{}, Auth: &auth.Verifier{}, Audit: nothing{}, Apps: apps, Limiter: full(b),
		Ready: func() error { return nil }, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)
	r.Header.Set("Authorization", "Bearer x.y.z")
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		surface.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable {
			b.Fatal(w.Code)
		}
	}
}

// nothing forgets writes.
type nothing struct{}

func (nothing) Record(context.Context, audit.Event) {}
