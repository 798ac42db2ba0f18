//go:build bench && linux

package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"till/internal/openloop"
)

// load sends the requests of all callers, one after the other and from the beginning
// again. Requests are written beforehand and answers read by no client, so that it takes
// little of the processor that it shares with Stripe.
type load struct {
	host     string
	requests [][]byte
	numbers  []int // of each caller's customer
	serial   atomic.Int64

	mu   sync.Mutex
	idle []*wire
}

// outcome is what became of a load.
type outcome struct {
	answers int // good ones
	failed  map[string]int
	took    time.Duration
	// added is how much longer than Stripe each good answer took, sorted.
	added []time.Duration
}

func newLoad(r *running, of *contestant, callers []caller) *load {
	l := &load{host: r.host}
	for _, c := range callers {
		l.requests = append(l.requests, of.request(r.host, c))
		n, _ := strconv.Atoi(c.customer[len(customerBegins):])
		l.numbers = append(l.numbers, n)
	}
	return l
}

// wire is a connection.
type wire struct {
	net.Conn
	in   *bufio.Reader
	body bytes.Buffer
}

func (l *load) take() (*wire, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		w := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return w, nil
	}
	conn, err := net.DialTimeout("tcp", l.host, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: conn, in: bufio.NewReaderSize(conn, 8192)}, nil
}

func (l *load) put(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, w)
}

// close ends the connections.
func (l *load) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.idle {
		w.Close()
	}
	l.idle = nil
}

var (
	errNotOurs = errors.New("the answer is for another customer")
	errNoID    = errors.New("the answer has no session")
)

// send sends the next request; it returns the status and how long Stripe took.
func (l *load) send(deadline time.Time) (status int, stripe time.Duration, err error) {
	n := int(l.serial.Add(1)-1) % len(l.requests)
	w, err := l.take()
	if err != nil {
		return 0, 0, err
	}
	keep, status, err := w.exchange(l.requests[n], deadline)
	switch {
	case err != nil:
	case status/100 == 2:
		stripe, err = judge(w.body.Bytes(), l.numbers[n])
	default:
		err = refusal(fmt.Sprint(status, " ", code(w.body.Bytes())))
	}
	if keep {
		l.put(w)
	} else {
		w.Close()
	}
	return status, stripe, err
}

func (w *wire) exchange(request []byte, deadline time.Time) (keep bool, status int, err error) {
	if err := w.SetDeadline(deadline); err != nil {
		return false, 0, err
	}
	if _, err := w.Write(request); err != nil {
		return false, 0, err
	}
	res, err := http.ReadResponse(w.in, nil) //nolint:bodyclose // it is read to its end, and the connection is kept
	if err != nil {
		return false, 0, err
	}
	w.body.Reset()
	if _, err := w.body.ReadFrom(io.LimitReader(res.Body, 1<<20)); err != nil {
		return false, res.StatusCode, err
	}
	return !res.Close, res.StatusCode, nil
}

// refusal is an answer that is none of 2xx.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

// code is that of a problem of the service, if it is one.
func code(body []byte) string {
	_, after, _ := bytes.Cut(body, []byte(`"code":"`))
	code, _, found := bytes.Cut(after, []byte(`"`))
	if !found || len(code) > 64 {
		return ""
	}
	return string(code)
}

// judge reads what Stripe has written into the session's id.
func judge(body []byte, customer int) (time.Duration, error) {
	_, id, found := bytes.Cut(body, []byte(idBegins))
	if !found || len(id) < 16 {
		return 0, errNoID
	}
	took, err1 := strconv.ParseInt(string(id[:8]), 16, 64)
	whose, err2 := strconv.ParseInt(string(id[8:16]), 16, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if int(whose) != customer {
		return 0, errNotOurs
	}
	return time.Duration(took) * time.Microsecond, nil
}

// timeout bounds a request.
const timeout = 30 * time.Second

// closed has so many callers ask again as soon as they have an answer, for as long as
// asked and until so many requests are sent.
func (l *load) closed(callers int, lasting time.Duration, least int) *outcome {
	var mu sync.Mutex
	o := &outcome{failed: map[string]int{}}
	var sent atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			mine := &outcome{failed: map[string]int{}}
			for time.Since(began) < lasting || int(sent.Load()) < least {
				sent.Add(1)
				from := time.Now()
				_, stripe, err := l.send(from.Add(timeout))
				mine.note(err, time.Since(from)-stripe)
			}
			mu.Lock()
			defer mu.Unlock()
			o.join(mine)
		})
	}
	wg.Wait()
	o.took = time.Since(began)
	slices.Sort(o.added)
	return o
}

// open sends so many requests a second.
func (l *load) open(ctx context.Context, rate float64, lasting time.Duration) *outcome {
	stripes := make([]time.Duration, int(rate*lasting.Seconds())+2)
	began := time.Now()
	all := openloop.Run(ctx, openloop.Load{
		Rate: rate, For: lasting, MaxInFlight: 6000, Timeout: timeout,
		Send: func(ctx context.Context, n int) (status int, err error) {
			deadline, _ := ctx.Deadline()
			status, stripes[n], err = l.send(deadline)
			return status, err
		},
	})
	o := &outcome{failed: map[string]int{}, took: time.Since(began)}
	for n, one := range all {
		o.note(one.Err, one.Took-stripes[n])
	}
	slices.Sort(o.added)
	return o
}

func (o *outcome) note(err error, added time.Duration) {
	if err != nil {
		o.failed[reason(err)]++
		return
	}
	o.answers++
	o.added = append(o.added, added)
}

// reason is an error without what differs from request to request.
func reason(err error) string {
	var timed net.Error
	var refused refusal
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &timed) && timed.Timeout():
		return "timeout"
	case errors.Is(err, errNotOurs), errors.Is(err, errNoID), errors.Is(err, openloop.ErrDropped):
		return err.Error()
	default:
		return "connection"
	}
}

func (o *outcome) join(other *outcome) {
	o.answers += other.answers
	o.added = append(o.added, other.added...)
	for why, n := range other.failed {
		o.failed[why] += n
	}
}

// p99 is what 99 of 100 answers did not exceed.
func (o *outcome) p99() time.Duration {
	if len(o.added) == 0 {
		return 0
	}
	return o.added[(len(o.added)*99+99)/100-1]
}

// bad is how many requests have no good answer.
func (o *outcome) bad() (n int) {
	for _, count := range o.failed {
		n += count
	}
	return n
}
