package config

import (
	"fmt"

	"till/internal/ratelimit"
	"till/internal/secret"
)

func (l *loader) judgeLimits() Limits {
	in := l.doc.Limits
	l.atLeast("limits.owner_writes_per_minute", in.OwnerWritesPerMinute, 0)
	l.atLeast("limits.address_per_minute", in.AddressPerMinute, 0)
	l.atLeast("limits.connections", in.Connections, 0)
	l.atLeast("limits.stripe_rps_per_endpoint", in.StripeRPSPerEndpoint, 0)
	l.atLeast("limits.replicas", in.Replicas, 1)
	l.judgeRedis(in.RedisURL)
	if !in.RedisURL.IsZero() && in.Replicas == 1 {
		l.warn("limits.replicas", "is 1, and limits.redis_url is for several: while Redis is gone, each of them would take the whole of every limit")
	}
	return Limits(in)
}

func (l *loader) atLeast(path string, value, least int) {
	if value < least {
		l.rule(path, "is too small", fmt.Sprintf("write %d or more", least))
	}
}

func (l *loader) judgeRedis(at secret.Secret) {
	if at.IsZero() {
		return
	}
	if err := ratelimit.CheckRedisURL(at); err != nil {
		l.rule("limits.redis_url", err.Error(), "write redis://user:password@host:6379/0, or rediss:// for TLS")
	}
}
