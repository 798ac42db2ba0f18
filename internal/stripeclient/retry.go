package stripeclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	maxTries   = 3
	firstPause = 500 * time.Millisecond
)

// backoff pauses before the next try: full jitter, so that callers who failed
// together do not come back together. It reports whether ctx is still alive.
func backoff(ctx context.Context, try int) bool {
	t := time.NewTimer(rand.N(firstPause << (try - 1))) //nolint:gosec // jitter, not a secret
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryBudget allows retries for at most a tenth of the calls, beyond a small
// reserve: when everything fails, retries only add load.
type retryBudget struct {
	mu     sync.Mutex
	tokens float64
}

const (
	budgetRatio   = 0.1
	budgetReserve = 10
)

func newRetryBudget() *retryBudget { return &retryBudget{tokens: budgetReserve} }

func (b *retryBudget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(budgetReserve, b.tokens+budgetRatio)
}

func (b *retryBudget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *retryBudget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// newBreaker stops calling a Stripe that is down: after half of at least twenty
// tries that ended within ten seconds failed, for five seconds; then two tries
// have to succeed before the others follow.
//
// The window rolls and is longer than a try: the breaker forgets a try that began
// before its window, and tries that time out are what a silent Stripe is made of.
// For the same reason tries that have not ended are not counted.
func newBreaker(tryTimeout time.Duration) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "stripe", MaxRequests: 2, Timeout: 5 * time.Second,
		Interval: max(10*time.Second, tryTimeout+2*time.Second), BucketPeriod: time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := c.TotalSuccesses + c.TotalFailures
			return ended >= 20 && c.TotalFailures*2 >= ended
		},
		// Callers who went away say nothing about Stripe, also not that it is back.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
}
