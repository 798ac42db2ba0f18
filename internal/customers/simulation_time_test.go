package customers_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// A run is a function of its seed as long as no two goroutines ever act at the
// same instant: then the bubble's clock alone decides who acts next, and all can
// share one source of random numbers. So every instant at which the simulation
// wakes anybody has a place of its own within the millisecond, given out once. What
// the protocol itself waits for is whole milliseconds (the stores' times and
// Options.Jitter see to it), so its timers keep the place of the instant that they
// were set at.
//
// That leaves the instants at which one goroutine wakes others: the answer to
// several callers of one flight, a group that is waited for. Who is woken like that
// draws nothing before he has napped, until a place that was his before.
type turns struct {
	places time.Duration
	// baton is held by nobody for longer than this takes: it only tells the race
	// detector what the clock sees to.
	baton sync.Mutex
	// at is when somebody acted last, and actor who it was.
	at    time.Time
	actor string
}

// quantum is the resolution of the protocol's times.
const quantum = time.Millisecond

type actorKey struct{}

// acting returns a context of which everything that is done is the actor's.
func acting(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorOf(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}

// place gives out a place within the millisecond.
func (s *simulation) place() time.Duration {
	s.places++
	if s.places >= quantum {
		panic("a run of a million steps")
	}
	return s.places
}

// instant is the place's first instant after d.
func (s *simulation) instant(d, place time.Duration) time.Time {
	now := time.Now()
	at := now.Add(d).Truncate(quantum).Add(place)
	if !at.After(now) {
		at = at.Add(quantum)
	}
	return at
}

// wait lets d pass, or a millisecond more. It fails when ctx ends before.
func (s *simulation) wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(s.instant(d, s.place())))
	s.acts(actorOf(ctx))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		if isCalledOff(ctx) {
			return ctx.Err()
		}
	}
	s.acts(actorOf(ctx))
	return ctx.Err()
}

// isCalledOff reports whether ctx was ended by whoever ends a sweeper: at that
// instant others may be at work too, so nothing must be drawn or traced any more.
func isCalledOff(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// awaits calls block, which ends when another goroutine ends something.
func (s *simulation) awaits(actor string, block func()) {
	place := s.place()
	s.yields()
	block()
	s.nap(actor, place)
}

// begins runs work as an actor of its own.
func (s *simulation) begins(all *sync.WaitGroup, actor string, work func(ctx context.Context)) {
	place := s.place()
	all.Go(func() {
		defer s.yields()
		s.nap(actor, place)
		work(acting(s.t.Context(), actor))
	})
}

// nap waits for the place that an actor was given before others could act.
func (s *simulation) nap(actor string, place time.Duration) {
	time.Sleep(time.Until(s.instant(0, place)))
	s.acts(actor)
}

// acts notes who acts, and fails the run if another one does at the same instant.
// What follows a slash is one act of the actor's.
func (s *simulation) acts(actor string) {
	actor, _, _ = strings.Cut(actor, "/")
	s.baton.Lock()
	defer s.baton.Unlock()
	now := time.Now()
	if now.Equal(s.at) && actor != s.actor {
		s.breaks("the simulation is not deterministic: %s and %s act at the same instant", s.actor, actor)
	}
	s.at, s.actor = now, actor
}

// yields tells the race detector that whoever acts next comes after this.
func (s *simulation) yields() {
	s.baton.Lock()
	defer s.baton.Unlock()
}

// upTo draws a duration of whole milliseconds.
func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(d/quantum)+1)) * quantum
}

func (s *simulation) chance(p float64) bool { return s.rng.Float64() < p }

func oneOf[T any](s *simulation, all ...T) T { return all[s.rng.IntN(len(all))] }
