package customers_test

import (
	"context"
	"strconv"
	"sync"
	"time"
)

const (
	mainActor     = "main"
	chaosActor    = "chaos"
	operatorActor = "operator"
	// settled is after which nothing is on its way any more: a request lives for 12 s,
	// and what it sent is under way, or in work at Stripe, for 20 s more.
	settled = 35 * time.Second
)

// run is the time of trouble.
func (s *simulation) run() {
	ctx := acting(s.t.Context(), mainActor)
	s.mustWait(ctx, 0)
	for i := range 1 + s.rng.IntN(4) {
		s.round(ctx, i)
		s.interlude(ctx)
	}
}

// round is a minute or so of visitors, and of what else happens.
func (s *simulation) round(ctx context.Context, number int) {
	s.outage = s.drawOutage(s.plan.atEdge && number == 0)
	s.trace(ctx, event{what: "round", fault: accidents[s.outage]})
	s.restart()
	for range s.rng.IntN(15) {
		s.stripe.have(nil) // customers of other programs
	}
	var all sync.WaitGroup
	for i := range 1 + s.rng.IntN(5) {
		s.begins(&all, "visitor"+strconv.Itoa(i), s.visitor)
	}
	s.begins(&all, chaosActor, s.chaos)
	if s.isBehind() && s.chance(0.5) {
		s.begins(&all, operatorActor, s.reconcile)
	}
	s.awaits(mainActor, all.Wait)
}

// interlude is the time between two rounds.
func (s *simulation) interlude(ctx context.Context) {
	if s.chance(0.3) {
		s.backup, s.backedUp = s.state(), s.stripeTime()
	}
	what := oneOf(s, "none", "a while", "suspended", "suspended", "down", "down", "restore")
	if s.plan.atEdge {
		what = oneOf(s, "suspended", "down")
	}
	switch what {
	case "a while":
		s.reconcile(ctx)
		s.mustWait(ctx, oneOf(s, 30*time.Second, 61*time.Second, 3*time.Minute))
	case "suspended":
		s.suspend(ctx)
	case "down":
		s.down(ctx)
	case "restore":
		s.restore(ctx)
	}
}

// suspend has all hosts stand still. Nothing runs when that begins: who sleeps for
// hours in the middle of a call is beyond what any client of Stripe can guard against.
func (s *simulation) suspend(ctx context.Context) {
	s.restSweepers()
	s.quiet(ctx)
	s.reconcile(ctx)
	d := s.hours()
	s.note(ctx, "suspension", d)
	s.suspended += d
	if s.plan.sweepers {
		s.wakeSweepers()
	}
}

// down ends all processes, whatever they are at, and begins new ones hours later.
func (s *simulation) down(ctx context.Context) {
	s.powerCut(ctx)
	s.restSweepers()
	s.reconcile(ctx)
	d := s.hours()
	s.note(ctx, "night", d)
	s.mustWait(ctx, d)
	s.sweeping = s.plan.sweepers
	s.restart()
}

// note counts something that happens to everybody.
func (s *simulation) note(ctx context.Context, what string, d time.Duration) {
	s.count(what)
	s.trace(ctx, event{what: what, fault: d.Round(quantum).String()})
}

// mustWait is a wait that nothing ends before its time.
func (s *simulation) mustWait(ctx context.Context, d time.Duration) {
	if err := s.wait(ctx, d); err != nil {
		s.t.Error(err)
	}
}

// quiet waits until nothing runs any more but sweepers, here or at Stripe.
func (s *simulation) quiet(ctx context.Context) {
	s.mustWait(ctx, settled)
	s.awaits(mainActor, s.stripe.late.Wait)
}
