package ratelimit

import (
	"math"
	"slices"
	"time"
)

// pool is budget.lua in memory, on any clock. TestThePoolIsWhatRedisDoes holds the two
// together.
type pool struct {
	donors map[string]int64
	tokens *poolTokens
	busy   map[string]map[string]int64
}

type poolTokens struct {
	at   int64
	made float64
	all  poolBucket
	each map[string]poolBucket
}

type poolBucket struct {
	tokens, made float64
	at           int64
	f            float64
	h            int64
}

func newPool() *pool {
	return &pool{donors: map[string]int64{}, busy: map[string]map[string]int64{}}
}

// evict forgets one of the keys.
func (p *pool) evict(which int) {
	switch which {
	case 0:
		clear(p.donors)
	case 1:
		p.tokens = nil
	default:
		clear(p.busy)
	}
}

func part(f float64, h, when int64) float64 {
	return max(0.01, min(1, f+max(0, float64(when-h))/1e7))
}

func (p *pool) ask(self string, now int64, q question) answer {
	if now > q.before {
		if q.before > 0 && p.tokens != nil {
			p.tokens.at = now
		}
		return answer{now: now}
	}
	for donor, end := range p.donors {
		if end < now || end > now+lease.Microseconds() {
			delete(p.donors, donor)
		}
	}
	constant := len(p.donors)
	p.donors[self] = now + lease.Microseconds()
	present := len(p.donors)
	if p.tokens == nil || constant == 0 {
		p.tokens = &poolTokens{at: now, all: poolBucket{f: 1}, each: map[string]poolBucket{}}
	}
	s := p.tokens
	passed := 0.0
	if constant > 0 {
		passed = max(0, float64(now-s.at)) / 1e6
	}
	_, _, burst := q.all.pool()
	all := s.all
	all.tokens = min(burst, all.tokens+passed*q.all.pooled(constant)*part(all.f, all.h, s.at))
	if q.cutAll && now-all.h >= 1e6 {
		all.f, all.h, all.tokens = part(all.f, all.h, now)/2, now, min(all.tokens, 0)
	}
	s.made += passed * q.each.pooled(constant)
	s.at = now
	a := answer{now: now, heard: true}
	if q.tokens > 0 {
		p.draw(self, now, q, &all, present, &a)
	}
	s.all = all
	return a
}

func (p *pool) draw(self string, now int64, q question, all *poolBucket, present int, a *answer) {
	_, _, burst := q.each.pool()
	each, known := p.tokens.each[q.endpoint]
	if !known {
		each = poolBucket{f: 1, at: now, made: p.tokens.made}
	}
	each.tokens = min(burst, each.tokens+max(0, p.tokens.made-each.made)*part(each.f, each.h, each.at))
	if q.cut && now-each.h >= 1e6 {
		each.f, each.h, each.tokens = part(each.f, each.h, now)/2, now, min(each.tokens, 0)
	}
	each.at, each.made = now, p.tokens.made
	a.granted = max(0, min(q.tokens, int(math.Floor(each.tokens)), int(math.Floor(all.tokens))))
	each.tokens -= float64(a.granted)
	all.tokens -= float64(a.granted)
	r := q.each.pooled(present) * part(each.f, each.h, now)
	ra := q.all.pooled(present) * part(all.f, all.h, now)
	micro := func(s float64) time.Duration { return time.Duration(math.Ceil(s*1e6)) * time.Microsecond }
	switch {
	case r <= 0 || ra <= 0:
		a.wait = early
	case a.granted < q.tokens:
		a.wait = micro(max(0, (1-each.tokens)/r, (1-all.tokens)/ra))
		if a.wait <= early {
			a.promised = true
			each.tokens--
			all.tokens--
		} else {
			a.wait -= early
		}
		fallthrough
	default:
		a.token = micro(1 / min(r, ra))
	}
	p.count(self, now, q, a)
	p.tokens.each[q.endpoint] = each
}

// count is who else draws from the endpoint.
func (p *pool) count(self string, now int64, q question, a *answer) {
	busy := p.busy[q.endpoint]
	if busy == nil {
		busy = map[string]int64{}
		p.busy[q.endpoint] = busy
	}
	for replica, at := range busy {
		if at < now-memory.Microseconds() || at > now {
			delete(busy, replica)
		}
	}
	got := a.granted
	if a.promised {
		got++
	}
	if got < q.tokens {
		busy[self] = now
	} else {
		delete(busy, self)
	}
	a.busy = max(1, len(busy))
}

// most is how many of times lie in one second, and when that begins.
func most(times []time.Duration) (count int, from time.Duration) {
	slices.Sort(times)
	first := 0
	for i, at := range times {
		for at-times[first] >= time.Second {
			first++
		}
		if n := i - first + 1; n > count {
			count, from = n, times[first]
		}
	}
	return count, from
}
