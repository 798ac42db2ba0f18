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
// tries that ended within ten seconds failed, or ten in a row, for five seconds; then
// two tries have to succeed before the others follow. In an outage ten in a row come
// first: what went well just before it would take as many failures again.
//
// The window rolls and is longer than a try: the breaker forgets a try that began
// before its window, and tries that time out are what a silent Stripe is made of.
// For the same reason tries that have not ended are not counted; see silence.
func newBreaker(tryTimeout time.Duration) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "stripe", MaxRequests: 2, Timeout: 5 * time.Second,
		Interval: max(10*time.Second, tryTimeout+2*time.Second), BucketPeriod: time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := c.TotalSuccesses + c.TotalFailures
			return c.ConsecutiveFailures >= 10 || ended >= 20 && c.TotalFailures*2 >= ended
		},
		// Callers who went away say nothing about Stripe, also not that it is back.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
}

const (
	// muteTries unanswered for muteFor are a Stripe that is there and says nothing. Until
	// they end, at their own time, a whole crowd would begin to wait.
	muteTries = 20
	muteFor   = 2500 * time.Millisecond
	// mutePause is between tries that find out whether it speaks again.
	mutePause = time.Second
)

var errMute = errors.New("not sent: Stripe has answered nothing for a while")

// silence knows how many tries were begun since Stripe last answered anything.
type silence struct {
	mu    sync.Mutex
	since time.Time // when the last of muteTries was begun; zero: they were fewer
	tries int
	next  time.Time
}

// allow notes a try, and returns an error if it must not be begun.
func (s *silence) allow(op operation) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tries++; s.tries < muteTries {
		return nil
	}
	now := time.Now()
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < muteFor {
		return nil
	}
	if rest := s.next.Sub(now); rest > 0 {
		return &Error{Operation: op, outcome: outcomeBreaker, wait: rest, Err: errMute}
	}
	s.next = now.Add(mutePause)
	return nil
}

// isMute reports whether next to nothing is being sent.
func (s *silence) isMute() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && time.Since(s.since) >= muteFor
}

// heard notes an answer, whatever it says.
func (s *silence) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries, s.since = 0, time.Time{}
}

// state is the breaker's, which is as good as open while Stripe says nothing.
func (c *Client) state() gobreaker.State {
	if c.silence.isMute() {
		return gobreaker.StateOpen
	}
	return c.breaker.State()
}
