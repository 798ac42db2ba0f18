//go:build contract

package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/secret"
	"till/internal/stripeclient"
)

// TestWhatTheClientSendsOfCustomers makes the calls that no request to the service
// brings about by itself, and wants their answers believed, too.
func TestWhatTheClientSendsOfCustomers(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			h := emptyHouse(t, b)
			c, err := stripeclient.New(stripeclient.Options{
				Key: secret.New(stripeKey), BaseURL: h.proxy.server.URL, Version: b.version, Metrics: prometheus.NewRegistry(),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)

			now, err := c.Time(t.Context())
			if err != nil || time.Since(now.Earliest).Abs() > time.Minute || time.Since(now.Latest).Abs() > time.Minute {
				t.Errorf("the time is %v, %v", now, err)
			}
			if _, _, err := c.CustomersCreated(t.Context(), time.Now().Add(-time.Hour), time.Now(), ""); err != nil {
				t.Error(err)
			}
			if _, _, err := c.CustomersCreated(t.Context(), time.Now().Add(-time.Hour), time.Now(), "cus_1"); err != nil {
				t.Error(err)
			}
			if life, err := c.CustomerLife(t.Context(), "cus_1"); life != customers.Alive || err != nil {
				t.Errorf("the life is %d, %v", life, err)
			}
			for _, p := range []customers.Profile{
				{Email: "ann+billing@example.com", Name: "Ann & Zoë [B]"},
				{Email: "ann@example.com"},
				{Name: strings.Repeat("é", 256)},
			} {
				if err := c.UpdateProfile(t.Context(), "cus_1", p); err != nil {
					t.Error(err)
				}
			}

			h.judgeEach(setting{build: b, version: b.version})
			seen := map[string]int{}
			for _, x := range h.proxy.exchanges() {
				seen[x.operation()]++
			}
			for name, want := range map[string]int{"GET /v1/customers": 3, "GET /v1/customers/{id}": 1, "POST /v1/customers/{id}": 3} {
				if seen[name] != want {
					t.Errorf("%s was sent %d times, want %d", name, seen[name], want)
				}
			}
			t.Logf("answers patched:%s", h.proxy.summary())
		})
	}
}
