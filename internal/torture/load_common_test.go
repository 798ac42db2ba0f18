//go:build torture && linux

package torture_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/openloop"
)

// site is a fleet that is known to its callers: each process has a port that stays its own,
// and the callers have customers.
type site struct {
	*fleet
	stripe *stripe
	// tokens are one of each caller's.
	tokens []string
}

// siteOptions are what differs between scenarios.
type siteOptions struct {
	replicas int // 1 if 0
	callers  int // 100 if 0
	// database is a URL; a file of SQLite if "".
	database string
	// before, if set, stands between the service and the sandbox, whose URL it takes.
	before func(sandbox string) (stripeURL string)
	// env and args are added to those of every process; args as in "--drain-pause", "5s".
	env, args []string
	// config changes the configuration file, if set.
	config func(text string) string
	// prepare, if set, is called before anything starts.
	prepare func(*fleet)
	// shell is run by sh in the process that then becomes the service: a limit, a cgroup.
	shell string
}

// newSite starts Stripe and the processes, and makes the callers' customers.
func newSite(ctx context.Context, t *testing.T, o siteOptions) *site {
	t.Helper()
	o.replicas, o.callers = max(1, o.replicas), max(o.callers, 100)
	if o.database == "" {
		o.database = newFile(t)
	}
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	stripeURL := st.base
	if o.before != nil {
		stripeURL = o.before(st.base)
	}
	f, err := newFleet(ctx, t.TempDir(), o.database, stripeURL, o.replicas)
	must(t, err)
	// What is limited per owner and address is measured elsewhere.
	f.env = slices.Concat(f.env, []string{
		"TILL_LIMITS_OWNER_WRITES_PER_MINUTE=0", "TILL_LIMITS_ADDRESS_PER_MINUTE=0", "TILL_LIMITS_CONNECTIONS=0",
	}, o.env)
	f.args = slices.Concat(f.args, o.args)
	if o.config != nil {
		text, err := os.ReadFile(f.config)
		must(t, err)
		must(t, os.WriteFile(f.config, []byte(o.config(string(text))), 0o600))
	}
	if o.shell != "" {
		f.args = slices.Concat([]string{"-c", o.shell + ` && exec "$0" "$@"`, f.program}, f.args)
		f.program = "/bin/sh"
	}
	for _, s := range f.slots {
		s.env = []string{fmt.Sprintf("TILL_ADDR=127.0.0.1:%d", freePort(t))}
	}
	t.Cleanup(func() {
		if t.Failed() {
			f.explain(t)
		}
		must(t, f.stop())
	})
	if o.prepare != nil {
		o.prepare(f)
	}
	must(t, f.start(ctx))
	s := &site{fleet: f, stripe: st}
	s.admit(ctx, t, o.callers)
	return s
}

// admit makes callers, and a customer for each.
func (s *site) admit(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for i := range n {
		token, err := owner{customers.KindUser, "caller" + strconv.Itoa(i)}.token(s.issuer, 0)
		must(t, err)
		s.tokens = append(s.tokens, token)
	}
	must(t, together(n, func(i int) error {
		for _, slot := range s.slots { // each has a cache of its own
			if r := ask(ctx, *slot.base.Load(), s.tokens[i], false); r.customer == "" {
				return fmt.Errorf("the first visit of caller %d: %s %s", i, r.status, r.odd)
			}
		}
		return nil
	}))
}

// addresses are those of all processes, whether they serve or not.
func (s *site) addresses() (all []string) {
	for _, slot := range s.slots {
		all = append(all, strings.TrimPrefix(slot.env[0], "TILL_ADDR="))
	}
	return all
}

// click is one request. A key makes it one that may be repeated.
type click struct{ method, path, body, token, key string }

// buy is the nth request for a session; each caller has his turn.
func (s *site) buy(n int) click {
	return click{method: http.MethodPost, path: "/checkout", body: `{"plan":"pro"}`, token: s.tokens[n%len(s.tokens)]}
}

// honest is the nth request of people: they buy, go to the portal, and look what they have.
func (s *site) honest(n int) click {
	c := s.buy(n)
	switch n % 5 {
	case 1, 2:
		c.path, c.body = "/portal", "{}"
	case 3, 4:
		c.method, c.path, c.body = http.MethodGet, "/checkout?limit=1", ""
	}
	return c
}

func (c click) request(ctx context.Context, base string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, base+c.path, strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
		// net/http would repeat what has a key by itself.
		req.GetBody = nil
	}
	return req, nil
}

var errOddAnswer = errors.New("an answer that the caller cannot use")

// refusal is an answer of the service's that is an error, by its code; what is none of the
// service's has no code.
type refusal struct {
	status int
	code   string
}

// Error implements error.
func (r refusal) Error() string { return strings.TrimSpace(fmt.Sprint(r.status, " ", r.code)) }

