package customers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"till/internal/problem"
)

// healEvery bounds how often an owner's customer is replaced.
const healEvery = time.Hour

// Heal replaces lost, the customer that Stripe refused as missing, by one of the
// next generation, and returns the one that then stands. Stripe is asked first:
// only a customer that is surely gone is replaced, and in live mode only one that
// was deleted, because there an id that was never seen means that the mapping, or
// the key, is another account's. An account that stands in for a customer is never
// replaced: no_customer. Errors are *problem.Error.
func (s *Service) Heal(ctx context.Context, owner Owner, lost Customer) (Customer, error) {
	s.cache.Compute(owner, func(known Customer, found bool) (Customer, otter.ComputeOp) {
		if found && known.ID == lost.ID {
			return known, otter.InvalidateOp
		}
		return known, otter.CancelOp
	})
	return s.shared(ctx, owner, "heal", func(work context.Context) (Customer, error) {
		return s.resolved(s.heal(work, owner, lost))
	})
}

func (s *Service) heal(ctx context.Context, owner Owner, lost Customer) (Record, result, error) {
	rec, err := s.store.Find(ctx, owner)
	if errors.Is(err, ErrNoRecord) {
		rec, err = s.reserve(ctx, owner)
	}
	if err != nil {
		return rec, resultFailed, unavailable(err)
	}
	if rec.State != Active || rec.CustomerID != lost.ID {
		// Another process was here first; or the row is older than the loss, and its
		// key brings the lost customer back.
		var res result
		rec, res, err = s.settle(ctx, rec, ofRequest)
		if err != nil || rec.CustomerID != lost.ID {
			return rec, res, err
		}
	}
	if err := rec.Check(); err != nil {
		return rec, resultFailed, unavailable(err)
	}
	if rec.IsAccount {
		return rec, resultRefused, problem.New(problem.NoCustomer,
			fmt.Errorf("account %s was imported, and only an import could bring another", rec.CustomerID))
	}
	if err := s.surelyGone(ctx, rec); err != nil {
		return rec, resultFailed, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return rec, resultFailed, err
	}
	if wait := rec.HealedAt.Add(healEvery).Sub(now.Latest); !rec.HealedAt.IsZero() && wait > 0 {
		return rec, resultRefused, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: wait,
			Err: fmt.Errorf("customer %s is gone at Stripe, and the one before it was replaced within the hour", lost.ID),
		}
	}
	next := s.reservation(owner, rec.Generation+1, now)
	next.HealedAt = now.Latest
	next, err = s.store.Heal(ctx, rec, next)
	if errors.Is(err, ErrChanged) {
		// Another process was quicker.
		if rec, err = s.store.Find(ctx, owner); err != nil {
			return rec, resultFailed, unavailable(err)
		}
		return s.settle(ctx, rec, ofRequest)
	}
	if err != nil {
		return rec, resultFailed, unavailable(err)
	}
	s.o.Logger.WarnContext(ctx, "a customer is gone at Stripe; its owner gets a new one",
		slog.String("customer", lost.ID), slog.Int("generation", next.Generation))
	rec, res, err := s.settle(ctx, next, ofRequest)
	if err == nil {
		res = resultHealed
	}
	return rec, res, err
}

// surelyGone is nil when Stripe confirms that the record's customer is no more.
func (s *Service) surelyGone(ctx context.Context, rec Record) error {
	life, err := s.stripe.CustomerLife(ctx, rec.CustomerID)
	switch {
	case err != nil:
		return unavailable(err)
	case life == Deleted, life == Missing && !rec.Owner.Livemode:
		return nil
	case life == Alive:
		return problem.New(problem.UpstreamError,
			fmt.Errorf("customer %s was refused as missing, and Stripe has it", rec.CustomerID))
	default:
		return problem.New(problem.UpstreamError, rec.bad(fmt.Sprintf("its customer %s is none of this Stripe account", rec.CustomerID)))
	}
}
