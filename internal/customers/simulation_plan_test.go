package customers_test

import (
	"time"

	"till/internal/customers"
)

// plan is what a seed decides once and for all.
type plan struct {
	form     customers.SubjectForm
	livemode bool
	owners   int
	replicas int
	cacheAge time.Duration
	// pageRows is how many rows a reconciliation gets at once.
	pageRows int
	// skew is Stripe's clock against the hosts', and clocks how good those are.
	skew   time.Duration
	clocks clocks
	// sweepers run while visitors come. In the end they always do.
	sweepers  bool
	failovers bool
	deletions int
	// atEdge runs are about keys that grow too old while processes stand still.
	atEdge bool
	// liveness runs have an end to their faults, after which everything must finish.
	liveness bool
	rates    rates
}

func (s *simulation) drawPlan() plan {
	p := plan{
		form:     oneOf(s, customers.SubjectPlain, customers.SubjectSHA256),
		livemode: s.chance(0.5),
		owners:   1 + s.rng.IntN(4),
		replicas: 1 + s.rng.IntN(3),
		cacheAge: s.upTo(time.Minute) + time.Second,
		pageRows: 1 + s.rng.IntN(3),
		skew:     s.upTo(24*time.Hour) - 12*time.Hour,
		clocks:   s.drawClocks(),
		sweepers: s.chance(0.7), failovers: s.chance(0.3), deletions: oneOf(s, 0, 0, 1, 3),
		atEdge: s.chance(0.1), liveness: s.chance(0.5),
		rates: s.drawRates(),
	}
	if p.atEdge {
		p.sweepers, p.replicas, p.rates.stop = true, max(2, p.replicas), 0.1
	}
	return p
}

// rates are how often things go wrong, as shares of the operations.
type rates struct {
	lost, slow, death, stop float64
	// create is for the accidents of create calls, profile for values that Stripe
	// refuses, gone for customers that are refused as missing and are not.
	create, profile, gone float64
}

// drawRates makes some runs calm and some terrible, each in its own way.
func (s *simulation) drawRates() rates {
	level := oneOf(s, 0, 0.03, 0.1, 0.3, 0.7)
	rate := func(most float64) float64 {
		if s.chance(0.25) {
			return 0
		}
		return level * most * s.rng.Float64()
	}
	return rates{
		lost: rate(0.6), slow: rate(0.3), death: rate(0.06), stop: rate(0.03),
		create: rate(1.3), profile: rate(0.5), gone: rate(0.2),
	}
}

// outage draws what becomes of all create calls of a round; mostly nothing does.
func (s *simulation) drawOutage(likely bool) accident {
	if !likely && s.chance(0.7) {
		return allWell
	}
	return oneOf(s, neverArrives, failsFirst, failsLast, silence, arrivesLate)
}

// hours draws a long time, many of them such that keys grow too old while the next
// visitors are at work.
func (s *simulation) hours() time.Duration {
	if s.plan.atEdge || s.chance(0.4) {
		return 23*time.Hour - 30*time.Second - s.upTo(90*time.Second)
	}
	return oneOf(s, 10*time.Minute, time.Hour, 22*time.Hour+55*time.Minute, 24*time.Hour, 25*time.Hour, 60*time.Hour)
}
