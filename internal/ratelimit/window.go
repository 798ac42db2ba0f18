package ratelimit

import "time"

// rate is a limit as time: what is asked for puts a caller ahead of the clock, and nobody
// may be further ahead than a little. It is the generic cell rate algorithm (ITU-T I.371,
// annex A): a bucket that leaks evenly, as one number to remember. Who is not ahead is as
// good as unknown.
type rate struct {
	// cost is how far one request puts its caller ahead, most how far that may be.
	cost, most time.Duration
}

const minute = time.Minute

// The burst is a sixth of the limit, but never so small that a click or two more than
// needed are refused.
const (
	burstPart  = 6
	burstLeast = 5
)

// rateOf returns the rate at which nobody gets more than limit in any sixty seconds, the
// burst included: burst at once and the rest evenly spread. A limit of 0 has none.
func rateOf(limit, burst int) rate {
	if limit <= 0 {
		return rate{}
	}
	burst = min(max(burst, 1), limit)
	// Within less than a minute after the first of a burst, (burst-1) + minute/cost more
	// can follow: limit in all. Rounded up, to the microseconds that Redis counts in.
	spread := time.Duration(limit - burst + 1)
	cost := max((minute+spread-1)/spread, time.Microsecond)
	cost = (cost + time.Microsecond - 1).Truncate(time.Microsecond)
	return rate{cost: cost, most: time.Duration(burst) * cost}
}

// burstOf is the burst of a limit of all processes together.
func burstOf(limit int) int { return max(limit/burstPart, burstLeast) }

// shareOf returns the rate of one of n processes that cannot tell what the others do:
// together they give the limit, unless that is less than one each.
func shareOf(limit, n int) rate {
	if limit <= 0 {
		return rate{}
	}
	return rateOf(max(limit/n, 1), min(burstOf(limit), limit)/n)
}

// wait is how long a caller who is ahead by debt has to wait for one request more.
func (r rate) wait(debt time.Duration) time.Duration {
	return max(debt+r.cost-r.most, 0)
}
