package customers_test

import (
	"context"
	"errors"
	"time"

	"till/internal/customers"
	"till/internal/problem"
)

// Accidents that only the simulation knows.
const (
	locked  accident = iota + 100 // 409 or 429: in use, for this once
	garbled                       // created, and the answer cannot be read
	twice                         // something on the way delivers the call a second time, later
)

var accidents = map[accident]string{
	neverArrives: "never arrives", failsFirst: "fails first", failsLast: "fails last", silence: "silence",
	arrivesLate: "arrives late", answersLate: "answers late", neverCompletes: "never completes",
	takesItForever: "takes it for ever", locked: "locked", garbled: "garbled", twice: "delivered twice",
}

// drawAccident draws what becomes of the next create call.
func (s *simulation) drawAccident() accident {
	what := allWell
	switch {
	case s.outage != allWell:
		what = s.outage
	case s.chance(s.rates.create):
		what = oneOf(s, neverArrives, failsFirst, failsLast, silence, arrivesLate, answersLate, neverCompletes,
			takesItForever, locked, locked, garbled, twice)
	}
	s.count(accidents[what])
	return what
}

// line is a process's way to Stripe.
type line struct{ p *process }

// clientTimeout is after which the client takes an answer for lost.
const clientTimeout = 8 * time.Second

// ask is an operation at Stripe, with errors as the protocol may expect them.
func ask[T any](ctx context.Context, l line, what, owner string, effect func() (T, error)) (T, error) {
	o := operation{p: l.p, what: what, owner: owner, takes: 2 * time.Second, slow: clientTimeout}
	got, err := perform(ctx, o, effect)
	defer l.p.s.yields()
	if err == nil {
		l.p.hears()
		return got, nil
	}
	if _, ok := errors.AsType[*problem.Error](err); ok {
		return got, err
	}
	if ctx.Err() != nil {
		return got, upstream(problem.UpstreamTimeout, err)
	}
	return got, upstream(problem.UpstreamError, err)
}

// CreateCustomer implements customers.Stripe.
func (l line) CreateCustomer(ctx context.Context, c customers.NewCustomer) (customers.Created, error) {
	s := l.p.s
	owner := s.ownerOf(metadataOf(c.Params))
	s.judgeCall(l.p, owner, c)
	s.count("create")
	return ask(ctx, l, "create", short(owner), func() (customers.Created, error) {
		what := s.drawAccident()
		s.trace(ctx, event{process: l.p.name, what: "at stripe", owner: short(owner), fault: accidents[what]})
		got, err := l.deliver(ctx, c, what)
		if err == nil {
			l.p.created[got.ID] = true
		}
		return got, err
	})
}

// deliver is the call on its way to Stripe and back.
func (l line) deliver(ctx context.Context, c customers.NewCustomer, what accident) (customers.Created, error) {
	s := l.p.s
	inUse := upstream(problem.DependencyUnavailable, &stripeError{text: "idempotency_key_in_use", inUse: true})
	switch what {
	case neverArrives:
		return customers.Created{}, upstream(problem.UpstreamError, errors.New("connection refused"))
	case takesItForever, locked:
		return customers.Created{}, inUse
	case neverCompletes:
		return l.timesOut(ctx)
	case silence:
		_, _ = s.execute(ctx, c, allWell)
		return l.timesOut(ctx)
	case arrivesLate:
		s.executeLate(c)
		return l.timesOut(ctx)
	case answersLate:
		return s.executeSlowly(ctx, c)
	case garbled:
		_, _ = s.execute(ctx, c, allWell)
		return customers.Created{}, upstream(problem.UpstreamError, errors.New("garbage"))
	case twice:
		s.executeLate(c)
		return s.execute(ctx, c, allWell)
	default:
		return s.execute(ctx, c, what)
	}
}

