package handlers

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"time"
)

const (
	// grace is what everybody has who begins to wait: for a request, or its next part, to
	// come, and for an answer to be taken.
	grace = 100 * time.Millisecond
	// settled is when an idle connection is no longer about to be used again.
	settled = 3 * time.Second
	// owed is how much more a moment weighs in which half a request is waited for, or a
	// client who does not read, than one in which nobody wants anything.
	owed = 10
)

// waiting are the connections that wait for their client.
type waiting struct {
	of     map[netip.Prefix]*crowd
	crowds []*crowd
	number int
}

// crowd is those of one network, the longest waiting first.
type crowd struct {
	from netip.Prefix
	// proxy is whether the operator vouches for it.
	proxy bool
	// idle have had their answers and ask for nothing, slow are all others.
	idle, slow list.List
	// index is its own place among the crowds.
	index int
}

// add puts c behind those of its network that wait already.
func (w *waiting) add(c *connection, now time.Time) {
	from := w.of[c.from]
	if from == nil {
		from = &crowd{from: c.from, proxy: c.proxy, index: len(w.crowds)}
		w.of[c.from] = from
		w.crowds = append(w.crowds, from)
	}
	c.since, c.line = now, &from.slow
	if c.idle && !c.deaf {
		c.line = &from.idle
	}
	c.place = c.line.PushBack(c)
	w.number++
}

// remove does nothing if c does not wait.
func (w *waiting) remove(c *connection) {
	if c.place == nil {
		return
	}
	from := w.of[c.from]
	c.line.Remove(c.place)
	c.place = nil
	w.number--
	if from.idle.Len()+from.slow.Len() > 0 {
		return
	}
	delete(w.of, c.from)
	last := w.crowds[len(w.crowds)-1]
	w.crowds[from.index], last.index = last, from.index
	w.crowds = slices.Delete(w.crowds, len(w.crowds)-1, len(w.crowds))
}

// candidate is the connection that a crowd would give up.
type candidate struct {
	*connection
	// rank comes before weight, and the lowest goes: 1 is idle but not for long, 2 and
	// more a proxy's.
	rank   int
	weight time.Duration
}

// first returns who is to go: of the crowd that weighs most, the number of its connections
// times how long the oldest waits, the one that contributes most. It is nil while there is
// none whose grace is over; the next one's is in soon at the earliest, 0 if none waits.
func (w *waiting) first(now time.Time) (c *connection, soon time.Duration) {
	var best candidate
	for _, from := range w.crowds {
		one, left := from.first(now)
		switch {
		case one.connection == nil:
			if soon == 0 || left < soon {
				soon = left
			}
		case best.connection == nil || cmp.Or(cmp.Compare(best.rank, one.rank), cmp.Compare(one.weight, best.weight)) > 0:
			best = one
		}
	}
	return best.connection, soon
}

// first is waiting.first, of one crowd.
func (f *crowd) first(now time.Time) (best candidate, left time.Duration) {
	left = grace
	var weight, most time.Duration
	for _, line := range []*list.List{&f.slow, &f.idle} {
		front := line.Front()
		if front == nil {
			continue
		}
		c, _ := front.Value.(*connection)
		age := now.Sub(c.since)
		one := candidate{connection: c, weight: age}
		switch {
		case line == &f.slow:
			one.weight *= owed
		case age < settled:
			one.rank = 1
		}
		weight += one.weight * time.Duration(line.Len())
		if age < grace {
			left = min(left, grace-age)
			continue
		}
		if best.connection == nil || one.rank == best.rank && one.weight > most {
			best, most = one, one.weight
		}
	}
	best.weight = weight
	if f.proxy {
		best.rank += 2
	}
	return best, left
}
