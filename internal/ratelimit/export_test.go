package ratelimit

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/redis/go-redis/v9"

	"till/internal/secret"
)

// OpenPatient is OpenRedis for a busy machine: an answer may take as long as it likes.
// Other certificates than the machine's may be trusted.
func OpenPatient(at secret.Secret, roots *x509.CertPool) (*Redis, error) {
	o, err := redisOptions(at)
	if err != nil {
		return nil, err
	}
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.DialTimeout = time.Minute, time.Minute, time.Minute, time.Minute
	if o.TLSConfig != nil {
		o.TLSConfig.RootCAs = roots
	}
	return &Redis{client: redis.NewClient(o), patience: time.Minute, news: make(chan error, 1)}, nil
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
