//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
)

// rate is what a balancer is under while replicas come and go, in requests a second.
const rate = 500

// TestLoadRollingRestart stops one replica after another, in the middle of everybody's
// clicks. nginx is told who is ready, or has to find out by itself.
func TestLoadRollingRestart(t *testing.T) {
	frontOrSkip(t)
	t.Run("nginx is told who is ready", func(t *testing.T) {
		rolling(t, sized(rollings, 3, 20), true)
	})
	t.Run("nginx is told nothing", func(t *testing.T) {
		rolling(t, sized(rollings, 1, 5), false)
	})
}

// settles is how long it takes nginx to have a replica again.
const settles = 500 * time.Millisecond

func rolling(t *testing.T, rounds int, told bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	drainPause := lasting(1500*time.Millisecond, 5*time.Second)
	s := newSite(ctx, t, siteOptions{replicas: 3, args: []string{"--drain-pause", drainPause.String()}})
	before, err := s.stripe.sessions(ctx)
	must(t, err)
	f := startFront(t, s.addresses())
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	var others sync.WaitGroup
	var watched error
	if told {
		others.Go(func() { watched = f.follow(watching, s.addresses()) })
	}
	clicking, enough := context.WithCancel(ctx)
	var outcomes []openloop.Outcome
	others.Go(func() { outcomes = clickAt(clicking, f.base, rate, 20*time.Minute, s.honest) })

	wait(ctx, time.Second)
	var badExits []string
	for range rounds {
		for _, slot := range s.slots {
			code, took, err := slot.leave(drainPause + patience)
			must(t, err)
			if said := slot.present().said.String(); code != 0 || strings.Contains(said, "cut off") {
				badExits = append(badExits, fmt.Sprintf("%s: exit code %d after %v: %s", slot.name, code, took, said))
			}
			must(t, slot.start(ctx))
			wait(ctx, settles)
		}
	}
	enough()
	unwatchAfter(unwatch, &others)
	must(t, watched)

	failed, _ := failedOnes(outcomes)
	twice, err := f.askedTwice()
	must(t, err)
	report.fact(t, "restarts", fmt.Sprintf("%d of 3 replicas each, --drain-pause %v; ready again: %s", rounds, drainPause, s.startTimes()))
	report.fact(t, "requests", fmt.Sprintf("%d at %d/s, p50 %v, p99 %v, slowest %v", len(outcomes), rate,
		tidy(openloop.Percentile(outcomes, 0.5, openloop.Outcome.OK)), tidy(openloop.Percentile(outcomes, 0.99, openloop.Outcome.OK)),
		tidy(openloop.Percentile(outcomes, 1, openloop.Outcome.OK))))
	report.fact(t, "asked of a second replica by nginx", counts(twice))
	report.fact(t, "what nginx complained of", f.complaints())
	report.judge(t, "requests sent", fmt.Sprintf("> %d", rounds*3*rate), len(outcomes), len(outcomes) > rounds*3*rate)
	judgeLoss(t, told, outcomes)
	after, err := s.stripe.sessions(ctx)
	must(t, err)
	bought := 0
	for n, o := range outcomes {
		if c := s.honest(n); o.OK() && c.method == http.MethodPost && c.path == "/checkout" {
			bought++
		}
	}
	beyond := after - before - bought
	report.judge(t, "sessions at Stripe beyond those answered", "0, or as many as failed", beyond, beyond >= 0 && beyond <= failed)
	report.none(t, "processes that ended badly", badExits)
	report.none(t, "panics", s.panicked())
}

// judgeLoss tells requests that were lost from those that a replica refused, and said so. Who
// stops his replicas without a word to the balancer can lose those that it sends in the moment
// when a listener closes: a number to know, and no promise. Refusals are none in the full form;
// the short one is for machines that may have more to do than this.
func judgeLoss(t *testing.T, told bool, outcomes []openloop.Outcome) {
	t.Helper()
	lost, lostHow := failedOnes(slices.DeleteFunc(slices.Clone(outcomes), isRefused))
	refused, refusedHow := failedOnes(slices.DeleteFunc(slices.Clone(outcomes), func(o openloop.Outcome) bool { return !isRefused(o) }))
	if !told {
		report.fact(t, "lost and refused requests, of which none is promised here", fmt.Sprintf("%d %s, %d %s", lost, lostHow, refused, refusedHow))
		return
	}
	report.judge(t, "lost requests", "0", fmt.Sprintf("%d %s", lost, lostHow), lost == 0)
	if full() {
		report.judge(t, "refused requests", "0", fmt.Sprintf("%d %s", refused, refusedHow), refused == 0)
	} else {
		report.fact(t, "refused requests", fmt.Sprintf("%d %s", refused, refusedHow))
	}
}

// unwatchAfter ends a watcher and waits for all that runs.
func unwatchAfter(end context.CancelFunc, others *sync.WaitGroup) {
	end()
	others.Wait()
}

func tidy(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// sessions counts the Checkout Sessions at Stripe.
func (s *stripe) sessions(ctx context.Context) (int, error) {
	var state struct{ Counts map[string]int }
	err := s.call(ctx, http.MethodGet, "/sandbox/v1/state?limit=0", nil, &state)
	n, known := state.Counts["checkout_sessions"]
	const most = 50_000 // the oldest are forgotten
	if err == nil && (!known || n >= most) {
		err = fmt.Errorf("the sandbox cannot say how many sessions it has made: %v", state.Counts)
	}
	return n, err
}
