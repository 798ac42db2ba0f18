package ratelimit

import "time"

// window is a second, and what may pass between the moment that a token is there and the
// sending of its call: what is bounded in each window of tokens is bounded in each second
// of calls. From the pool, the answer takes its time, and tokens are promised early.
const (
	window     = time.Second + patience
	poolWindow = window + early
)

// quota is how much may be sent in any second, by all replicas together, and how they
// divide it: each may have a share of its own, or give it to a pool that all draw from.
//
// A bucket of b tokens that fills by (m+1-b) in a window gives at most m in any window.
// Shares are whole numbers, so that their sum never is more than the quota: 25 among 3 is
// 8 each. Of more replicas than calls per second, each may send one now and then, and
// nothing but chance keeps all of them from doing so in one second.
type quota struct {
	most, replicas int
}

// share is how many calls a second each replica has; 0 is less than one.
func (q quota) share() int { return q.most / q.replicas }

// own returns the bucket of a replica that keeps to its own share: tokens per second, and
// how many it holds.
func (q quota) own() (rate, burst float64) {
	share := float64(q.share())
	if share == 0 {
		return float64(q.most) / float64(q.replicas) / window.Seconds(), 1
	}
	burst = burstFor(q.share())
	return (share + 1 - burst) / window.Seconds(), burst
}

// pool returns the bucket of those who put their shares together: it fills by base, and by
// step for each of them.
func (q quota) pool() (base, step, burst float64) {
	share := float64(q.share())
	if share == 0 {
		return 0, float64(q.most) / float64(q.replicas) / poolWindow.Seconds(), 1
	}
	// The same however many they are, and never more than one of them brings.
	burst = min(burstFor(q.most), share)
	rest := float64(q.most) - float64(q.replicas)*share
	return (rest + 1 - burst) / poolWindow.Seconds(), share / poolWindow.Seconds(), burst
}

// pooled is how fast the pool of so many fills, in tokens per second.
func (q quota) pooled(donors int) float64 {
	base, step, _ := q.pool()
	return max(0, base+step*float64(min(donors, q.replicas)))
}

// idle is how long a replica sends nothing between its own share and the pool: what its
// bucket held must not come on top of what the pool gets.
func (q quota) idle() time.Duration {
	rate, burst := q.own()
	return seconds(burst / rate)
}

// burstFor is how many may be sent at once: calls that happen to come together need not
// wait for each other, and little of the rate is lost by it.
func burstFor(most int) float64 { return float64(max(1, most/8)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// bucket holds tokens, one for each call. The zero value is empty since the clock began.
type bucket struct {
	tokens float64
	at     time.Duration
}

func (b *bucket) fill(now time.Duration, rate, burst float64) {
	b.tokens = min(burst, b.tokens+rate*max(0, now-b.at).Seconds())
	b.at = now
}

func (b *bucket) empty(now time.Duration) { *b = bucket{at: now} }

// until is how long it takes until the bucket holds a token.
func (b *bucket) until(rate float64) time.Duration {
	if b.tokens >= 1 {
		return 0
	}
	return seconds((1-b.tokens)/rate) + time.Microsecond
}

// How a budget answers a 429: half of it is left, at most once in cutEvery, and it has all
// of it again at the latest recovery after the last.
const (
	cutEvery = time.Second
	recovery = 10 * time.Second
)

// throttle is the part of a budget that is used. The zero value is all of it.
type throttle struct {
	lost float64
	at   time.Duration
	cuts bool
}

func (t *throttle) factor(now time.Duration) float64 {
	return 1 - max(0, t.lost-(now-t.at).Seconds()/recovery.Seconds())
}

// cut halves the factor, unless that was done just now. It reports whether it did.
func (t *throttle) cut(now time.Duration) bool {
	if t.cuts && now-t.at < cutEvery {
		return false
	}
	*t = throttle{lost: 1 - t.factor(now)/2, at: now, cuts: true}
	return true
}
