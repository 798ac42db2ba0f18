package customers_test

import (
	"context"
	"errors"
	"strconv"
	"time"

	"till/internal/customers"
	"till/internal/problem"
)

// visitor comes a few times, to any replica and as any owner.
func (s *simulation) visitor(ctx context.Context) {
	name := actorOf(ctx)
	for i := range 1 + s.rng.IntN(4) {
		v := visit{s: s, name: name + "/" + strconv.Itoa(i), mayHangUp: true}
		ctx := acting(ctx, v.name)
		s.mustWait(ctx, s.upTo(oneOf(s, time.Second, 20*time.Second)))
		_ = v.pays(ctx, s.rng.IntN(len(s.processes)), oneOf(s, s.owners...))
	}
}

// visit is one request.
type visit struct {
	s         *simulation
	name      string
	mayHangUp bool
}

var errUnheard = errors.New("nobody is there to answer")

// pays is what internal/billing does for a request that needs a customer: it tells
// the customer of news, uses it, and once gets another one if Stripe has it no more.
func (v visit) pays(ctx context.Context, replica int, owner customers.Owner) error {
	p := v.s.reach(replica)
	if p == nil {
		return errUnheard
	}
	if v.mayHangUp && v.s.chance(0.2) {
		impatient, cancel := context.WithDeadline(ctx, v.s.instant(v.s.upTo(5*time.Second), v.s.place()))
		defer cancel()
		ctx = impatient
	}
	c, err := v.asks(ctx, p, owner, "ensure", func() (customers.Customer, error) { return p.Ensure(ctx, owner) })
	if err != nil {
		return err
	}
	v.tells(ctx, p, owner, c)
	if err = p.use(ctx, c.ID); !errors.Is(err, errGone) {
		return err
	}
	if c, err = v.asks(ctx, p, owner, "heal", func() (customers.Customer, error) { return p.Heal(ctx, owner, c) }); err != nil {
		return err
	}
	v.tells(ctx, p, owner, c)
	return p.use(ctx, c.ID)
}

// asks calls p and hears the answer, if p lives to give it.
func (v visit) asks(ctx context.Context, p *process, owner customers.Owner, what string, call func() (customers.Customer, error)) (customers.Customer, error) {
	var (
		c     customers.Customer
		err   error
		began = time.Now()
	)
	v.s.awaits(v.name, func() { c, err = call() })
	if took := time.Since(began); took > 12*time.Second+2*quantum {
		v.s.breaks("%s had to wait %s for an answer", v.name, took)
	}
	if p.dead {
		return c, errUnheard
	}
	v.s.trace(ctx, event{process: p.name, what: "< " + what, owner: short(owner)}.got(&c, err))
	if err == nil {
		v.s.judgeAnswer(owner, c)
	} else if _, ok := errors.AsType[*problem.Error](err); !ok {
		v.s.breaks("an error that is no problem: %v", err)
	}
	return c, err
}

// tells brings the customer's e-mail address up to date now and then.
func (v visit) tells(ctx context.Context, p *process, owner customers.Owner, c customers.Customer) {
	if v.s.chance(0.5) {
		return
	}
	news := customers.Profile{Email: short(owner) + "@" + oneOf(v.s, "home", "work") + ".example"}
	v.s.awaits(v.name, func() { p.Tell(ctx, owner, c, news) })
}

var errGone = errors.New("resource_missing: customer")

// use is what a customer is for. It fails with errGone if Stripe has it no more, and
// sometimes if it has.
func (p *process) use(ctx context.Context, id string) error {
	_, err := ask(ctx, line{p}, "use", id, func() (int, error) {
		life, _ := p.s.stripe.CustomerLife(ctx, id)
		lie := p.s.chance(p.s.rates.gone)
		switch {
		case life != customers.Alive:
			p.s.count("gone")
		case lie:
			p.s.count("said to be gone")
		default:
			return 0, nil
		}
		return 0, upstream(problem.UpstreamError, errGone)
	})
	return err
}
