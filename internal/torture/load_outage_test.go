//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
)

// outages are the ways in which Stripe can be gone. seen says that Stripe itself sees the
// calls that it does not answer; else the service's own count must do. Each returns what
// ends it.
var outages = []struct {
	name  string
	seen  bool
	begin func(*upstream) (end func() error, err error)
}{
	{"refused", false, func(u *upstream) (func() error, error) {
		u.shut()
		return u.open, nil
	}},
	{"swallowed", false, func(u *upstream) (func() error, error) {
		u.shut()
		end, err := u.swallow()
		return func() error {
			end()
			return u.open()
		}, err
	}},
	{"reset", true, func(u *upstream) (func() error, error) { return u.answering(resetCall), nil }},
	{"hangs", true, func(u *upstream) (func() error, error) { return u.answering(neverAnswer), nil }},
	{"unavailable", true, func(u *upstream) (func() error, error) { return u.answering(unavailable), nil }},
}

// answering makes all calls end like that, until it is told otherwise.
func (u *upstream) answering(how http.HandlerFunc) (end func() error) {
	u.when(func(arrival) http.HandlerFunc { return how })
	return func() error {
		u.when(nil)
		return nil
	}
}

// TestLoadStripeOutage lets Stripe go, in several ways, while callers who fail ask again
// at once, five times.
func TestLoadStripeOutage(t *testing.T) {
	t.Parallel()
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			stripeOutage(t, 5, o.seen, o.begin)
		})
		// Those who do not insist leave the breaker with less to go by.
		if full() {
			t.Run(o.name+", and nobody insists", func(t *testing.T) {
				t.Parallel()
				stripeOutage(t, 0, o.seen, o.begin)
			})
		}
	}
}

func stripeOutage(t *testing.T, again int, seen bool, begin func(*upstream) (func() error, error)) {
	const (
		replicas = 2
		rate     = 40.0
		opens    = 5 * time.Second
		recovers = 15 * time.Second
	)
	ctx := t.Context()
	// The budget is no part of it.
	s := newShop(ctx, t, replicas, 20, "STRIPE_RPS_PER_ENDPOINT=0")
	people := &insistent{next: s.client.Transport, again: again}
	s.client = &http.Client{Transport: people}
	calm, lasts, after := lasting(5*time.Second, time.Minute), lasting(12*time.Second, 10*time.Minute), lasting(8*time.Second, recovers+5*time.Second)
	all := make(chan []openloop.Outcome)
	go func() { all <- s.stroll(ctx, rate, calm+lasts+after) }()

	began := time.Now()
	wait(ctx, calm)
	before, err := s.look(ctx)
	must(t, err)
	struck := time.Now()
	end, err := begin(s.upstream)
	must(t, err)
	breaker, early := s.breaker(ctx, t, before.refused, opens, lasts-time.Second)
	wait(ctx, time.Until(struck.Add(lasts)))
	late, err := s.look(ctx)
	must(t, err)
	must(t, end())
	healed := time.Now()
	outcomes := <-all

	sentEarly, sentLate := early.sent-before.sent, late.sent-early.sent
	if seen {
		sentEarly = float64(len(s.upstream.between(struck, struck.Add(opens))))
		sentLate = float64(len(s.upstream.between(struck.Add(opens), struck.Add(lasts))))
	}
	normal := s.upstream.between(began.Add(calm/2), struck)
	perSecond := float64(len(normal)) / (calm / 2).Seconds()
	report.fact(t, "answers, in the end", histogram(outcomes))
	report.fact(t, "calls to Stripe", fmt.Sprintf("%.1f/s before; %.0f in the first 5 s, %.0f in the %v after", perSecond, sentEarly, sentLate, lasts-opens))
	report.judge(t, "breaker open", "≤ 5 s", breaker.Round(10*time.Millisecond), breaker <= opens)
	ratio := sentEarly / (perSecond * opens.Seconds())
	report.timed(t, "calls to Stripe in the first 5 s, to the normal", "≤ 1.1", times(ratio), ratio <= 1.1)
	each := sentLate / (lasts - opens).Seconds() / replicas
	if seen {
		report.judge(t, "calls to Stripe after, of each replica", "≤ 2/s", times(each), each <= 2)
	} else {
		// Nobody sees them come; they are counted when they end, and then begun long before.
		report.fact(t, "calls to Stripe that ended after, of each replica, a second", times(each))
	}
	fast := people.refused(struck.Add(opens), struck.Add(lasts), time.Second)
	report.timed(t, "p99 of refusals (median of seconds)", "≤ 10 ms", shown(fast), fast > 0 && fast <= 10*time.Millisecond)
	recovered := goodAgain(outcomes, healed.Sub(began))
	report.judge(t, "goodput ≥ 95 % after the end", "≤ 15 s", recovered, recovered <= min(recovers, after-2*time.Second))
	most, usual := busiest(s.upstream.since(healed), time.Second), busiest(normal, time.Second)
	peak := float64(most) / float64(usual)
	report.timed(t, "busiest second at Stripe after the end, to the normal", "≤ 1.2", times(peak), peak <= 1.2)
	if t.Failed() {
		s.fleet.explain(t)
	}
}

