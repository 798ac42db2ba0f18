package ratelimit

import (
	"log/slog"
	"time"
)

// Replicas share the budget by putting their shares together in Redis: each gives its own
// for a lease, again and again, and draws what its waiting calls need. Nobody uses a share
// that the pool may still have, and the pool has none that a replica uses: so it does not
// matter which of them reach Redis, when each notices, or what Redis forgets.
const (
	// lease is how long a share is given for. A replica that loses Redis sends nothing until
	// the pool cannot have its share any more, so this is short.
	lease = 200 * time.Millisecond
	// beat is how often it is given again by a replica that draws nothing: those that need
	// little leave it to the others.
	beat = 60 * time.Millisecond
	// early is how long before its time a token may be promised, so that it is known at once
	// whose it is.
	early = 30 * time.Millisecond
	// slack is what the clock of Redis may be put back by without anything happening.
	slack = 20 * time.Millisecond
	// held is how long the pool may have a share after it was given.
	held = patience + lease + early + slack

	// retry is how often a Redis that failed is tried, until this replica is on its own;
	// probeEvery how often after that, until it has answered probes times in a row.
	retry      = 50 * time.Millisecond
	probeEvery = 500 * time.Millisecond
	probes     = 3
	// misses is how many questions may come too late for Redis, and stale how long ago the
	// last one may be that did not, before it counts as too slow.
	misses = 3
	stale  = time.Second

	// draught is how many tokens are drawn at a time.
	draught = 8
	// memory is how long it counts how many others drew from the pool.
	memory = 5 * time.Second
)

// ledger is the pool's keeper.
type ledger interface {
	// ask returns at once, and answers once, from elsewhere. An error means that nothing is
	// known: the question may have been heard all the same, until it was too old.
	ask(q question, answered func(answer, error))
}

// question gives the replica's share to the pool for a lease and draws tokens. The zero
// value does nothing of that and asks for the ledger's time.
type question struct {
	// before is the ledger's time, in microseconds, after which the question is not heard.
	before   int64
	endpoint string
	tokens   int
	// cut and cutAll say that the upstream has had too many calls.
	cut, cutAll bool
	// replicas share these quotas.
	each, all quota
}

// answer is what a ledger says; the zero value but for now is that the question came late.
type answer struct {
	now   int64 // microseconds
	heard bool
	// granted tokens are there, and one more is promised in wait, if promised. If not, asking
	// again before then is useless.
	granted  int
	promised bool
	wait     time.Duration
	// token is how long the pool takes to make one, and busy how many draw them.
	token time.Duration
	busy  int
}

type phase int

const (
	alone phase = iota
	// joining sends nothing, until what was sent before is far enough away.
	joining
	together
	// doubtful has lost Redis, and sends nothing until the pool has lost its share.
	doubtful
)

// sharing is what a replica knows of the pool.
type sharing struct {
	phase phase
	// own says that the replica's own share may be used.
	own bool
	// at is the time of the next step, and asking that the last one has not ended.
	at     time.Duration
	asking bool
	// held is until when the pool may have this replica's share, or, while it is new, that of
	// a process before it.
	held time.Duration
	new  bool
	// good counts what went well in a row, and missed what came late.
	good, missed int
	// heard is when a question was last heard; now, what Redis' clock said when it was seen.
	heard, seen time.Duration
	now         int64
	cut         bool
}

// closed is how long nothing at all can be sent.
func (s *sharing) closed(now time.Duration) time.Duration {
	switch s.phase {
	case joining:
		return max(0, s.at-now)
	case doubtful:
		return max(0, s.held-now)
	default:
		return 0
	}
}

// drawing is what an endpoint has to do with the pool.
type drawing struct {
	asking bool
	// at is when asking makes sense again, or, if promised, when the token is there.
	at       time.Duration
	promised bool
	cut      bool
	// pace is how many tokens a second came lately.
	pace  float64
	paced time.Duration
}

// speed is how many tokens a second may be expected.
func (d *drawing) speed(now time.Duration, q quota) float64 {
	if d.pace > 0 && now-d.paced < memory {
		return d.pace
	}
	return q.pooled(q.replicas)
}

// join is the beginning: what a process before this one gave, the pool may still have.
func (b *Budget) join() {
	if b.ledger == nil {
		b.enterPhase(alone)
		return
	}
	now := b.now()
	// Or it has used its share just now.
	b.shared.held, b.shared.heard, b.shared.new = now+max(held, b.idle()), now, true
	b.enterPhase(doubtful)
	b.tick(now)
}

func (b *Budget) enterPhase(p phase) {
	s := &b.shared
	if b.ledger != nil && s.phase != p {
		switch p {
		case together:
			b.logger.Info("the Stripe budget is shared in Redis")
		case alone:
			b.logger.Warn("Redis does not answer in time or in kind: this replica keeps to its own share of the Stripe budget",
				slog.Int("replicas", b.endpoint.replicas))
		}
	}
	s.phase, s.own, s.good, s.missed = p, p == alone, 0, 0
	b.metrics.entered(p)
}

