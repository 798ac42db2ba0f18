package customers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	sweepEvery = 5 * time.Second
	// countEvery is how many sweeps pass between two counts of everything.
	countEvery = 12
	// Requests that are still at it are left alone.
	sweepAfter = 15 * time.Second
	// What one sweep takes on, and what it fails at before it leaves the rest for
	// the next: an outage needs no more witnesses.
	sweepLimit, sweepFailures = 100, 3
	// sweepDeadline bounds the settling of one record: a long list takes its time.
	sweepDeadline = 5 * time.Minute
	maxSweepPause = 30 * time.Second
	// complainEvery bounds what is said about one record.
	complainEvery = time.Hour
)

// sweeper remembers what it failed at. Only the goroutine of Run uses it.
type sweeper struct {
	failed map[Owner]failure
}

type failure struct {
	pause     time.Duration
	notBefore time.Time
	said      time.Time
}

// Run settles what requests left behind, and counts, until ctx ends: an owner
// whose request died must not stay without a customer until he comes again, and
// a reservation that needs more looking than a request may do is settled here.
// account returns whose records; an error means that it is not known yet.
func (s *Service) Run(ctx context.Context, account func() (Account, error)) error {
	for sweeps := 0; sleep(ctx, sweepEvery/2+s.o.Jitter(sweepEvery)); {
		a, err := account()
		if err != nil {
			continue
		}
		if err := s.Sweep(ctx, a); err != nil && ctx.Err() == nil {
			s.o.Logger.WarnContext(ctx, "reservations could not be looked after", "error", err)
			continue
		}
		if sweeps%countEvery == 0 {
			s.count(ctx, a)
		}
		sweeps++
	}
	return nil
}

// Sweep settles the account's reservations that nobody is at any more. An error
// says that the store, or Stripe, cannot be asked; what failed for single records
// is logged and tried again later.
func (s *Service) Sweep(ctx context.Context, account Account) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	s.sweeper.forget()
	// Those who only pause must not be all that is read.
	due, err := s.store.Due(ctx, account, now.Earliest.Add(-sweepAfter), sweepLimit+len(s.sweeper.failed))
	if err != nil {
		return err
	}
	s.countReserved(ctx, account, now)
	s.sweeper.order(due)
	failures := 0
	for _, rec := range due {
		if failures == sweepFailures || ctx.Err() != nil {
			return ctx.Err()
		}
		if s.sweeper.pauses(rec.Owner) {
			continue
		}
		err := s.sweepOne(ctx, rec)
		if err != nil && ctx.Err() == nil && s.sweeper.fail(ctx, s.o.Logger, rec, err) {
			failures++
		}
	}
	return nil
}

func (s *Service) sweepOne(ctx context.Context, rec Record) error {
	ctx, cancel := context.WithTimeout(ctx, sweepDeadline)
	defer cancel()
	got, result, err := s.settle(ctx, rec, ofSweeper)
	if err != nil {
		return err // and not counted: nobody was refused
	}
	delete(s.sweeper.failed, rec.Owner)
	_, err = s.resolved(got, result, nil)
	return err
}

// forget drops what has not failed for long. A record that is not due is not
// forgotten yet: each attempt makes it young again.
func (w *sweeper) forget() {
	if w.failed == nil {
		w.failed = map[Owner]failure{}
	}
	maps.DeleteFunc(w.failed, func(_ Owner, f failure) bool { return time.Since(f.notBefore) > complainEvery })
}

// order puts those first who have not failed, and then those whose turn it is:
// what always fails must not keep the others from theirs.
func (w *sweeper) order(due []Record) {
	slices.SortStableFunc(due, func(a, b Record) int {
		return w.failed[a.Owner].notBefore.Compare(w.failed[b.Owner].notBefore)
	})
}

func (w *sweeper) pauses(o Owner) bool { return time.Now().Before(w.failed[o].notBefore) }

// fail remembers err and reports whether it says something about more than this
// one record.
func (w *sweeper) fail(ctx context.Context, logger *slog.Logger, rec Record, err error) bool {
	now, f := time.Now(), w.failed[rec.Owner]
	quiet, isQuiet := errors.AsType[quietError](err)
	waiting := isQuiet || isKeyInUse(err) // another replica is at it
	if isQuiet {
		f.notBefore = now.Add(quiet.left)
	} else {
		f.pause = min(max(sweepEvery, 2*f.pause), maxSweepPause)
		f.notBefore = now.Add(f.pause)
	}
	if !waiting && now.Sub(f.said) >= complainEvery {
		f.said = now
		logger.WarnContext(ctx, "a reservation could not be settled; it is tried again",
			"row", rec.IdempotencyKey, "reserved_at", rec.ReservedAt, "error", err)
	}
	w.failed[rec.Owner] = f
	_, bad := errors.AsType[*BadRecordError](err)
	return !bad && !waiting
}

// countReserved refreshes the gauges that say whether anybody is stuck.
func (s *Service) countReserved(ctx context.Context, account Account, now Moment) {
	counts := make([]int, len(ages)+1)
	for i, age := range ages {
		n, err := s.store.CountReserved(ctx, account, now.Latest.Add(-age.least))
		if err != nil {
			return // the gauges keep what was last known
		}
		counts[i] = n
	}
	for i, age := range ages {
		s.metrics.reservations.WithLabelValues(age.label).Set(float64(counts[i] - counts[i+1]))
	}
}

func (s *Service) count(ctx context.Context, account Account) {
	if n, err := s.store.CountActive(ctx, account); err == nil {
		s.metrics.mappings.Set(float64(n))
	}
}
