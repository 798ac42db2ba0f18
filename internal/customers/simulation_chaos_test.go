package customers_test

import (
	"context"
	"slices"
	"time"
)

// mostLost is how much a failover loses at most.
const mostLost = 2 * time.Second

// chaos is what happens to everybody at once, in the middle of it all.
func (s *simulation) chaos(ctx context.Context) {
	for range s.rng.IntN(4) {
		s.mustWait(ctx, s.upTo(20*time.Second))
		switch oneOf(s, "deletion", "deletion", "deletion", "failover", "power cut", "stop") {
		case "deletion":
			s.deletion(ctx)
		case "failover":
			s.failover(ctx)
		case "power cut":
			if s.chance(0.3) {
				s.powerCut(ctx)
			}
		case "stop":
			s.processes[s.rng.IntN(len(s.processes))].stops()
		}
	}
}

// deletion is somebody who deletes a customer in Stripe's dashboard.
func (s *simulation) deletion(ctx context.Context) {
	owner := oneOf(s, s.owners...)
	if living := s.living(owner); len(living) > 0 && s.deletions > 0 {
		s.deletions--
		s.count("deletion")
		s.trace(ctx, event{what: "deletion", owner: short(owner), id: living[0]})
		s.stripe.loses(living[0])
	}
}

// failover is another database that takes over and has not heard of the last writes.
func (s *simulation) failover(ctx context.Context) {
	if !s.plan.failovers {
		return
	}
	lost := s.upTo(mostLost)
	st := s.db.history[0]
	for _, later := range s.db.history[1:] {
		if time.Since(later.at) >= lost {
			st = later
		}
	}
	same := slices.Equal(st.records, s.state().records)
	s.note(ctx, "failover", lost)
	s.rollBack(st)
	if !same {
		s.count("rollback")
		s.loses(s.stripeTime().Add(-lost))
	}
}

func (s *simulation) powerCut(ctx context.Context) {
	s.note(ctx, "power cut", 0)
	for _, p := range s.processes {
		if !p.dead {
			p.dies()
		}
	}
}
