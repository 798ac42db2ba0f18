package overload

import (
	"sync"
	"time"
)

const (
	// patience is how long a request may wait for the processor while others do too. It is
	// also what each round of the scheduler gives to requests before it refuses the others,
	// so that refusals, however many, leave most of the processor to those: a round has 128
	// of them at most (what net/http's poller fetches at once) at some 20 µs each.
	patience = 10 * time.Millisecond
	// tooLong is what nobody may wait, whatever others do.
	tooLong = 10 * patience
	// window is how long waits are counted together. One pause of the garbage collector or
	// of the host is over in it.
	window = 100 * time.Millisecond
	// many is the part of a window's requests, one of so many, that makes it a bad one.
	many = 8
)

// pressure is what the last two windows say about the processor.
type pressure struct {
	mu sync.Mutex
	// from is when the present window has begun; asked and late are its requests, and those
	// that have waited for longer than patience.
	from        time.Time
	asked, late int
	// high is whether the window before was a bad one.
	high bool
}

// refuses counts a request that has waited, and reports whether that was too long.
func (p *pressure) refuses(now time.Time, waited time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	p.asked++
	if waited <= patience {
		return false
	}
	p.late++
	return p.high || waited > tooLong
}

// turn begins a new window if it is time. A bad one is left behind by one in which nobody
// was late, or nobody came.
func (p *pressure) turn(now time.Time) {
	age := now.Sub(p.from)
	if age < window {
		return
	}
	p.high = age < 2*window && (p.late*many > p.asked || p.high && p.late > 0)
	p.from, p.asked, p.late = now, 0, 0
}

// isHigh reports whether requests are being refused that have waited.
func (p *pressure) isHigh(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	return p.high
}
