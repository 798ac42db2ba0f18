//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"till/internal/openloop"
	"till/internal/store/pgtest"
)

// TestLoadStopWhileStripeHangs sends SIGTERM while calls to Stripe are under way that will
// never be answered. They are waited for, each caller is told, and what he repeats is done.
func TestLoadStopWhileStripeHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var r *rude
	drainPause := 5 * time.Second // the default
	s := newSite(ctx, t, siteOptions{args: []string{"--drain-pause", drainPause.String()}, before: func(sandbox string) string {
		r = newRude(t, sandbox)
		return r.server.URL
	}})
	slot := s.slots[0]
	base := *slot.base.Load()
	const calls = 16
	keyed := func(n int) click {
		c := s.buy(n)
		c.key = "hung-" + strconv.Itoa(n)
		return c
	}
	r.be(hang)
	late := lateness()
	var others sync.WaitGroup
	var slowest time.Duration
	var kinds map[string]int
	others.Go(func() { slowest, kinds = visitAtOnce(ctx, base, calls, keyed) })
	must(t, slot.present().until(func() bool { return r.under.Load() == calls }))
	code, took, err := slot.leave(time.Minute)
	must(t, err)
	others.Wait()
	report.fact(t, "answers", counts(kinds))
	report.judge(t, "callers who were told", strconv.Itoa(calls), kinds["504"]+kinds["503"], kinds["504"]+kinds["503"] == calls)
	judgeSlowest(t, slowest, late())
	report.judge(t, "from SIGTERM to the exit", "< 30 s", took.Round(time.Millisecond), took < patience)
	report.judge(t, "exit code", "0", code, code == 0)

	r.conduct.Store(nil)
	before, err := s.stripe.sessions(ctx)
	must(t, err)
	must(t, slot.start(ctx))
	_, kinds = visitAtOnce(ctx, *slot.base.Load(), calls, keyed)
	made, err := s.stripe.sessions(ctx)
	must(t, err)
	report.judge(t, "served by the next process when repeated with the same key", strconv.Itoa(calls), counts(kinds), kinds["201"] == calls)
	report.judge(t, "sessions made of them", strconv.Itoa(calls), made-before, made-before == calls)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

// TestLoadHungScrapers has a hundred scrapers of the metrics that do not read, or do not
// finish their request, beside callers who notice nothing.
func TestLoadHungScrapers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newSite(ctx, t, siteOptions{})
	slot := s.slots[0]
	base := *slot.base.Load()
	ops, err := slot.ops()
	must(t, err)
	goroutines := func() (float64, error) {
		all, err := slot.metrics(ctx)
		return all["go_goroutines"], err
	}
	lasts := lasting(4*time.Second, 30*time.Second)
	alone := clickAt(ctx, base, 50, lasts, s.honest)
	quiet, err := goroutines()
	must(t, err)
	hung, err := hang100(ctx, strings.TrimPrefix(ops, "http://"))
	defer func() {
		for _, conn := range hung {
			_ = conn.Close() // most are closed by the other side
		}
	}()
	must(t, err)
	beside := clickAt(ctx, base, 50, lasts, s.honest)
	failed, kinds := failedOnes(beside)
	p99 := func(o []openloop.Outcome) time.Duration {
		return tidy(openloop.Percentile(o, 0.99, openloop.Outcome.OK))
	}
	report.fact(t, "p99 without and beside them", fmt.Sprintf("%v, %v", p99(alone), p99(beside)))
	report.judge(t, "failed requests of callers beside 200 hung scrapers", "0", fmt.Sprintf("%d of %d %s", failed, len(beside), kinds), failed == 0)
	_, err = slot.metrics(ctx)
	report.judge(t, "an honest scrape beside them", "answered", answered(err), err == nil)
	left, err := settled(ctx, patience, quiet+10, goroutines)
	must(t, err)
	report.judge(t, "goroutines once each was given up", fmt.Sprintf("the %.0f of before, and 10", quiet), left, left <= quiet+10)
}

// hang100 has a hundred scrapes whose answers have begun and are not read, and as many
// requests that are not finished.
func hang100(ctx context.Context, address string) (hung []net.Conn, err error) {
	const scrapers = 100
	scrape := func(says string, begins int) error {
		conn, err := deaf(ctx, address)
		if err != nil {
			return err
		}
		hung = append(hung, conn)
		if _, err = io.WriteString(conn, says); err != nil {
			return err
		}
		begin := make([]byte, begins)
		if _, err = io.ReadFull(conn, begin); err == nil && begins > 0 && !strings.HasSuffix(string(begin), " 200") {
			err = fmt.Errorf("a scrape begins with %q", begin)
		}
		return err
	}
	for range scrapers {
		if err := scrape("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", len("HTTP/1.1 200")); err != nil {
			return hung, err
		}
		if err := scrape("GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 0); err != nil {
			return hung, err
		}
	}
	return hung, nil
}

