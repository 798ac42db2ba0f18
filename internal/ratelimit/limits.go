package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/problem"
)

// Options are the limits, of all processes together, and how they are kept.
type Options struct {
	// OwnerWritesPerMinute and AddressPerMinute are the most in any sixty seconds; 0 is off.
	OwnerWritesPerMinute, AddressPerMinute int
	// Replicas is how many processes share the limits; 1 by default. Without Redis, and
	// while that is gone, this one has the limits divided by it, and at least 1.
	Replicas int
	// Redis is where the processes count together; without it each counts by itself.
	Redis *Redis
	// Salt goes into the names that Redis sees, so that they cannot be guessed back: the
	// same on all replicas, and not in Redis.
	Salt string
	// Metrics is required.
	Metrics prometheus.Registerer
	// Now is the present; the host's by default.
	Now func() time.Time
}

// Limits refuse callers who ask for too much. They are safe for concurrent use.
type Limits struct {
	owners, addresses *limit
}

// New returns limits.
func New(o Options) (*Limits, error) {
	if o.Metrics == nil {
		return nil, errors.New("ratelimit: a required collaborator is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Limits{owners: newLimit(o, o.OwnerWritesPerMinute, "owner"), addresses: newLimit(o, o.AddressPerMinute, "address")}
	return l, register(o, l)
}

// Write admits one write of an owner, by an opaque name, or returns a *problem.Error
// (rate_limited) that says when to come back.
func (l *Limits) Write(ctx context.Context, owner string) error {
	if l.owners == nil {
		return nil
	}
	return l.owners.take(ctx, owner)
}

// Request admits one request from a client network, or returns a *problem.Error
// (rate_limited) that says when to come back.
func (l *Limits) Request(ctx context.Context, client netip.Prefix) error {
	if l.addresses == nil {
		return nil
	}
	address := client.Addr().As16()
	return l.addresses.take(ctx, string(address[:]))
}

// limit is one of the limits.
type limit struct {
	scope        string
	whole, share rate
	table        *table
	redis        *Redis
	salt         string
	refused      prometheus.Counter
}

// newLimit returns nil for one that is off.
func newLimit(o Options, perMinute int, scope string) *limit {
	if perMinute <= 0 {
		return nil
	}
	return &limit{
		scope: scope, whole: rateOf(perMinute, burstOf(perMinute)), share: shareOf(perMinute, max(o.Replicas, 1)),
		table: newTable(o.Now), redis: o.Redis, salt: o.Salt,
	}
}

func (l *limit) take(ctx context.Context, key string) error {
	wait := l.wait(ctx, key)
	if wait == 0 {
		return nil
	}
	l.refused.Inc()
	return &problem.Error{Code: problem.RateLimited, RetryAfter: wait}
}

// wait admits a request (0), or returns how long to wait for that.
func (l *limit) wait(ctx context.Context, key string) time.Duration {
	id, now := l.table.id(key), l.table.since()
	if l.redis == nil {
		return l.table.take(id, now, l.whole, l.share)
	}
	known := l.table.debt(id, now)
	if wait := l.whole.wait(known); wait > 0 {
		// Redis could only say the same: who is refused costs no question.
		return wait
	}
	admitted, debt, err := l.redis.take(ctx, l.name(key), l.whole, known)
	if err != nil {
		return l.table.take(id, l.table.since(), l.whole, l.share)
	}
	l.table.learn(id, now, debt)
	if admitted {
		return 0
	}
	return max(l.whole.wait(debt), time.Microsecond)
}

// name is the caller's in Redis.
func (l *limit) name(key string) string {
	text := make([]byte, 0, 256)
	for _, part := range []string{"till-limit-v1", l.salt, l.scope, key} {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return prefix + l.scope + ":" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
