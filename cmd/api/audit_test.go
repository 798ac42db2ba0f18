package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/store/pgtest"
)

// exported is a line of `till audit export`.
type exported struct {
	Time, Action, Outcome, Object, Customer, Kind, Subject string
	RequestID                                              string `json:"request_id"`
}

// exports runs the command, which must succeed.
func exports(t *testing.T, environ []string, config string, args ...string) []exported {
	t.Helper()
	code, out, errs := runs(t, environ, append([]string{"audit", "export", "--config", config}, args...)...)
	if code != 0 {
		t.Fatalf("%v: %d %s", args, code, errs)
	}
	var rows []exported
	for line := range strings.Lines(out) {
		var e exported
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		rows = append(rows, e)
	}
	return rows
}

func requestIDs(rows []exported) (ids []string) {
	for _, e := range rows {
		if e.Outcome == "ok" {
			ids = append(ids, e.RequestID)
		}
	}
	slices.Sort(ids)
	return ids
}

// shop sends n writes and returns the ids of those that were carried out, in order.
func shop(p *program, n int, token func(string) string) []string {
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		ids []string
	)
	for i := range n {
		wg.Go(func() {
			got := p.call("POST", p.public+"/portal", token(fmt.Sprint("user", i%5)), "")
			mu.Lock()
			defer mu.Unlock()
			if got.status == http.StatusCreated {
				ids = append(ids, got.header.Get("X-Request-Id"))
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	return ids
}

func TestAnOrderlyEndLeavesARowOfEveryWrite(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"async", "sync"} {
		config, token := files(t, func(text string) string {
			return text + "audit: {mode: " + mode + "}\nlimits: {owner_writes_per_minute: 0}\n"
		})
		stripe := newStripe(t)
		environ := stripeAt(stripe.URL)
		p := start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, environ...).ready()
		want := shop(p, 60, token)
		// One is still at it when the signal comes, and the others are within the moment
		// in which rows are collected.
		p.call("POST", stripe.URL+"/sandbox/v1/faults", "", `{"operation":"billing_portal.sessions.create","kind":"delay","delay":"700ms","count":1}`)
		last := make(chan []string, 1)
		go func() { last <- shop(p, 1, token) }()
		p.eventually("in flight", func() bool { return faultsLeft(p, stripe.URL) == 0 })
		p.stop()
		want = append(want, <-last...)
		slices.Sort(want)
		if code := p.exit(); code != 0 || len(want) < 30 {
			t.Errorf("%s: exit code %d, %d writes:\n%s", mode, code, len(want), p.stderr)
		}
		if diff := cmp.Diff(want, requestIDs(exports(t, environ, config))); diff != "" {
			t.Errorf("%s (-answers +rows):\n%s", mode, diff)
		}
		if log := p.stderr.String(); strings.Contains(log, "audit row") {
			t.Errorf("%s: in the log:\n%s", mode, log)
		}
	}
}

func TestRowsOutliveAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.Options{})
	args, token := onPostgres(t, c.Database(t))
	environ := stripeAt(newStripe(t).URL)
	p := start(t, args, environ...).ready()
	want := shop(p, 10, token)
	if err := c.Stop(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	want = append(want, shop(p, 20, token)...)
	p.eventually("said", func() bool { return strings.Contains(p.stderr.String(), "an audit row is late") })
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p.eventually("caught up", func() bool {
		return strings.Contains(p.call("GET", p.ops+"/metrics", "", "").body, "\ntill_audit_queued_events 0\n")
	})
	want = append(want, shop(p, 10, token)...)
	p.stop()
	p.exit()
	slices.Sort(want)
	if diff := cmp.Diff(want, requestIDs(exports(t, environ, args[2]))); diff != "" || len(want) < 20 {
		t.Errorf("%d writes (-answers +rows):\n%s", len(want), diff)
	}
}

func TestExportSelectsAndFormats(t *testing.T) {
	t.Parallel()
	config, token := files(t, func(text string) string { return text + "stripe: {metadata_subject: sha256}\n" })
	environ := stripeAt(newStripe(t).URL)
	if rows := exports(t, environ, config); len(rows) != 0 {
		t.Errorf("before the first write: %+v", rows)
	}
	p := start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, environ...).ready()
	alice := p.call("POST", p.public+"/checkout", token("alice"), `{"plan":"pro"}`)
	p.call("POST", p.public+"/portal", token("=bob"), "")
	p.call("POST", p.public+"/checkout", token("=bob"), `{"plan":"no such"}`)
	p.call("POST", p.public+"/checkout", "nobody's", `{"plan":"pro"}`)
	p.stop()
	p.exit()
	for _, row := range []struct {
		args []string
		want string
	}{
		{nil, "checkout.create ok, portal.create ok, checkout.create catalog_not_allowed"},
		{[]string{"--owner", "alice"}, "checkout.create ok"},
		{[]string{"--owner", alice.text("customer")}, "checkout.create ok"},
		{[]string{"--owner", "=bob"}, "portal.create ok, checkout.create catalog_not_allowed"},
		{[]string{"--owner", "nobody"}, ""},
		{[]string{"--since", "1h"}, "checkout.create ok, portal.create ok, checkout.create catalog_not_allowed"},
		{[]string{"--until", "1h"}, ""},
		{[]string{"--since", "2000-01-01", "--until", "2000-01-02"}, ""},
	} {
		var got []string
		for _, e := range exports(t, environ, config, row.args...) {
			got = append(got, e.Action+" "+e.Outcome)
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%v: got %v, want %s", row.args, got, row.want)
		}
	}
	code, out, errs := runs(t, environ, "audit", "export", "--config", config, "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if code != 0 || err != nil || len(rows) != 4 || rows[0][0] != "time" || !slices.Contains(rows[1], alice.text("id")) {
		t.Errorf("csv: %d %v\n%s%s", code, err, out, errs)
	}
	for _, secret := range []string{"bob", token("alice"), alice.text("url"), "canary"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q is in\n%s", secret, out)
		}
	}
	for want, args := range map[string][]string{
		"jsonl or csv":      {"--format", "xml"},
		"--since":           {"--since", "yesterday"},
		`--until "tomorrow`: {"--until", "tomorrow"},
		"before --since":    {"--since", "1h", "--until", "2h"},
		"unknown command":   {"all"},
	} {
		if code, out, errs := runs(t, environ, append([]string{"audit", "export", "--config", config}, args...)...); code != exitFailed || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s%s", args, code, out, errs)
		}
	}
	if code, _, _ := runs(t, environ, "audit", "export"); code != exitMisconfigured {
		t.Errorf("without a configuration: %d", code)
	}
}
