package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// customersOf are the customers at the sandbox of base that carry the subject.
func customersOf(p *program, base, subject string) []string {
	p.t.Helper()
	var state struct {
		Customers []struct {
			ID       string            `json:"id"`
			Metadata map[string]string `json:"metadata"`
		} `json:"customers"`
	}
	got := p.call("GET", base+"/sandbox/v1/state", "", "")
	if err := json.Unmarshal([]byte(got.body), &state); err != nil {
		p.t.Fatalf("%v: %s", err, got.body)
	}
	var ids []string
	for _, c := range state.Customers {
		if c.Metadata["till_subject"] == subject {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// deletes deletes a customer at Stripe's side.
func deletes(t *testing.T, base, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, base+"/v1/customers/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_sandbox")
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("deleting %s: %d", id, res.StatusCode)
	}
}

func TestACustomerDeletedAtStripeIsReplacedOnceAnHour(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"serve", "--dev"}).ready()
	token := p.call("POST", p.public+"/dev/token", "", `{"sub":"alice","email":"alice@example.com"}`).text("token")
	buy := func() answer { return p.call("POST", p.public+"/checkout", token, `{"plan":"pro"}`) }
	first := buy()
	deletes(t, p.public+"/sandbox", first.text("customer"))
	second := buy()
	if second.status != http.StatusCreated || second.text("customer") == first.text("customer") || second.text("customer") == "" {
		t.Fatalf("after a deletion: %d %s", second.status, second.body)
	}
	if portal := p.call("POST", p.public+"/portal", token, ""); portal.text("customer") != second.text("customer") {
		t.Errorf("the portal: %d %s", portal.status, portal.body)
	}

	deletes(t, p.public+"/sandbox", second.text("customer"))
	if refused := buy(); refused.status != http.StatusServiceUnavailable || refused.header.Get("Retry-After") == "" {
		t.Errorf("a second time within the hour: %d %s", refused.status, refused.body)
	}
	p.call("POST", p.public+"/sandbox/v1/clock", "", `{"advance":"61m"}`)
	buy() // brings Stripe's time with it
	if third := buy(); third.status != http.StatusCreated {
		t.Errorf("an hour later: %d %s", third.status, third.body)
	}
	metrics := p.call("GET", p.ops+"/metrics", "", "").body
	if !strings.Contains(metrics, `till_customer_resolutions_total{result="healed"} 2`) {
		t.Errorf("not counted:\n%s", metrics)
	}
}

func TestAReservationOutlivesItsKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"created_then_silence", "created_then_500"} {
		p := start(t, []string{"serve", "--dev"}).ready()
		token := p.call("POST", p.public+"/dev/token", "", `{"sub":"alice"}`).text("token")
		p.call("POST", p.public+"/sandbox/v1/faults", "", `{"operation":"customers.create","kind":"`+kind+`","count":3}`)
		if lost := p.call("POST", p.public+"/checkout", token, `{"plan":"pro"}`); lost.status < 500 {
			t.Fatalf("%s: %d %s", kind, lost.status, lost.body)
		}
		p.call("DELETE", p.public+"/sandbox/v1/faults", "", "")
		p.call("POST", p.public+"/sandbox/v1/clock", "", `{"advance":"25h"}`)
		got := p.call("POST", p.public+"/checkout", token, `{"plan":"pro"}`)
		have := customersOf(p, p.public, "alice")
		if got.status != http.StatusCreated || len(have) != 1 || got.text("customer") != have[0] {
			t.Errorf("%s: %d %s, and customers %v", kind, got.status, got.body, have)
		}
	}
}

func TestASandboxThatIsResetGetsItsCustomersAnew(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"serve", "--dev"}).ready()
	token := p.call("POST", p.public+"/dev/token", "", `{"sub":"alice"}`).text("token")
	p.call("POST", p.public+"/portal", token, "")
	p.call("POST", p.public+"/sandbox/v1/reset", "", "")
	p.eventually("served again", func() bool {
		return p.call("POST", p.public+"/portal", token, "").status == http.StatusCreated
	})
	if have := customersOf(p, p.public, "alice"); len(have) != 1 {
		t.Errorf("got customers %v, want one", have)
	}
}

