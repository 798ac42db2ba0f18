package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/auth/devissuer"
	"till/internal/config"
	"till/internal/sandbox"
	"till/internal/secret/secrettest"
)

// program is one running till.
type program struct {
	t              *testing.T
	stop           context.CancelFunc
	exited         chan int
	stdout, stderr *output
	public, ops    string
	// secrets are looked for in whatever it says.
	secrets *secrettest.Watch
	// signal is for one that is a process of its own.
	signal func(os.Signal) error
}

func newProgram(t *testing.T, stop context.CancelFunc) *program {
	return &program{
		t: t, stop: stop, exited: make(chan int, 1), stdout: &output{}, stderr: &output{}, secrets: secrettest.New(nil),
	}
}

// start runs till with args; more is added to an otherwise empty environment.
func start(t *testing.T, args []string, more ...string) *program {
	t.Helper()
	return startWriting(t, func(to *output) io.Writer { return to }, args, more...)
}

// startWriting is start with something in front of where the log goes to.
func startWriting(t *testing.T, front func(*output) io.Writer, args []string, more ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := newProgram(t, stop)
	// The first of two equal names counts.
	environ := append(slices.Clone(more), "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0")
	go func() { p.exited <- run(ctx, process{args, environ, p.stdout, front(p.stderr)}) }()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-p.exited:
			p.exited <- code
		case <-time.After(10 * time.Second):
			t.Error("till does not stop")
		}
		p.secrets.Check(t, "the log", p.stderr.String())
		// In development it says a token, to be tried.
		p.secrets.Check(t, "the standard output", spokenToken.ReplaceAllString(p.stdout.String(), ""))
	})
	return p
}

var spokenToken = regexp.MustCompile(`Bearer \S+'`)

var servingLine = regexp.MustCompile(`"msg":"serving".*"addr":"([^"]+)","ops_addr":"([^"]+)"`)

// serving waits for both listeners.
func (p *program) serving() *program {
	p.t.Helper()
	p.eventually("serving", func() bool {
		m := servingLine.FindStringSubmatch(p.stderr.String())
		if m == nil {
			return false
		}
		p.public, p.ops = "http://"+m[1], "http://"+m[2]
		return true
	})
	return p
}

// ready waits until it can serve requests.
func (p *program) ready() *program {
	p.t.Helper()
	p.serving()
	p.eventually("ready", func() bool { return p.call("GET", p.public+"/readyz", "", "").status == http.StatusOK })
	return p
}

func (p *program) eventually(what string, done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if len(p.exited) > 0 || time.Now().After(end) {
			p.t.Fatalf("not %s:\n%s\n%s", what, p.stdout, p.stderr)
		}
	}
}

