package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	coolDown   = 30 * time.Second // between two fetches, whatever callers send
	firstRetry = time.Second      // before the first success; doubles up to coolDown
	maxWait    = 3 * time.Second  // of a caller with an unknown kid
	// maxWaiters bounds what strangers can keep waiting at a slow issuer; who comes after
	// them gets the answer from memory.
	maxWaiters = 256
)

// refresher fetches one issuer's keys: when they grow old, and when a token names a key
// that is not there. One goroutine, run, does all fetching; so callers share a fetch, their
// cancellation does not reach it, and the budget is kept in one place.
//
// Unknown kids must neither cause a fetch each nor, by keeping the budget used up, delay a
// real rotation: a request within the cool-down moves the next fetch to its end.
type refresher struct {
	issuer  string
	fetch   func(context.Context) (fetched, error)
	keys    *keySource
	metrics *metrics
	log     *slog.Logger
	wake    chan struct{} // capacity 1: someone wants an earlier fetch

	mu        sync.Mutex
	notBefore time.Time     // no requested fetch starts earlier
	pending   chan struct{} // closed when the fetch that is wanted or running has ended
	waiters   int
}

// run fetches until ctx ends.
func (r *refresher) run(ctx context.Context) {
	due, retry := time.Now(), firstRetry
	for r.sleep(ctx, due) {
		started := r.begin()
		result, err := r.fetch(ctx)
		r.end(ctx, result, err)
		switch {
		case err == nil:
			due = started.Add(result.fresh)
		case r.keys.current.Load() != nil:
			due = started.Add(coolDown)
		default:
			due = time.Now().Add(retry)
			retry = min(2*retry, coolDown)
		}
	}
}

// sleep returns true when a fetch is to start: at due, or earlier by request as soon as the
// cool-down allows; false when ctx ends.
func (r *refresher) sleep(ctx context.Context, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-r.wake:
			if allowed := r.allowed(); allowed.Before(due) {
				due = allowed
				timer.Reset(time.Until(due))
			}
		}
	}
}

func (r *refresher) allowed() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notBefore
}

// begin marks a fetch as running and starts its cool-down.
func (r *refresher) begin() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.notBefore = now.Add(coolDown)
	if r.pending == nil {
		r.pending = make(chan struct{})
	}
	return now
}

// end takes the result, unless it is only that we stop, and lets those go who waited.
func (r *refresher) end(ctx context.Context, result fetched, err error) {
	if ctx.Err() == nil {
		r.record(result, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.pending)
	r.pending = nil
}

// request asks for a fetch as soon as the cool-down allows, and returns at once.
func (r *refresher) request() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// wait asks for a fetch and waits for its end, for three seconds, or as long as ctx lives.
// It returns false, at once, when the cool-down or the number of waiters forbids waiting.
func (r *refresher) wait(ctx context.Context) bool {
	ended, ok := r.join()
	r.request()
	if !ok {
		return false
	}
	defer r.leave()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

func (r *refresher) join() (<-chan struct{}, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiters == maxWaiters || r.pending == nil && time.Now().Before(r.notBefore) {
		return nil, false
	}
	if r.pending == nil {
		r.pending = make(chan struct{})
	}
	r.waiters++
	return r.pending, true
}

func (r *refresher) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
}

// record keeps a good set, and the old one otherwise.
func (r *refresher) record(result fetched, err error) {
	outcome := outcomeOf(err)
	r.metrics.refreshes.WithLabelValues(string(outcome)).Inc()
	if err != nil {
		r.log.Warn("jwks_refresh", "issuer", r.issuer, "outcome", string(outcome), "error", err)
		return
	}
	r.keys.replace(result.set)
	r.metrics.show(r.issuer, result.set)
	r.log.Debug("jwks_refresh", "issuer", r.issuer, "outcome", string(outcome), "keys", len(result.set.keys))
	if result.set.ignored[ignoredDuplicate] > 0 || result.set.ignored[ignoredPrivate] > 0 {
		r.log.Error("jwks_keys_ignored", "issuer", r.issuer,
			"duplicate", result.set.ignored[ignoredDuplicate], "private", result.set.ignored[ignoredPrivate])
	}
}

// outcome is how a fetch ended.
type outcome string

const (
	fetchOK          outcome = "ok"
	fetchInvalid     outcome = "invalid"     // an answer that cannot be used
	fetchBlocked     outcome = "blocked"     // an address we do not connect to
	fetchUnreachable outcome = "unreachable" // no answer
)

func outcomes() []outcome {
	return []outcome{fetchOK, fetchInvalid, fetchBlocked, fetchUnreachable}
}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return fetchOK
	case errors.Is(err, errBlocked):
		return fetchBlocked
	case errors.Is(err, errInvalid):
		return fetchInvalid
	default:
		return fetchUnreachable
	}
}
