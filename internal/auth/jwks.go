package auth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"till/internal/problem"
)

const (
	maxStale   = 24 * time.Hour  // how long keys serve when the issuer is down
	retryAfter = 5 * time.Second // what callers are told when there are no keys
)

// keySource is the keys of one issuer, as they are now.
type keySource struct {
	current atomic.Pointer[loadedSet]
	refresh *refresher // nil: the keys are given once and for all, or there are none
}

type loadedSet struct {
	keySet
	// generation counts the sets that there were before it, and this one.
	generation uint64
	at         time.Time // with its monotonic part, so that setting the clock does not age keys
}

// replace puts a new set in place of the old.
func (s *keySource) replace(set keySet) {
	loaded := &loadedSet{keySet: set, generation: 1, at: time.Now()}
	if before := s.current.Load(); before != nil {
		loaded.generation += before.generation
	}
	s.current.Store(loaded)
}

// usable returns the present keys; false when there never were any, or when they are too
// old to be believed.
func (s *keySource) usable() (*loadedSet, bool) {
	loaded := s.current.Load()
	if loaded == nil || s.refresh != nil && time.Since(loaded.at) > maxStale {
		return nil, false
	}
	return loaded, true
}

// find returns the key that h names. It is problem.DependencyUnavailable when there are no
// keys to judge with, and a Rejection otherwise. An unknown kid may wait for one fetch;
// everything else is answered from memory.
func (s *keySource) find(ctx context.Context, h header) (key, error) {
	k, err := s.look(h)
	if !errors.Is(err, errUnknownKey) || s.refresh == nil {
		return k, err
	}
	if !s.refresh.wait(ctx) {
		return key{}, err
	}
	return s.look(h)
}

func (s *keySource) look(h header) (key, error) {
	set, ok := s.usable()
	if !ok {
		return key{}, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: retryAfter,
			Err: errors.New("the issuer's keys are not available"),
		}
	}
	return set.find(h)
}

// doubt is told that a token without kid did not match the only key. A new key could be
// the reason, and without kid nothing else would show it before the regular refresh.
func (s *keySource) doubt() {
	if s.refresh != nil {
		s.refresh.request()
	}
}
