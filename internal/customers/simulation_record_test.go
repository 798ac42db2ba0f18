package customers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"till/internal/customers"
)

// record is what is written down of a run.
type record struct {
	events []event
	counts map[string]int
	// breach is the first promise that was broken.
	breach string
	// settledAfter is how long reservations stood when the faults had ended; negative
	// if nobody looked. progress is when one was last settled or superseded.
	settledAfter time.Duration
	progress     time.Time
}

func newRecord() record { return record{counts: map[string]int{}, settledAfter: -1} }

// count counts something that happened.
func (r *record) count(what string) {
	if what != "" {
		r.counts[what]++
	}
}

// event is one line of a run's trace. Lines are only put together when somebody
// wants to read them.
type event struct {
	at      time.Duration
	actor   string
	process string
	what    string
	owner   string
	fault   string
	id      string
	number  int
	err     error
}

// trace adds an event of ctx's actor.
func (s *simulation) trace(ctx context.Context, e event) {
	e.at, e.actor = time.Since(s.begin), actorOf(ctx)
	s.events = append(s.events, e)
}

// got returns the event with what an operation answered.
func (e event) got(answer any, err error) event {
	e.err = err
	switch a := answer.(type) {
	case *customers.Record:
		e.id, e.number = a.CustomerID, a.Generation
	case *customers.Customer:
		e.id, e.number = a.ID, a.Generation
	case *customers.Created:
		e.id = a.ID
	case *[]customers.Record:
		e.number = len(*a)
	case *page:
		e.number = len(a.listed)
	}
	return e
}

func (e event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%16.9f %-10s %-8s %-12s %-4s", e.at.Seconds(), e.actor, e.process, e.what, e.owner)
	if e.number != 0 {
		fmt.Fprintf(&b, " %d", e.number)
	}
	if e.id != "" {
		fmt.Fprintf(&b, " %s", e.id)
	}
	if e.err != nil {
		fmt.Fprintf(&b, " (%v)", e.err)
	}
	if e.fault != "" {
		fmt.Fprintf(&b, " !%s", e.fault)
	}
	return strings.TrimRight(b.String(), " ")
}

// story is the end of the trace.
func (r *record) story(lines int) string {
	var b strings.Builder
	for _, e := range r.events[max(0, len(r.events)-lines):] {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}
