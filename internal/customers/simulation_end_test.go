package customers_test

import (
	"context"
	"errors"
	"time"

	"till/internal/customers"
	"till/internal/problem"
)

// longestUnsettled is how long a sweeper may need for one generation of one owner:
// 15 s until nobody else is taken to be at it, a sweep or two with their pauses and,
// if the key turns out to be worth nothing, 60 s until nothing can come of it.
const longestUnsettled = 100 * time.Second

// end is the time after the trouble. In some runs the faults stop, and everything
// must finish; in the others they go on while everybody leaves.
func (s *simulation) end() {
	ctx := acting(s.t.Context(), mainActor)
	if s.plan.liveness {
		s.finish(ctx)
	}
	s.restSweepers()
	s.mustWait(ctx, 3*time.Minute) // the longest that a process stands still
	s.quiet(ctx)
	s.judgeRows()
}

// finish stops the faults. The sweepers alone must bring all reservations to an
// end, and then every owner must get an answer from every replica.
func (s *simulation) finish(ctx context.Context) {
	s.over, s.rates, s.outage = true, rates{}, allWell
	s.trace(ctx, event{what: "faults end"})
	s.restSweepers()
	s.restart()
	for _, p := range s.processes {
		p.stopped = time.Time{}
	}
	s.wakeSweepers()
	s.settle(ctx)
	s.processes = append(s.processes, s.start(len(s.processes))) // one that has nothing in its cache
	for _, owner := range s.owners {
		for replica := range s.processes {
			s.persist(ctx, replica, owner)
		}
	}
	for _, owner := range s.owners {
		s.judgeEnd(ctx, owner)
	}
}

// settle waits until no reservation stands.
func (s *simulation) settle(ctx context.Context) {
	began := time.Now()
	s.progress = began
	for s.reserved(ctx) > 0 && s.breach == "" {
		if time.Since(s.progress) > longestUnsettled {
			s.breaks("reservations stand after %s: %+v", time.Since(began), s.db.Records())
		}
		s.mustWait(ctx, time.Second)
	}
	s.settledAfter = time.Since(began)
}

func (s *simulation) reserved(ctx context.Context) int {
	n, err := s.db.CountReserved(ctx, s.account(), s.stripeTime().Add(time.Hour))
	if err != nil {
		s.t.Error(err)
	}
	return n
}

// persist is a caller who obeys Retry-After. That may be an hour, for each customer
// that was made and deleted after the backup that stands: its key still brings it.
func (s *simulation) persist(ctx context.Context, replica int, owner customers.Owner) {
	var err error
	for range 5 + s.plan.deletions {
		if err = (visit{s: s, name: mainActor}).pays(ctx, replica, owner); err == nil {
			return
		}
		if s.breach != "" {
			return
		}
		s.mustWait(ctx, retryAfter(err))
	}
	s.breaks("%s is stuck: %v", short(owner), err)
}

func retryAfter(err error) time.Duration {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return p.RetryAfter
	}
	return time.Second
}

// judgeRows holds at the end of every run that no row is wrong.
func (s *simulation) judgeRows() {
	for _, owner := range s.owners {
		s.judgeCustomers(owner)
	}
	for _, r := range s.state().records {
		switch {
		case s.ownerOf(r.Owner.Metadata(s.plan.form, 1)) != r.Owner:
			s.breaks("a row of nobody: %+v", r)
		case r.State == customers.Active:
			s.judgeCustomer(r.Owner, r.Customer(), "the row")
		}
	}
}

// judgeEnd holds that, with no fault left, everybody ends with one customer, and
// all replicas know which.
func (s *simulation) judgeEnd(ctx context.Context, owner customers.Owner) {
	rec, err := s.db.Find(ctx, owner)
	living := s.living(owner)
	if err != nil || rec.State != customers.Active || len(living) != 1 || rec.CustomerID != living[0] {
		s.breaks("%s ends with %v, %+v, %v", short(owner), living, rec, err)
	}
	for _, p := range s.processes {
		if c, err := p.Find(ctx, owner); err != nil || c.ID != rec.CustomerID {
			s.breaks("%s says %s has %s, %v, and the row says %s", p.name, short(owner), c.ID, err, rec.CustomerID)
		}
	}
}
