package stripeclient_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/problem"
	"till/internal/stripeclient"
)

// lock is a failure that another try may mend and that is no fault of Stripe's:
// the breaker stays out of it.
var lock = refuses(http.StatusConflict, "invalid_request_error", "lock_timeout", "")

// When everything fails, tries are a tenth more than calls, beyond the reserve.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls, reserve = 1000, 10
		c, stripe := inBubble(t, lock, stripeclient.Options{})
		for range calls {
			_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
			wantProblem(t, err, problem.DependencyUnavailable, time.Second)
		}
		if got := len(stripe.requests()); got > calls*11/10+reserve || got < calls*11/10 {
			t.Errorf("%d requests for %d calls", got, calls)
		}
		// A good time earns a full reserve, and no more than that.
		stripe.set(answers(http.StatusOK, checkoutSession))
		for range calls {
			if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil {
				t.Fatal(err)
			}
		}
		stripe.requests()
		stripe.set(lock)
		for range reserve {
			_, _ = c.CreateCheckoutSession(t.Context(), createCheckout)
		}
		if got := len(stripe.requests()); got < 2*reserve || got > 2*reserve+1 {
			t.Errorf("%d requests for %d calls after a good time", got, reserve)
		}
	})
}

// F02: locks that come and go.
func TestPassingLocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ faults, success, requests float64 }{{0.05, 0.999, 1.1}, {0.3, 0.75, 1.1}} {
		synctest.Test(t, func(t *testing.T) {
			const calls = 4000
			random := rand.New(rand.NewPCG(1, 2))
			c, stripe := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
				if random.Float64() < tt.faults {
					lock(w, r)
					return
				}
				answers(http.StatusOK, checkoutSession)(w, r)
			}, stripeclient.Options{})
			good := 0
			for range calls {
				if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err == nil {
					good++
				}
			}
			if got := float64(good) / calls; got < tt.success {
				t.Errorf("with %v faults, %v of the calls succeed, want %v", tt.faults, got, tt.success)
			}
			if got := float64(len(stripe.requests())) / calls; got > tt.requests+10.0/calls {
				t.Errorf("with %v faults, %v requests per call, want %v", tt.faults, got, tt.requests)
			}
		})
	}
}

// Pauses are spread over the whole interval: those who failed together do not
// come back together.
func TestJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const samples, bins = 200, 5
		c, stripe := inBubble(t, lock, stripeclient.Options{})
		var counts [2][bins]int
		limits := [2]time.Duration{500 * time.Millisecond, time.Second}
		for n := 0; n < samples; {
			_, _ = c.CreateCheckoutSession(t.Context(), createCheckout)
			tries := stripe.requests()
			for i, r := range tries[1:] {
				pause := r.at.Sub(tries[i].at)
				if pause < 0 || pause >= limits[i] {
					t.Fatalf("pause %d is %v, want less than %v", i+1, pause, limits[i])
				}
				counts[i][pause*bins/limits[i]]++
				n++
			}
			// Earn the retries back.
			stripe.set(answers(http.StatusOK, checkoutSession))
			for range 20 {
				_, _ = c.CreateCheckoutSession(t.Context(), createCheckout)
			}
			stripe.requests()
			stripe.set(lock)
		}
		for i, c := range counts {
			for bin, count := range c {
				// Expected are 20 in each; 4 or fewer are once in a hundred thousand.
				if count < 5 {
					t.Errorf("pause %d: only %d of %v in bin %d", i+1, count, c, bin)
				}
			}
		}
	})
}

