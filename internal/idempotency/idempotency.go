// Package idempotency decides what becomes of a request that comes with a key of the
// caller's: it is the first, a repeat of one that is known, or neither.
//
// What the first one asks of Stripe is frozen and committed, with a key at Stripe,
// before Stripe is called. A repeat sends the same again under the same key at
// Stripe, whatever has become of plans, prices and customers meanwhile, and Stripe
// answers with what it made the first time. Who runs a request holds a lease on its
// row; when he has died it is taken over, which is safe for the same reason.
//
// The package knows nothing of HTTP, of sessions or of SQL.
package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/problem"
)

const (
	// leaseTime is longer than a request may take, with what it still has to write.
	leaseTime = 15 * time.Second
	// A key at Stripe that only replays a failure is given up, but not more often.
	renewEvery = time.Minute
	// How long the end of a request may be written after its caller has gone.
	writeWithin = 3 * time.Second
)

// Options adjusts a Service; the zero value of each field is its default.
type Options struct {
	// PurgeEvery is how often rows are removed whose time is over; a minute by default.
	PurgeEvery time.Duration
	// Logger hears of what has no caller to be told; nobody by default.
	Logger *slog.Logger
}

// Service holds requests to their keys. It is safe for concurrent use.
type Service struct {
	store   Store
	o       Options
	metrics *metrics
}

