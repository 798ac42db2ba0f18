//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
)

// TestLoadBrownOut has a part of the calls to Stripe take 8 s. What else this machine does
// meanwhile is told from that by another service, whose Stripe is well.
func TestLoadBrownOut(t *testing.T) {
	t.Parallel()
	const (
		rate  = 50.0
		share = 0.3
		slow  = 8 * time.Second
	)
	ctx := t.Context()
	lasts := lasting(14*time.Second, 2*time.Minute)
	sick, well := newShop(ctx, t, 1, 50, "STRIPE_RPS_PER_ENDPOINT=0"), newShop(ctx, t, 1, 50, "STRIPE_RPS_PER_ENDPOINT=0")
	fate := &fateful{dice: dice(t.Name()), of: 10, fail: int(10 * share), with: later(sick.upstream, slow)}
	var wg sync.WaitGroup
	var all, usual, others, othersUsual []openloop.Outcome
	for _, s := range []struct {
		*shop
		all, others *[]openloop.Outcome
	}{{sick, &all, &others}, {well, &usual, &othersUsual}} {
		s.stroll(ctx, rate, time.Second) // connections and caches are warm
		wg.Go(func() { *s.all = s.stroll(ctx, rate, lasts) })
		load := s.load(100, lasts)
		load.Client = newClient("") // connections that no slow answer holds
		load.Request = s.local
		wg.Go(func() { *s.others = openloop.Run(ctx, load) })
	}
	sick.upstream.peak.Store(0)
	sick.upstream.when(fate.strike)
	wg.Wait()

	report.fact(t, "answers", fmt.Sprintf("%s, p50 of the good %v (%v of the other service)", histogram(all), shown(p50(all)), shown(p50(usual))))
	spared := goodput(all) / (1 - share)
	report.timed(t, "goodput, to the share of calls that are not slow", "≥ 95 %", percent(spared), spared >= 0.95)
	// What a tenth of tries more adds, and as much for what comes together by chance.
	most := int64(1.2*rate*(share*slow.Seconds()+stripeTakes.Seconds())) + 10
	peak := sick.upstream.peak.Load()
	report.judge(t, "calls in flight at Stripe, most", fmt.Sprintf("≤ %d", most), peak, peak <= most)
	ratio := beside(others, othersUsual, 2*time.Second)
	report.timed(t, "p99 of routes without Stripe, to that of the other service", "≤ 2", times(ratio), ratio <= 2)
	report.judge(t, "their goodput", "≥ "+percent(nearlyAll()), percent(goodput(others)), goodput(others) >= nearlyAll())
}

// beside is the p99 of one load to that of another at the same time, in a typical window.
func beside(one, other []openloop.Outcome, window time.Duration) float64 {
	var ratios []float64
	for from := time.Duration(0); from <= one[len(one)-1].At; from += window {
		a, b := p99(due(one, from, from+window)), p99(due(other, from, from+window))
		if a > 0 && b > 0 {
			ratios = append(ratios, float64(a)/float64(b))
		}
	}
	return middle(ratios)
}

// later answers late.
func later(u *upstream, after time.Duration) func(*rand.Rand) http.HandlerFunc {
	return func(*rand.Rand) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			form, a := u.read(r)
			wait(r.Context(), after)
			fmt.Fprint(w, u.answer(r, form, a, 0))
		}
	}
}

// local makes the nth request of those that Stripe has nothing to do with.
func (s *shop) local(ctx context.Context, n int) (*http.Request, error) {
	path := "/healthz"
	if n%2 == 0 {
		path = "/plans"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base(n)+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.visitors[n%len(s.visitors)].token)
	return req, nil
}
