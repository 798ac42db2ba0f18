//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/openloop"
)

// shop is a fleet, its Stripe, and people who have been there before.
type shop struct {
	fleet    *fleet
	upstream *upstream
	visitors []visitor
	client   *http.Client
	// asked is how many requests there have been or will be, so that none is like another.
	asked atomic.Int64
}

// visitor is one of the honest people.
type visitor struct{ token, customer string }

// newShop starts replicas with limits, which are environment variables without their
// common beginning, and lets visitors come once.
func newShop(ctx context.Context, t *testing.T, replicas, visitors int, limits ...string) *shop {
	t.Helper()
	s := &shop{upstream: newUpstream(t), client: newClient("")}
	f, err := newFleet(ctx, t.TempDir(), newFile(t), s.upstream.url(), replicas)
	must(t, err)
	s.fleet = f
	for _, l := range slices.Concat([]string{"OWNER_WRITES_PER_MINUTE=0", "ADDRESS_PER_MINUTE=0"}, limits) {
		f.env = append(f.env, "TILL_LIMITS_"+l)
	}
	t.Cleanup(func() { must(t, f.stop()) })
	must(t, f.start(ctx))
	for i := range visitors {
		s.visitors = append(s.visitors, s.invite(ctx, t, "visitor"+strconv.Itoa(i)))
	}
	return s
}

// newClient has connections of its own, from an address of this machine or from any.
func newClient(from string) *http.Client {
	dialer := &net.Dialer{Timeout: patience}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 2048}}
}

// invite makes somebody known, at each replica.
func (s *shop) invite(ctx context.Context, t *testing.T, subject string) visitor {
	t.Helper()
	token, err := owner{customers.KindUser, subject}.token(s.fleet.issuer, 0)
	must(t, err)
	r, who := dice(subject), visitor{token: token}
	for _, slot := range s.fleet.slots {
		got := ask(ctx, *slot.base.Load(), token, true)
		for end := time.Now().Add(patience); got.again && time.Now().Before(end); wait(ctx, time.Duration(r.IntN(200))*time.Millisecond) {
			got = ask(ctx, *slot.base.Load(), token, true)
		}
		if got.customer == "" {
			t.Fatalf("%s gets no customer: %s %s", subject, got.status, got.odd)
		}
		who.customer = got.customer
	}
	return who
}

// base is the address of one of the replicas, in turn.
func (s *shop) base(n int) string { return *s.fleet.slots[n%len(s.fleet.slots)].base.Load() }

func (s *shop) post(ctx context.Context, n int, token string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base(n)+"/checkout", strings.NewReader(`{"plan":"pro"}`))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

// The honest mix: of five requests one creates, three read and one lists.
const (
	mixed    = 5
	mixReads = 3
)

func isRead(n int) bool { return n%mixed >= 1 && n%mixed <= mixReads }

// honest makes the nth request of the honest mix. No session is read twice, so that
// each read is a call to Stripe, and no list is like another, so that calls and the
// tries of one are told apart.
func (s *shop) honest(ctx context.Context, n int) (*http.Request, error) {
	v := s.visitors[n/mixed%len(s.visitors)]
	if n%mixed == 0 {
		return s.post(ctx, n, v.token)
	}
	path := "/checkout?created%5Bgte%5D=" + strconv.Itoa(n)
	if isRead(n) {
		path = "/checkout/" + sessionOf(v.customer, n)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base(n)+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+v.token)
	return req, nil
}

// people is the most who wait for an answer at once; limits.connections is above it.
const people = 900

// numbers reserves at least n numbers of requests and returns the first.
func (s *shop) numbers(n int) (first int) {
	n += mixed - n%mixed
	return int(s.asked.Add(int64(n))) - n
}

// load is the honest mix at a rate.
func (s *shop) load(rate float64, lasts time.Duration) openloop.Load {
	first := s.numbers(int(rate * lasts.Seconds()))
	return openloop.Load{
		Rate: rate, For: lasts, MaxInFlight: people, Timeout: callers.Timeout, Client: s.client,
		Request: func(ctx context.Context, n int) (*http.Request, error) { return s.honest(ctx, first+n) },
	}
}