// exit waits for the end and returns the code.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case code := <-p.exited:
		p.exited <- code
		return code
	case <-time.After(20 * time.Second):
		p.t.Fatalf("till goes on:\n%s", p.stderr)
		return -1
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (p *program) call(method, url, token, body string) answer {
	p.t.Helper()
	header := http.Header{}
	if token != "" {
		if strings.Count(token, ".") == 2 { // the sandbox's own key is for everybody
			p.secrets.AddToken("a token", token)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	return p.exchange(method, url, header, body)
}

// exchange sends one request; what is no answer has no status.
func (p *program) exchange(method, url string, header http.Header, body string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header = header
	if body != "" && header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

var httpClient = &http.Client{
	Timeout:       15 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// text is a string member of the JSON body.
func (a answer) text(name string) string {
	var m map[string]any
	_ = json.Unmarshal([]byte(a.body), &m)
	s, _ := m[name].(string)
	return s
}

// output is a buffer that can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func TestDevelopmentFromNothingToAPayment(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	p := start(t, []string{"serve", "--dev"}).ready()
	p.eventually("announced", func() bool { return strings.Contains(p.stdout.String(), "curl") })
	for _, text := range []string{"NOT SAFE FOR PRODUCTION", "no real money", p.public + "/", p.ops + "/metrics", "curl -s -X POST " + p.public + "/checkout"} {
		if !strings.Contains(p.stdout.String(), text) {
			t.Errorf("does not say %q:\n%s", text, p.stdout)
		}
	}

	token := p.call("POST", p.public+"/dev/token", "", `{"sub":"alice"}`).text("token")
	session := p.call("POST", p.public+"/checkout", token, `{"plan":"pro","quantity":2,"success_url":"http://localhost:3000/ok?s={CHECKOUT_SESSION_ID}"}`)
	if session.status != http.StatusCreated {
		t.Fatalf("checkout: %d %s", session.status, session.body)
	}
	page := p.call("GET", session.text("url"), "", "")
	if page.status != http.StatusOK || !strings.Contains(page.body, "SANDBOX") {
		t.Errorf("the payment page: %d %s", page.status, page.body)
	}
	id := session.text("id")
	if done := p.call("POST", p.public+"/sandbox/v1/checkout/"+id+"/complete", "", ""); done.status != http.StatusOK {
		t.Errorf("completing: %d %s", done.status, done.body)
	}
	if got := p.call("GET", p.public+"/checkout/"+id, token, ""); got.text("status") != "complete" {
		t.Errorf("after payment: %d %s", got.status, got.body)
	}
	portal := p.call("POST", p.public+"/portal", token, "")
	if page := p.call("GET", portal.text("url"), "", ""); page.status != http.StatusOK || !strings.Contains(page.body, "SANDBOX") {
		t.Errorf("the portal page: %d %s", page.status, page.body)
	}
	if demo := p.call("GET", p.public+"/", "", ""); demo.status != http.StatusOK || !strings.Contains(demo.header.Get("Content-Type"), "text/html") {
		t.Errorf("the demo page: %d %v", demo.status, demo.header)
	}

	p.stop()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestListenersKeepToThemselves(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"serve", "--dev"}).ready()
	for _, row := range []struct {
		url    string
		status int
	}{
		{p.public + "/healthz", 200},
		{p.public + "/readyz", 200},
		{p.public + "/openapi.yaml", 200},
		{p.public + "/metrics", 404},
		{p.public + "/debug/pprof/", 404},
		{p.ops + "/healthz", 200},
		{p.ops + "/readyz", 200},
		{p.ops + "/metrics", 200},
		{p.ops + "/debug/pprof/", 404},
		{p.ops + "/checkout", 404},
		{p.ops + "/dev/token", 404},
		{p.ops + "/", 404},
	} {
		if got := p.call("GET", row.url, "", ""); got.status != row.status {
			t.Errorf("%s: got %d, want %d", row.url, got.status, row.status)
		}
	}
	if metrics := p.call("GET", p.ops+"/metrics", "", "").body; !strings.Contains(metrics, "till_build_info{") {
		t.Error("no build information")
	}
	profiled := start(t, []string{"serve", "--dev", "--pprof"}).serving()
	if got := profiled.call("GET", profiled.ops+"/debug/pprof/", "", ""); got.status != 200 {
		t.Errorf("--pprof: got %d", got.status)
	}
}

func TestARunningRequestIsFinishedOnTheWayOut(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"serve", "--dev"}).ready()
	token := p.call("POST", p.public+"/dev/token", "", `{"sub":"alice"}`).text("token")
	p.call("POST", p.public+"/portal", token, "")
	p.call("POST", p.public+"/sandbox/v1/faults", "", `{"operation":"billing_portal.sessions.create","kind":"delay","delay":"700ms","count":1}`)
	answered := make(chan answer, 1)
	go func() { answered <- p.call("POST", p.public+"/portal", token, "") }()
	// The fault is used up as soon as its request has reached the sandbox.
	p.eventually("in flight", func() bool { return faultsLeft(p, p.public) == 0 })
	p.stop()
	if got := <-answered; got.status != http.StatusCreated {
		t.Errorf("cut off: %d %s", got.status, got.body)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
}

// faultsLeft is how many faults the sandbox of base still has in store.
// held is a log that is not read while its lock is taken.
type held struct {
	sync.Mutex
	to io.Writer
}

func (h *held) Write(lines []byte) (int, error) {
	h.Lock()
	defer h.Unlock()
	return h.to.Write(lines)
}

func TestRequestsAreServedWhileNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	log := &held{}
	p := startWriting(t, func(to *output) io.Writer { log.to = to; return log }, []string{"serve", "--dev"}).ready()
	const served = 200
	log.Lock()
	for n := range served {
		p.exchange("GET", p.public+"/plans", http.Header{"X-Request-Id": {fmt.Sprintf("held-%d", n)}}, "")
	}
	log.Unlock()
	p.eventually("written", func() bool { return strings.Count(p.stderr.String(), `"request_id":"held-`) == served })
	if metrics := p.call("GET", p.ops+"/metrics", "", "").body; !strings.Contains(metrics, `till_log_lines_dropped_total{kind="ordinary"} 0`) {
		t.Error("the metrics do not count lines that were dropped")
	}
}

