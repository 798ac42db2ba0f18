package stripeclient_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/problem"
	"till/internal/ratelimit"
	"till/internal/stripeclient"
)

// budgetOf is a budget that nobody shares; the account's is four times as much.
func budgetOf(t testing.TB, perEndpoint int) *ratelimit.Budget {
	t.Helper()
	return sharedBudget(t, perEndpoint, 4*perEndpoint, 1)
}

func sharedBudget(t testing.TB, perEndpoint, account, replicas int) *ratelimit.Budget {
	t.Helper()
	b, err := ratelimit.NewBudget(ratelimit.BudgetOptions{
		PerEndpoint: perEndpoint, Account: account, Endpoints: stripeclient.Endpoints(), Replicas: replicas,
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// perSecond is the most requests in any one second.
func perSecond(requests []request) int {
	most := 0
	for i, r := range requests {
		n := slices.IndexFunc(requests[i:], func(later request) bool { return later.at.Sub(r.at) >= time.Second })
		if n < 0 {
			n = len(requests) - i
		}
		most = max(most, n)
	}
	return most
}

// Stripe's limits are of an endpoint: a method and a path.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	names := stripeclient.Endpoints()
	if len(names) != len(stripeclient.Operations())-1 || slices.Contains(names, "clock") || !slices.Contains(names, "customers.list") {
		t.Errorf("got %v", names)
	}
	// The clock is read off a list of customers, which somebody else reads too.
	synctest.Test(t, func(t *testing.T) {
		c, stripe := inBubble(t, answers(http.StatusOK, listOf()), stripeclient.Options{Budget: budgetOf(t, 2)})
		if good := together(3, func() error { _, err := c.Time(t.Context()); return err }); good != 3 {
			t.Errorf("%d calls of 3 succeeded", good)
		}
		if n := perSecond(stripe.requests()); n > 2 {
			t.Errorf("%d requests in one second", n)
		}
	})
	if live, test := stripeclient.AccountLimit(25, true), stripeclient.AccountLimit(25, false); live != 100 || test != 25 {
		t.Errorf("the account may make %d calls in live mode and %d in test mode", live, test)
	}
}

// The account's limit is shared out by queueing, each endpoint for itself, and not longer
// than half of the time that a call may take.
func TestTurns(t *testing.T) {
	t.Parallel()
	checkout := func(ctx context.Context, c *client) error {
		_, err := c.CreateCheckoutSession(ctx, createCheckout)
		return err
	}
	inTurn := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, f)
		})
	}
	inTurn("all are served, and none too early", func(t *testing.T) {
		c, stripe := inBubble(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Budget: budgetOf(t, 10)})
		time.Sleep(time.Second)
		start, n := time.Now(), atomic.Int32{}
		done := make(chan int)
		go func() {
			done <- together(18, func() error {
				return checkout(ratelimit.For(t.Context(), fmt.Sprint("owner-", n.Add(1)%3)), c)
			})
		}()
		synctest.Wait()
		if _, err := c.CheckoutSession(t.Context(), "cs_test_a1", false); err != nil || time.Since(start) != 0 {
			t.Errorf("another endpoint had to wait for %v (%v)", time.Since(start), err)
		}
		if good := <-done; good != 18 {
			t.Errorf("%d calls of 18 succeeded", good)
		}
		if took := time.Since(start); took > 1900*time.Millisecond {
			t.Errorf("18 calls took %v, want 1.8 s", took)
		}
		requests := slices.DeleteFunc(stripe.requests(), func(r request) bool { return r.Method == http.MethodGet })
		if n := perSecond(requests); n > 10 {
			t.Errorf("%d requests in one second", n)
		}
	})
	inTurn("a turn too late is refused at once", func(t *testing.T) {
		c, stripe := inBubble(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Budget: budgetOf(t, 1), Deadline: 5500 * time.Millisecond})
		start, refused := time.Now(), atomic.Int32{}
		good := together(20, func() error {
			err := checkout(t.Context(), c)
			if err != nil {
				wantProblem(t, err, problem.Overloaded, time.Second)
				wantSilence(t, err)
				if time.Since(start) == 0 {
					refused.Add(1)
				}
			}
			return err
		})
		if sent := len(stripe.requests()); sent != good || good != 2 || refused.Load() != 18 {
			t.Errorf("%d calls of 20 succeeded, %d were sent, %d refused at once; want 2, 2 and 18", good, sent, refused.Load())
		}
		if c.calls(t, "ok") != 2 || c.calls(t, "queue_full") != 18 {
			t.Error("the calls not sent are not counted as such")
		}
	})
	inTurn("who hangs up leaves", func(t *testing.T) {
		c, stripe := inBubble(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Budget: sharedBudget(t, 1, 4, 10), Deadline: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		err := checkout(ctx, c)
		wantProblem(t, err, problem.UpstreamTimeout, 0)
		if took := time.Since(start); took != time.Second || len(stripe.requests()) != 0 || c.calls(t, "canceled") != 1 {
			t.Errorf("the call took %v", took)
		}
		if err := checkout(t.Context(), c); err != nil || time.Since(start) > 10300*time.Millisecond {
			t.Errorf("the next call took %v (%v): it waited behind who had left", time.Since(start), err)
		}
	})
	inTurn("every try needs a turn", func(t *testing.T) {
		c, stripe := inBubble(t, lock, stripeclient.Options{Budget: budgetOf(t, 2)})
		together(5, func() error { return checkout(t.Context(), c) })
		if requests := stripe.requests(); len(requests) <= 5 || perSecond(requests) > 2 {
			t.Errorf("%d requests, %d in one second", len(requests), perSecond(requests))
		}
	})
	inTurn("an open breaker refuses without a turn", func(t *testing.T) {
		c, _ := inBubble(t, answers(http.StatusServiceUnavailable, "<html>"), stripeclient.Options{Budget: budgetOf(t, 25)})
		for range 30 {
			_ = checkout(t.Context(), c)
		}
		start := time.Now()
		for range 100 {
			wantProblem(t, checkout(t.Context(), c), problem.DependencyUnavailable, 5*time.Second)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("refusals took %v", took)
		}
	})
	inTurn("no limit", func(t *testing.T) {
		c, _ := inBubble(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{})
		start := time.Now()
		if good := together(500, func() error { return checkout(t.Context(), c) }); good != 500 || time.Since(start) != 0 {
			t.Errorf("%d calls of 500 succeeded in %v", good, time.Since(start))
		}
	})
}

