package ratelimit

import "time"

// How many calls may wait for one endpoint: of one owner, and in all. Those who would wait
// too long are refused before; these bound the memory.
const (
	maxOwnerWaiting = 16
	maxWaiting      = 1024
)

// freshTurns is how many turns in a row go to owners who have not had one lately, before
// one goes to those who have.
const freshTurns = 3

// waiter is a call that waits for its turn.
type waiter struct {
	since, until time.Duration
	// tell ends the waiting, without blocking; nil is the turn. It is called once, by who
	// takes the waiter out of the queue.
	tell func(error)

	line       *line
	prev, next *waiter
}

// line is the calls of one owner, in the order of their arrival.
type line struct {
	owner       string
	first, last *waiter
	n           int
	in          *roster
	prev, next  *line
}

// roster is lines, in the order of their turns.
type roster struct {
	first, last *line
	// calls is how many wait in them.
	calls int
}

func (r *roster) add(l *line) {
	l.in, l.prev, l.next = r, r.last, nil
	if r.last == nil {
		r.first = l
	} else {
		r.last.next = l
	}
	r.last = l
	r.calls += l.n
}

func (r *roster) drop(l *line) {
	if l.prev == nil {
		r.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		r.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.in, l.prev, l.next = nil, nil, nil
	r.calls -= l.n
}

// queue is the calls that wait for one endpoint. Owners take turns, so that how long one
// waits depends on how many others wait, and not on how much they want. Who has not had a
// turn lately comes first, but for every fourth turn: an owner who wants much hardly delays
// those who want little, and neither can starve the other. Every operation takes the same
// time, however long the queue is. The zero value is empty.
type queue struct {
	lines map[string]*line
	// fresh owners have had no turn since the queue was empty or they were forgotten; the
	// others, some of whom wait for nothing now, go round and round.
	fresh, round roster
	// run is how many turns in a row were of fresh owners.
	run int
	n   int
	// owners is how many of them wait for something.
	owners int
}

// ahead is how many turns come at most before that of another call of owner, if nobody
// leaves or comes.
func (q *queue) ahead(owner string) int {
	l := q.lines[owner]
	if l == nil {
		return min(q.n, q.fresh.calls+q.fresh.calls/freshTurns+1)
	}
	return min(q.n, (l.n+1)*len(q.lines)-1)
}

func (q *queue) waiting(owner string) int {
	if l := q.lines[owner]; l != nil {
		return l.n
	}
	return 0
}

func (q *queue) push(owner string, w *waiter) {
	l := q.lines[owner]
	if l == nil {
		l = &line{owner: owner}
		if q.lines == nil {
			q.lines = map[string]*line{}
		}
		q.lines[owner] = l
		q.fresh.add(l)
	}
	w.line, w.prev = l, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	if l.n++; l.n == 1 {
		q.owners++
	}
	l.in.calls++
	q.n++
}

// pop takes out the call whose turn it is; nil if none waits.
func (q *queue) pop() *waiter {
	if q.n == 0 {
		return nil
	}
	l := q.fresh.first
	if l == nil || q.run >= freshTurns && q.round.calls > 0 {
		for l = q.round.first; l.n == 0; l = q.round.first {
			q.round.drop(l)
			delete(q.lines, l.owner)
		}
		q.run = 0
	} else {
		q.run++
	}
	l.in.drop(l)
	q.round.add(l)
	w := l.first
	q.remove(w)
	return w
}

// remove takes w out, if it has not been taken out, and reports whether it did.
func (q *queue) remove(w *waiter) bool {
	l := w.line
	if l == nil {
		return false
	}
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.line, w.prev, w.next = nil, nil, nil
	if l.n--; l.n == 0 {
		q.owners--
	}
	l.in.calls--
	q.n--
	switch {
	case q.n == 0:
		*q = queue{}
	case l.n == 0 && l.in == &q.fresh:
		q.fresh.drop(l)
		delete(q.lines, l.owner)
	}
	return true
}

// late takes out all whose time is over and hands them to each.
func (q *queue) late(now time.Duration, each func(*waiter)) {
	for _, r := range []*roster{&q.fresh, &q.round} {
		for l := r.first; l != nil; {
			following := l.next
			for w := l.first; w != nil; {
				next := w.next
				if w.until < now {
					q.remove(w)
					each(w)
				}
				w = next
			}
			l = following
		}
	}
}
