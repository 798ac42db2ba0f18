package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"till/internal/store/pgtest"
)

// What Postgres is asked for a request, as Postgres itself counts it. docs/capacity.md has
// the figures.
func TestQueriesPerRequest(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.Options{})
	if err := c.Exec(t.Context(), "postgres", "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI may not go without a PostgreSQL that counts statements: %v", err)
		}
		t.Skipf("this PostgreSQL cannot count statements: %v", err)
	}
	if err := c.Exec(t.Context(), "postgres", "CREATE EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	config, token := files(t, func(text string) string {
		return databasePath.ReplaceAllString(text, c.Database(t)) + "audit: {mode: \"off\"}\nlimits: {stripe_rps_per_endpoint: 0}\n"
	})
	p := start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, stripeAt(newStripe(t).URL)...).ready()

	// counted is how often each statement about a request's tables ran.
	counted := func() map[string]int {
		var text string
		if err := c.QueryRow(t.Context(), "postgres", `SELECT coalesce(string_agg(calls || ' ' || translate(query, E'\n\t', '  '), E'\n'), '')
			FROM pg_stat_statements WHERE query ~* '\m(customers|found_customers|stripe_accounts|idempotency_keys|audit_events)\M'`, &text); err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for line := range strings.Lines(text) {
			var n int
			if _, err := fmt.Sscan(line, &n); err != nil {
				t.Fatal(err)
			}
			_, query, _ := strings.Cut(strings.TrimSpace(line), " ")
			counts[query] += n
		}
		return counts
	}
	during := func(name string, most int, requests func() int) {
		t.Helper()
		before := counted()
		n := requests()
		total := 0
		var each []string
		after := counted()
		for _, query := range slices.Sorted(maps.Keys(after)) {
			if d := after[query] - before[query]; d > 0 {
				total += d
				each = append(each, fmt.Sprintf("  %5.2f  %.110s", float64(d)/float64(n), query))
			}
		}
		t.Logf("%s: %.2f statements for each of %d requests\n%s", name, float64(total)/float64(n), n, strings.Join(each, "\n"))
		// The sweeper's own come along now and then.
		if total > most*n+10 {
			t.Errorf("%s: more than %d statements for a request", name, most)
		}
	}
	post := func(who, key string) {
		t.Helper()
		header := http.Header{"Authorization": {"Bearer " + token(who)}}
		if key != "" {
			header.Set("Idempotency-Key", key)
		}
		if got := p.exchange(http.MethodPost, p.public+"/portal", header, ""); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	const n = 20
	for _, row := range []struct {
		name, key string
		most      int
	}{
		{"of a new owner", "", 8},
		{"of an owner who is known, warm", "", 0},
		{"warm, with an Idempotency-Key", "key-", 3},
		{"repeated with its Idempotency-Key", "key-", 1},
	} {
		during("a request "+row.name, row.most, func() int {
			for i := range n {
				key := row.key
				if key != "" {
					key += fmt.Sprint(i)
				}
				post(fmt.Sprint("owner-", i), key)
			}
			return n
		})
	}
}