// insistent is people who ask again at once when they are not served.
type insistent struct {
	next  http.RoundTripper
	again int

	mu       sync.Mutex
	refusals []openloop.Outcome
	begin    time.Time
}

// RoundTrip implements http.RoundTripper.
func (i *insistent) RoundTrip(req *http.Request) (*http.Response, error) {
	for n := 0; ; n++ {
		one := req.Clone(req.Context())
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			one.Body = body
		}
		began := time.Now()
		res, err := i.next.RoundTrip(one)
		if err == nil && res.StatusCode < http.StatusMultipleChoices {
			return res, nil
		}
		i.note(began, res)
		if n == i.again || req.Context().Err() != nil {
			return res, err
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
}

// note writes down how long a refusal took, of a Stripe that was not asked.
func (i *insistent) note(began time.Time, res *http.Response) {
	took := time.Since(began)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.begin.IsZero() {
		i.begin = began
	}
	if res != nil && res.StatusCode == http.StatusServiceUnavailable {
		i.refusals = append(i.refusals, openloop.Outcome{At: began.Sub(i.begin), Took: took, Status: res.StatusCode})
	}
}

// refused is the p99 of the refusals of a typical window.
func (i *insistent) refused(from, to time.Time, window time.Duration) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []time.Duration
	for at := from; at.Before(to); at = at.Add(window) {
		if some := due(i.refusals, at.Sub(i.begin), at.Add(window).Sub(i.begin)); len(some) > 0 {
			all = append(all, openloop.Percentile(some, 0.99, func(openloop.Outcome) bool { return true }))
		}
	}
	return middle(all)
}

// looked is what the replicas have counted.
type looked struct {
	// sent is how many tries were sent to Stripe, refused how many calls were not, because
	// the breaker is open, at the replica where those are fewest.
	sent, refused float64
}

func (s *shop) look(ctx context.Context) (looked, error) {
	all := looked{refused: math.Inf(1)}
	for _, one := range s.fleet.slots {
		seen, err := one.metrics(ctx)
		if err != nil {
			return all, err
		}
		unsent := 0.0
		for series, value := range seen {
			switch {
			case strings.Contains(series, `outcome="breaker_open"`), strings.Contains(series, `outcome="queue_full"`):
				unsent += value
			case strings.HasPrefix(series, "till_stripe_calls_total{"), strings.HasPrefix(series, "till_stripe_retries_total{"):
				all.sent += value
			}
		}
		all.refused = min(all.refused, unsent)
	}
	return all, nil
}

// breaker waits until every replica refuses calls by itself, says how long that took, and
// what was counted after a time of its own.
func (s *shop) breaker(ctx context.Context, t *testing.T, before float64, after, most time.Duration) (took time.Duration, then looked) {
	t.Helper()
	for began := time.Now(); took == 0 || then == (looked{}); wait(ctx, 50*time.Millisecond) {
		now, err := s.look(ctx)
		must(t, err)
		passed := time.Since(began)
		if took == 0 && (now.refused > before || passed > most) {
			took = passed
		}
		if then == (looked{}) && passed >= after {
			then = now
		}
	}
	return took, then
}

// goodAgain is how long after a moment nearly all are served again, from then on, second
// by second.
func goodAgain(outcomes []openloop.Outcome, from time.Duration) (after time.Duration) {
	last := outcomes[len(outcomes)-1].At
	for at := from; at < last; at += time.Second {
		if goodput(due(outcomes, at, at+time.Second)) < 0.95 {
			after = at + time.Second - from
		}
	}
	return after
}
