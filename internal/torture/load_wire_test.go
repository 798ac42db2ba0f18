//go:build torture && linux

package torture_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rude is a Stripe that answers requests for a Checkout Session as badly as a connection
// can. The rest goes on to the sandbox.
type rude struct {
	server *httptest.Server
	// conduct answers on the raw connection until stop is closed; nil is the sandbox's.
	conduct atomic.Pointer[func(conn net.Conn, stop <-chan struct{})]
	stop    chan struct{}

	calls, under atomic.Int64
	sent         atomic.Int64 // bytes
}

func newRude(t *testing.T, sandbox string) *rude {
	t.Helper()
	to, err := url.Parse(sandbox)
	must(t, err)
	r := &rude{stop: make(chan struct{})}
	onward := httputil.NewSingleHostReverseProxy(to)
	onward.Transport = &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
	onward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conduct := r.conduct.Load()
		if conduct == nil || req.Method != http.MethodPost || req.URL.Path != "/v1/checkout/sessions" {
			onward.ServeHTTP(w, req)
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		r.calls.Add(1)
		r.under.Add(1)
		defer r.under.Add(-1)
		(*conduct)(conn, r.stop)
	}))
	t.Cleanup(func() {
		close(r.stop)
		r.server.Close()
	})
	return r
}

func (r *rude) be(conduct func(net.Conn, <-chan struct{})) { r.conduct.Store(&conduct) }

// hang never answers; it ends when the other side does.
func hang(conn net.Conn, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, conn) }

// dribble sends a byte a second of an answer that would be good.
func dribble(conn net.Conn, stop <-chan struct{}) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{"
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
	}
}

// flood sends a head and then the same again and again, up to 1 GiB.
func (r *rude) flood(head, again string) func(net.Conn, <-chan struct{}) {
	again = strings.Repeat(again, 64<<10/len(again))
	return func(conn net.Conn, stop <-chan struct{}) {
		w := bufio.NewWriter(conn)
		_, _ = w.WriteString(head) // it fits
		for sent := 0; sent < 1<<30; {
			select {
			case <-stop:
				return
			default:
			}
			n, err := w.WriteString(again)
			sent += n
			r.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// TestLoadRudeStripe has many calls under way at once to a Stripe that hangs, dribbles one
// byte a second, or sends without end: each is answered in time, takes little memory, and
// leaves nothing behind.
func TestLoadRudeStripe(t *testing.T) {
	for name, conduct := range map[string]func(*rude) func(net.Conn, <-chan struct{}){
		"accepts and never answers": func(*rude) func(net.Conn, <-chan struct{}) { return hang },
		"one byte a second":         func(*rude) func(net.Conn, <-chan struct{}) { return dribble },
		"1 GiB": func(r *rude) func(net.Conn, <-chan struct{}) {
			return r.flood("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741825\r\n\r\n{\"id\":\"", "cs_test_a")
		},
		"endless headers": func(r *rude) func(net.Conn, <-chan struct{}) {
			return r.flood("HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("a", 100)+"\r\n")
		},
		"endless interim answers": func(r *rude) func(net.Conn, <-chan struct{}) {
			return r.flood("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rudeness(t, conduct)
		})
	}
}

// perCall is the most memory that a call to Stripe may take, whatever Stripe sends.
const perCall = 4 * mib

func rudeness(t *testing.T, conduct func(*rude) func(net.Conn, <-chan struct{})) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var r *rude
	s := newSite(ctx, t, siteOptions{callers: 100, before: func(sandbox string) string {
		r = newRude(t, sandbox)
		return r.server.URL
	}})
	slot := s.slots[0]
	base := *slot.base.Load()
	calls := 32
	// What everybody's connections to Stripe cost is there before and after.
	if _, kinds := visitAtOnce(ctx, base, calls, s.buy); kinds["201"] != calls {
		t.Fatalf("before anything is wrong: %s", counts(kinds))
	}
	goroutines := func() (float64, error) {
		all, err := slot.metrics(ctx)
		return all["go_goroutines"], err
	}
	quiet, err := goroutines()
	must(t, err)
	resident, err := slot.status("VmRSS")
	must(t, err)

	r.be(conduct(r))
	stop, late := peak(func() (int64, error) { return slot.status("VmRSS") }), lateness()
	slowest, kinds := visitAtOnce(ctx, base, calls, s.buy)
	grown := stop() - resident
	r.conduct.Store(nil)

	report.fact(t, "calls under way at once", calls)
	report.fact(t, "answers", counts(kinds))
	report.fact(t, "tries seen by Stripe, and what was sent in all", fmt.Sprintf("%d, %s", r.calls.Load(), mebibytes(float64(r.sent.Load()))))
	judgeSlowest(t, slowest, late())
	served := kinds["502"] + kinds["503"] + kinds["504"]
	// Where calls fail at once, the breaker spares Stripe those after the tenth.
	const least = 10
	report.judge(t, "told that Stripe is at fault", fmt.Sprint(calls), served, served == calls && r.calls.Load() >= least)
	report.judge(t, "memory beyond what it had", fmt.Sprintf("<= 4 MiB a call, %s", mebibytes(float64(calls*perCall))),
		mebibytes(float64(grown)), grown <= int64(calls*perCall))
	left, err := settled(ctx, patience, quiet+5, goroutines)
	must(t, err)
	report.judge(t, "goroutines afterwards", fmt.Sprintf("the %.0f of before, and 5", quiet), left, left <= quiet+5)
	held, err := settled(ctx, patience, 0, func() (float64, error) { return float64(r.under.Load()), nil })
	must(t, err)
	report.judge(t, "calls that Stripe still holds", "0", held, held == 0)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

// judgeSlowest: an answer comes within the deadline of 12 s and half a second for everything
// else, and when the machine is late with everything, so much later.
func judgeSlowest(t *testing.T, slowest, late time.Duration) {
	t.Helper()
	const limit = 12500 * time.Millisecond
	report.judge(t, "slowest answer", "<= 12.5 s, and what the machine was late by", fmt.Sprintf("%v (%v late)",
		slowest.Round(time.Millisecond), late.Round(time.Millisecond)), slowest <= limit+late)
}

// lateness watches how much too late this process is woken up, until the function is called
// that it returns, which says how late that was at worst.
func lateness() (stop func() time.Duration) {
	const nap = 10 * time.Millisecond
	var worst time.Duration
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from := time.Now()
			select {
			case <-ended:
				return
			case <-time.After(nap):
				worst = max(worst, time.Since(from)-nap)
			}
		}
	})
	return func() time.Duration {
		close(ended)
		wg.Wait()
		return worst
	}
}

// visitAtOnce makes n requests at the same time and returns how long the slowest took, and
// how many came to which end.
func visitAtOnce(ctx context.Context, base string, n int, next func(n int) click) (slowest time.Duration, kinds map[string]int) {
	client := newcomers(patience)
	kinds = map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			began := time.Now()
			status, _, err := askOnce(ctx, client, base, next(i))
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			kinds[ending(status, err)]++
			slowest = max(slowest, took)
		})
	}
	wg.Wait()
	return slowest, kinds
}
