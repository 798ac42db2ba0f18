package overload_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/overload"
)

// machine is a model of a Go program on one processor that serves HTTP to a number of
// connections. There is one queue of what is ready to run, as in the scheduler. What has come
// is fetched when that is empty, and by the runtime's monitor when nothing was for 10 ms: at
// most 128 at once. A request is read in its turn, goes to the end of the queue, and is then
// admitted and worked on, or refused. The clock is the model's own, and its random numbers
// those of a seed: a run can be repeated.
type machine struct {
	limiter *overload.Limiter
	random  *rand.Rand
	now     time.Duration

	// read and refuse are what a request costs that is refused, work what one costs besides
	// read that is admitted: two thirds before it waits for Stripe.
	read, refuse, work, stripe time.Duration
	// pauses are when everything stops, each for so long.
	pauses []time.Duration
	pause  time.Duration

	// arrivals are when people ask who have not asked yet; one who finds no free connection
	// waits for one, and gives up after patienceOfClients.
	arrivals []time.Duration
	free     []*link
	// ready have a request that the poller has not fetched yet, resting one that it may not.
	ready, resting []*link
	// wakes is when the first of the resting is read again.
	wakes time.Duration
	// away wait for Stripe.
	away   []*link
	answer []answered
	// queue is ready to run, polled when it was last fetched what has come.
	queue  []task
	polled time.Duration
}

// task is what the processor does next for a connection.
type task struct {
	*link
	stage stage
	// queued is when a request that was read went to the end of the queue.
	queued time.Duration
}

// stage is how far a request is.
type stage int

const (
	sent stage = iota
	read
	back
)

// link is a connection.
type link struct {
	// sent is when its request was, and back when Stripe's answer is here.
	sent, back time.Duration
	// rests is before when nothing is read.
	rests time.Duration
	inRow int
}

// answered is a request that has had its answer.
type answered struct {
	at, took time.Duration
	refused  bool
}

const (
	// fetched is how many the poller fetches at once, and monitored how long nothing is
	// fetched before the monitor does.
	fetched           = 128
	monitored         = 10 * time.Millisecond
	patienceOfClients = 100 * time.Millisecond
)

func newMachine(t *testing.T, seed uint64, links int) *machine {
	t.Helper()
	m := &machine{
		random: rand.New(rand.NewPCG(seed, 0)),
		read:   14 * time.Microsecond, refuse: 6 * time.Microsecond, work: 286 * time.Microsecond, stripe: 20 * time.Millisecond,
	}
	for range links {
		m.free = append(m.free, &link{})
	}
	var err error
	m.limiter, err = overload.New(overload.Options{
		Places: 2048, Processors: 1, Metrics: prometheus.NewRegistry(), Yield: func() {},
		Now: func() time.Time { return time.Unix(1e9, 0).Add(m.now) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// capacity is how many requests it can serve in a second.
func (m *machine) capacity() float64 { return 1 / (m.read + m.work).Seconds() }

// offer has people ask at random, from one time to another, so many times what can be served.
func (m *machine) offer(times float64, from, to time.Duration) {
	rate := times * m.capacity()
	for at := from; at < to; at += time.Duration(m.random.ExpFloat64() / rate * float64(time.Second)) {
		m.arrivals = append(m.arrivals, at)
	}
}

// run goes on until everybody has an answer.
func (m *machine) run() {
	for {
		m.deliver()
		if len(m.queue) == 0 || m.now > m.polled+monitored {
			m.poll()
		}
		if len(m.queue) > 0 {
			m.step()
			continue
		}
		next := time.Duration(math.MaxInt64)
		if len(m.arrivals) > 0 {
			next = m.arrivals[0]
		}
		if len(m.away) > 0 {
			next = min(next, m.away[0].back)
		}
		if len(m.resting) > 0 {
			next = min(next, m.wakes)
		}
		if next == math.MaxInt64 {
			return
		}
		// Of those who wait for a connection, nobody comes before there is one.
		m.now = max(m.now+time.Microsecond, next)
	}
}

// deliver has the requests of those in the kernel who have come, and wakes who has rested.
func (m *machine) deliver() {
	for len(m.arrivals) > 0 && m.arrivals[0] <= m.now {
		at := m.arrivals[0]
		gaveUp := m.now-at > patienceOfClients
		if len(m.free) == 0 && !gaveUp {
			break
		}
		m.arrivals = m.arrivals[1:]
		if gaveUp {
			continue
		}
		// The one that was used last, as pools do.
		l := m.free[len(m.free)-1]
		m.free = m.free[:len(m.free)-1]
		l.sent = m.now
		if l.rests > m.now {
			if len(m.resting) == 0 || l.rests < m.wakes {
				m.wakes = l.rests
			}
			m.resting = append(m.resting, l)
			continue
		}
		l.rests = 0
		m.ready = append(m.ready, l)
	}
	if len(m.resting) == 0 || m.wakes > m.now {
		return
	}
	m.wakes = math.MaxInt64
	m.resting = slices.DeleteFunc(m.resting, func(l *link) bool {
		if l.rests <= m.now {
			m.ready = append(m.ready, l)
			return true
		}
		m.wakes = min(m.wakes, l.rests)
		return false
	})
}

// poll fetches what has come.
func (m *machine) poll() {
	m.polled = m.now
	for room := fetched; room > 0; room-- {
		switch {
		case len(m.away) > 0 && m.away[0].back <= m.now:
			m.queue = append(m.queue, task{link: m.away[0], stage: back})
			m.away = m.away[1:]
		case len(m.ready) > 0:
			m.queue = append(m.queue, task{link: m.ready[0], stage: sent})
			m.ready = m.ready[1:]
		default:
			return
		}
	}
}

// step runs what is first in the queue.
func (m *machine) step() {
	if len(m.pauses) > 0 && m.now >= m.pauses[0] {
		m.pauses = m.pauses[1:]
		m.now += m.pause
	}
	t := m.queue[0]
	m.queue = m.queue[1:]
	switch t.stage {
	case sent:
		m.now += m.read
		m.queue = append(m.queue, task{link: t.link, stage: read, queued: m.now})
	case read:
		m.decide(t.link, max(0, t.rests-t.sent)+m.now-t.queued)
	case back:
		m.now += m.work / 3
		m.free = append(m.free, t.link)
		m.limiter.Leave(overload.Write)
	}
}

// decide admits the request of l, which has waited, or refuses it.
func (m *machine) decide(l *link, waited time.Duration) {
	if reason := m.limiter.Enter(overload.Write, waited); reason != "" {
		m.now += m.refuse
		l.inRow++
		l.rests = m.now + m.limiter.Rest(l.inRow)
		m.free = append(m.free, l)
		m.answer = append(m.answer, answered{l.sent, m.now - l.sent, true})
		return
	}
	m.now += m.work * 2 / 3
	l.inRow, l.rests, l.back = 0, 0, m.now+m.stripe
	m.away = append(m.away, l)
	m.answer = append(m.answer, answered{l.sent, m.now - l.sent, false})
}

// between returns how long those took who came between two times, in order: of the admitted
// without Stripe's part and what comes after it.
func (m *machine) between(from, to time.Duration, refused bool) (took []time.Duration) {
	for _, a := range m.answer {
		if a.at >= from && a.at < to && a.refused == refused {
			took = append(took, a.took)
		}
	}
	slices.Sort(took)
	return took
}

// p99 is 0 of none.
func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}
