// Package customers decides which Stripe customer an owner has: exactly one.
//
// The protocol is reserve, call, record. A row with the idempotency key and the
// frozen parameters is committed before Stripe is called; whatever happens
// between the call and the record, the next try sends the same key and gets the
// same customer. Once a key may have left Stripe's memory, or replays an error
// for ever, what it made is looked for among the customers created while it was
// in use, and only its certain absence allows a new key. A customer that is gone
// at Stripe is replaced by one of the next generation, which has a key of its own.
//
// The package knows nothing of tokens, sessions or SQL.
package customers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// Jitter returns how much of a wait of d is waited; anything up to d by default.
	Jitter func(d time.Duration) time.Duration
	// Logger hears of what has no caller to be told; nobody by default.
	Logger *slog.Logger
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
	sweeper sweeper
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
	if o.Jitter == nil {
		o.Jitter = func(d time.Duration) time.Duration { return rand.N(d) } //nolint:gosec // no secret
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
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
	return s.shared(ctx, owner, "ensure", func(work context.Context) (Customer, error) { return s.ensure(work, owner) })
}

// shared does the work once for all who ask the same for the owner at the time.
// It belongs to all who wait for it: the first caller hanging up must not fail
// the others, so it runs under its own deadline.
func (s *Service) shared(ctx context.Context, owner Owner, what string, work func(context.Context) (Customer, error)) (Customer, error) {
	done := s.flights.DoChan(what+owner.idempotencyKey(0), func() (_ any, err error) {
		// A panic here would be nobody's to catch and end the process.
		defer func() {
			if r := recover(); r != nil {
				err = problem.New(problem.Internal, fmt.Errorf("%w\n%s", problem.Panicked(r), debug.Stack()))
			}
		}()
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Deadline)
		defer cancel()
		return work(own)
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
	case errors.Is(err, ErrNoRecord):
		return Customer{}, ErrNoRecord
	case err != nil:
		return Customer{}, unavailable(err)
	}
	if err := rec.Check(); err != nil {
		return Customer{}, unavailable(err)
	}
	if rec.State != Active {
		return Customer{}, ErrNoRecord
	}
	return s.cached(rec), nil
}

// Require returns the owner's customer as Find does, or refuses as no_customer.
func (s *Service) Require(ctx context.Context, owner Owner) (Customer, error) {
	c, err := s.Find(ctx, owner)
	if errors.Is(err, ErrNoRecord) {
		return c, s.Refuse(err)
	}
	return c, err
}

// Refuse is the no_customer answer to an owner who is to have none.
func (s *Service) Refuse(cause error) error {
	s.metrics.resolved(resultRefused)
	return problem.New(problem.NoCustomer, cause)
}

func (s *Service) ensure(ctx context.Context, owner Owner) (Customer, error) {
	rec, err := s.store.Find(ctx, owner)
	if errors.Is(err, ErrNoRecord) {
		rec, err = s.reserve(ctx, owner)
	}
	if err != nil {
		return s.resolved(rec, resultFailed, unavailable(err))
	}
	return s.resolved(s.settle(ctx, rec, ofRequest))
}

func (s *Service) reserve(ctx context.Context, owner Owner) (Record, error) {
	now, err := s.now(ctx)
	if err != nil {
		return Record{}, err
	}
	return s.store.Reserve(ctx, s.reservation(owner, 1, now))
}

// vague is when a moment is not known well enough: the clocks of this host differ
// by more than a slow answer explains, as after a sleep.
const vague = 15 * time.Second

// now is Stripe's time, asked for if nothing, or too little, is known of it.
func (s *Service) now(ctx context.Context) (Moment, error) {
	if m, ok := s.stripe.Now(); ok && m.Latest.Sub(m.Earliest) <= vague {
		return m, nil
	}
	return s.stripe.Time(ctx)
}

// resolved counts how a resolution ended and remembers what it brought.
func (s *Service) resolved(rec Record, result result, err error) (Customer, error) {
	if err != nil {
		if result != resultRefused {
			result = resultFailed
		}
		s.metrics.resolved(result)
		return Customer{}, err
	}
	s.metrics.resolved(result)
	return s.cached(rec), nil
}

// cached remembers the record's customer.
func (s *Service) cached(rec Record) Customer {
	c := rec.Customer()
	s.recache(rec.Owner, c)
	return c
}

// recache remembers c, unless a later customer is known already: who read the row
// before it was healed may come here after.
func (s *Service) recache(owner Owner, c Customer) {
	s.cache.Compute(owner, func(known Customer, found bool) (Customer, otter.ComputeOp) {
		if found && known.Generation > c.Generation {
			return known, otter.CancelOp
		}
		return c, otter.WriteOp
	})
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