// F16: a Stripe that is down is left alone, and found again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	outage := answers(http.StatusServiceUnavailable, "<html>")
	call := func(t *testing.T, c *client) error {
		t.Helper()
		_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
		return err
	}
	// open fails calls until they are not sent any more, and says how many that took.
	open := func(t *testing.T, c *client, stripe *fake) int {
		t.Helper()
		for n := 1; n < 100; n++ {
			_ = call(t, c)
			if len(stripe.requests()) == 0 {
				return n
			}
		}
		t.Fatal("the breaker does not open")
		return 0
	}
	inBreaker := func(name string, f func(t *testing.T, c *client, stripe *fake)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stripe := inBubble(t, outage, stripeclient.Options{})
				f(t, c, stripe)
			})
		})
	}
	inBreaker("open: answers without sending, at once, every operation", func(t *testing.T, c *client, stripe *fake) {
		if n := open(t, c, stripe); n > 10 {
			t.Errorf("it took %d calls to open", n)
		}
		start := time.Now()
		for _, op := range operations {
			got, err := op.call(t.Context(), c)
			wantProblem(t, err, problem.DependencyUnavailable, 5*time.Second)
			if len(stripe.requests()) != 0 || !cmp.Equal(got, op.zero) {
				t.Errorf("%s reached Stripe, or returned something", op.name)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("refusals took %v", took)
		}
		// One more is the call that found it open.
		if got := c.calls(t, "breaker_open"); got != len(operations)+1 {
			t.Errorf("%d calls are counted as not sent", got)
		}
	})
	inBreaker("opens between two tries: the first failure is told", func(t *testing.T, c *client, stripe *fake) {
		for stripe.set(lock); ; {
			// Without budget, each call is one try: the 19th is followed by one with two.
			if err := call(t, c); len(stripe.requests()) == 1 {
				wantProblem(t, err, problem.DependencyUnavailable, time.Second)
				break
			}
		}
		time.Sleep(11 * time.Second)
		stripe.set(answers(http.StatusOK, checkoutSession))
		for range 15 {
			_ = call(t, c)
		}
		time.Sleep(11 * time.Second)
		stripe.set(refuses(http.StatusInternalServerError, "api_error", "", ""))
		for range 9 {
			_ = call(t, c)
		}
		stripe.requests()
		stripe.set(outage)
		wantProblem(t, call(t, c), problem.DependencyUnavailable, 2*time.Second)
		if got := len(stripe.requests()); got != 1 {
			t.Errorf("%d requests reached Stripe, want 1", got)
		}
	})
	inBreaker("still down: one probe, and open again", func(t *testing.T, c *client, stripe *fake) {
		open(t, c, stripe)
		time.Sleep(5*time.Second + 1)
		wantProblem(t, call(t, c), problem.DependencyUnavailable, 2*time.Second)
		for range 10 {
			wantProblem(t, call(t, c), problem.DependencyUnavailable, 5*time.Second)
		}
		if got := len(stripe.requests()); got != 1 {
			t.Errorf("%d probes, want 1", got)
		}
	})
	inBreaker("back: two probes, then everybody", func(t *testing.T, c *client, stripe *fake) {
		open(t, c, stripe)
		stripe.set(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(50 * time.Millisecond)
			answers(http.StatusOK, checkoutSession)(w, r)
		})
		time.Sleep(5*time.Second + 1)
		if good := together(20, func() error { return call(t, c) }); good != 2 || len(stripe.requests()) != 2 {
			t.Errorf("%d of those who came together succeeded, want 2", good)
		}
		if good := together(20, func() error { return call(t, c) }); good != 20 {
			t.Errorf("%d of 20 succeeded afterwards", good)
		}
	})
	inBreaker("callers who leave are no proof that it is back", func(t *testing.T, c *client, stripe *fake) {
		open(t, c, stripe)
		stripe.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		time.Sleep(5*time.Second + 1)
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			time.AfterFunc(time.Millisecond, cancel)
			_, err := c.CreateCheckoutSession(ctx, createCheckout)
			wantProblem(t, err, problem.UpstreamTimeout, 0)
		}
		stripe.requests()
		stripe.set(outage)
		for range 5 {
			_ = call(t, c)
		}
		if got := len(stripe.requests()); got != 1 {
			t.Errorf("%d requests of 5 reached Stripe: the breaker has closed", got)
		}
	})
	inBreaker("an outage after much that went well: ten in a row open it", func(t *testing.T, c *client, stripe *fake) {
		stripe.set(answers(http.StatusOK, checkoutSession))
		for range 500 {
			_ = call(t, c)
		}
		stripe.requests()
		stripe.set(refuses(http.StatusInternalServerError, "api_error", "", ""))
		for range 50 {
			_ = call(t, c)
		}
		if got := len(stripe.requests()); got != 10 {
			t.Errorf("%d requests reached Stripe, want 10", got)
		}
	})
	inBreaker("a Stripe that says nothing is left alone before anything has timed out", func(t *testing.T, c *client, stripe *fake) {
		var mute atomic.Bool
		stripe.set(func(w http.ResponseWriter, r *http.Request) {
			if mute.Load() {
				<-r.Context().Done()
				return
			}
			answers(http.StatusOK, checkoutSession)(w, r)
		})
		_ = call(t, c)
		stripe.requests()
		mute.Store(true)
		var wg sync.WaitGroup
		for range 60 { // ten a second
			wg.Go(func() { _ = call(t, c) })
			time.Sleep(100 * time.Millisecond)
		}
		// Twenty in two seconds, then until it is sure, and one each second.
		if got := len(stripe.requests()); got < 45 || got > 50 {
			t.Errorf("%d of 60 requests reached Stripe", got)
		}
		if c.metric(t, "till_stripe_breaker_state", "state=open") != 1 {
			t.Error("it is not seen to be left alone")
		}
		mute.Store(false)
		time.Sleep(time.Second)
		if err := call(t, c); err != nil {
			t.Errorf("the call that finds out: %v", err)
		}
		if good := together(20, func() error { return call(t, c) }); good != 20 {
			t.Errorf("%d of 20 succeeded afterwards", good)
		}
		wg.Wait()
	})
	for name, answer := range map[string]http.HandlerFunc{
		"refusals":            refuses(http.StatusBadRequest, "invalid_request_error", "", ""),
		"a missing right":     refuses(http.StatusForbidden, "invalid_request_error", "", ""),
		"locks":               lock,
		"replayed failures":   refuses(http.StatusInternalServerError, "api_error", "", "", "Idempotent-Replayed: true"),
		"answers disbelieved": answers(http.StatusOK, with(checkoutSession, "url", "https://not.configured.example/")),
	} {
		inBreaker(name+" leave it closed", func(t *testing.T, c *client, stripe *fake) {
			stripe.set(answer)
			for range 100 {
				_ = call(t, c)
			}
			if got := len(stripe.requests()); got < 100 || c.calls(t, "breaker_open") != 0 {
				t.Errorf("%d requests reached Stripe", got)
			}
		})
	}
}

