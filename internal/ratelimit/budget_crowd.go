package ratelimit

import "time"

const (
	// longWait is how long a call may wait for its turn in a rush that passes: somebody has
	// clicked, and rather waits than clicks again.
	longWait = 2 * time.Second
	// shortWait is how long when it does not pass: as many would be refused whatever the
	// queue was, and those who are not would all wait for as long as it is.
	shortWait = 40 * time.Millisecond
	// longRound is how long a round of turns may take, and rush for how long it may take
	// longer before it is no rush.
	longRound = 500 * time.Millisecond
	rush      = time.Second
	// turns is how many turns anybody may wait for, slow as they may come.
	turns = 3
	// stretch is how long calls are counted together, and few the part of them, one of so
	// many, that is refused with short waits alone, while fewer come than the budget has.
	stretch = 2 * time.Second
	few     = 7
)

// crowd is whether more calls come for one endpoint than the budget has, from many owners.
// One or a few, however much they want, are none, since others do not wait for their calls.
type crowd struct {
	// stays says that it is more than a rush.
	stays bool
	// since is when a round of turns, one for each owner, began to take too long; 0 while it
	// does not.
	since time.Duration
	// from is when the present stretch has begun, came and refused are its calls that found
	// no token, and those of them that were sent away.
	from          time.Duration
	came, refused int
}

// tolerable is how long a call may wait for its turn.
func (e *Endpoint) tolerable(now time.Duration) time.Duration {
	token := seconds(1 / e.speed(now))
	c := &e.crowd
	c.turn(now)
	switch {
	case c.stays:
	case time.Duration(e.queue.owners)*token <= longRound:
		c.since = 0
	case c.since == 0:
		c.since = now
	case now-c.since >= rush:
		*c = crowd{stays: true, from: now}
	}
	c.came++
	if c.stays {
		return max(shortWait, turns*token)
	}
	return max(longWait, turns*token)
}

// turn begins a new stretch if it is time.
func (c *crowd) turn(now time.Duration) {
	age := now - c.from
	if age < stretch {
		return
	}
	stays := c.stays && age < 2*stretch && c.refused*few >= c.came
	*c = crowd{stays: stays, since: c.since, from: now}
}

// speed is how many turns a second there are.
func (e *Endpoint) speed(now time.Duration) float64 {
	if e.b.shared.own {
		return min(e.rate(now), e.b.rate(now))
	}
	return e.drawing.speed(now, e.b.endpoint)
}