// runs is one command from its start to its end.
func runs(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, errs := &output{}, &output{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	code = run(ctx, process{args, environ, out, errs})
	return code, out.String(), errs.String()
}

var databasePath = regexp.MustCompile(`sqlite://([^"]+)`)

// copied copies the database, which nobody has open.
func copied(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"-wal", "-shm"} {
		_ = os.Remove(to + end)
	}
}

func TestYesterdaysBackupIsReconciled(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"plain", "sha256"} {
		var path string
		config, token := files(t, func(text string) string {
			path = databasePath.FindStringSubmatch(text)[1]
			return text + "stripe: {metadata_subject: " + form + "}\n"
		})
		stripe := newStripe(t)
		environ := stripeAt(stripe.URL)
		visit := func(subjects ...string) map[string]string {
			p := start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, environ...).ready()
			ids := map[string]string{}
			for _, subject := range subjects {
				got := p.call("POST", p.public+"/portal", token(subject), "")
				if got.status != http.StatusCreated {
					t.Fatalf("%s: %d %s\n%s", subject, got.status, got.body, p.stderr)
				}
				ids[subject] = got.text("customer")
			}
			p.stop()
			p.exit()
			return ids
		}
		visit("alice")
		backup := filepath.Join(t.TempDir(), "backup.db")
		copied(t, path, backup)
		before := visit("alice", "bob", "carol")
		copied(t, backup, path)
		p := &program{t: t}
		p.call("POST", stripe.URL+"/sandbox/v1/clock", "", `{"advance":"25h"}`)

		for _, want := range []string{"     2  have no row", "Nothing was changed"} {
			if code, out, errs := runs(t, environ, "customers", "reconcile", "--config", config, "--since", "26h", "--dry-run"); code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: a dry run: %d\n%s%s", form, code, out, errs)
			}
		}
		if code, out, errs := runs(t, environ, "customers", "reconcile", "--config", config, "--since", "26h"); code != 0 ||
			!strings.Contains(out, "     1  are known") || !strings.Contains(out, "     2  have no row") || !strings.Contains(out, "     0  troubles") {
			t.Errorf("%s: reconcile: %d\n%s%s", form, code, out, errs)
		}
		if code, out, errs := runs(t, environ, "customers", "show", "--config", config, "bob"); form == "plain" &&
			(code != 0 || !strings.Contains(out, "keeps customer "+before["bob"])) {
			t.Errorf("%s: show bob, who has no row: %d\n%s%s", form, code, out, errs)
		}
		after := visit("alice", "bob", "carol")
		for subject, id := range before {
			if after[subject] != id {
				t.Errorf("%s: %s had %s and has %s", form, subject, id, after[subject])
			}
		}
		for _, name := range []string{"bob", before["bob"]} {
			if code, out, errs := runs(t, environ, "customers", "show", "--config", config, name); code != 0 ||
				!strings.Contains(out, `user "bob" of `) || !strings.Contains(out, before["bob"]) || !strings.Contains(out, "active") {
				t.Errorf("%s: show %s: %d\n%s%s", form, name, code, out, errs)
			}
		}
		if code, _, errs := runs(t, environ, "customers", "show", "--config", config, "mallory"); code != 1 || !strings.Contains(errs, "nobody") {
			t.Errorf("show of nobody: %d %s", code, errs)
		}
	}
}

func TestSinceIsATimeADayOrADistance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-20T04:00:00Z":      time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC),
		"2026-11-20T04:00:00+02:00": time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC),
		"2026-11-20":                time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"36h":                       now.Add(-36 * time.Hour),
		"7d":                        now.AddDate(0, 0, -7),
	} {
		if got, err := parseTime("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "0d", "-3d", "-36h", "0h", "1700000000", "d"} {
		if got, err := parseTime("--since", text, now); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestMigrateSaysWhichVersionTheDatabaseHas(t *testing.T) {
	t.Parallel()
	config, _ := files(t, same)
	environ := stripeAt("http://127.0.0.1:1")
	for _, args := range [][]string{{"migrate"}, {"migrate"}, {"migrate", "--status"}} {
		code, out, errs := runs(t, environ, append(args, "--config", config)...)
		if code != 0 || !regexp.MustCompile(`has version (\d+); this release knows up to (\d+)`).MatchString(out) {
			t.Errorf("%v: %d %s%s", args, code, out, errs)
		}
	}
}
