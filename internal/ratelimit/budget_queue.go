package ratelimit

import "time"

// How many calls may wait for one endpoint: of one owner, and in all. Those who would wait
// too long are refused before; these bound the memory.
const (
	maxOwnerWaiting = 16
	maxWaiting      = 1024
)

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
	prev, next  *line
}

// queue is the calls that wait for one endpoint. Owners take turns, so that how long one
// waits depends on how many others wait, and not on how much they want. Every operation
// takes the same time, however long the queue is. The zero value is empty.
type queue struct {
	lines map[string]*line
	// turn is whose turn is next, in a ring of all who wait.
	turn *line
	n    int
}

// ahead is how many turns come at most before that of another call of owner, if nobody
// leaves: the owner's own calls, and as many of each other one.
func (q *queue) ahead(owner string) int {
	own, owners := 0, len(q.lines)+1
	if l := q.lines[owner]; l != nil {
		own, owners = l.n, owners-1
	}
	return min(q.n, (own+1)*owners-1)
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
		if q.turn == nil {
			l.prev, l.next, q.turn = l, l, l
		} else {
			l.prev, l.next = q.turn.prev, q.turn
			l.prev.next, l.next.prev = l, l
		}
	}
	w.line, w.prev = l, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.n++
	q.n++
}

// pop takes out the call whose turn it is; nil if none waits.
func (q *queue) pop() *waiter {
	if q.turn == nil {
		return nil
	}
	w := q.turn.first
	q.turn = q.turn.next
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
	l.n--
	q.n--
	if l.n > 0 {
		return true
	}
	delete(q.lines, l.owner)
	if l.next == l {
		q.turn = nil
		return true
	}
	l.prev.next, l.next.prev = l.next, l.prev
	if q.turn == l {
		q.turn = l.next
	}
	return true
}

// late takes out all whose time is over and hands them to each.
func (q *queue) late(now time.Duration, each func(*waiter)) {
	for n, l := len(q.lines), q.turn; n > 0; n-- {
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