// usable objects to what is no success, and to a success that is none.
func usable(_ int, res *http.Response, body []byte) error {
	var a struct{ ID, URL, Object, Code string }
	err := json.Unmarshal(body, &a)
	if res.StatusCode >= 300 {
		return refusal{res.StatusCode, a.Code}
	}
	if err != nil || a.Object == "" || a.Object != "list" && (a.ID == "" || a.URL == "") {
		return fmt.Errorf("%w: %d %.100q", errOddAnswer, res.StatusCode, body)
	}
	return nil
}

// clickAt sends requests at a constant rate to base; none waits for another's answer.
func clickAt(ctx context.Context, base string, rate float64, lasts time.Duration, next func(n int) click) []openloop.Outcome {
	client := newcomers(patience)
	return openloop.Run(ctx, openloop.Load{
		Rate: rate, For: lasts, MaxInFlight: 4096, Timeout: patience, Client: client, Answered: usable,
		Request: func(ctx context.Context, n int) (*http.Request, error) { return next(n).request(ctx, base) },
	})
}

// newcomers is a client that keeps no connection: each request is another person's, from
// another address.
func newcomers(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 100, byte(rand.IntN(250)), byte(1+rand.IntN(250)))}}
			return d.DialContext(ctx, network, address)
		},
	}}
}

// failedOnes are the outcomes that are no success, by what happened.
func failedOnes(outcomes []openloop.Outcome) (n int, kinds string) {
	by := map[string]int{}
	for _, o := range outcomes {
		if o.OK() {
			continue
		}
		n++
		by[ending(o.Status, o.Err)]++
	}
	return n, counts(by)
}

var addressText = regexp.MustCompile(`127\.\d+\.\d+\.\d+:\d+`)

// ending is how a request ended, in words that are the same for all that ended so.
func ending(status int, err error) string {
	if err == nil {
		return strconv.Itoa(status)
	}
	if refused := new(refusal); errors.As(err, refused) {
		return refused.Error()
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return "(" + addressText.ReplaceAllString(err.Error(), "…") + ")"
}

var opsLine = regexp.MustCompile(`"msg":"serving".*"ops_addr":"([^"]+)"`)

// ops is the address of the operations listener of the process that is here now.
func (s *slot) ops() (string, error) {
	c := s.present()
	if c == nil {
		return "", fmt.Errorf("%s has no process", s.name)
	}
	said, err := c.await(opsLine)
	if err != nil {
		return "", err
	}
	return "http://" + said[1], nil
}

// present is the process that is here now; nil before the first.
func (s *slot) present() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// metrics scrapes the process: series as they are written, labels included.
func (s *slot) metrics(ctx context.Context) (map[string]float64, error) {
	base, err := s.ops()
	if err != nil {
		return nil, err
	}
	text, err := fetch(ctx, base+"/metrics")
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		at := strings.LastIndexByte(line, ' ')
		if line[0] == '#' || at < 0 {
			continue
		}
		if all[line[:at]], err = strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// scraper keeps no connections, which would be goroutines and files of the process.
var scraper = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := scraper.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %.100q", url, res.StatusCode, text)
	}
	return string(text), err
}

// status is one number of /proc/<pid>/status, in bytes: VmRSS, VmHWM (the most of it ever).
func (s *slot) status(name string) (int64, error) {
	c := s.present()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	for scan := bufio.NewScanner(file); scan.Scan(); {
		if text, found := strings.CutPrefix(scan.Text(), name+":"); found {
			kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// files is how many the process has open.
func (s *slot) files() (int, error) {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.present().cmd.Process.Pid))
	return len(all), err
}

const mib = 1 << 20

// mebibytes is a size as people read it.
func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/mib) }

// settled returns a reading once it is at most limit, or the last one after some time.
func settled(ctx context.Context, within time.Duration, limit float64, read func() (float64, error)) (float64, error) {
	for end := time.Now().Add(within); ; wait(ctx, 250*time.Millisecond) {
		now, err := read()
		if err != nil || now <= limit || time.Now().After(end) || ctx.Err() != nil {
			return now, err
		}
	}
}

// peak samples a reading until stop is called, which returns the largest.
func peak(read func() (int64, error)) (stop func() int64) {
	var largest int64
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if now, err := read(); err == nil {
				largest = max(largest, now)
			}
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() int64 {
		close(ended)
		wg.Wait()
		return largest
	}
}

// leave asks the process to stop, and returns how it ended and when.
func (s *slot) leave(limit time.Duration) (code int, took time.Duration, err error) {
	c := s.present()
	from := time.Now()
	if err := c.signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	if err := c.wait(limit); err != nil {
		return 0, time.Since(from), err
	}
	s.base.Store(nil)
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.fleet.alarms = append(s.fleet.alarms, c.said.alarms()...)
	return c.cmd.ProcessState.ExitCode(), time.Since(from), nil
}
