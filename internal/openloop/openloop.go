// Package openloop sends requests at times that do not depend on the answers, as a crowd
// does: who waits for an answer before he asks again never sees an overload. It is for
// tests and measurements only, sends to whom it is told, and ends by itself.
package openloop

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ErrDropped is the error of a request that was not sent, because MaxInFlight others had
// no answer yet.
var ErrDropped = errors.New("too many are without an answer")

// Load is what to send.
type Load struct {
	// Rate is requests per second, evenly spaced; For is how long they are sent.
	Rate float64
	For  time.Duration
	// MaxInFlight bounds the requests without an answer; beyond it they are dropped, and
	// count as failed with ErrDropped.
	MaxInFlight int
	// Timeout bounds one request; 30 s by default.
	Timeout time.Duration
	Client  *http.Client
	// Request makes the nth request, from 0 on.
	Request func(ctx context.Context, n int) (*http.Request, error)
	// Send, if set, sends the nth request and reads its answer, in place of Client, Request
	// and Answered: for who needs more requests a second than net/http leaves time for.
	Send func(ctx context.Context, n int) (status int, err error)
	// Answered, if set, sees each answer with its body, which is cut at 1 MiB. Its error
	// is the Outcome's.
	Answered func(n int, res *http.Response, body []byte) error
}

// Outcome is what became of one request.
type Outcome struct {
	// At is when the request was due, from the begin of the load.
	At time.Duration
	// Took is how long the answer took, from when the request was due: who had to queue
	// because others were slow has waited too.
	Took time.Duration
	// Status is 0 without an answer.
	Status int
	Err    error
}

// OK reports whether the answer was 2xx and nobody objected.
func (o Outcome) OK() bool { return o.Err == nil && o.Status >= 200 && o.Status < 300 }

// Run sends the load, waits for every answer and returns an Outcome for each request, in
// the order in which they were due. When ctx ends, no more are sent.
func Run(ctx context.Context, l Load) []Outcome {
	if l.Timeout == 0 {
		l.Timeout = 30 * time.Second
	}
	total := int(math.Round(l.Rate * l.For.Seconds()))
	outcomes := make([]Outcome, total)
	free := make(chan struct{}, max(1, l.MaxInFlight))
	var wg sync.WaitGroup
	begin := time.Now()
	for n := range total {
		due := time.Duration(float64(n) / l.Rate * float64(time.Second))
		if !until(ctx, begin.Add(due)) {
			outcomes = outcomes[:n]
			break
		}
		o := &outcomes[n]
		o.At = due
		select {
		case free <- struct{}{}:
			wg.Go(func() {
				defer func() { <-free }()
				o.Status, o.Err = l.send(ctx, n)
				o.Took = time.Since(begin) - due
			})
		default:
			o.Err = ErrDropped
		}
	}
	wg.Wait()
	return outcomes
}

// until sleeps until t and reports whether ctx goes on. What is late is sent at once.
func until(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l Load) send(ctx context.Context, n int) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.Timeout)
	defer cancel()
	if l.Send != nil {
		return l.Send(ctx, n)
	}
	req, err := l.Request(ctx, n)
	if err != nil {
		return 0, err
	}
	res, err := l.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return res.StatusCode, err
	}
	if l.Answered != nil {
		err = l.Answered(n, res, body)
	}
	return res.StatusCode, err
}

// Percentile returns the smallest of the times that the given share (0 to 1) of outcomes
// did not exceed, looking only at those that keep says yes to; 0 when there are none.
func Percentile(outcomes []Outcome, share float64, keep func(Outcome) bool) time.Duration {
	var took []time.Duration
	for _, o := range outcomes {
		if keep(o) {
			took = append(took, o.Took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, max(0, int(math.Ceil(share*float64(len(took))))-1))]
}

// Count returns how many outcomes keep says yes to.
func Count(outcomes []Outcome, keep func(Outcome) bool) (n int) {
	for _, o := range outcomes {
		if keep(o) {
			n++
		}
	}
	return n
}
