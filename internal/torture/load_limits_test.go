//go:build torture && linux

package torture_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"till/internal/openloop"
)

// TestLoadLittleMemory has one process with 128 MiB, and no more, take everything at once
// that callers and Stripe can do to it, one after the other.
func TestLoadLittleMemory(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	const limit = 128 * mib
	group, err := newCgroup(t, "memory",
		[2]string{"memory.limit_in_bytes", strconv.Itoa(limit)}, [2]string{"memory.max", strconv.Itoa(limit)})
	if err != nil {
		// A limit of the process's own (ulimit) counts what Go reserves and does not use.
		leftOut(t, "no cgroup with a limit of memory can be made here: "+err.Error())
	}
	s := newSite(ctx, t, siteOptions{shell: group.enter(), env: []string{shippedConnections}})
	slot := s.slots[0]
	process := slot.present().cmd.Process.Pid
	base := *slot.base.Load()
	for _, phase := range []struct {
		name string
		run  func() string
	}{
		{"64 callers, as much as they can", func() string { return counts(closedLoop(ctx, base, 64, lasting(3*time.Second, time.Minute), s.honest)) }},
		{"2,000 callers at once, and a slow Stripe", func() string { return slowCalls(ctx, t, s, base) }},
		{"5,000 slow connections", func() string { return slowConnections(ctx, t, base, s.tokens[0]) }},
		{"400 bodies of 64 MiB at once", func() string { return hugeBodies(ctx, base, s.tokens[0]) }},
	} {
		report.fact(t, phase.name, phase.run()+"; "+memoryOf(group, slot))
		if slot.present().gone() {
			kills, err := group.oomKills()
			must(t, err)
			report.judge(t, "alive after "+phase.name, "yes", fmt.Sprintf("%v, %d OOM kills", slot.present().cmd.ProcessState, kills), false)
			return
		}
	}
	kills, err := group.oomKills()
	must(t, err)
	report.judge(t, "OOM kills", "0", kills, kills == 0)
	most, err := group.mostMemory()
	must(t, err)
	report.judge(t, "limit of the group was in force", "at most 128 MiB", mebibytes(float64(most)), most <= limit && most > 0)
	outcomes := clickAt(ctx, base, 50, lasting(time.Second, 10*time.Second), s.honest)
	failed, kinds := failedOnes(outcomes)
	report.judge(t, "failed requests afterwards, of the same process", "0", fmt.Sprintf("%d %s", failed, kinds),
		failed == 0 && !slot.present().gone() && slot.present().cmd.Process.Pid == process)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

// shippedConnections is the limit of connections that a process has by itself.
const shippedConnections = "TILL_LIMITS_CONNECTIONS=1000"

// memoryOf is what a process has had at most until now.
func memoryOf(group *cgroup, slot *slot) string {
	if slot.present().gone() {
		return "the process is dead"
	}
	most, err := slot.status("VmHWM")
	if err != nil {
		return err.Error()
	}
	all, err := group.mostMemory()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("RSS at most %s, the group %s", mebibytes(float64(most)), mebibytes(float64(all)))
}

// closedLoop has callers who ask again as soon as they are answered, and returns how their
// requests ended.
func closedLoop(ctx context.Context, base string, callers int, lasts time.Duration, next func(n int) click) map[string]int {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	kinds := map[string]int{}
	var mu sync.Mutex
	var n atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				status, _, err := askOnce(context.WithoutCancel(ctx), client, base, next(int(n.Add(1))))
				mu.Lock()
				kinds[ending(status, err)]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return kinds
}

// slowCalls has 2,000 requests under way at once that wait for Stripe.
func slowCalls(ctx context.Context, t *testing.T, s *site, base string) string {
	t.Helper()
	must(t, s.stripe.call(ctx, http.MethodPost, "/sandbox/v1/faults",
		object{"operation": "checkout.sessions.create", "kind": "delay", "delay": "4s"}, nil))
	most := peak(func() (int64, error) {
		all, err := s.slots[0].metrics(ctx)
		return int64(all["till_http_connections{state=\"working\"}"]), err
	})
	_, kinds := visitAtOnce(ctx, base, 2000, s.buy)
	_, err := s.stripe.heal(ctx)
	must(t, err)
	all, err := s.slots[0].metrics(ctx)
	if err != nil {
		return fmt.Sprintf("%s; %v", counts(kinds), err)
	}
	return fmt.Sprintf("%d worked on at a time, %.0f connections cut; %s", most(), all["till_http_connections_cut_total"], counts(kinds))
}

// slowConnections opens 5,000, in equal parts with half a header, half a body, and answers
// that are not read, and waits until the service has cut them.
func slowConnections(ctx context.Context, t *testing.T, base, token string) string {
	t.Helper()
	begins := []string{
		"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("a", 8<<10),
		"POST /portal HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{" +
			strings.Repeat(" ", 30<<10),
		strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 10),
	}
	all := make([]net.Conn, 5000)
	var opened, cut atomic.Int64
	var wg sync.WaitGroup
	turns := make(chan struct{}, 50)
	for i := range all {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			conn, err := deaf(ctx, strings.TrimPrefix(base, "http://"))
			if err != nil {
				return
			}
			opened.Add(1)
			all[i] = conn
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // it does not read for long
			_, _ = io.WriteString(conn, begins[i%len(begins)])
		})
	}
	wg.Wait()
	for _, conn := range all {
		if conn == nil {
			continue
		}
		wg.Go(func() {
			_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
			if _, err := io.Copy(io.Discard, conn); !timedOut(err) {
				cut.Add(1)
			}
			_ = conn.Close()
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d opened, %d of them cut by the service", opened.Load(), cut.Load())
}

func timedOut(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // what a connection returns is not wrapped
	return ok && timeout.Timeout()
}

// hugeBodies has 400 requests at once with bodies that are far too large; half of them do not
// say how large.
func hugeBodies(ctx context.Context, base, token string) string {
	client := newcomers(patience)
	kinds := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			const size = 64 * mib
			what := "closed while it was sent"
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/checkout", io.LimitReader(spaces{}, size))
			if err != nil {
				return
			}
			if i%2 == 0 {
				req.ContentLength = size
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			if res, err := client.Do(req); err == nil {
				what = strconv.Itoa(res.StatusCode)
				_ = res.Body.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			kinds[what]++
		})
	}
	wg.Wait()
	return counts(kinds)
}

// spaces is JSON without an end.
type spaces struct{}

// Read implements io.Reader.
func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestLoadFewFiles has a process that may have 256 files, and more connections than that: it
// goes on when they are gone.
func TestLoadFewFiles(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const limit = 256
	s := newSite(ctx, t, siteOptions{shell: "ulimit -n " + strconv.Itoa(limit), env: []string{shippedConnections}})
	slot := s.slots[0]
	base := *slot.base.Load()
	var idle []net.Conn
	for range 2 * limit {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", strings.TrimPrefix(base, "http://"))
		must(t, err)
		idle = append(idle, conn)
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") // it may not be accepted
	}
	most := peak(func() (int64, error) { n, err := slot.files(); return int64(n), err })
	client := newcomers(3 * time.Second)
	outcomes := openloop.Run(ctx, openloop.Load{
		Rate: 50, For: lasting(4*time.Second, 30*time.Second), MaxInFlight: 1000, Client: client, Answered: usable,
		Request: func(ctx context.Context, n int) (*http.Request, error) { return s.honest(n).request(ctx, base) },
	})
	files := most()
	failed, kinds := failedOnes(outcomes)
	report.fact(t, "callers meanwhile", fmt.Sprintf("%d of %d served; %s", len(outcomes)-failed, len(outcomes), kinds))
	report.judge(t, "files open at most", "251 to 256 of 256", files, files > limit-6 && files <= limit)
	got := 0
	for _, conn := range idle {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && strings.Contains(line, "200") {
			got++
		}
		_ = conn.Close()
	}
	report.fact(t, "idle connections answered", fmt.Sprintf("%d of %d", got, len(idle)))
	back, err := settled(ctx, 15*time.Second, 0, func() (float64, error) {
		_, kinds := visitAtOnce(ctx, base, 10, s.buy)
		return float64(10 - kinds["201"]), nil
	})
	must(t, err)
	report.judge(t, "not served once the connections are gone, of 10", "0 within 15 s", back, back == 0)
	left, err := settled(ctx, 15*time.Second, limit/2, func() (float64, error) { n, err := slot.files(); return float64(n), err })
	must(t, err)
	report.judge(t, "files open afterwards", "<= 128", left, left <= limit/2)
	code, _, err := slot.leave(patience)
	must(t, err)
	report.judge(t, "exit code of the same process", "0", code, code == 0)
	report.none(t, "panics", s.panicked())
}

// TestLoadLittleCPU gives one process a fifth of a CPU and three times the load that it can
// take with that.
func TestLoadLittleCPU(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	group, err := newCgroup(t, "cpu", [2]string{"cpu.cfs_quota_us", "20000"}, [2]string{"cpu.max", "20000 100000"})
	if err != nil {
		leftOut(t, "no cgroup with a limit of CPU can be made here: "+err.Error())
	}
	s := newSite(ctx, t, siteOptions{shell: group.enter(), env: []string{shippedConnections}})
	base := *s.slots[0].base.Load()
	lasts := lasting(6*time.Second, 60*time.Second)
	// Four callers are enough to keep a fifth of a CPU busy, and too few to be in its way.
	can := float64(closedLoop(ctx, base, 4, lasts, s.buy)["201"]) / lasts.Seconds()
	watching, enough := context.WithCancel(ctx)
	var others sync.WaitGroup
	var polls, unready int
	others.Go(func() {
		for ; watching.Err() == nil; wait(watching, 200*time.Millisecond) {
			polls++
			if !isReady(ctx, base) {
				unready++
			}
		}
	})
	outcomes := clickAt(ctx, base, 3*can, lasts, s.buy)
	unwatchAfter(enough, &others)
	// Who has waited for longer has gone.
	const patient = 5 * time.Second
	good := openloop.Count(outcomes, func(o openloop.Outcome) bool { return o.OK() && o.Took <= patient })
	failed, kinds := failedOnes(outcomes)
	goodput := float64(good) / lasts.Seconds()
	report.fact(t, "what 0.2 CPU can do", fmt.Sprintf("%.0f sessions a second", can))
	report.fact(t, "asked for three times that", fmt.Sprintf("%d requests, %d failed: %s; p50 of the served %v, p99 %v", len(outcomes), failed, kinds,
		tidy(openloop.Percentile(outcomes, 0.5, openloop.Outcome.OK)), tidy(openloop.Percentile(outcomes, 0.99, openloop.Outcome.OK))))
	report.timed(t, "served within 5 s, a second", fmt.Sprintf(">= 80 %%, %.0f", 0.8*can), fmt.Sprintf("%.0f, %.0f %%", goodput, 100*goodput/can), goodput >= 0.8*can)
	report.judge(t, "answers of /readyz that were not 200", fmt.Sprintf("0 of %d", polls), unready, unready == 0 && polls > 1)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}
