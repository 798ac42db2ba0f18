// Package customers decides which Stripe customer an owner has: exactly one.
//
// The protocol is reserve, call, record. A row with the idempotency key and the
// frozen parameters is committed before Stripe is called; whatever happens
// between the call and the record, the next try sends the same key and gets the
// same customer. Once a key may have left Stripe's memory, or replays an error
// for ever, what it made is looked for among the customers created while it was
// in use, and only its certain absence allows a new key.
//
// The package knows nothing of tokens, sessions or SQL.
package customers

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"till/internal/problem"
)

// Options adjusts a Service; the zero value of each field is its default.
type Options struct {
	// SubjectForm is how subjects appear in Stripe's metadata; plain by default.
	SubjectForm SubjectForm
	// Version is the Stripe-Version that new reservations are frozen with.
	Version string
	// CacheSize bounds the number of cached mappings; 100,000 by default.
	CacheSize int
	// CacheAge bounds how long a mapping is believed without the store; 5 minutes by default.
	CacheAge time.Duration
	// Deadline bounds one resolution, Stripe's answer included; 12 s by default.
	Deadline time.Duration
	// Now is the wall clock; time.Now by default.
	Now func() time.Time
}

// Service resolves owners to customers. It is safe for concurrent use.
type Service struct {
	store   Store
	stripe  Stripe
	o       Options
	cache   *otter.Cache[Owner, Customer]
	flights singleflight.Group
	// calling holds the owners for whom Stripe is being asked at the moment.
	calling sync.Map
	metrics *metrics
}

// New returns a Service. Metrics are registered with reg.
func New(store Store, stripe Stripe, reg prometheus.Registerer, o Options) (*Service, error) {
	if o.CacheSize == 0 {
		o.CacheSize = 100_000
	}
	if o.CacheAge == 0 {
		o.CacheAge = 5 * time.Minute
	}
	if o.Deadline == 0 {
		o.Deadline = 12 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	cache, err := otter.New(&otter.Options[Owner, Customer]{
		MaximumSize:      o.CacheSize,
		ExpiryCalculator: otter.ExpiryWriting[Owner, Customer](o.CacheAge),
	})
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Service{store: store, stripe: stripe, o: o, cache: cache, metrics: m}, nil
}

// Close ends the cache's housekeeping. Nothing of it is needed for correctness,
// and the Service works on.
func (s *Service) Close() { s.cache.StopAllGoroutines() }

// Ensure returns the owner's customer and creates the customer if there is
// none. Errors are *problem.Error: the reservation is intact whatever they say,
// so the next try goes on where this one stopped.
func (s *Service) Ensure(ctx context.Context, owner Owner) (Customer, error) {
	if c, ok := s.cache.GetIfPresent(owner); ok {
		s.metrics.resolved(resultCache)
		return c, nil
	}
	// The work belongs to all who wait for it: the first caller hanging up must
	// not fail the others, so it runs under its own deadline.
	done := s.flights.DoChan(owner.idempotencyKey(0), func() (_ any, err error) {
		// A panic here would be nobody's to catch and end the process.
		defer func() {
			if r := recover(); r != nil {
				err = problem.New(problem.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
			}
		}()
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Deadline)
		defer cancel()
		return s.ensure(work, owner)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return Customer{}, r.Err
		}
		return r.Val.(Customer), nil
	case <-ctx.Done():
		if _, calling := s.calling.Load(owner); calling {
			return Customer{}, problem.New(problem.UpstreamTimeout, ctx.Err())
		}
		return Customer{}, unavailable(ctx.Err())
	}
}

// Find returns the owner's customer, or ErrNoRecord when there is none (yet).
// It never calls Stripe.
func (s *Service) Find(ctx context.Context, owner Owner) (Customer, error) {
	if c, ok := s.cache.GetIfPresent(owner); ok {
		return c, nil
	}
	rec, err := s.store.Find(ctx, owner)
	switch {
	case errors.Is(err, ErrNoRecord), err == nil && rec.State != Active:
		return Customer{}, ErrNoRecord
	case err != nil:
		return Customer{}, unavailable(err)
	}
	return s.cached(rec), nil
}

func (s *Service) ensure(ctx context.Context, owner Owner) (Customer, error) {
	rec, err := s.store.Find(ctx, owner)
	if errors.Is(err, ErrNoRecord) {
		rec, err = s.store.Reserve(ctx, s.reservation(owner, 1))
	}
	if err != nil {
		s.metrics.resolved(resultFailed)
		return Customer{}, unavailable(err)
	}
	result := resultStore
	if rec.State != Active {
		rec, result, err = s.settle(ctx, rec)
	}
	if err != nil {
		s.metrics.resolved(resultFailed)
		return Customer{}, err
	}
	s.metrics.resolved(result)
	return s.cached(rec), nil
}

func (s *Service) cached(rec Record) Customer {
	c := Customer{ID: rec.CustomerID, Generation: rec.Generation}
	s.cache.Set(rec.Owner, c)
	return c
}

// unavailable keeps what Stripe's side said, a timeout included; anything else
// comes from the store.
func unavailable(err error) error {
	if isProblem(err) {
		return err
	}
	return &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
}

func isProblem(err error) bool {
	_, ok := errors.AsType[*problem.Error](err)
	return ok
}