func faultsLeft(p *program, base string) int {
	var page struct {
		Faults []struct{} `json:"data"`
	}
	_ = json.Unmarshal([]byte(p.call("GET", base+"/sandbox/v1/faults", "", "").body), &page)
	return len(page.Faults)
}

// files makes a configuration for a till that talks to stripe, and its issuer.
func files(t testing.TB, edit func(string) string) (config string, token func(string) string) {
	t.Helper()
	var keys http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { keys.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	issuer, err := devissuer.New(server.URL, "till", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	keys = issuer.Handler()
	text := edit(`public_url: https://billing.example.com
auth:
  issuers:
    - {issuer: "` + server.URL + `", audience: [till]}
database: {url: "sqlite://` + filepath.ToSlash(filepath.Join(t.TempDir(), "till.db")) + `"}
plans:
  pro:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}}]
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/"}
`)
	config = filepath.Join(t.TempDir(), "till.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, func(subject string) string {
		token, _, err := issuer.Mint(devissuer.Claims{Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func same(text string) string { return text }

func stripeAt(url string) []string {
	return []string{"STRIPE_SECRET_KEY=sk_test_canary", "STRIPE_API_BASE=" + url}
}

func newStripe(t *testing.T) *httptest.Server {
	t.Helper()
	fake, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.Handler())
	t.Cleanup(server.Close)
	return server
}

// TestStripeIsDownAtTheStart: not ready while the account is unknown, ready at
// once where this database has seen it before.
func TestStripeIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	config, token := files(t, same)
	stripe := newStripe(t)
	args := []string{"serve", "--config", config, "--drain-pause", "0s"}

	down := start(t, args, stripeAt("http://127.0.0.1:1")...).serving()
	if got := down.call("GET", down.public+"/readyz", "", ""); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("/readyz: %d %s", got.status, got.body)
	}
	if got := down.call("GET", down.public+"/healthz", "", ""); got.status != 200 {
		t.Errorf("/healthz: %d", got.status)
	}
	down.eventually("has the issuer's keys", func() bool {
		got := down.call("POST", down.public+"/checkout", token("alice"), `{"plan":"pro"}`)
		return got.status == 503 && got.text("code") == "dependency_unavailable"
	})

	up := start(t, args, stripeAt(stripe.URL)...).ready()
	if got := up.call("POST", up.public+"/checkout", token("alice"), `{"plan":"pro"}`); got.status != 201 {
		t.Errorf("with Stripe: %d %s", got.status, got.body)
	}

	stripe.Close()
	again := start(t, args, stripeAt(stripe.URL)...).ready()
	if got := again.call("POST", again.public+"/portal", token("alice"), ""); got.status != 502 && got.status != 503 {
		t.Errorf("without Stripe again: %d %s", got.status, got.body)
	}
}

// TestTheConfigurationReachesTheService: what till.yaml says is what is served,
// and readiness goes before the listener does.
func TestTheConfigurationReachesTheService(t *testing.T) {
	t.Parallel()
	file, token := files(t, func(s string) string {
		s = strings.Replace(s, "auth:\n", "auth:\n  origins: [\"https://app.example.com\"]\n", 1)
		return s + "stripe: {metadata_subject: sha256, version: 2024-04-10, versions: {prices.list: 2025-03-31.basil}}\n"
	})
	stripe := newStripe(t)
	p := start(t, []string{"serve", "--config", file, "--drain-pause", "1s"}, stripeAt(stripe.URL)...).ready()
	for origin, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "http://localhost:3000": "", "https://evil.example": "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, p.public+"/checkout", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		res, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("a page of %s: allowed %q, want %q", origin, got, want)
		}
	}
	session := p.call("POST", p.public+"/checkout", token("alice"), `{"plan":"pro"}`)
	if session.status != 201 || !strings.Contains(session.body, `"till_subject":"2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"`) {
		t.Errorf("metadata_subject: %d %s", session.status, session.body)
	}
	journal := p.call("GET", stripe.URL+"/sandbox/v1/requests?operation=checkout.sessions.create", "", "").body
	if !strings.Contains(journal, `"stripe_version":"2024-04-10"`) {
		t.Errorf("stripe.version: %s", journal)
	}
	journal = p.call("GET", stripe.URL+"/sandbox/v1/requests?operation=prices.list", "", "").body
	if !strings.Contains(journal, `"stripe_version":"2025-03-31.basil"`) || strings.Contains(journal, `"2024-04-10"`) {
		t.Errorf("stripe.versions: %s", journal)
	}
	for _, path := range []string{"/dev/token", "/sandbox/v1/state", "/", "/.well-known/jwks.json"} {
		if got := p.call("GET", p.public+path, "", ""); got.status != 404 {
			t.Errorf("%s: got %d outside of development", path, got.status)
		}
	}

	p.stop()
	p.eventually("not ready any more", func() bool { return p.call("GET", p.public+"/readyz", "", "").status == 503 })
	if got := p.call("GET", p.public+"/healthz", "", ""); got.status != 200 {
		t.Errorf("/healthz while draining: %d", got.status)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
	if strings.Contains(p.stderr.String(), `"level":"ERROR"`) {
		t.Errorf("an orderly end is logged as an error:\n%s", p.stderr)
	}
}

func TestReplicasShareTheRate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limits config.Limits
		want   float64
	}{
		{config.Limits{StripeRPSPerEndpoint: 25, Replicas: 1}, 25},
		{config.Limits{StripeRPSPerEndpoint: 25, Replicas: 4}, 6.25},
		{config.Limits{StripeRPSPerEndpoint: 0, Replicas: 4}, 0},
		{config.Limits{StripeRPSPerEndpoint: 25}, 25},
	} {
		if got := ratePerReplica(row.limits); got != row.want {
			t.Errorf("%+v: got %v, want %v", row.limits, got, row.want)
		}
	}
}

