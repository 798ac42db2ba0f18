//go:build torture && linux

package torture_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"till/internal/customers"
)

// TestTortureAudit kills processes in the middle of writes that go well, and holds the rows of the
// audit against the answers that callers got. Sync owes a row for each; async may lose the moment
// before a kill.
func TestTortureAudit(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode+" sqlite", func(t *testing.T) {
			t.Parallel()
			auditKills(t, mode, newFile(t))
		})
		t.Run(mode+" postgres", func(t *testing.T) {
			t.Parallel()
			auditKills(t, mode, newPostgres(t, startCluster(t))(t))
		})
	}
}

// answers are the writes that callers know to be carried out.
type answers struct {
	mu    sync.Mutex
	at    map[string]time.Time // by request id
	kills []time.Time
}

func auditKills(t *testing.T, mode, databaseURL string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	f, err := newFleet(ctx, t.TempDir(), databaseURL, st.base, 2)
	must(t, err)
	f.env = append(f.env, "TILL_AUDIT_MODE="+mode)
	t.Cleanup(func() { must(t, f.stop()) })
	must(t, f.start(ctx))

	a := &answers{at: map[string]time.Time{}}
	shopping, closed := context.WithCancel(ctx)
	var callers sync.WaitGroup
	for i := range 6 {
		callers.Go(func() { a.shop(shopping, f, t.Name(), i) })
	}
	n, r := sized(kills, 20, 200), dice(t.Name()+" kills")
	for range n {
		wait(ctx, time.Duration(50+r.IntN(250))*time.Millisecond)
		victim := f.slots[r.IntN(len(f.slots))]
		a.mu.Lock()
		a.kills = append(a.kills, time.Now())
		a.mu.Unlock()
		must(t, victim.restart(ctx))
	}
	closed()
	callers.Wait()
	must(t, endOrderly(f))
	a.hold(ctx, t, f, mode)
	report.none(t, "panics", f.panicked())
}

// endOrderly ends every process as an operator does.
func endOrderly(f *fleet) error {
	var errs []error
	for _, s := range f.slots {
		errs = append(errs, s.child.signal(syscall.SIGTERM), s.child.wait(patience))
	}
	return errors.Join(errs...)
}

// shop writes until ctx ends.
func (a *answers) shop(ctx context.Context, f *fleet, name string, caller int) {
	r := dice(fmt.Sprint(name, " caller ", caller))
	for i := 0; ctx.Err() == nil; i++ {
		o := owner{customers.KindUser, fmt.Sprintf("audited%d", r.IntN(20))}
		token, err := o.token(f.issuer, 0)
		base := f.any(r)
		if err != nil || base == "" {
			pause(ctx)
			continue
		}
		id := fmt.Sprintf("a-%d-%d", caller, i)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/portal", strings.NewReader("{}"))
		if err != nil {
			return
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}, "X-Request-Id": {id}}
		res, err := callers.Do(req)
		if err != nil {
			pause(ctx)
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusCreated {
			a.mu.Lock()
			a.at[id] = time.Now()
			a.mu.Unlock()
		}
	}
}

// hold compares what was answered with what was exported.
func (a *answers) hold(ctx context.Context, t *testing.T, f *fleet, mode string) {
	said, err := f.run(ctx, "audit", "export")
	must(t, err)
	rows := map[string]int{}
	for _, line := range lines(said) {
		var e struct {
			Outcome   string
			RequestID string `json:"request_id"`
		}
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil && e.Outcome == "ok" {
			rows[e.RequestID]++
		}
	}
	var missing, unexcused, twice []string
	for id, at := range a.at {
		if rows[id] > 0 {
			continue
		}
		missing = append(missing, id)
		// The kill takes a moment, and on a full machine so does a batch.
		excused := false
		for _, kill := range a.kills {
			since := kill.Sub(at)
			excused = excused || since > -time.Second && since < 2*time.Second
		}
		if !excused {
			unexcused = append(unexcused, id)
		}
	}
	unanswered := 0
	for id, n := range rows {
		if n > 1 {
			twice = append(twice, id)
		}
		if _, answered := a.at[id]; !answered {
			unanswered++
		}
	}
	report.fact(t, "writes that were answered, over kills", fmt.Sprintf("%d, %d", len(a.at), len(a.kills)))
	report.fact(t, "rows of writes whose answer the kill took", unanswered)
	report.judge(t, "writes that were answered", "some", len(a.at), len(a.at) > 10*len(a.kills)/2)
	report.none(t, "writes with two rows", twice)
	if mode == "sync" {
		report.none(t, "answered writes without a row", missing)
		return
	}
	report.fact(t, "answered writes without a row, all just before a kill", len(missing))
	report.none(t, "answered writes without a row and without a kill", unexcused)
}
