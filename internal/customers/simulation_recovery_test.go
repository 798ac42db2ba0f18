package customers_test

import (
	"context"
	"strings"
	"time"

	"till/internal/customers"
)

// A database that went back to an earlier state has forgotten customers. Nobody
// gets a second one as long as Stripe remembers the keys, because they are the same
// again; and a reconciliation brings the rest back. So one has to be made before the
// keys are forgotten, and much earlier where one of them replays an error: such a
// key's customer is looked for around the attempts that the row knows of, and a row
// that went back does not know of the first.

// unreconciled is how old a backup may be for the service to run on it at once. It
// has to be less than what such a look goes back before the first attempt.
const unreconciled = 4 * time.Minute

// loses notes that the database has forgotten what happened since then.
func (s *simulation) loses(since time.Time) {
	if !s.isBehind() || since.Before(s.unknownSince) {
		s.unknownSince = since
	}
	s.lostAt = time.Now()
}

// isBehind reports whether a reconciliation has something to make up for.
func (s *simulation) isBehind() bool { return !s.unknownSince.IsZero() }

// restore goes back to the backup, with the service down.
func (s *simulation) restore(ctx context.Context) {
	if s.backedUp.IsZero() {
		return
	}
	s.powerCut(ctx)
	s.quiet(ctx)
	age := s.stripeTime().Sub(s.backedUp)
	s.note(ctx, "restore", age)
	s.rollBack(s.backup)
	s.loses(s.backedUp)
	if age > unreconciled || s.chance(0.3) {
		s.reconcile(ctx)
	}
}

// reconcile does what docs/customers.md tells the operator of a database that has
// lost writes. It begins when what was on its way to Stripe at the time has arrived.
func (s *simulation) reconcile(ctx context.Context) {
	if !s.isBehind() {
		return
	}
	s.mustWait(ctx, settled-min(settled, time.Since(s.lostAt)))
	const tries = 30
	for try := range tries {
		if try == tries-10 {
			s.rates, s.outage = rates{}, allWell // Stripe's worst day has an end
		}
		losses := s.db.losses
		done := s.reconcileOnce(ctx)
		// Until then a failover can lose what was written down just now.
		s.mustWait(ctx, mostLost+s.upTo(5*time.Second))
		if done && s.db.losses == losses {
			s.unknownSince = time.Time{}
			return
		}
	}
	s.breaks("the reconciliation does not succeed")
}

// reconcileOnce reports whether nothing is left to do.
func (s *simulation) reconcileOnce(ctx context.Context) bool {
	s.count("reconciliation")
	p := &process{s: s, name: "operator", created: map[string]bool{}}
	dry := s.chance(0.1)
	report, err := customers.Reconcile(ctx, connection{p}, line{p}, customers.Reconciliation{
		Account: s.account(), Since: s.unknownSince, SubjectForm: s.plan.form, DryRun: dry,
	})
	s.trace(ctx, event{
		what: "reconciled", number: report.Settled + report.Moved + report.Kept, err: err, id: strings.Join(report.Troubles, "; "),
	})
	return err == nil && len(report.Troubles) == 0 && !dry
}
