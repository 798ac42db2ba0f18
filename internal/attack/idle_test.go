//go:build attack

package attack

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestIdleConnections: H32. Connections that have had an answer and ask for nothing more
// are closed in half a minute, and the honest do not notice them.
func TestIdleConnections(t *testing.T) {
	p, idp := startAlone(t, stripeTakes, &atomic.Int64{})
	alice := idp.mint("alice")
	id := p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201)
	stretch := busy()
	all := open(t, p, amount(200, 1000), 100, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, s := range all {
		defer s.conn.Close()
		if status, err := answer(bufio.NewReader(s.conn)); err == nil && status != http.StatusOK {
			t.Errorf("an idle connection's only answer: %d", status)
		}
	}
	honest := visit(t, 20*time.Millisecond, func(int) error { return p.arrive(alice, id) })
	watch(t, p, all, 60*time.Second)
	longest, left := time.Duration(0), 0
	for _, s := range all {
		longest = max(longest, s.cut)
		if s.cut == 0 {
			left++
		}
	}
	visits := honest()
	report(t, fmt.Sprintf("%d idle connections", len(all)), "all closed at 30 s",
		fmt.Sprintf("the last after %.1f s, %d left", longest.Seconds(), left), left == 0 && longest <= 30*time.Second+time.Duration(stretch*float64(time.Second)))
	report(t, "  honest callers meanwhile", "success 100 %", visits.String(), visits.bad == 0 && visits.good > 0)
}

// TestCallersHangUp: H50. Callers go while Stripe is being asked for a session. Nobody gets
// two customers, what Stripe was asked for is not asked for again, and nothing is left.
func TestCallersHangUp(t *testing.T) {
	p, idp := startAlone(t, 10*stripeTakes, &atomic.Int64{})
	asked := amount(200, 1000)
	const calls = `till_stripe_call_duration_seconds_count{operation="billing_portal.sessions.create"}`
	token := idp.mint("warm")
	p.member("POST", "/checkout", token, `{"plan":"pro"}`, "id", 201)
	// So many connections to Stripe stay for a while.
	var warm sync.WaitGroup
	for range 50 {
		warm.Go(func() { _, _, _ = p.call("POST", "/portal", token, "") })
	}
	warm.Wait()
	client.CloseIdleConnections()
	time.Sleep(time.Second)
	before := p.gauge(t, "go_goroutines")
	sent := p.gauge(t, calls)
	created := p.gauge(t, `till_stripe_calls_total{operation="checkout.sessions.create",outcome="ok"}`)
	var hung atomic.Int64
	var wg sync.WaitGroup
	turns := make(chan struct{}, 50)
	for range asked {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(context.Background(), 5*stripeTakes)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/portal", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := newcomers.Do(req)
			if err != nil {
				hung.Add(1)
				return
			}
			_ = res.Body.Close()
		})
	}
	wg.Wait()
	newcomers.CloseIdleConnections()
	client.CloseIdleConnections()
	after := p.gauge(t, "go_goroutines")
	for end := time.Now().Add(time.Minute); after > before+10 && time.Now().Before(end); after = p.gauge(t, "go_goroutines") {
		time.Sleep(500 * time.Millisecond)
	}
	attempts := p.gauge(t, calls) - sent
	retries := p.gauge(t, `till_stripe_retries_total{operation="billing_portal.sessions.create"}`)
	report(t, fmt.Sprintf("%d callers hang up while Stripe is asked", hung.Load()), "asked once each, nothing left running",
		fmt.Sprintf("%.0f calls, %.0f of them again; goroutines %.0f, then %.0f", attempts, retries, before, after),
		hung.Load() > 0 && attempts <= float64(asked) && retries == 0 && after <= before+10)
	status, _, err := p.call("POST", "/checkout", token, `{"plan":"pro"}`)
	more := p.gauge(t, `till_stripe_calls_total{operation="checkout.sessions.create",outcome="ok"}`) - created
	report(t, "  the same caller afterwards", "one session for one request", fmt.Sprintf("%d, %.0f sessions", status, more), err == nil && status == 201 && more == 1)
}

// gauge is one number of a scrape.
func (p *program) gauge(t *testing.T, series string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(p.scrape())
	if m == nil {
		t.Fatalf("no series %s", series)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