// New returns a Service. Metrics are registered with reg.
func New(store Store, reg prometheus.Registerer, o Options) (*Service, error) {
	if store == nil || reg == nil {
		return nil, errors.New("idempotency: a required collaborator is missing")
	}
	if o.PurgeEvery == 0 {
		o.PurgeEvery = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Service{store: store, o: o, metrics: m}, nil
}

// Request is a request with a key.
type Request struct {
	// ID is the key's, for its owner and route.
	ID string
	// Body is a hash of the body in its canonical form.
	Body string
	// Keep is how long the first request is remembered.
	Keep time.Duration
	// Gone is a customer who surely is no more: a request that was frozen for him, and
	// brought no session, is decided anew. "" is none.
	Gone string
}

// Call is what is to be sent to Stripe.
type Call struct {
	Frozen
	// StripeKey is the idempotency key to send.
	StripeKey string
	// Repeated says that an earlier request may have been sent already.
	Repeated bool
}

// Do carries out r. A first request is decided by freeze, whose error is returned and
// leaves nothing behind; a repeat is not decided again. send makes the call; it may
// be called twice. Errors are *problem.Error, and send's own may say more by the
// interfaces of this package.
//
// For one request at most one session is ever handed out, and Stripe makes no other,
// as long as Stripe keeps its keys: one more only after Stripe itself has failed half
// way, which it then says for as long as that key is used.
func Do[T any](
	ctx context.Context, s *Service, r Request,
	freeze func(context.Context) (Frozen, error), send func(context.Context, Call) (T, error),
) (T, error) {
	answer, result, err := do(ctx, s, r, freeze, send)
	s.metrics.requests.WithLabelValues(string(result)).Inc()
	return answer, err
}

func do[T any](
	ctx context.Context, s *Service, r Request,
	freeze func(context.Context) (Frozen, error), send func(context.Context, Call) (T, error),
) (none T, _ result, _ error) {
	rec, err := s.find(ctx, r)
	if errors.Is(err, ErrNoRecord) {
		rec, err = s.first(ctx, r, freeze)
		if err != nil {
			return none, resultOf(err), err
		}
		answer, err := run(ctx, s, rec, true, send)
		return answer, resultFirst, err
	}
	if err != nil {
		return none, resultOf(err), err
	}
	if rec.Done {
		answer, err := send(ctx, Call{rec.Frozen, rec.StripeKey, true})
		return answer, resultRepeated, explain(err)
	}
	rec.Holder, err = s.take(ctx, rec)
	if err != nil {
		return none, resultOf(err), err
	}
	answer, err := run(ctx, s, rec, false, send)
	return answer, resultRepeated, err
}

// find returns the row that the request is a repeat of, or ErrNoRecord.
func (s *Service) find(ctx context.Context, r Request) (Record, error) {
	rec, err := s.store.Find(ctx, r.ID)
	if errors.Is(err, ErrNoRecord) {
		return rec, err
	}
	if err != nil {
		return rec, unavailable(err)
	}
	if err := clash(r, rec); err != nil {
		return rec, err
	}
	if r.Gone != "" && rec.Customer == r.Gone && !rec.Done {
		// Whatever is still on its way to Stripe names the same customer.
		if err := s.store.Drop(ctx, rec); err != nil {
			return rec, unavailable(err)
		}
		return rec, ErrNoRecord
	}
	return rec, nil
}

// clash is nil when the request may go on where rec stands.
func clash(r Request, rec Record) error {
	switch {
	case rec.Body != r.Body:
		return problem.New(problem.IdempotencyKeyReused, nil)
	case rec.Running:
		return inProgress(nil)
	default:
		return nil
	}
}

// first decides the request and writes the row; without an error nobody else has.
func (s *Service) first(ctx context.Context, r Request, freeze func(context.Context) (Frozen, error)) (Record, error) {
	frozen, err := freeze(ctx)
	if err != nil {
		return Record{}, err
	}
	rec := Record{ID: r.ID, Body: r.Body, Frozen: frozen, StripeKey: rand.Text(), Holder: rand.Text()}
	err = s.store.Put(ctx, rec, leaseTime, r.Keep)
	if !errors.Is(err, ErrChanged) {
		return rec, unavailable(err)
	}
	// Somebody was quicker, perhaps with another body.
	other, err := s.store.Find(ctx, r.ID)
	if err != nil && !errors.Is(err, ErrNoRecord) {
		return rec, unavailable(err)
	}
	if err == nil && other.Body != r.Body {
		return rec, clash(r, other)
	}
	return rec, inProgress(nil)
}

func (s *Service) take(ctx context.Context, rec Record) (holder string, err error) {
	holder = rand.Text()
	err = s.store.Take(ctx, rec, holder, leaseTime)
	if errors.Is(err, ErrChanged) {
		return "", inProgress(nil)
	}
	return holder, unavailable(err)
}

// run makes the call of a row whose lease is ours, and writes down how it ended. fresh
// says that nothing was sent under the row's key before.
func run[T any](ctx context.Context, s *Service, rec Record, fresh bool, send func(context.Context, Call) (T, error)) (T, error) {
	answer, err := send(ctx, Call{rec.Frozen, rec.StripeKey, !fresh})
	if isKeySpent(err) {
		fresh = false
		key := rand.Text()
		switch renewErr := s.store.Renew(ctx, rec, key, renewEvery); {
		case renewErr == nil:
			rec.StripeKey = key
			answer, err = send(ctx, Call{rec.Frozen, rec.StripeKey, true})
		case !errors.Is(renewErr, ErrChanged):
			err = unavailable(renewErr)
		}
	}
	s.end(ctx, rec, fresh, err)
	return answer, explain(err)
}

// end writes down how a call ended, also when its caller has gone. What cannot be
// written costs time and nothing else: the lease runs out.
func (s *Service) end(ctx context.Context, rec Record, fresh bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	write := s.store.Release
	switch {
	case err == nil:
		write = s.store.Finish
	case fresh && didNothing(err):
		write = s.store.Drop
	}
	if err := write(ctx, rec); err != nil {
		s.o.Logger.WarnContext(ctx, "the end of a request was not written", slog.String("row", rec.ID), slog.Any("error", err))
	}
}

// The rows that one purge removes at once: few, because others wait meanwhile.
const purgeBatch = 200

// Run removes rows whose time is over, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.o.PurgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.purge(ctx)
		}
	}
}

func (s *Service) purge(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := s.store.Purge(ctx, purgeBatch)
		s.metrics.purged.Add(float64(n))
		if err != nil && ctx.Err() == nil {
			s.o.Logger.WarnContext(ctx, "old idempotency keys were not removed", slog.Any("error", err))
		}
		if err != nil || n < purgeBatch {
			return
		}
	}
}