// idle is how long nothing may be sent between this replica's own share and the pool.
func (b *Budget) idle() time.Duration { return max(b.endpoint.idle(), b.account.idle()) }

// due is when tick or draw has something to do; 0 is never.
func (b *Budget) due() time.Duration {
	s := &b.shared
	if b.ledger == nil {
		return 0
	}
	var least time.Duration
	sooner := func(at time.Duration) {
		if least == 0 || at < least {
			least = at
		}
	}
	if s.phase == doubtful {
		sooner(s.held)
	}
	if !s.asking {
		sooner(s.at)
	}
	if s.phase == together {
		for _, e := range b.endpoints {
			if e.queue.n > 0 && !e.drawing.asking || e.drawing.promised {
				sooner(e.drawing.at)
			}
		}
	}
	return least
}

// tick does the next step, if it is time for it.
func (b *Budget) tick(now time.Duration) {
	s := &b.shared
	if s.phase == doubtful && now >= s.held {
		if s.new && s.good > 0 {
			b.enterPhase(together)
			s.at = now
		} else {
			b.emptied(now)
			b.enterPhase(alone)
			s.at = now + probeEvery
		}
		s.new = false
	}
	if b.ledger == nil || s.asking || now < s.at {
		return
	}
	switch s.phase {
	case alone:
		b.hello(now, seconds(probeEvery.Seconds()*(0.75+b.random()/2)))
	case doubtful:
		b.hello(now, retry)
	case joining:
		b.enterPhase(together)
		b.give(now)
	case together:
		b.give(now)
	}
}

// hello asks whether Redis is there and takes what is written; the pool stays as it is.
func (b *Budget) hello(now, again time.Duration) {
	s := &b.shared
	s.asking, s.at = true, now+again
	b.ledger.ask(question{}, func(a answer, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		s.asking = false
		if b.closed {
			return
		}
		received := b.now()
		if took := received - now; err != nil || took > patience/2 {
			b.metrics.failures.Inc()
			s.good = 0
		} else {
			s.now, s.seen = a.now, received
			s.good++
		}
		switch {
		case s.good == 0 || s.new:
		case s.phase == doubtful && received < s.held && received-s.heard < stale:
			b.enterPhase(together)
			s.at = received
		case s.phase == alone && s.good >= probes:
			b.enterPhase(joining)
			s.at = received + b.idle()
		}
		b.tick(received)
		b.serve(received)
		b.arm()
	})
}

// give gives the share and draws nothing.
func (b *Budget) give(now time.Duration) {
	b.shared.asking = true
	b.put(now, question{}, func(time.Duration, answer) { b.shared.asking = false })
}

// draw draws what waits.
func (b *Budget) draw(now time.Duration) {
	for _, e := range b.endpoints {
		d := &e.drawing
		if d.promised && now >= d.at {
			d.promised = false
			e.grant(now) // who left meanwhile leaves a token that is lost
		}
		if b.shared.phase != together || e.queue.n == 0 || d.asking || d.promised || now < d.at {
			continue
		}
		d.asking = true
		q := question{endpoint: e.name, tokens: min(e.queue.n, draught), cut: d.cut}
		d.cut = false
		b.put(now, q, func(received time.Duration, a answer) {
			d.asking = false
			e.drawn(received, a)
		})
	}
}

func (e *Endpoint) drawn(now time.Duration, a answer) {
	d := &e.drawing
	for range a.granted {
		e.grant(now)
	}
	if !a.heard {
		d.at = now + time.Millisecond
		return
	}
	d.at, d.promised = now+a.wait, a.promised
	if a.busy > 0 && a.token > 0 {
		d.pace, d.paced = 1/(a.token.Seconds()*float64(a.busy)), now
	}
	if !a.promised && e.queue.n > 0 && a.busy > 1 {
		// All who were sent away come back at different times, each as likely first.
		d.at += seconds(e.b.random() * a.token.Seconds() * float64(a.busy-1) / 2)
	}
}

// put sends a question that gives the share, and has done called with what came of it, a
// zero answer if nothing did.
func (b *Budget) put(now time.Duration, q question, done func(time.Duration, answer)) {
	s := &b.shared
	q.before = s.now + (now - s.seen + patience).Microseconds()
	q.each, q.all, q.cutAll = b.endpoint, b.account, s.cut
	s.cut = false
	s.held, s.at = now+held, now+beat
	b.ledger.ask(q, func(a answer, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed {
			return
		}
		received := b.now()
		if err == nil && received-now > patience {
			err = errDown
		}
		if err != nil {
			a = answer{}
			b.metrics.failures.Inc()
		} else {
			s.now, s.seen = a.now, received
		}
		switch {
		case a.heard:
			s.heard, s.missed = received, 0
		case s.missed+1 < misses && err == nil:
			s.missed++
		case s.phase == together:
			b.enterPhase(doubtful)
			s.at = received
		}
		done(received, a)
		b.tick(received)
		b.serve(received)
		b.arm()
	})
}
