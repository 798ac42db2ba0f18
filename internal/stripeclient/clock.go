package stripeclient

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stripe/stripe-go/v76/form"

	"till/internal/customers"
	"till/internal/problem"
)

// hostTime is what the two clocks of this host show. Neither is right for ever:
// running stands still while the machine is suspended, wall can be set.
type hostTime struct {
	running time.Duration
	wall    time.Time
}

// since returns how much time has passed, at least and at most: where the clocks
// disagree, either may be the wrong one.
func (t hostTime) since(earlier hostTime) (least, most time.Duration) {
	running, wall := t.running-earlier.running, t.wall.Sub(earlier.wall)
	return max(0, min(running, wall)), max(0, running, wall)
}

// systemClock reads the host's clocks.
func systemClock() func() (time.Duration, time.Time) {
	start := time.Now()
	return func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(start), now
	}
}

// dateStep is the resolution of a Date: it says when the second began.
const dateStep = time.Second

// measurement is what one answer said of Stripe's time.
type measurement struct {
	date           time.Time
	sent, received hostTime
	// guessed says that date is the host's: the answer had none.
	guessed bool
}

// stripeClock knows Stripe's time by the Date of its answers.
type stripeClock struct {
	read   func() (time.Duration, time.Time)
	last   atomic.Pointer[measurement]
	offset prometheus.Gauge
}

func (s *stripeClock) host() hostTime {
	running, wall := s.read()
	// Without Round, Sub would not look at the wall clock.
	return hostTime{running, wall.Round(0)}
}

// answered notes the Date of an answer, whatever its status.
func (s *stripeClock) answered(h http.Header, sent hostTime) {
	m := &measurement{sent: sent, received: s.host()}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		// Proxies and fakes that send none must not stop the service.
		date, m.guessed = m.received.wall.Truncate(dateStep), true
	} else {
		s.offset.Set(date.Add(dateStep / 2).Sub(m.received.wall).Seconds())
	}
	m.date = date
	for {
		last := s.last.Load()
		// What Stripe said once is better than a guess, however long ago it was.
		if m.guessed && last != nil && !last.guessed || s.last.CompareAndSwap(last, m) {
			return
		}
	}
}

// moment is Stripe's time now. It answered between the sending and the receipt,
// somewhere in the second that its Date names.
func (s *stripeClock) moment() (customers.Moment, bool) {
	m := s.last.Load()
	if m == nil {
		return customers.Moment{}, false
	}
	now := s.host()
	least, _ := now.since(m.received)
	_, most := now.since(m.sent)
	return customers.Moment{Earliest: m.date.Add(least), Latest: m.date.Add(dateStep + most)}, true
}

// Now implements customers.Stripe. It is Stripe's own time, carried on with the
// host's clocks since the last answer; no setting of those makes it more certain
// than it is.
func (c *Client) Now() (customers.Moment, bool) { return c.clock.moment() }

// errNoTime cannot happen: every answer is a measurement.
var errNoTime = errors.New("an answer said nothing of the time")

// Time implements customers.Stripe, by the cheapest read that the permissions of
// the key include anyway.
func (c *Client) Time(ctx context.Context) (customers.Moment, error) {
	query := &form.Values{}
	query.Add("limit", "1")
	_, err := do(ctx, c, call{op: opClock, method: http.MethodGet, path: "/v1/customers", form: query.Encode()}, c.checkCustomers)
	if err != nil {
		return customers.Moment{}, err
	}
	now, ok := c.Now()
	if !ok {
		return customers.Moment{}, problem.New(problem.Internal, errNoTime)
	}
	return now, nil
}
