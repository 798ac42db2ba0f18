package main

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/config"
	"till/internal/ratelimit"
	"till/internal/stripeclient"
)

// openRedis returns where replicas count together; nil if nothing is configured.
func openRedis(in config.Limits) (*ratelimit.Redis, error) {
	if in.RedisURL.IsZero() {
		return nil, nil //nolint:nilnil // no Redis is a configuration
	}
	r, err := ratelimit.OpenRedis(in.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("limits.redis_url %w", err)
	}
	return r, nil
}

// newBudget returns what Stripe takes of this process, in front of the account's other
// processes if they share a Redis; nil if there is no bound.
func newBudget(cfg *config.Config, r *ratelimit.Redis, reg prometheus.Registerer, logger *slog.Logger) (*ratelimit.Budget, error) {
	live, most, replicas := stripeclient.Livemode(cfg.Stripe.Key), cfg.Limits.StripeRPSPerEndpoint, max(1, cfg.Limits.Replicas)
	if r == nil && most > 0 && replicas > most && logger != nil {
		logger.Warn("less than one call a second to each of Stripe's endpoints is this replica's share: with limits.redis_url, what some do not need is the others'",
			"limits.stripe_rps_per_endpoint", most, "limits.replicas", replicas)
	}
	mode := "test"
	if live {
		mode = "live"
	}
	return ratelimit.NewBudget(ratelimit.BudgetOptions{
		PerEndpoint: most, Account: stripeclient.AccountLimit(most, live), Endpoints: stripeclient.Endpoints(),
		Replicas: replicas, Redis: r,
		Name:    mode + ":" + cmp.Or(cfg.Stripe.WorkedFor(), stripeclient.Fingerprint(cfg.Stripe.Key, "")),
		Metrics: reg, Logger: logger,
	})
}
