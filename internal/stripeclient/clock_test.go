package stripeclient_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/customers"
	"till/internal/stripeclient"
)

// host is a machine whose clocks do what they like.
type host struct {
	mu      sync.Mutex
	running time.Duration
	wall    time.Time
}

// noon is Stripe's time at the beginning of every test of the clock.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (h *host) read() (time.Duration, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running, h.wall
}

// pass moves both clocks, each as far as it is told.
func (h *host) pass(running, wall time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running += running
	h.wall = h.wall.Add(wall)
}

// dated answers an empty list, as slowly as it is told, with these Dates (none
// for ""); the last of them stays.
func dated(h *host, takes time.Duration, dates ...string) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		date := dates[0]
		dates = dates[min(1, len(dates)-1):]
		mu.Unlock()
		w.Header()["Date"] = []string{date}
		if date == "" {
			w.Header()["Date"] = nil
		}
		h.pass(takes, takes)
		answers(http.StatusOK, listOf())(w, r)
	}
}

func stamp(t time.Time) string { return t.Format(http.TimeFormat) }

// wantMoment takes the moment's ends as they are from noon.
func wantMoment(t *testing.T, c *client, earliest, latest time.Duration) {
	t.Helper()
	got, ok := c.Now()
	if !ok {
		t.Fatal("the time is not known")
	}
	want := customers.Moment{Earliest: noon.Add(earliest), Latest: noon.Add(latest)}
	if !got.Earliest.Equal(want.Earliest) || !got.Latest.Equal(want.Latest) {
		t.Errorf("Stripe's time is %v to %v from noon, want %v to %v",
			got.Earliest.Sub(noon), got.Latest.Sub(noon), earliest, latest)
	}
}

func ask(t *testing.T, c *client) {
	t.Helper()
	if _, err := c.Time(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheTimeIsNotKnownBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := inBubble(t, wire(""), stripeclient.Options{})
		if got, ok := c.Now(); ok || got != (customers.Moment{}) {
			t.Errorf("the time is %v, %v", got, ok)
		}
		if got, err := c.Time(t.Context()); err == nil || got != (customers.Moment{}) {
			t.Errorf("the time is %v, %v", got, err)
		}
		if _, ok := c.Now(); ok {
			t.Error("a Stripe that does not answer has told the time")
		}
		if got := c.metric(t, "till_stripe_clock_offset_seconds"); got != 0 {
			t.Errorf("the offset is %v", got)
		}
	})
}

// Stripe answers at noon, an hour of Stripe's passes, and the host's clocks say
// about it what they like: the true time is never outside of the moment.
func TestNoClockOfThisHostMakesTheTimeTooCertain(t *testing.T) {
	t.Parallel()
	const step = time.Second
	for name, tt := range map[string]struct{ running, wall, earliest, latest time.Duration }{
		"both right":          {time.Hour, time.Hour, time.Hour, time.Hour + step},
		"wall 10 min ahead":   {time.Hour, 70 * time.Minute, time.Hour, 70*time.Minute + step},
		"wall 10 min back":    {time.Hour, 50 * time.Minute, 50 * time.Minute, time.Hour + step},
		"wall 25 h ahead":     {time.Hour, 26 * time.Hour, time.Hour, 26*time.Hour + step},
		"wall 25 h back":      {time.Hour, -24 * time.Hour, 0, time.Hour + step},
		"suspended":           {0, time.Hour, 0, time.Hour + step},
		"suspended partly":    {time.Minute, time.Hour, time.Minute, time.Hour + step},
		"suspended, and back": {time.Hour, 0, 0, time.Hour + step},
	} {
		// The host's wall clock may have been wrong before, too.
		for _, wrong := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 25 * time.Hour, -25 * time.Hour} {
			t.Run(name+"/"+wrong.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := &host{wall: noon.Add(wrong)}
					c, _ := inBubble(t, dated(h, 0, stamp(noon)), stripeclient.Options{Clock: h.read})
					ask(t, c)
					wantMoment(t, c, 0, step)
					if got := c.metric(t, "till_stripe_clock_offset_seconds"); got != 0.5-wrong.Seconds() {
						t.Errorf("the offset is %v for a host that is %v ahead", got, wrong)
					}
					h.pass(tt.running, tt.wall)
					wantMoment(t, c, tt.earliest, tt.latest)
					if truth, now := noon.Add(time.Hour), must1(c.Now()); truth.Before(now.Earliest) || !truth.Before(now.Latest) {
						t.Errorf("%v is outside of %v", truth, now)
					}
				})
			})
		}
	}
}

func must1(m customers.Moment, ok bool) customers.Moment {
	if !ok {
		panic("the time is not known")
	}
	return m
}

// Stripe may have answered as soon as it was asked, or only just now.
func TestASlowAnswerIsLessCertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &host{wall: noon}
		c, _ := inBubble(t, dated(h, 6*time.Second, stamp(noon)), stripeclient.Options{Clock: h.read})
		ask(t, c)
		wantMoment(t, c, 0, 7*time.Second)
		h.pass(time.Minute, time.Minute)
		wantMoment(t, c, time.Minute, time.Minute+7*time.Second)
	})
}

func TestALaterAnswerReplacesAnEarlierOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &host{wall: noon}
		c, _ := inBubble(t, dated(h, 0, stamp(noon), stamp(noon.Add(10*time.Second))), stripeclient.Options{Clock: h.read})
		ask(t, c)
		h.pass(10*time.Second, -25*time.Hour)
		wantMoment(t, c, 0, 11*time.Second)
		ask(t, c)
		wantMoment(t, c, 10*time.Second, 11*time.Second)
		if got := c.metric(t, "till_stripe_clock_offset_seconds"); got != (25*time.Hour).Seconds()+10.5 {
			t.Errorf("the offset is %v", got)
		}
	})
}

func TestAnAnswerWithoutAReadableDateIsTakenForTheHostsTime(t *testing.T) {
	t.Parallel()
	for name, date := range map[string]string{
		"none": "", "garbage": "soon", "a number": "1772366400", "another format": noon.Format(time.RFC3339),
		"no such day": "Mon, 31 Feb 2026 12:00:00 GMT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &host{wall: noon.Add(700 * time.Millisecond)}
				c, _ := inBubble(t, dated(h, 0, date, date, stamp(noon.Add(time.Hour)), date), stripeclient.Options{Clock: h.read})
				ask(t, c)
				wantMoment(t, c, 0, time.Second)
				h.pass(10*time.Second, time.Minute)
				ask(t, c)
				wantMoment(t, c, time.Minute, time.Minute+time.Second)
				if got := c.metric(t, "till_stripe_clock_offset_seconds"); got != 0 {
					t.Errorf("the host differs from itself by %v", got)
				}

				// What Stripe says is better, and is not forgotten for a guess.
				ask(t, c)
				wantMoment(t, c, time.Hour, time.Hour+time.Second)
				h.pass(time.Minute, 25*time.Hour)
				ask(t, c)
				wantMoment(t, c, time.Hour+time.Minute, 26*time.Hour+time.Second)
			})
		})
	}
}

// The time is in every answer, not only in those that are good for something.
func TestEveryAnswerTellsTheTime(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refused":     refuses(http.StatusBadRequest, "invalid_request_error", "", "", "Date: "+stamp(noon)),
		"failed":      answers(http.StatusInternalServerError, "", "Date: "+stamp(noon)),
		"redirect":    answers(http.StatusFound, "", "Date: "+stamp(noon), "Location: /elsewhere"),
		"nonsense":    answers(http.StatusOK, "<html>", "Date: "+stamp(noon)),
		"disbelieved": answers(http.StatusOK, object{}, "Date: "+stamp(noon)),
		"good":        answers(http.StatusOK, checkoutSession, "Date: "+stamp(noon)),
		"broken off":  wire("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nDate: " + stamp(noon) + "\r\n\r\n{"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &host{wall: noon.Add(-time.Hour)}
				c, _ := inBubble(t, answer, stripeclient.Options{Clock: h.read})
				_, _ = c.CreateCheckoutSession(t.Context(), createCheckout)
				wantMoment(t, c, 0, time.Second)
			})
		})
	}
}

// With the clocks of this machine and a server of net/http.
func TestTheSystemsClocks(t *testing.T) {
	t.Parallel()
	c, _ := onLoopback(t, answers(http.StatusOK, listOf()), stripeclient.Options{})
	before := time.Now()
	got, err := c.Time(t.Context())
	after := time.Now()
	if err != nil || got.Earliest.After(after) || got.Latest.Before(before) ||
		got.Latest.Sub(got.Earliest) < time.Second || got.Latest.Sub(got.Earliest) > time.Second+after.Sub(before) {
		t.Errorf("between %v and %v, the time is %v, %v", before, after, got, err)
	}
}

// Concurrent answers and readers, for the race detector.
func TestManyAskTheTime(t *testing.T) {
	t.Parallel()
	c, _ := onLoopback(t, answers(http.StatusOK, listOf()), stripeclient.Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				now, err := c.Time(t.Context())
				if err != nil || now.Latest.Before(now.Earliest) || time.Since(now.Earliest).Abs() > time.Minute {
					t.Errorf("the time is %v, %v", now, err)
				}
			}
		})
	}
	all.Wait()
}

// A process that stood still between the beginning of a call and its sending does
// not send any more, whichever clock tells it so.
func TestWhatIsTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	for name, stood := range map[string]struct{ running, wall time.Duration }{
		"the process was stopped": {13 * time.Second, 13 * time.Second},
		"the host was asleep":     {0, 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &host{wall: noon}
				reads := 0
				c, s := inBubble(t, dated(h, 0, stamp(noon)), stripeclient.Options{Clock: func() (time.Duration, time.Time) {
					if reads++; reads == 2 { // the first is at the beginning of the call
						h.pass(stood.running, stood.wall)
					}
					return h.read()
				}})
				if _, err := c.Time(t.Context()); err == nil {
					t.Error("got an answer")
				}
				if got := len(s.requests()); got != 0 {
					t.Errorf("%d requests were sent", got)
				}
			})
		})
	}
}
