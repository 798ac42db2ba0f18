package customers_test

import (
	"context"
	"time"
)

// mishap is what becomes of one operation of a process.
type mishap string

const (
	fine        mishap = ""
	requestLost mishap = "request lost"
	// answerLost: it took effect, as with a connection that is lost while the
	// database commits.
	answerLost  mishap = "answer lost"
	slowRequest mishap = "slow request"
	slowAnswer  mishap = "slow answer"
	diesBefore  mishap = "dies before"
	diesAfter   mishap = "dies after"
	stopsBefore mishap = "stops before"
	stopsAfter  mishap = "stops after"
)

// mishap draws what becomes of the next operation.
func (s *simulation) mishap() mishap {
	x := s.rng.Float64()
	for _, m := range []struct {
		rate          float64
		before, after mishap
	}{
		{s.rates.lost, requestLost, answerLost},
		{s.rates.slow, slowRequest, slowAnswer},
		{s.rates.death, diesBefore, diesAfter},
		{s.rates.stop, stopsBefore, stopsAfter},
	} {
		switch {
		case x < m.rate/2:
			return m.before
		case x < m.rate:
			return m.after
		}
		x -= m.rate
	}
	return fine
}

// operation is something that a process does outside of itself: a way there, an
// effect, a way back.
type operation struct {
	p     *process
	what  string
	owner string
	// takes is how long a way takes at most, and slow one that is slow.
	takes, slow time.Duration
}

func perform[T any](ctx context.Context, o operation, effect func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	s := o.p.s
	s.acts(actorOf(ctx))
	defer s.yields()
	if o.p.dead {
		return none, errDead
	}
	m := s.mishap()
	e := event{process: o.p.name, what: o.what, owner: o.owner, fault: string(m)}
	s.count(string(m))
	if err := o.there(ctx, m); err != nil {
		if !isCalledOff(ctx) {
			s.trace(ctx, e.got(nil, err))
		}
		return none, err
	}
	got, err := effect()
	if isCalledOff(ctx) {
		return none, ctx.Err()
	}
	s.trace(ctx, e.got(&got, err))
	if err := o.back(ctx, m); err != nil {
		return none, err
	}
	return got, err
}

// there is the way to the effect.
func (o operation) there(ctx context.Context, m mishap) error {
	takes := o.p.s.upTo(o.takes)
	switch m {
	case diesBefore:
		o.p.dies()
	case stopsBefore:
		o.p.stops()
	case slowRequest:
		takes = o.p.s.upTo(o.slow)
	}
	if err := o.p.passes(ctx, takes); err != nil {
		return err
	}
	if m == requestLost {
		return errLost
	}
	return nil
}

// back is the way of the answer, which mostly takes no time of its own.
func (o operation) back(ctx context.Context, m mishap) error {
	takes := time.Duration(0)
	switch m {
	case diesAfter:
		o.p.dies()
	case stopsAfter:
		o.p.stops()
	case answerLost:
		return errLost
	case slowAnswer:
		takes = o.p.s.upTo(o.slow)
	default:
		if o.p.s.chance(0.7) && !o.p.dead {
			return nil
		}
		takes = o.p.s.upTo(o.takes)
	}
	return o.p.passes(ctx, takes)
}
