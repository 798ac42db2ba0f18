package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
	"till/internal/config"
	"till/internal/redirect"
)

func TestDevHasItsOwnConfiguration(t *testing.T) {
	t.Parallel()
	got, warnings, err := config.Load(config.Source{Dev: true, Environ: []string{"HOME=/", "TILL_ADDR=127.0.0.1:0"}})
	if err != nil || warnings != nil {
		t.Fatal(err, warnings)
	}
	if key := got.Stripe.Key.Reveal(); key != "sk_test_sandbox" {
		t.Errorf("got key %q", key)
	}
	accepts := []catalog.Field{"quantity", "success_url", "cancel_url", "locale", "promotion_code", "metadata"}
	item := func(key string, most int64) []catalog.LineItem {
		return []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: key}, Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: most}}}
	}
	want := &config.Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:8081", Dev: true,
		Auth:   config.Auth{TokenCache: 10_000},
		Stripe: config.Stripe{Key: got.Stripe.Key, MetadataSubject: "plain"},
		Limits: config.Limits{Connections: 1000, StripeRPSPerEndpoint: 0, Replicas: 1},
		Plans: []catalog.Plan{
			{
				Name: "pro", Mode: "subscription", LineItems: item("pro_monthly", 50), Accepts: accepts,
				Params: catalog.Params{"allow_promotion_codes": true, "subscription_data": map[string]any{"trial_period_days": int64(14)}},
			},
			{
				Name: "save-card", Mode: "setup", Accepts: []catalog.Field{"success_url", "cancel_url", "locale", "metadata"},
				Params: catalog.Params{"currency": "usd"},
			},
			{Name: "tshirt", Mode: "payment", LineItems: item("tshirt", 10), Accepts: accepts},
		},
		Portals:   []catalog.Portal{{Name: "default", Flows: catalog.Flows(), Coupons: []string{"welcome10"}}},
		Redirects: redirect.Options{AllowLoopback: true},
		Audit:     config.Audit{Mode: "async", Retention: 400 * 24 * time.Hour},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(got.Stripe.Key)); diff != "" {
		t.Error(diff)
	}
}

func TestDevRules(t *testing.T) {
	t.Parallel()
	check(t, true, []rule{
		{"a test key", []string{"STRIPE_SECRET_KEY=sk_test_canary0123"}, "", "STRIPE_SECRET_KEY: is ignored"},
		{"another word", []string{"STRIPE_SECRET_KEY=canary"}, "", "STRIPE_SECRET_KEY: is ignored"},
		{"a secret live key", []string{"STRIPE_SECRET_KEY=sk_live_canary0123"}, "refuses to start beside one", ""},
		{"a restricted live key", []string{"STRIPE_SECRET_KEY=rk_live_canary0123"}, "refuses to start beside one", ""},
		{"a live key with a space", []string{"STRIPE_SECRET_KEY= rk_live_canary0123"}, "refuses to start beside one", ""},
		{"Stripe itself", []string{"STRIPE_API_BASE=https://api.stripe.com"}, "is not on this machine", ""},
		{"another sandbox", []string{"STRIPE_API_BASE=http://localhost:12111"}, "", ""},
		{"a database", []string{"TILL_DATABASE_URL=postgres://x"}, "names no user", ""},
		{"TILL_CONFIG", []string{"TILL_CONFIG=till.yaml"}, "TILL_CONFIG: a configuration file is given", ""},
		{"a public URL", []string{"TILL_PUBLIC_URL=https://dev.example.com"}, "", ""},
		{"a wrong public URL", []string{"TILL_PUBLIC_URL=https://dev.example.com/x"}, "public_url: an origin ends", ""},
		{"a default URL on loopback", []string{"TILL_REDIRECTS_DEFAULT=http://localhost:5173/done"}, "", ""},
	})
	if _, _, err := config.Load(config.Source{Dev: true, Path: "till.yaml"}); err == nil {
		t.Error("a file beside --dev")
	}
}

func TestDevHonoursADatabase(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + t.TempDir() + "/dev.db"
	cfg, _, err := config.Load(config.Source{Dev: true, Environ: []string{"TILL_DATABASE_URL=" + url, "STRIPE_API_BASE=http://localhost:12111/"}})
	if err != nil || cfg.Database.URL.Reveal() != url || cfg.Stripe.APIBase != "http://localhost:12111" {
		t.Errorf("got %+v, %v", cfg, err)
	}
}
