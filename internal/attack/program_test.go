//go:build attack

package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"till/internal/sandbox"
	"till/internal/secret/secrettest"
)

var (
	programFile string
	build       sync.Once
)

// program is a running `till serve`: the real listeners, limits and handlers, with the
// sandbox as Stripe.
type program struct {
	t                   *testing.T
	base, metrics, logs string
	pid                 int
}

var announced = regexp.MustCompile(`(?s)Open +(\S+)/\n.*Metrics +(\S+)\n`)

// start is `till serve --dev`.
func start(t *testing.T) *program {
	t.Helper()
	p, out := launch(t, nil, "serve", "--dev")
	p.await(func() bool {
		m := announced.FindStringSubmatch(out.String())
		if m != nil {
			p.base, p.metrics = m[1], m[2]
		}
		return m != nil
	})
	return p
}

const settings = `public_url: https://billing.example.com
auth:
  issuers:
    - {issuer: %[1]q, audience: [till], jwks_url: "%[1]s/keys"}
limits: {owner_writes_per_minute: 0, address_per_minute: 0, stripe_rps_per_endpoint: 0}
plans:
  pro:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}}]
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/"}
`

// stripeTakes is how long Stripe takes for everything, besides what it does.
const stripeTakes = 20 * time.Millisecond

// startAlone is `till serve` as in production: the issuer and Stripe, which takes so
// long for everything, are others'. Stripe's part of the last call goes to spent.
func startAlone(t *testing.T, takes time.Duration, spent *atomic.Int64) (*program, *issuer) {
	t.Helper()
	idp := newIssuer(t)
	stripe, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inner := stripe.Handler()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := time.Now()
		time.Sleep(takes)
		// Put together first, so that only the writing of it is not Stripe's part.
		said := httptest.NewRecorder()
		inner.ServeHTTP(said, r)
		maps.Copy(w.Header(), said.Header())
		w.WriteHeader(said.Code)
		spent.Store(int64(time.Since(from)))
		_, _ = w.Write(said.Body.Bytes())
	}))
	t.Cleanup(upstream.Close)
	return startWith(t, fmt.Sprintf(settings, idp.url), "STRIPE_SECRET_KEY=sk_test_sandbox", "STRIPE_API_BASE="+upstream.URL), idp
}

var serving = regexp.MustCompile(`"msg":"serving","version":"[^"]*","addr":"([^"]+)","ops_addr":"([^"]+)"`)

// startWith is `till serve` with a configuration, and what it needs in the environment.
func startWith(t *testing.T, config string, env ...string) *program {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "till.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env = append(env, "TILL_DATABASE_URL=sqlite://"+filepath.Join(dir, "till.db"))
	p, _ := launch(t, env, "serve", "--config", file, "--drain-pause", "0s")
	p.await(func() bool {
		m := serving.FindStringSubmatch(p.log())
		if m == nil {
			return false
		}
		p.base, p.metrics = "http://"+m[1], "http://"+m[2]+"/metrics"
		status, _, err := p.call("GET", "/readyz", "", "")
		return err == nil && status == http.StatusOK
	})
	return p
}

// await waits until the program has got that far.
func (p *program) await(there func() bool) {
	p.t.Helper()
	for range 600 {
		if there() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("the program has not started:\n%s", p.log())
}

func launch(t *testing.T, env []string, args ...string) (*program, *said) {
	t.Helper()
	build.Do(func() {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", programFile, "till/cmd/api")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	p := &program{t: t, logs: filepath.Join(t.TempDir(), "log")}
	logs, err := os.Create(p.logs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer logs.Close()
		if _, err := logs.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		secrettest.New(nil).CheckLines(t, "the log", logs)
	})
	out := &said{}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, programFile, args...)
	cmd.Env = append(env, "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0", "HOME="+t.TempDir(), "TMPDIR="+t.TempDir())
	cmd.Stdout, cmd.Stderr = out, logs
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 40 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("the program: %v", err)
		}
	})
	p.pid = cmd.Process.Pid
	return p, out
}

// address is host:port.
func (p *program) address() string { return strings.TrimPrefix(p.base, "http://") }

func (p *program) port() int {
	_, port, _ := strings.Cut(p.address(), ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *program) log() string {
	text, err := os.ReadFile(p.logs)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// peak is the most memory that the process has had, in MiB.
func (p *program) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		p.t.Fatal("no VmHWM")
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return float64(kib) / 1024
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call sends a request with a bearer token and returns status and body.
func (p *program) call(method, path, token, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, text, err
}

// member calls, wants status, and returns a member of the answer.
func (p *program) member(method, path, token, body, name string, status int) string {
	p.t.Helper()
	got, text, err := p.call(method, path, token, body)
	if err != nil || got != status {
		p.t.Fatalf("%s %s: %d %s %v", method, path, got, text, err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		p.t.Fatal(err)
	}
	value, _ := m[name].(string)
	return value
}

func (p *program) token(subject string) string {
	p.t.Helper()
	return p.member("POST", "/dev/token", "", `{"sub":"`+subject+`"}`, "token", http.StatusCreated)
}

// series counts what a scrape returns.
func (p *program) series() (n int) {
	p.t.Helper()
	for line := range bytes.Lines(p.scrape()) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}

func (p *program) scrape() []byte {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.metrics, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// said is a buffer that may be read while it is written.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