// together makes n calls at the same time and counts those that succeed.
func together(n int, call func() error) int {
	var good atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if call() == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	return int(good.Load())
}

// F16: an outage of ten minutes under load.
func TestOutage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		outage http.HandlerFunc
		// opens is how long it takes until Stripe is left alone, after a good time.
		opens time.Duration
	}{
		{"503", answers(http.StatusServiceUnavailable, "<html>"), 5 * time.Second},
		{"closed without an answer", wire(""), 5 * time.Second},
		// A try that will time out is known to after eight seconds.
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const perSecond = 25
				c, stripe := inBubble(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{})
				var good atomic.Int32
				load := func(d time.Duration) {
					for range int(d.Seconds() * perSecond) {
						go func() {
							if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err == nil {
								good.Add(1)
							}
						}()
						time.Sleep(time.Second / perSecond)
					}
				}
				load(time.Minute)
				stripe.set(tt.outage)
				load(tt.opens)
				stripe.requests()
				load(10 * time.Minute)
				if got := len(stripe.requests()); got > 2*600 {
					t.Errorf("%d requests in the ten minutes down", got)
				}
				stripe.set(answers(http.StatusOK, checkoutSession))
				load(15 * time.Second)
				good.Store(0)
				stripe.requests()
				load(10 * time.Second)
				if got := good.Load(); got < 10*perSecond*95/100 {
					t.Errorf("15 s after the end, %d calls of %d succeed", got, 10*perSecond)
				}
				if got := len(stripe.requests()); got > 12*perSecond {
					t.Errorf("15 s after the end, %d requests for %d calls", got, 10*perSecond)
				}
				time.Sleep(15 * time.Second)
			})
		})
	}
}
