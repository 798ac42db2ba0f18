package config

import "fmt"

func (l *loader) judgeLimits() Limits {
	in := l.doc.Limits
	l.atLeast("limits.owner_writes_per_minute", in.OwnerWritesPerMinute, 0)
	l.atLeast("limits.address_per_minute", in.AddressPerMinute, 0)
	l.atLeast("limits.connections", in.Connections, 0)
	l.atLeast("limits.stripe_rps_per_endpoint", in.StripeRPSPerEndpoint, 0)
	l.atLeast("limits.replicas", in.Replicas, 1)
	l.warnInactive("limits.owner_writes_per_minute", in.OwnerWritesPerMinute > 0)
	l.warnInactive("limits.address_per_minute", in.AddressPerMinute > 0)
	l.warnInactive("limits.redis_url", !in.RedisURL.IsZero())
	return Limits(in)
}

func (l *loader) atLeast(path string, value, least int) {
	if value < least {
		l.rule(path, "is too small", fmt.Sprintf("write %d or more", least))
	}
}

func (l *loader) warnInactive(path string, on bool) {
	if on {
		l.warn(path, "is not acted upon in this version: put the limit into the proxy in front")
	}
}
