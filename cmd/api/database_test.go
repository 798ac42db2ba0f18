package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"till/internal/store/pgtest"
)

// onPostgres is a configuration whose database is at url.
func onPostgres(t testing.TB, url string) (args []string, token func(string) string) {
	t.Helper()
	config, token := files(t, func(text string) string {
		return databasePath.ReplaceAllString(text, url)
	})
	return []string{"serve", "--config", config, "--drain-pause", "0s"}, token
}

// A start must not depend on the order in which things come up.
func TestADatabaseThatIsAbsentIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.Options{})
	args, token := onPostgres(t, c.Database(t))
	if err := c.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	p := start(t, args, stripeAt(newStripe(t).URL)...).serving()
	p.eventually("waiting", func() bool { return strings.Contains(p.stderr.String(), "waiting for the database") })
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if got := p.call("GET", p.public+path, "", ""); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := p.call("POST", p.public+"/portal", token("alice"), ""); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a request meanwhile: %d %s", got.status, got.body)
	}

	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	p.ready()
	if took := time.Since(back); took > 10*time.Second {
		t.Errorf("ready after %v", took)
	}
	first := p.call("POST", p.public+"/portal", token("alice"), "")
	if first.status != http.StatusCreated {
		t.Fatalf("served: %d %s\n%s", first.status, first.body, p.stderr)
	}

	// Who is known is served from memory while it is away; the others are told.
	if err := c.Stop(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	if got := p.call("POST", p.public+"/portal", token("alice"), ""); got.text("customer") != first.text("customer") {
		t.Errorf("known: %d %s", got.status, got.body)
	}
	if got := p.call("POST", p.public+"/portal", token("bob"), ""); got.status != http.StatusServiceUnavailable || got.text("code") != "dependency_unavailable" {
		t.Errorf("unknown: %d %s", got.status, got.body)
	}
	if got := p.call("GET", p.public+"/readyz", "", ""); got.status != http.StatusOK {
		t.Errorf("an outage for all leaves nobody to route to: %d", got.status)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p.eventually("served again", func() bool {
		return p.call("POST", p.public+"/portal", token("bob"), "").status == http.StatusCreated
	})
}

func TestAPasswordThatIsWrongEndsTheStartAndIsNotShown(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.Options{})
	url := strings.Replace(c.Database(t), "@", "-canary@", 1)
	if !strings.Contains(url, "canary") {
		url = strings.Replace(url, "postgres://", "postgres://nobody:canary@", 1)
	}
	args, _ := onPostgres(t, url)
	p := start(t, args, stripeAt(newStripe(t).URL)...)
	if code := p.exit(); code != exitFailed {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
	if strings.Contains(p.stderr.String(), "canary") {
		t.Errorf("shown:\n%s", p.stderr)
	}
}
