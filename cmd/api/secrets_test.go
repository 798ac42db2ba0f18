package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"till/internal/secret/secrettest"
)

// Each of these contains secrettest.Mark, which is looked for in everything that the
// program says.
const (
	secretKey      = "sk_test_canary0123456789"
	signingSecret  = "canary-signing-secret-0123456789-0123456789"
	clientSecret   = "canary:client secret/+0123456789"
	databaseSecret = "canary%2Fdatabase"
	opaqueToken    = "canary-opaque-token-0123456789"
	secretEmail    = "canary.person@example.com"
	secretName     = "Canary canary-Person"

	// What a caller sends of his own may be written down, to be sent to Stripe again, but
	// is nobody else's to see.
	callersOwn     = "of-the-callers-own"
	idempotencyKey = "key-" + callersOwn
	ownReturnURL   = "https://app.example.com/back?ticket=" + callersOwn
)

// vault is a configuration that has every kind of secret, and what its issuer and its
// Stripe answer.
type vault struct {
	t      *testing.T
	folder string
	stripe *echo
	issuer *echo
	// kept are the secrets that may not be written down.
	kept *secrettest.Watch
	// rounds make each round's opaque token another: answers about one are remembered.
	rounds int
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{t: t, folder: t.TempDir(), kept: secrettest.New(nil)}
	v.stripe = newEcho(t, newStripe(t).URL)
	v.issuer = newEcho(t, "")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(v.folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("key", secretKey+"\n")
	write("till.yaml", `public_url: https://billing.example.com
auth:
  cookie: {name: __Host-session}
  issuers:
    - issuer: https://id.example.com/
      audience: [till]
      secret_env: ISSUER_SECRET
      profile: {email: email, email_verified: email_verified, name: name}
    - issuer: https://opaque.example.com/
      audience: [till]
      introspection: {url: "`+v.issuer.URL+`/introspect", client_id: till, secret_env: CLIENT_SECRET}
plans:
  pro:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}}]
    accepts: [success_url, metadata, promotion_code]
portals: {default: {}}
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/"}
limits: {owner_writes_per_minute: 100000, address_per_minute: 100000, redis_url: "redis://:canary-redis@127.0.0.1:1"}
`)
	return v
}

func (v *vault) environ(more ...string) []string {
	return append(more, "STRIPE_SECRET_KEY_FILE="+filepath.Join(v.folder, "key"), "STRIPE_API_BASE="+v.stripe.URL,
		"ISSUER_SECRET="+signingSecret, "CLIENT_SECRET="+clientSecret, "TILL_CONFIG="+filepath.Join(v.folder, "till.yaml"),
		"TILL_DATABASE_URL=sqlite://"+filepath.Join(v.folder, "till.db"))
}

// token is signed with the configured secret.
func (v *vault) token(subject string) string {
	v.t.Helper()
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://id.example.com/", "aud": "till", "sub": subject, "iat": now, "exp": now + 3600,
		"email": secretEmail, "email_verified": true, "name": secretName,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(signingSecret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// use sends what a caller may send, right and wrong, with secrets wherever one may stand,
// all at once, and returns the status of each.
func (v *vault) use(p *program) (statuses []int) {
	v.t.Helper()
	alice := v.token("alice")
	p.secrets.AddToken("a token", alice)
	v.kept.AddToken("a token", alice)
	p.secrets.Add("what is the caller's own", callersOwn)
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	half := len(alice) / 2
	v.rounds++
	requests := []struct {
		method, path string
		header       http.Header
		body         string
	}{
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","success_url":"` + ownReturnURL + `"}`},
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","metadata":{"ref":"` + callersOwn + `"}}`},
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","promotion_code":"` + callersOwn + `"}`},
		{"POST", "/portal", bearer(alice), `{"return_url":"` + ownReturnURL + `"}`},
		{"GET", "/checkout/cs_test_unknown", bearer(alice), ""},
		{"POST", "/portal", bearer(opaqueToken + strconv.Itoa(10*v.rounds)), ""},
		{"POST", "/portal", bearer(opaqueToken + strconv.Itoa(10*v.rounds+1)), ""},
		{"POST", "/portal", bearer(opaqueToken + strconv.Itoa(10*v.rounds+2)), ""},
		{"POST", "/portal", bearer(opaqueToken + strconv.Itoa(10*v.rounds+3)), ""},
		{"POST", "/portal", bearer(opaqueToken + strconv.Itoa(10*v.rounds+4)), ""},
		{"POST", "/portal", bearer(v.token("bob")), ""},
		{"POST", "/portal", http.Header{"Cookie": {"__Host-session=" + alice}}, ""},
		{"POST", "/portal", http.Header{"Cookie": {"__Host-session=" + alice}, "Sec-Fetch-Site": {"same-origin"}}, ""},
		{"POST", "/portal", http.Header{"Cookie": {"__Host-session=" + opaqueToken + "; __Host-session=" + alice}, "Sec-Fetch-Site": {"same-origin"}}, ""},
		{"POST", "/portal", bearer(alice[:half] + "x" + alice[half:]), ""},
		{"POST", "/portal", bearer(alice[:len(alice)-2]), ""},
		{"POST", "/portal", bearer(alice + "."), ""},
		{"POST", "/portal", bearer("canary.canary.canary"), ""},
		{"POST", "/portal", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:canary"))}}, ""},
		{"POST", "/portal", http.Header{"Authorization": {alice}}, ""},
		{"POST", "/portal?access_token=" + alice, nil, ""},
		{"POST", "/" + alice, bearer(alice), ""},
		{"GET", "/checkout/" + url.PathEscape(alice), bearer(alice), ""},
		{"GET", "/checkout/" + opaqueToken, bearer(alice), ""},
		{"POST", "/checkout", bearer(alice), `{"plan":"` + opaqueToken + `"}`},
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","success_url":"https://evil.example/` + opaqueToken + `"}`},
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","success_url":"` + opaqueToken},
		{"POST", "/checkout", bearer(alice), `{"plan":"pro","quantity":"` + opaqueToken + `"}`},
		{"POST", "/checkout", bearer(alice), `"` + strings.Repeat(opaqueToken, 10_000) + `"`},
		{"POST", "/checkout", http.Header{"Authorization": {"Bearer " + alice}, "Content-Type": {opaqueToken + "/" + opaqueToken}}, opaqueToken},
		{"POST", "/checkout", http.Header{"Authorization": {"Bearer " + alice}, "Content-Type": {"application/x-www-form-urlencoded"}}, "plan=" + opaqueToken},
		{"OPTIONS", "/checkout", http.Header{"Origin": {"https://canary.example"}, "Access-Control-Request-Method": {"POST"}}, ""},
		{"GET", "/return/canary/canary", nil, ""},
		{"GET", "/healthz", bearer(alice), ""},
		{"GET", "/readyz", bearer(alice), ""},
	}
	statuses = make([]int, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			h := http.Header{
				"Idempotency-Key": {idempotencyKey + rand.Text()}, "User-Agent": {opaqueToken}, "Referer": {ownReturnURL},
				"X-Forwarded-For": {opaqueToken}, "Traceparent": {opaqueToken}, "X-Request-Id": {"for " + opaqueToken},
			}
			maps.Copy(h, r.header)
			got := p.exchange(r.method, p.public+r.path, h, r.body)
			p.searchAnswer(r.method+" "+cutShort(r.path), got)
			statuses[i] = got.status
		})
	}
	wg.Wait()
	return statuses
}

func cutShort(s string) string { return s[:min(len(s), 20)] }

// searchAnswer looks for secrets in what a caller or an operator gets, and remembers those
// that he is meant to get.
func (p *program) searchAnswer(what string, a answer) {
	p.t.Helper()
	said := a.body
	if a.status < 300 {
		for _, name := range []string{"url", "client_secret"} {
			if value := a.text(name); value != "" {
				said = strings.ReplaceAll(said, value, "")
				p.secrets.Add("a session's "+name, value)
			}
		}
		// A caller sees what he has sent himself.
		said = strings.ReplaceAll(said, callersOwn, "")
	}
	p.secrets.Check(p.t, fmt.Sprintf("the answer %d to %s", a.status, what), fmt.Sprint(a.header)+said)
}

// search looks through everything else that the program shows.
func (p *program) search() {
	p.t.Helper()
	for _, path := range []string{
		"/metrics", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/cmdline",
		"/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/threadcreate?debug=1", "/no/canary",
	} {
		p.searchAnswer("operations "+cutShort(path), p.call("GET", p.ops+path, "", ""))
	}
	p.secrets.Check(p.t, "the standard output", p.stdout.String())
	p.secrets.Check(p.t, "the log", p.stderr.String())
}

// searchFiles looks through what it leaves behind. The configuration and the key are
// where the secrets come from.
func (v *vault) searchFiles() {
	v.t.Helper()
	v.kept.CheckFiles(v.t, v.folder, "till.yaml", "key")
}

// TestSecretsStayInside drives the program through what it can do and through every way
// in which Stripe and an issuer may fail, each time showing all that they were told.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	for name, faults := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			p := start(t, []string{"serve", "--pprof", "--drain-pause", "0s"}, v.environ()...).ready()
			if got := v.use(p); !slices.Contains(got, http.StatusCreated) {
				t.Fatalf("nothing was sold: %v\n%s", got, p.stderr)
			}
			v.issuer.fail(faults...)
			v.stripe.fail(faults...)
			v.use(p)
			// An issuer that fails is left alone for a while: internal/auth tries each kind.
			if n, m := int(v.stripe.faulty.Load()), v.issuer.faulty.Load(); n < len(faults) || len(faults) > 0 && m == 0 {
				t.Errorf("%d faults of Stripe, of %d kinds, and %d of the issuer", n, len(faults), m)
			}
			p.search()
			p.stop()
			p.exit()
			p.secrets.Check(t, "the log", p.stderr.String())
			v.searchFiles()

			for _, args := range [][]string{{"customers", "show", "alice"}, {"customers", "reconcile", "--since", "1h"}, {"migrate"}} {
				start(t, args, v.environ()...).exit()
			}
		})
	}
}

// TestSecretsStayInsideOfAProcessThatDies: a Go program that gets SIGQUIT says whatever it
// was doing.
func TestSecretsStayInsideOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	p := launch(t, []string{"serve", "--pprof"}, v.environ()).ready()
	v.use(p)
	v.stripe.fail(raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""))
	v.use(p)
	v.stripe.fail(func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() })
	before, asked := v.stripe.faulty.Load(), make(chan struct{})
	go func() {
		defer close(asked)
		p.exchange("POST", p.public+"/portal", http.Header{"Authorization": {"Bearer " + v.token("alice")}}, "")
	}()
	p.eventually("in flight", func() bool { return v.stripe.faulty.Load() > before })
	p.search()
	if err := p.signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-asked
	p.exit()
	if !strings.Contains(p.stderr.String(), "goroutine ") {
		t.Errorf("no goroutines:\n%s", p.stderr)
	}
	p.secrets.Check(t, "the last words", p.stderr.String())
	v.searchFiles()
}

// TestSecretsAreNotInRefusals: what is wrong with a secret is said without it.
func TestSecretsAreNotInRefusals(t *testing.T) {
	t.Parallel()
	broken := func(whole, half string) func(string) string {
		return func(s string) string { return strings.Replace(s, whole, half, 1) }
	}
	gone := "postgres://till:" + databaseSecret + "@127.0.0.1:1/till?connect_timeout=1"
	for name, row := range map[string]struct {
		args    []string
		environ []string
		edit    func(string) string
	}{
		"a database that is gone, by hand":             {[]string{"migrate"}, []string{"TILL_DATABASE_URL=" + gone}, same},
		"a database that is gone, for a report":        {[]string{"customers", "show", "alice"}, []string{"TILL_DATABASE_URL=" + gone}, same},
		"a database that is gone, to mend":             {[]string{"customers", "reconcile", "--since", "1h"}, []string{"TILL_DATABASE_URL=" + gone}, same},
		"a database URL that is none":                  {[]string{"serve"}, []string{"TILL_DATABASE_URL=postgres://till:" + databaseSecret + "@[::1/till"}, same},
		"a database of another kind":                   {[]string{"serve"}, []string{"TILL_DATABASE_URL=mysql://till:" + databaseSecret + "@db/till"}, same},
		"a port that is none":                          {[]string{"serve"}, []string{"TILL_DATABASE_URL=postgres://till:" + databaseSecret + "@db:x/till"}, same},
		"an escape that is none":                       {[]string{"serve"}, []string{"TILL_DATABASE_URL=postgres://till:canary%zz@db/till"}, same},
		"a key with a space":                           {[]string{"serve"}, []string{"STRIPE_SECRET_KEY_FILE=", "STRIPE_SECRET_KEY=" + secretKey + " "}, same},
		"two keys":                                     {[]string{"serve"}, []string{"STRIPE_SECRET_KEY=" + secretKey + "x"}, same},
		"a live key for another Stripe":                {[]string{"serve"}, []string{"STRIPE_SECRET_KEY_FILE=", "STRIPE_SECRET_KEY=sk_live_canary0123456789"}, same},
		"a key in the place of its file":               {[]string{"serve"}, []string{"STRIPE_SECRET_KEY_FILE=" + secretKey}, same},
		"a signing secret that is short":               {[]string{"serve"}, []string{"ISSUER_SECRET=canary"}, same},
		"a signing secret that is a key":               {[]string{"serve"}, []string{"ISSUER_SECRET=-----BEGIN PRIVATE KEY----- canary0123456789012345678901234567"}, same},
		"a secret in the place of a name":              {[]string{"serve"}, nil, broken("ISSUER_SECRET", signingSecret)},
		"a client secret in the place of a name":       {[]string{"serve"}, nil, broken("CLIENT_SECRET", opaqueToken)},
		"a file that is no YAML beside a secret":       {[]string{"serve"}, nil, broken(`"redis://:canary-redis@127.0.0.1:1"}`, `"redis://:canary-redis@127.0.0.1:1"]`)},
		"a secret that is not closed":                  {[]string{"serve"}, nil, broken(`canary-redis@127.0.0.1:1"}`, `canary-redis@127.0.0.1:1}`)},
		"a secret of another type":                     {[]string{"serve"}, nil, broken(`redis_url: "redis://:canary-redis@127.0.0.1:1"`, `redis_url: {"redis://:canary-redis@127.0.0.1:1": canary}`)},
		"a secret twice":                               {[]string{"serve"}, nil, broken(`limits: {`, "database: {url: \"postgres://till:canary@db/till\", url: \"postgres://till:canary@db/till\"}\nlimits: {")},
		"a secret under a key that is not known":       {[]string{"serve"}, nil, broken(`limits: {`, "stripe: {secret_key: "+secretKey+"}\nlimits: {")},
		"a secret under an anchor":                     {[]string{"serve"}, nil, broken(`limits: {`, "database: {url: &canary \"postgres://till:canary@db/till\"}\nlimits: {")},
		"an environment with names that are not known": {[]string{"serve"}, []string{"TILL_STRIPE_KEY=" + secretKey, "TILL_DATABASE_PASSWORD=canary", "TILL_ADDR=canary"}, same},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			file := filepath.Join(v.folder, "till.yaml")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(row.edit(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, row.args, v.environ(row.environ...)...)
			if code := p.exit(); code == 0 || p.stderr.String() == "" {
				t.Errorf("exit code %d, and says %q", code, p.stderr)
			}
			v.searchFiles()
		})
	}
}

// TestADatabaseThatIsGoneKeepsItsPassword: the start waits for it, and says so.
func TestADatabaseThatIsGoneKeepsItsPassword(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	p := start(t, []string{"serve", "--drain-pause", "0s"},
		v.environ("TILL_DATABASE_URL=postgres://till:"+databaseSecret+"@127.0.0.1:1/till?connect_timeout=1")...).serving()
	p.eventually("waiting", func() bool { return strings.Contains(p.stderr.String(), "waiting for the database") })
	v.use(p)
	p.search()
}

// fault answers in a wrong way with what it was told.
type fault func(w http.ResponseWriter, r *http.Request, told string)

// faults are kinds of failure, a few to a program, which meets them in turn.
func faults() map[string][]fault {
	const page = "text/html; charset=utf-8"
	return map[string][]fault{
		"none": nil,
		"refusals": {
			// The first comes last, and after a 401 nothing is sent for a while.
			status(401, "invalid_request_error"), status(400, "invalid_request_error"), status(402, "card_error"),
			status(403, "invalid_request_error"), status(404, "invalid_request_error"),
		},
		"failures": {status(409, "idempotency_error"), status(429, "rate_limit_error"), status(500, "api_error"), status(503, "api_error")},
		"pages": {
			answer502(page), answer200(page, "<html>%[1]s"),
			func(w http.ResponseWriter, _ *http.Request, told string) {
				w.Header().Set("Location", "https://evil.example/?"+url.QueryEscape(told))
				say(w, http.StatusFound, page, told)
			},
		},
		"nonsense": {
			answer200("application/json", `{"id":[%[2]s],"url":{%[2]s:1},"active":%[2]s,"customer":7}`),
			answer200("application/json", `{"id":%[2]s,"object":%[2]s,"livemode":true,"customer":%[2]s,"url":%[2]s,"active":true,"sub":%[2]s}`),
			answer200("application/json", `{"id":"cs_test_a","object":"checkout.session","livemode":false,"url":"https://evil.example/canary"}`),
			func(w http.ResponseWriter, _ *http.Request, told string) {
				w.Header().Set("Content-Length", "100000")
				say(w, http.StatusOK, "application/json", `{"id":"`+told)
			},
		},
		"no HTTP": {
			raw("HTTP/1.1 200 OK\r\n", "\r\n\r\n"),                    // a line that is no header
			raw("", "\r\n\r\n"),                                       // a line that is no status
			raw("HTTP/9.canary 200 OK\r\n", "\r\n\r\n"),               // another protocol
			raw("HTTP/1.1 200 OK\r\nContent-Length: ", "\r\n\r\n"),    // no length
			raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""), // more than was announced
		},
	}
}