func answered(err error) string {
	if err != nil {
		return err.Error()
	}
	return "answered"
}

// deaf is a connection whose other side can send next to nothing that is not read.
func deaf(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
		}); err != nil {
			return err
		}
		return failed
	}}
	return d.DialContext(ctx, "tcp", address)
}

// TestLoadPartialOutage takes the database, Stripe and the issuer's keys away, one after the
// other and then all at once. No process gives itself up: a balancer would have none left.
func TestLoadPartialOutage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := startCluster(t)
	name, err := c.NewDatabase()
	must(t, err)
	var r *rude
	keys := newKeyServer(t)
	s := newSite(ctx, t, siteOptions{
		replicas: 2, database: c.URL(name), config: keys.config(t),
		before: func(sandbox string) string {
			r = newRude(t, sandbox)
			return r.server.URL
		},
	})
	watching, enough := context.WithCancel(ctx)
	var others sync.WaitGroup
	var polls, unready int
	others.Go(func() {
		for ; watching.Err() == nil; wait(watching, 100*time.Millisecond) {
			for _, slot := range s.slots {
				polls++
				if !isReady(ctx, *slot.base.Load()) {
					unready++
				}
			}
		}
	})
	down := lasting(2*time.Second, 40*time.Second)
	outages := []outageOf{
		{"the database", func() error { return c.Stop(pgtest.Immediate) }, c.Start, "201"},
		{"Stripe", func() error { r.be(reset); return nil }, func() error { r.conduct.Store(nil); return nil }, ""},
		{"the issuer's keys", keys.close, keys.open, "201"},
	}
	for i, o := range append(outages, all(outages)) {
		must(t, o.begin())
		outcomes := clickAt(ctx, *s.slots[i%2].base.Load(), 20, down, s.buy)
		must(t, o.end())
		statuses := map[string]int{}
		for _, one := range outcomes {
			statuses[strconv.Itoa(one.Status)]++
		}
		report.fact(t, "answers without "+o.name, counts(statuses))
		if o.want != "" {
			report.judge(t, "sessions without "+o.name, fmt.Sprint(len(outcomes)), statuses[o.want], statuses[o.want] == len(outcomes) && len(outcomes) > 0)
		}
		// The breaker is closed again.
		_, err := settled(ctx, patience, 0, func() (float64, error) {
			_, kinds := visitAtOnce(ctx, *s.slots[i%2].base.Load(), 1, s.buy)
			return float64(1 - kinds["201"]), nil
		})
		must(t, err)
	}
	unwatchAfter(enough, &others)
	report.judge(t, "answers of /readyz that were not 200", fmt.Sprintf("0 of %d", polls), unready, unready == 0 && polls > 20)
	_, kinds := visitAtOnce(ctx, *s.slots[0].base.Load(), 10, s.buy)
	report.judge(t, "served once everything is back, without a restart", "10", counts(kinds), kinds["201"] == 10)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

// outageOf is something that can be away, and the status of requests for a session then.
type outageOf struct {
	name       string
	begin, end func() error
	want       string
}

// all is everything away at once.
func all(outages []outageOf) outageOf {
	each := func(do func(outageOf) error) func() error {
		return func() error {
			for _, o := range outages {
				if err := do(o); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return outageOf{
		name: "all of them", begin: each(func(o outageOf) error { return o.begin() }), end: each(func(o outageOf) error { return o.end() }),
	}
}

// reset breaks the connection.
func reset(conn net.Conn, _ <-chan struct{}) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // so that it is a reset
	}
}

// keyServer is where an issuer's keys are read; it may be gone.
type keyServer struct {
	server *httptest.Server
	mu     sync.Mutex
	text   []byte
	gone   bool
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.gone {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(k.text)
	}))
	t.Cleanup(k.server.Close)
	return k
}

var keysFile = regexp.MustCompile(`jwks_file: "([^"]+)"`)

// config has the keys read from here that were in a file.
func (k *keyServer) config(t *testing.T) func(string) string {
	t.Helper()
	return func(text string) string {
		found := keysFile.FindStringSubmatch(text)
		if found == nil {
			t.Fatal("the configuration names no file of keys")
		}
		keys, err := os.ReadFile(found[1])
		must(t, err)
		k.text = keys
		return keysFile.ReplaceAllLiteralString(text, "jwks_url: "+strconv.Quote(k.server.URL+"/keys"))
	}
}

func (k *keyServer) close() error { return k.set(true) }
func (k *keyServer) open() error  { return k.set(false) }

func (k *keyServer) set(gone bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = gone
	return nil
}
