//go:build torture && linux

package torture_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
)

// transient are the faults after which another try is right. Of a creation that Stripe
// answers with a 500 it would replay just that, unless it says itself that it will not.
var transient = []http.HandlerFunc{
	func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Stripe-Should-Retry", "true")
		stripeError(http.StatusInternalServerError, "api_error", "")(w, r)
	},
	unavailable,
	resetCall,
	stripeError(http.StatusConflict, "invalid_request_error", "lock_timeout"),
	stripeError(http.StatusTooManyRequests, "invalid_request_error", "lock_timeout"),
}

// fateful makes a part of the calls fail: one of each so many, whichever the dice say, so
// that the share is what was asked for and not what it happened to be.
type fateful struct {
	dice     *rand.Rand
	of, fail int
	// with is one of the ways to fail.
	with func(*rand.Rand) http.HandlerFunc

	mu    sync.Mutex
	block []bool
}

func (f *fateful) strike(arrival) http.HandlerFunc {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.block) == 0 {
		for i := range f.of {
			f.block = append(f.block, i < f.fail)
		}
		f.dice.Shuffle(f.of, func(i, j int) { f.block[i], f.block[j] = f.block[j], f.block[i] })
	}
	fails := f.block[0]
	f.block = f.block[1:]
	if !fails {
		return nil
	}
	return f.with(f.dice)
}

func anyTransient(dice *rand.Rand) http.HandlerFunc { return transient[dice.IntN(len(transient))] }

// TestLoadTransientFaults has Stripe fail some calls in ways that another try mends.
func TestLoadTransientFaults(t *testing.T) {
	t.Parallel()
	t.Run("5 in 100", func(t *testing.T) {
		t.Parallel()
		sent, outcomes := transientFaults(t, &fateful{dice: dice(t.Name()), of: 20, fail: 1, with: anyTransient})
		report.judge(t, "success", "≥ "+percent(nearlyAll()), percent(goodput(outcomes)), goodput(outcomes) >= nearlyAll())
		mean := float64(len(sent)) / float64(len(tries(sent)))
		report.judge(t, "tries of a call, mean", "≤ 1.06", fmt.Sprintf("%.3f", mean), mean <= 1.06)
		pauses := firstPauses(sent)
		distance := fromUniform(pauses, 500*time.Millisecond)
		// The distance that one in a hundred honest samples exceeds, and what a busy machine
		// adds to a pause: 20 of 500 ms.
		bound := 1.63/math.Sqrt(float64(len(pauses))) + 20.0/500
		report.judge(t, fmt.Sprintf("%d pauses before the second try, Kolmogorov-Smirnov distance from uniform over 0–500 ms", len(pauses)),
			fmt.Sprintf("≤ %.3f", bound), fmt.Sprintf("%.3f", distance), len(pauses) >= 50 && distance <= bound)
	})
	t.Run("30 in 100", func(t *testing.T) {
		t.Parallel()
		sent, outcomes := transientFaults(t, &fateful{dice: dice(t.Name()), of: 10, fail: 3, with: anyTransient})
		report.timed(t, "success", "≥ 75 %", percent(goodput(outcomes)), goodput(outcomes) >= 0.75)
		// The reserve is for a service that has little to do.
		const reserve = 10
		calls := float64(len(tries(sent)))
		ratio := (float64(len(sent)) - reserve) / calls
		report.judge(t, "calls to Stripe to those needed, less the reserve of 10", "≤ 1.1", fmt.Sprintf("%.3f", ratio), ratio <= 1.1)
	})
}

func transientFaults(t *testing.T, f *fateful) ([]arrival, []openloop.Outcome) {
	t.Helper()
	ctx := t.Context()
	s := newShop(ctx, t, 1, 50, "STRIPE_RPS_PER_ENDPOINT=0")
	s.stroll(ctx, 20, time.Second)
	began := time.Now()
	s.upstream.when(f.strike)
	outcomes := s.stroll(ctx, 200, lasting(20*time.Second, 2*time.Minute))
	sent := s.upstream.since(began)
	report.fact(t, "answers", histogram(outcomes))
	most := slices.Max(slices.Collect(maps.Values(tries(sent))))
	report.judge(t, "tries of a call, most", "≤ 3", most, most <= 3)
	return sent, outcomes
}

// firstPauses are how long calls that failed once waited before they were tried again.
func firstPauses(arrivals []arrival) (pauses []time.Duration) {
	failed := map[string]time.Time{}
	for _, a := range arrivals {
		before, isAgain := failed[a.id]
		if !isAgain {
			failed[a.id] = a.refused
		} else if !before.IsZero() {
			pauses = append(pauses, a.at.Sub(before))
			failed[a.id] = time.Time{}
		}
	}
	return pauses
}

// fromUniform is the Kolmogorov-Smirnov distance between a sample and the uniform
// distribution over 0 to most.
func fromUniform(sample []time.Duration, most time.Duration) (distance float64) {
	slices.Sort(sample)
	n := float64(len(sample))
	for i, d := range sample {
		want := min(1, float64(d)/float64(most))
		distance = max(distance, math.Abs(float64(i+1)/n-want), math.Abs(want-float64(i)/n))
	}
	return distance
}

// TestLoadStripeRateLimit has Stripe say for a while that it is too much.
func TestLoadStripeRateLimit(t *testing.T) {
	t.Parallel()
	const rate = 40
	ctx := t.Context()
	s := newShop(ctx, t, 1, 50, fmt.Sprintf("STRIPE_RPS_PER_ENDPOINT=%d", rate))
	// Twice what there may be.
	calm, lasts, after := 3*time.Second, lasting(6*time.Second, time.Minute), 12*time.Second
	all := make(chan []openloop.Outcome)
	begin := time.Now()
	go func() { all <- s.stroll(ctx, 2*rate, calm+lasts+after) }()
	wait(ctx, calm)
	s.upstream.when(func(arrival) http.HandlerFunc {
		return stripeError(http.StatusTooManyRequests, "invalid_request_error", "rate_limit")
	})
	struck := time.Now()
	wait(ctx, lasts)
	s.upstream.when(nil)
	healed := time.Now()
	wait(ctx, after)
	sent := s.upstream.between(struck, healed)
	outcomes := <-all

	report.fact(t, "answers", histogram(due(outcomes, struck.Sub(begin), healed.Sub(begin))))
	mean := float64(len(sent)) / float64(max(1, len(tries(sent))))
	report.judge(t, "tries of a call while Stripe says 429", "1.00", times(mean), mean == 1)
	perSecond := func(from, to time.Time) float64 {
		return float64(len(s.upstream.between(from, to))) / to.Sub(from).Seconds()
	}
	before, during := perSecond(struck.Add(-2*time.Second), struck), perSecond(healed.Add(-3*time.Second), healed)
	report.timed(t, fmt.Sprintf("calls to Stripe, of a budget of %d/s", rate), fmt.Sprintf("≤ %d/s", rate/2),
		fmt.Sprintf("%.1f/s (%.1f/s before)", during, before), during <= rate/2+1)
	seconds := 0
	for seconds < int(after/time.Second) && perSecond(healed.Add(time.Duration(seconds)*time.Second), healed.Add(time.Duration(seconds+1)*time.Second)) < 0.9*before {
		seconds++
	}
	report.judge(t, "full rate after the end", "≤ 10 s", time.Duration(seconds)*time.Second, seconds <= 10)
}
