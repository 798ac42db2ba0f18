package handlers_test

import (
	"sync/atomic"
	"time"
)

// hasty returns a clock by which a minute passes with each look at it: no read of a
// session counts for the next, so that a test sees what Stripe says at the time.
func hasty() func() time.Time {
	var looks atomic.Int64
	return func() time.Time { return time.Now().Add(time.Duration(looks.Add(1)) * time.Minute) }
}

func (set settings) now() func() time.Time {
	if set.polls {
		return time.Now
	}
	return hasty()
}
