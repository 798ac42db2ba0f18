package overload

import (
	"sync"
	"time"
)

const (
	// patience is how long a request may wait for the processor while others do too: longer
	// than what a quota leaves behind that stops a container for 60 ms of each 100, and
	// shorter than what people notice. It is also what requests get of the processor before
	// the others in the queue are refused, so that refusals, however many, leave most of it
	// to those: meanwhile the runtime's monitor fetches 640 more at most (128 each 10 ms), at
	// some 20 µs each.
	patience = 50 * time.Millisecond
	// tooLong is what nobody may wait, whatever others do.
	tooLong = time.Second
	// window is how long waits are counted together, and spell how many bad ones in a row
	// are pressure: what a pause of the garbage collector or of the host leaves behind is
	// done by then, and so is what another program does when it starts.
	window = 100 * time.Millisecond
	spell  = 5
	// many is the part of a window's requests, one of so many, that makes it a bad one.
	many = 8
)

// pressure is what the last windows say about the processor.
type pressure struct {
	mu sync.Mutex
	// from is when the present window has begun; asked and late are its requests, and those
	// that have waited for longer than patience.
	from        time.Time
	asked, late int
	// bad is how many bad windows there were in a row, up to the one before.
	bad int
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
	return p.bad >= spell || waited > tooLong
}

// turn begins a new window if it is time. Pressure is over with one in which nobody was late,
// or nobody came.
func (p *pressure) turn(now time.Time) {
	age := now.Sub(p.from)
	if age < window {
		return
	}
	if age < 2*window && (p.late*many > p.asked || p.bad >= spell && p.late > 0) {
		p.bad++
	} else {
		p.bad = 0
	}
	p.from, p.asked, p.late = now, 0, 0
}

// isHigh reports whether requests are being refused that have waited.
func (p *pressure) isHigh(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	return p.bad >= spell
}