func TestWhatStripeContradictsEndsTheStart(t *testing.T) {
	t.Parallel()
	stripe := newStripe(t)
	for name, row := range map[string]struct {
		edit func(string) string
		says string
	}{
		"a price that is not there": {
			func(s string) string { return strings.Replace(s, "pro_monthly", "no_such_key", 1) },
			`plans.pro.line_items.0.price: Stripe has no price "no_such_key"`,
		},
		"a price that is not active": {
			func(s string) string { return strings.Replace(s, "lookup_key: pro_monthly", "id: price_retired", 1) },
			`plans.pro.line_items.0.price: price "price_retired" is not active`,
		},
		"another account": {
			func(s string) string { return s + "stripe: {account: acct_another}\n" },
			"stripe.account: is acct_another, and the key belongs to acct_",
		},
		"a connected account that is not ours": {
			func(s string) string { return s + "stripe: {connected_account: acct_another}\n" },
			"stripe.connected_account: the key has no access to acct_another",
		},
		"an operation that nobody makes": {
			func(s string) string { return s + "stripe: {versions: {checkout.sessions.creat: 2025-03-31.basil}}\n" },
			"stripe.versions.checkout.sessions.creat",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _ := files(t, row.edit)
			p := start(t, []string{"serve", "--config", config}, stripeAt(stripe.URL)...)
			if code := p.exit(); code != 2 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(p.stderr.String(), row.says) {
				t.Errorf("does not say %q:\n%s", row.says, p.stderr)
			}
		})
	}
}

