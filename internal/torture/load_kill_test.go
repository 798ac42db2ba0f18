//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
)

// span is a time during which something happened, from the begin of a load.
type span struct{ from, to time.Duration }

// covers reports whether a request was under way in it.
func (s span) covers(o openloop.Outcome) bool { return o.At <= s.to && o.At+o.Took >= s.from }

// TestLoadKill kills one of three replicas with kill -9 in the middle of everybody's clicks,
// each of which has a key. Nobody notices but those whom it was serving, and each of them is
// served when he repeats his request, with one session.
func TestLoadKill(t *testing.T) {
	frontOrSkip(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := startCluster(t)
	name, err := c.NewDatabase()
	must(t, err)
	s := newSite(ctx, t, siteOptions{replicas: 3, database: c.URL(name)})
	f := startFront(t, s.addresses())
	// Else there is hardly a request under way at any moment.
	must(t, s.stripe.call(ctx, http.MethodPost, "/sandbox/v1/faults",
		object{"operation": "checkout.sessions.create", "kind": "delay", "delay": "50ms"}, nil))
	keyed := func(n int) click {
		one := s.buy(n)
		one.key = "click-" + strconv.Itoa(n)
		return one
	}
	// Each of these writes to the database twice, and the short form is for machines that may
	// have little time for that.
	rate := float64(sized(new(int), 200, rate))
	clicking, enough := context.WithCancel(ctx)
	var outcomes []openloop.Outcome
	var others sync.WaitGroup
	began := time.Now()
	others.Go(func() { outcomes = clickAt(clicking, f.base, rate, 5*time.Minute, keyed) })
	var deaths []span
	for i := range sized(kills, 2, 20) {
		wait(ctx, 2*time.Second)
		victim := s.slots[i%len(s.slots)]
		from := time.Since(began)
		must(t, victim.kill())
		deaths = append(deaths, span{from, time.Since(began)})
		must(t, victim.start(ctx))
	}
	wait(ctx, 2*time.Second)
	unwatchAfter(enough, &others)

	dying := func(o openloop.Outcome) bool {
		for _, d := range deaths {
			if d.covers(o) {
				return true
			}
		}
		return false
	}
	// Who is refused by a replica that lives, because the machine cannot do so much, is told
	// to come back; that is another matter, and counted apart.
	lost := slices.DeleteFunc(slices.Clone(outcomes), func(o openloop.Outcome) bool { return o.OK() || isRefused(o) })
	_, kinds := failedOnes(outcomes)
	atTheInstant := openloop.Count(outcomes, dying)
	inTime := openloop.Count(lost, dying)
	report.fact(t, "requests", fmt.Sprintf("%d at %.0f/s with a key each, %d kills; failed: %s", len(outcomes), rate, len(deaths), kinds))
	report.fact(t, "what nginx complained of", f.complaints())
	report.judge(t, "lost while a replica died", fmt.Sprintf("1 to the %d under way at all three", atTheInstant), inTime,
		inTime > 0 && inTime <= atTheInstant)
	report.judge(t, "lost at another time", "0", len(lost)-inTime, len(lost) == inTime)
	repeat(ctx, t, s, f.base, outcomes, keyed)
	made, err := s.stripe.sessions(ctx)
	must(t, err)
	report.judge(t, "sessions at Stripe, one for each key", strconv.Itoa(len(outcomes)), made, made == len(outcomes))
	report.none(t, "panics", s.panicked())
}

// isRefused reports whether the service itself has refused a request and said so.
func isRefused(o openloop.Outcome) bool {
	refused := new(refusal)
	return errors.As(o.Err, refused) && refused.code != ""
}

// leased is how long a request that died holds its key: another one must not be sent while
// it may still be under way (docs/idempotency.md).
const leased = 15 * time.Second

// repeat lets everybody who failed come once more: half of them at once, who are told that
// their request is running, if it had begun, and come again with the others.
func repeat(ctx context.Context, t *testing.T, s *site, base string, outcomes []openloop.Outcome, keyed func(n int) click) {
	t.Helper()
	client := newcomers(patience)
	var unserved []string
	var mu sync.Mutex
	first := map[string]int{}
	var wg sync.WaitGroup
	failures := 0
	for n, o := range outcomes {
		if o.OK() {
			continue
		}
		failures++
		early := failures%2 == 0
		turn := time.Duration(failures) * time.Second / (rate / 2)
		wg.Go(func() {
			wait(ctx, turn)
			if early {
				status, after, _ := askOnce(ctx, client, base, keyed(n))
				mu.Lock()
				first[fmt.Sprintf("%d, Retry-After %v", status, after)]++
				mu.Unlock()
			}
			wait(ctx, leased)
			status, after, err := askOnce(ctx, client, base, keyed(n))
			if status == http.StatusCreated {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			unserved = append(unserved, fmt.Sprintf("click %d: %d, Retry-After %v, %v", n, status, after, err))
		})
	}
	wg.Wait()
	report.fact(t, "half of those repeated at once", counts(first))
	report.none(t, "unserved when repeated once with the same key, 15 s later", unserved)
}

// askOnce returns status and Retry-After.
func askOnce(ctx context.Context, client *http.Client, base string, c click) (status int, after time.Duration, err error) {
	req, err := c.request(ctx, base)
	if err != nil {
		return 0, 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // 0 when it is not there
	return res.StatusCode, time.Duration(seconds) * time.Second, res.Body.Close()
}
