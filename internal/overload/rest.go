package overload

import (
	"sync"
	"time"
)

const (
	// freeRefusals is how many refusals there may be in a window for each processor before
	// whoever is refused has to rest: they cost about a fiftieth of it.
	freeRefusals = 100
	// A rest begins with shortRest, and doubles with each refusal in a row.
	shortRest = 100 * time.Millisecond
	longRest  = 400 * time.Millisecond
)

// refusals are those for want of the processor, counted in windows.
type refusals struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

// Rest is for how long nothing more should be read from a connection whose requests were
// refused for want of the processor, inRow of them one after the other. A refusal is cheap,
// but to hear the same again from somebody who does not wait is not: when there are many,
// what comes next is best left where it costs nothing.
func (l *Limiter) Rest(inRow int) time.Duration {
	r, now := &l.refusals, l.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= window {
		r.since, r.n = now, 0
	}
	if r.n++; r.n <= freeRefusals*l.o.Processors {
		return 0
	}
	return min(shortRest<<min(max(inRow-1, 0), 2), longRest)
}
