// Package overload decides which requests are begun when more come than can be served in
// time. It knows classes and waits; it does not know HTTP, callers, Stripe or the database.
//
// Two things are scarce, and each has its own rule.
//
// The processor: a request that is about to begin lets everything pass that is ready to run,
// and measures how long that takes. That is its place in the one queue there is. When the
// queue is long, and has been for a moment, who has waited longer than patience is refused, and
// whoever comes after him finds the queue shorter. There is no limit to be learned, so none
// that a pause of the garbage collector could drive down, that could swing, or that would
// have to grow again; and how long Stripe takes has no part in it, because who waits for
// Stripe is not ready to run.
//
// Places: who waits for Stripe or the database costs memory and a connection. Requests that
// may wait for them fill a bounded number of places, and reads only three quarters of those:
// a poll that is refused is asked again, a click that is refused is lost. What needs neither
// has places of its own.
package overload

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Class is what a request may wait for, and what its refusal costs.
type Class int

// The closed list.
const (
	// Local needs neither Stripe nor the database.
	Local Class = iota
	// Read may wait for them, and can be asked again.
	Read
	// Write may wait for them, and somebody has clicked.
	Write
	classes
)

// String is the name of c in metrics.
func (c Class) String() string { return [classes]string{"local", "read", "write"}[c] }

// Reason says why a request was refused; "" is not at all.
type Reason string

// The closed list.
const (
	// Processor: it has waited too long for the processor, and so have others.
	Processor Reason = "processor"
	// Places: too many of its class are under way.
	Places Reason = "places"
)

var reasons = []Reason{Processor, Places}

// Options configure a Limiter. Places and Metrics are required.
type Options struct {
	// Places is how many requests that may wait for Stripe or the database are under way
	// at most; see PlacesFor.
	Places  int
	Metrics prometheus.Registerer
	// Processors is runtime.GOMAXPROCS(0) if 0.
	Processors int
	// Now is time.Now if nil, Yield runtime.Gosched: it returns when everything has run
	// that was ready to.
	Now   func() time.Time
	Yield func()
}

// Limiter admits requests or refuses them. It is safe for concurrent use.
type Limiter struct {
	o        Options
	pressure pressure
	refusals refusals
	metrics  *metrics
	limits   [classes]int64
	// underWay counts the requests of each class, waiting all that are no Local ones.
	underWay [classes]atomic.Int64
	waiting  atomic.Int64
}

// New returns a Limiter.
func New(o Options) (*Limiter, error) {
	if o.Places < 1 || o.Metrics == nil {
		return nil, errors.New("overload: places and a metrics registry are required")
	}
	if o.Processors == 0 {
		o.Processors = runtime.GOMAXPROCS(0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Yield == nil {
		o.Yield = runtime.Gosched
	}
	places := int64(o.Places)
	l := &Limiter{
		o: o, limits: [classes]int64{Local: places, Read: max(1, places*3/4), Write: places},
	}
	var err error
	l.metrics, err = newMetrics(o.Metrics, l)
	return l, err
}

// Enter admits a request of class c, and then Leave must be called when it has its answer;
// or it says why not. before is how long the request is known to have waited already.
func (l *Limiter) Enter(c Class, before time.Duration) Reason {
	if reason := l.Take(c); reason != "" {
		return reason
	}
	if reason := l.queued(c, before); reason != "" {
		l.Leave(c)
		return reason
	}
	return ""
}

// Take gives a request of class c a place, and then Leave must be called; or it says that
// there is none.
func (l *Limiter) Take(c Class) Reason {
	if !l.take(c) {
		l.metrics.refused(c, Places)
		return Places
	}
	return ""
}

// Begin lets a request of class c begin if there is a place, without taking it, or says why
// not. It is for those that have not come whole: who sends half a request must not keep a
// place from others.
func (l *Limiter) Begin(c Class, before time.Duration) Reason {
	if reason := l.Take(c); reason != "" {
		return reason
	}
	l.Leave(c)
	return l.queued(c, before)
}

// queued waits for the processor, or says that it took too long.
func (l *Limiter) queued(c Class, before time.Duration) Reason {
	waited := before + l.queue()
	l.metrics.waited(waited)
	if l.pressure.refuses(l.o.Now(), waited) {
		l.metrics.refused(c, Processor)
		return Processor
	}
	return ""
}

// Leave gives the place of a request back that Enter has admitted.
func (l *Limiter) Leave(c Class) {
	l.underWay[c].Add(-1)
	if c != Local {
		l.waiting.Add(-1)
	}
}

func (l *Limiter) take(c Class) bool {
	n := l.underWay[c].Add(1)
	if c != Local {
		n = l.waiting.Add(1)
	}
	if n > l.limits[c] {
		l.Leave(c)
		return false
	}
	return true
}

// queue waits behind what is ready to run, and returns for how long. Where there are fewer
// requests than processors nobody can be in the way, and a wait would wake idle ones.
func (l *Limiter) queue() time.Duration {
	if l.waiting.Load()+l.underWay[Local].Load() <= int64(l.o.Processors) {
		return 0
	}
	from := l.o.Now()
	l.o.Yield()
	return l.o.Now().Sub(from)
}
