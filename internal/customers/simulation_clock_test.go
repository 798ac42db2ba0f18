package customers_test

import (
	"context"
	"time"

	"till/internal/customers"
)

// clocks says how good the hosts' clocks are between two answers of Stripe's.
type clocks struct {
	// apart is by how much two clocks of a host come to differ in a second. One of
	// them is right, so Stripe's time lies between what they say.
	apart float64
	// behind is by how much all clocks of all hosts fall behind in a second, and
	// atMost where that ends: a machine that was stopped, and does not know it yet.
	behind float64
	atMost time.Duration
}

func (s *simulation) drawClocks() clocks {
	c := clocks{atMost: s.upTo(4 * time.Minute)}
	switch {
	case s.chance(0.2):
		c.apart = s.rng.Float64()
	case s.chance(0.2):
		c.behind = s.rng.Float64()
	}
	return c
}

// hostClock is what a process knows of Stripe's time: the last answer it had, and
// the host's clocks since then.
type hostClock struct {
	known bool
	at    time.Time
	// suspended is how long the hosts had stood still at the time. The clock that
	// stands still with them makes Earliest too early, until Stripe answers again.
	suspended time.Duration
	// early and late are by how much the answer was inexact.
	early, late time.Duration
}

// stripeTime is Stripe's time: hours off ours, and further off whenever the hosts
// were suspended.
func (s *simulation) stripeTime() time.Time { return time.Now().Add(s.plan.skew + s.suspended) }

// hears notes an answer of Stripe's.
func (p *process) hears() {
	p.clock = hostClock{
		known: true, at: time.Now(), suspended: p.s.suspended,
		early: p.s.upTo(3 * time.Second), late: p.s.upTo(3 * time.Second),
	}
}

// Now implements customers.Stripe.
func (l line) Now() (customers.Moment, bool) {
	l.p.s.yields()
	defer l.p.s.yields()
	s, c := l.p.s, l.p.clock
	grown := func(rate float64) time.Duration {
		if s.over {
			return 0
		}
		return min(s.plan.clocks.atMost, time.Duration(rate*float64(time.Since(c.at))))
	}
	now := s.stripeTime().Add(-grown(s.plan.clocks.behind))
	return customers.Moment{
		Earliest: now.Add(c.suspended - s.suspended - c.early - grown(s.plan.clocks.apart)).Truncate(quantum),
		Latest:   now.Add(c.late + quantum).Truncate(quantum),
	}, c.known
}

// Time implements customers.Stripe.
func (l line) Time(ctx context.Context) (customers.Moment, error) {
	if _, err := ask(ctx, l, "time", "", func() (int, error) { return 0, nil }); err != nil {
		return customers.Moment{}, err
	}
	now, _ := l.Now()
	return now, nil
}