// F01: a 429 is told and not tried again, and less is sent for ten seconds.
func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	const rate = 40
	for _, tc := range []struct {
		name    string
		refusal http.HandlerFunc
		// part of the rate that is used just after, and two seconds later, of the endpoint and of another.
		same, other float64
		tries       int
	}{
		{"without a reason", refuses(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", ""), 0.5, 1, 1},
		{"although Stripe advises to", refuses(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "", "Stripe-Should-Retry: true"), 0.5, 1, 1},
		{"the endpoint's", refuses(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "", "Stripe-Rate-Limited-Reason: endpoint-rate"), 0.5, 1, 1},
		{"the account's", refuses(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "", "Stripe-Rate-Limited-Reason: global-rate"), 0.5, 0.7, 1},
		{"one object's", refuses(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "", "Stripe-Rate-Limited-Reason: resource-specific"), 1, 1, 1},
		{"a lock", refuses(http.StatusTooManyRequests, "invalid_request_error", "lock_timeout", ""), 1, 1, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// The account's limit is the endpoint's, so that both show.
				c, stripe := inBubble(t, tc.refusal, stripeclient.Options{Budget: sharedBudget(t, rate, rate, 1)})
				time.Sleep(10 * time.Second)
				if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err == nil {
					t.Fatal("no error")
				}
				if n := len(stripe.requests()); n != tc.tries {
					t.Errorf("%d tries, want %d", n, tc.tries)
				}
				// served is how many calls a second are made while more want to be.
				served := func(call func() error) float64 {
					stripe.requests()
					end := time.Now().Add(time.Second)
					together(16, func() error {
						for time.Now().Before(end) {
							if err := call(); err != nil {
								return err
							}
						}
						return nil
					})
					inTime := slices.DeleteFunc(stripe.requests(), func(r request) bool { return r.at.After(end) })
					return float64(len(inTime)) / rate
				}
				stripe.set(answers(http.StatusOK, checkoutSession))
				checkout := func() error { _, err := c.CreateCheckoutSession(t.Context(), createCheckout); return err }
				read := func() error { _, err := c.CheckoutSession(t.Context(), "cs_test_a1", false); return err }
				if part := served(checkout); part > tc.same+0.15 || part < tc.same-0.15 {
					t.Errorf("the endpoint has %v of its rate left, want %v", part, tc.same)
				}
				time.Sleep(time.Second)
				if part := served(read); part > tc.other+0.15 || part < tc.other-0.15 {
					t.Errorf("another endpoint has %v of its rate left, want %v", part, tc.other)
				}
				time.Sleep(8 * time.Second)
				if part := served(checkout); part < 0.9 {
					t.Errorf("ten seconds later, %v of the rate is there again", part)
				}
			})
		})
	}
}
