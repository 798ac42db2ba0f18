//go:build contract

package contract_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"till/internal/auth/devissuer"
	"till/internal/secret/secrettest"
)

const stripeKey = "sk_test_canary"

// house is the whole service as a process, with an issuer of its own, before one of
// Stripe's builds.
type house struct {
	t      *testing.T
	url    string
	proxy  *proxy
	issuer *devissuer.Issuer
}

// setting says how a service differs from the usual one.
type setting struct {
	build build
	// version is stripe.version of the configuration; "" leaves it to the service.
	version string
	// subjects is stripe.metadata_subject.
	subjects string
	// templates replaces the plans and portals of testdata, as YAML.
	templates string
}

func startHouse(t *testing.T, program string, set setting) *house {
	t.Helper()
	h := emptyHouse(t, set.build)

	ready := false
	defer func() {
		if !ready { // a refusal may be the reason
			h.judgeEach(set)
		}
	}()
	var err error
	if h.issuer, err = devissuer.New("https://id.example.com/", "till", time.Now); err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(h.issuer.Handler())
	t.Cleanup(keys.Close)

	dir := t.TempDir()
	till := run(t, "till", []string{
		"STRIPE_API_BASE=" + h.proxy.server.URL, "STRIPE_SECRET_KEY=" + stripeKey,
		"TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0",
		"TILL_DATABASE_URL=sqlite://" + filepath.Join(dir, "till.db"),
	}, program, "serve", "--config", configuration(t, dir, set, keys.URL+"/.well-known/jwks.json"))
	t.Cleanup(func() { secrettest.New(nil).Check(t, "the log", till.output.String()) })
	h.url = "http://" + till.await(`"msg":"serving".*"addr":"([^"]+)"`)[1]
	till.until("is ready", func() bool { return h.send(http.MethodGet, "/readyz", "", "").status == http.StatusOK })
	ready = true
	return h
}

// emptyHouse has no service yet.
func emptyHouse(t *testing.T, b build) *house {
	t.Helper()
	mock := run(t, "stripe-mock "+b.version, nil, fromEnv(t, b.mockEnv), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	return &house{t: t, proxy: startProxy(t, "http://"+mock.await(`Listening for HTTP at address: (\S+)`)[1])}
}

// configuration writes till.yaml: the head, and the plans of the build or of the setting.
func configuration(t *testing.T, dir string, set setting, jwksURL string) string {
	t.Helper()
	var text []byte
	parts := []string{"head", "plans", "plans-" + set.build.version}
	if set.templates != "" {
		parts, text = parts[:1], []byte(set.templates)
	}
	for _, name := range parts {
		part, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	filled := strings.NewReplacer("$JWKS_URL", jwksURL, "$VERSION", set.version, "$SUBJECTS", set.subjects).Replace(string(text))
	file := filepath.Join(dir, "till.yaml")
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// buildService compiles the service as it is now.
func buildService(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "till")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "till/cmd/api").CombinedOutput()
	if err != nil {
		t.Fatalf("building the service: %v\n%s", err, out)
	}
	return program
}

func (h *house) token(subject string) string {
	h.t.Helper()
	token, _, err := h.issuer.Mint(devissuer.Claims{Subject: subject})
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

type reply struct {
	status int
	text   string
	body   object
}

// client is for loopback, and never waits for long.
var client = &http.Client{Timeout: patience}

func (h *house) send(method, path, token, body string) reply {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	got, err := roundTrip(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// want is send with a status that must be.
func (h *house) want(status int, method, path, token, body string) reply {
	h.t.Helper()
	got := h.send(method, path, token, body)
	if got.status != status {
		h.t.Errorf("%s %s %s: got %d %s, want %d", method, path, body, got.status, got.text, status)
	}
	return got
}

func roundTrip(req *http.Request) (reply, error) {
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer: %w", err)
	}
	got := reply{status: res.StatusCode, text: string(text)}
	// What is no object has no members to look at.
	_ = json.Unmarshal(text, &got.body)
	return got, nil
}