// stroll sends the honest mix.
func (s *shop) stroll(ctx context.Context, rate float64, lasts time.Duration) []openloop.Outcome {
	return openloop.Run(ctx, s.load(rate, lasts))
}

// capacity is how many good answers a second a number of people get who ask again as
// soon as they have one, and how many of those are reads.
func (s *shop) capacity(ctx context.Context, crowd int, lasts time.Duration) (all, reads float64) {
	good := make(chan int, crowd)
	goodReads := make(chan int, crowd)
	end := time.Now().Add(lasts)
	const plenty = 1_000_000
	var next atomic.Int64
	next.Store(int64(s.numbers(plenty)))
	for range crowd {
		go func() {
			n, r := 0, 0
			for time.Now().Before(end) {
				i := int(next.Add(1))
				req, err := s.honest(ctx, i)
				if err != nil {
					break
				}
				if status(s.client, req) < http.StatusMultipleChoices && time.Now().Before(end) {
					n++
					if isRead(i) {
						r++
					}
				}
			}
			good <- n
			goodReads <- r
		}()
	}
	for range crowd {
		all += float64(<-good) / lasts.Seconds()
		reads += float64(<-goodReads) / lasts.Seconds()
	}
	return all, reads
}

// status is that of the answer; of none, one that is no success.
func status(client *http.Client, req *http.Request) int {
	res, err := client.Do(req)
	if err != nil {
		return math.MaxInt
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return math.MaxInt
	}
	return res.StatusCode
}

// histogram is what became of requests, in words.
func histogram(outcomes []openloop.Outcome) string {
	words := map[string]int{}
	for _, o := range outcomes {
		switch {
		case o.Err != nil && o.Status == 0:
			words["none"]++
		default:
			words[strconv.Itoa(o.Status)]++
		}
	}
	return counts(words)
}

// goodput is the share of requests that had a good answer.
func goodput(outcomes []openloop.Outcome) float64 {
	return float64(openloop.Count(outcomes, openloop.Outcome.OK)) / float64(max(1, len(outcomes)))
}

// due returns the outcomes that were due in a span.
func due(outcomes []openloop.Outcome, from, to time.Duration) []openloop.Outcome {
	var some []openloop.Outcome
	for _, o := range outcomes {
		if o.At >= from && o.At < to {
			some = append(some, o)
		}
	}
	return some
}

func p99(outcomes []openloop.Outcome) time.Duration {
	return openloop.Percentile(outcomes, 0.99, openloop.Outcome.OK)
}

// typical is the median of the p99 of windows, so that one moment in which the machine
// had something else to do decides nothing.
func typical(outcomes []openloop.Outcome, window time.Duration, keep func(openloop.Outcome) bool) time.Duration {
	return middle(windows(outcomes, window, keep))
}

// worst is the largest p99 of the good answers of a window.
func worst(outcomes []openloop.Outcome, window time.Duration) time.Duration {
	return slices.Max(append(windows(outcomes, window, openloop.Outcome.OK), 0))
}

// windows are the p99 of each window that has any.
func windows(outcomes []openloop.Outcome, window time.Duration, keep func(openloop.Outcome) bool) (all []time.Duration) {
	if len(outcomes) == 0 {
		return nil
	}
	last := outcomes[len(outcomes)-1].At
	for from := outcomes[0].At; from <= last; from += window {
		some := due(outcomes, from, from+window)
		if openloop.Count(some, keep) > 0 {
			all = append(all, openloop.Percentile(some, 0.99, keep))
		}
	}
	return all
}

// middle is the median; 0 of nothing.
func middle[T int | float64 | time.Duration](all []T) T {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// percent, times and shown say what was seen.
func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

func times(ratio float64) string { return fmt.Sprintf("%.2f", ratio) }

func shown(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// stalls watches how late this machine is at most with what it has to do, until it is
// asked.
func stalls(ctx context.Context) (longest func() time.Duration) {
	const beat = 10 * time.Millisecond
	watching, stop := context.WithCancel(ctx)
	found := make(chan time.Duration)
	go func() {
		late := time.Duration(0)
		for last := time.Now(); watching.Err() == nil; last = time.Now() {
			wait(watching, beat)
			late = max(late, time.Since(last)-beat)
		}
		found <- late
	}()
	return func() time.Duration {
		stop()
		return <-found
	}
}