func (l line) timesOut(ctx context.Context) (customers.Created, error) {
	err := l.p.passes(ctx, clientTimeout)
	if err == nil {
		err = context.DeadlineExceeded
	}
	return customers.Created{}, upstream(problem.UpstreamTimeout, err)
}

// execute is the call at Stripe's end.
func (s *simulation) execute(ctx context.Context, c customers.NewCustomer, what accident) (customers.Created, error) {
	return s.executed(ctx, c, func() (customers.Created, error) { return s.stripe.execute(c, what, 0) })
}

// executed is what call did.
func (s *simulation) executed(ctx context.Context, c customers.NewCustomer, call func() (customers.Created, error)) (customers.Created, error) {
	got, err := call()
	owner := s.ownerOf(metadataOf(c.Params))
	s.trace(ctx, event{what: "executed", owner: short(owner)}.got(&got, err))
	s.judgeCustomers(owner)
	return got, err
}

const (
	stripeActor = "stripe"
	// latest is how long a call may be on its way to Stripe, or in work there.
	latest = 20 * time.Second
)

// executeLate has the call arrive when its caller hears of it no more.
func (s *simulation) executeLate(c customers.NewCustomer) {
	at := s.instant(s.upTo(latest), s.place())
	s.stripe.late.Go(func() {
		time.Sleep(time.Until(at))
		s.acts(stripeActor)
		defer s.yields()
		_, _ = s.execute(acting(context.Background(), stripeActor), c, allWell)
	})
}

// executeSlowly has Stripe take its time, with the key in use meanwhile.
func (s *simulation) executeSlowly(ctx context.Context, c customers.NewCustomer) (customers.Created, error) {
	type outcome struct {
		got customers.Created
		err error
	}
	takes := time.Until(s.instant(s.upTo(latest), s.place()))
	waiting, cancel := context.WithDeadline(ctx, s.instant(clientTimeout, s.place()))
	defer cancel()
	done := make(chan outcome, 1)
	s.yields()
	s.stripe.late.Go(func() {
		defer s.yields()
		got, err := s.executed(acting(context.Background(), stripeActor), c, func() (customers.Created, error) {
			began := time.Now()
			got, err := s.stripe.execute(c, allWell, takes)
			if time.Now().After(began) { // a key that is known is answered at once
				s.acts(stripeActor)
			}
			return got, err
		})
		done <- outcome{got, err}
	})
	var o outcome
	s.awaits(actorOf(ctx), func() {
		select {
		case o = <-done:
		case <-waiting.Done():
			o.err = upstream(problem.UpstreamTimeout, waiting.Err())
		}
	})
	return o.got, o.err
}

// page is what one list call brings.
type page struct {
	listed []customers.Listed
	more   bool
}

// CustomersCreated implements customers.Stripe.
func (l line) CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]customers.Listed, bool, error) {
	l.p.s.count("list")
	got, err := ask(ctx, l, "list", "", func() (page, error) {
		l.p.s.stripe.pageSize = 1 + l.p.s.rng.IntN(10)
		listed, more, err := l.p.s.stripe.CustomersCreated(ctx, from, to, after)
		return page{listed, more}, err
	})
	return got.listed, got.more, err
}

// CustomerLife implements customers.Stripe.
func (l line) CustomerLife(ctx context.Context, id string) (customers.Life, error) {
	return ask(ctx, l, "life", id, func() (customers.Life, error) { return l.p.s.stripe.CustomerLife(ctx, id) })
}

// UpdateProfile implements customers.Stripe.
func (l line) UpdateProfile(ctx context.Context, id string, p customers.Profile) error {
	_, err := ask(ctx, l, "profile", id, func() (int, error) {
		l.p.s.judgeProfile(id, p)
		if l.p.s.chance(l.p.s.rates.profile) {
			l.p.s.count("profile refused")
			return 0, upstream(problem.UpstreamError, &stripeError{text: "email_invalid", refused: true})
		}
		return 0, l.p.s.stripe.UpdateProfile(ctx, id, p)
	})
	return err
}
