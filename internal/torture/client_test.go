//go:build torture && linux

package torture_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// callers is the connection pool of everybody's browsers. Its timeout is above the
// service's own deadline of 12 s: a call that ends by it is a service that hangs.
var callers = &http.Client{
	Timeout:   14500 * time.Millisecond,
	Transport: &http.Transport{MaxIdleConnsPerHost: 512},
}

// ledger of what callers saw.
type seen struct {
	mu       sync.Mutex
	statuses map[string]int
	// given is, for each owner, how often which customer was named.
	given    map[owner]map[string]int
	odd      []string
	requests int
	slowest  time.Duration
	// failures are when those came who were refused, other than by a process that was killed.
	failures []time.Time
}

func newSeen() *seen {
	return &seen{statuses: map[string]int{}, given: map[owner]map[string]int{}}
}

// reply is what one request came to.
type reply struct {
	status   string
	customer string
	after    time.Duration
	again    bool
	odd      string
}

// note writes a reply down.
func (s *seen) note(o owner, r reply, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.statuses[r.status]++
	s.slowest = max(s.slowest, took)
	if r.again && r.status != "refused" && r.status != "broken" {
		s.failures = append(s.failures, time.Now().Add(-took))
	}
	if r.odd != "" {
		s.odd = append(s.odd, r.odd)
	}
	if r.customer == "" {
		return
	}
	if s.given[o] == nil {
		s.given[o] = map[string]int{}
	}
	s.given[o][r.customer]++
}

// lastFailure returns how long after a moment the last one came who was refused.
func (s *seen) lastFailure(since time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := time.Duration(0)
	for _, at := range s.failures {
		last = max(last, at.Sub(since))
	}
	return last
}

// histogram is the statuses in words.
func (s *seen) histogram() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return counts(s.statuses)
}

func counts(m map[string]int) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), strings.Compare(a, b))
	})
	var words []string
	for _, name := range names {
		words = append(words, fmt.Sprintf("%s×%d", name, m[name]))
	}
	return strings.Join(words, " ")
}

// ask makes one request for the owner's customer; checkout or portal, as the dice say.
func ask(ctx context.Context, base, token string, checkout bool) reply {
	path, body := "/portal", "{}"
	if checkout {
		path, body = "/checkout", `{"plan":"pro"}`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		return reply{status: "bug", odd: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := callers.Do(req)
	if err != nil {
		return broken(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return broken(err)
	}
	return judge(res, text)
}

const noAnswer = "no answer within the deadline: "

// broken is a request without an answer: its process was killed, or hangs.
func broken(err error) reply {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return reply{status: "refused", again: true}
	case os.IsTimeout(err):
		return reply{status: "timeout", again: true, odd: noAnswer + err.Error()}
	default:
		return reply{status: "broken", again: true}
	}
}

// judge reads an answer. Whatever is neither success nor one of the errors that a caller
// is told to come back after is odd.
func judge(res *http.Response, text []byte) reply {
	var body struct{ Customer, Code string }
	err := json.Unmarshal(text, &body)
	r := reply{status: strconv.Itoa(res.StatusCode)}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		r.after = time.Duration(seconds) * time.Second
	}
	switch {
	case err != nil:
		r.odd = fmt.Sprintf("%d is no JSON: %s", res.StatusCode, text)
	case res.StatusCode == http.StatusCreated && body.Customer != "":
		r.customer = body.Customer
	case res.StatusCode == http.StatusTooManyRequests,
		res.StatusCode > http.StatusInternalServerError:
		r.again = true
		r.status += " " + body.Code
	default:
		r.odd = fmt.Sprintf("%d %s", res.StatusCode, text)
	}
	return r
}

const (
	// A person clicks again; nobody waits for a minute.
	patienceOfCallers = 2 * time.Second
	triesOfCallers    = 8
)

// insist asks until there is an answer or the caller gives up, at any of the processes.
func (f *fleet) insist(ctx context.Context, s *seen, o owner, token string, r *rand.Rand) bool {
	for failed := 0; failed < triesOfCallers && ctx.Err() == nil; {
		base := f.any(r)
		if base == "" {
			pause(ctx)
			continue
		}
		began := time.Now()
		got := ask(ctx, base, token, r.IntN(2) == 0)
		s.note(o, got, time.Since(began))
		if !got.again {
			return got.customer != ""
		}
		if got.status == "refused" || got.status == "broken" {
			// The load balancer's business; the person sees nothing of it.
			pause(ctx)
			continue
		}
		failed++
		wait(ctx, max(min(got.after, patienceOfCallers), time.Duration(20+r.IntN(200))*time.Millisecond))
	}
	return false
}

// pause is a moment for a process to come back.
func pause(ctx context.Context) { wait(ctx, 3*time.Millisecond) }

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
