package ratelimit

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/redis/go-redis/v9"

	"till/internal/secret"
)

// Patient makes Redis count as there for as long as an answer may take on a busy machine.
func (r *Redis) Patient() *Redis {
	r.patience = time.Minute
	o := r.client.Options()
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.DialTimeout = r.patience, r.patience, r.patience, r.patience
	_ = r.client.Close()
	r.client = redis.NewClient(o)
	return r
}

// OpenRedisTrusting trusts other certificates than the machine does.
func OpenRedisTrusting(at secret.Secret, roots *x509.CertPool) (*Redis, error) {
	o, err := redisOptions(at)
	if err != nil {
		return nil, err
	}
	o.TLSConfig.RootCAs = roots
	return &Redis{client: redis.NewClient(o), patience: patience, news: make(chan error, 1)}, nil
}

// Gone reports whether Redis counts as gone.
func (r *Redis) Gone() bool { return r.gone.Load() }

// Probe asks once, as Run does.
func (r *Redis) Probe(ctx context.Context) error { return r.probe(ctx) }

// Rate is for properties of rates.
func Rate(limit, burst int) (cost, most time.Duration) {
	r := rateOf(limit, burst)
	return r.cost, r.most
}