func TestWrongConfigurationListsEverything(t *testing.T) {
	t.Parallel()
	config, _ := files(t, func(s string) string {
		s = strings.Replace(s, "mode: subscription", "mode: subscribe", 1)
		s = strings.Replace(s, "https://billing.example.com", "http://billing.example.com", 1)
		s = strings.Replace(s, "audience: [till]", "audiense: [till]", 1)
		return s + "colour: blue\n"
	})
	for name, row := range map[string]struct {
		args, environ, says []string
	}{
		"nothing at all": {[]string{"serve"}, nil, []string{"no configuration file is named", "--dev"}},
		"four mistakes": {
			[]string{"serve", "--config", config},
			[]string{"STRIPE_SECRET_KEY=sk_live_canary_0123456789", "STRIPE_API_BASE=http://127.0.0.1:1"},
			[]string{"plans.pro.mode", "public_url", "audiense", "colour", "STRIPE_API_BASE"},
		},
		"no file":         {[]string{"serve", "--config", "nowhere.yaml"}, nil, []string{"nowhere.yaml"}},
		"live key in dev": {[]string{"serve", "--dev"}, []string{"STRIPE_SECRET_KEY=sk_live_canary_0123456789"}, []string{"live key"}},
		"dev and a file":  {[]string{"serve", "--dev", "--config", config}, nil, []string{"--dev"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, row.args, row.environ...)
			if code := p.exit(); code != 2 {
				t.Errorf("exit code %d", code)
			}
			for _, text := range row.says {
				if !strings.Contains(p.stderr.String(), text) {
					t.Errorf("does not say %q:\n%s", text, p.stderr)
				}
			}
			if strings.Contains(p.stderr.String()+p.stdout.String(), "canary") {
				t.Error("the key is printed")
			}
		})
	}
}

func TestOtherFailuresExitWith1(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	p := start(t, []string{"serve", "--dev"}, "TILL_ADDR="+taken.Addr().String())
	if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), "TILL_ADDR") {
		t.Errorf("a port in use: exit code %d\n%s", code, p.stderr)
	}
	if p := start(t, []string{"sirve"}); p.exit() != 1 {
		t.Errorf("an unknown command:\n%s", p.stderr)
	}
}

func TestSandboxAlone(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"sandbox", "--addr", "127.0.0.1:0"})
	line := regexp.MustCompile(`STRIPE_API_BASE=(http://\S+)`)
	var base string
	p.eventually("serving", func() bool {
		if m := line.FindStringSubmatch(p.stdout.String()); m != nil {
			base = m[1]
		}
		return base != ""
	})
	if got := p.call("GET", base+"/v1/account", "sk_test_sandbox", ""); got.status != 200 {
		t.Errorf("Stripe's API: %d %s", got.status, got.body)
	}
	if got := p.call("POST", base+"/sandbox/v1/clock", "", `{"advance":"25h"}`); got.status != 200 {
		t.Errorf("control: %d %s", got.status, got.body)
	}
	p.stop()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"serve", "--help"})
	if p.exit() != 0 {
		t.Error(p.stderr)
	}
	for _, name := range []string{"--dev", "--config", "TILL_ADDR", "TILL_DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_API_BASE"} {
		if !strings.Contains(p.stdout.String(), name) {
			t.Errorf("help does not name %s:\n%s", name, p.stdout)
		}
	}
	if v := start(t, []string{"version"}); v.exit() != 0 || v.stdout.String() != "till "+version+"\n" {
		t.Errorf("version: %q", v.stdout)
	}
	commands := start(t, nil)
	commands.exit()
	for _, name := range []string{"serve", "sandbox", "version"} {
		if !slices.Contains(strings.Fields(commands.stdout.String()), name) {
			t.Errorf("no command %s:\n%s", name, commands.stdout)
		}
	}
}