// status answers as Stripe does.
func status(code int, kind string) fault {
	return func(w http.ResponseWriter, r *http.Request, told string) {
		body, _ := json.Marshal(map[string]any{"error": map[string]any{
			"type": kind, "code": "parameter_invalid", "param": "success_url", "doc_url": told, "request_log_url": told,
			"message": "Not a valid value: " + plainly(r, told),
		}})
		say(w, code, "application/json", string(body))
	}
}

func answer502(contentType string) fault {
	return func(w http.ResponseWriter, _ *http.Request, told string) {
		say(w, http.StatusBadGateway, contentType, told)
	}
}

// answer200 says what it was told where format has %[1]s, and as JSON where it has %[2]s.
func answer200(contentType, format string) fault {
	return func(w http.ResponseWriter, _ *http.Request, told string) {
		quoted, _ := json.Marshal(told)
		say(w, http.StatusOK, contentType, strings.NewReplacer("%[1]s", told, "%[2]s", string(quoted)).Replace(format))
	}
}

// raw writes bytes in the place of an answer.
func raw(before, after string) fault {
	return func(w http.ResponseWriter, _ *http.Request, told string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, before+strings.NewReplacer("\r", " ", "\n", " ").Replace(told)+after)
	}
}

// plainly is what of a request may be named in Stripe's sentences: what it was sent, as
// it was meant.
func plainly(r *http.Request, told string) string {
	words := []string{strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	_, body, _ := strings.Cut(told, "\r\n\r\n")
	form, _ := url.ParseQuery(body)
	for _, name := range []string{"success_url", "return_url", "email"} {
		words = append(words, "'"+form.Get(name)+"'")
	}
	return strings.Join(words, ", ")
}

func say(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// launch runs till as a process of its own.
func launch(t *testing.T, args, environ []string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := newProgram(t, stop)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(environ, asProgram+"=1", "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // it ends by a signal
		p.exited <- cmd.ProcessState.ExitCode()
	}()
	p.signal = cmd.Process.Signal
	t.Cleanup(func() {
		stop()
		p.exit()
	})
	return p
}

// echo stands before a server, or for one that knows opaqueToken only. With faults it
// answers with what it was told, by one after the other.
type echo struct {
	*httptest.Server
	faults atomic.Pointer[[]fault]
	faulty atomic.Int64
}

func (e *echo) fail(faults ...fault) { e.faults.Store(&faults) }

func newEcho(t *testing.T, behind string) *echo {
	t.Helper()
	e := &echo{}
	healthy := http.Handler(http.HandlerFunc(introspected))
	if behind != "" {
		to, err := url.Parse(behind)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.ModifyResponse = withFragments
		healthy = proxy
	}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := e.faults.Load()
		if all == nil || len(*all) == 0 {
			healthy.ServeHTTP(w, r)
			return
		}
		told, err := httputil.DumpRequest(r, true)
		if err != nil {
			return
		}
		n := e.faulty.Add(1)
		(*all)[int(n)%len(*all)](w, r, string(told))
	}))
	t.Cleanup(e.Close)
	return e
}

var urlMember = regexp.MustCompile(`"url": *"http[^"]*`)

// withFragments gives sessions' URLs what Stripe's have: a fragment that opens the page.
func withFragments(res *http.Response) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	body = urlMember.ReplaceAll(body, []byte("$0#canary-fragment"))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// introspected is RFC 7662 section 2.2.
func introspected(w http.ResponseWriter, r *http.Request) {
	say(w, http.StatusOK, "application/json", fmt.Sprintf(`{"active":%v,"iss":"https://opaque.example.com/","aud":"till","sub":"olga","exp":%d,"iat":%d}`,
		strings.HasPrefix(r.PostFormValue("token"), opaqueToken), time.Now().Add(time.Hour).Unix(), time.Now().Unix()))
}
