package config_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"till/internal/config"
)

// rule is one source and what is said about it; "" means nothing.
type rule struct {
	name             string
	env              []string
	problem, warning string
}

func check(t *testing.T, dev bool, rules []rule) {
	t.Helper()
	dir := t.TempDir()
	for _, tc := range rules {
		s := config.Source{Dev: dev, Environ: append(tc.env, "STRIPE_SECRET_KEY=rk_test_canary0123", "TILL_DATABASE_URL=sqlite://"+dir+"/till.db")}
		if !dev {
			s.Path, s.ReadFile = "till.yaml", reader(map[string]string{"till.yaml": minimal + portal})
		}
		_, warnings, err := config.Load(s)
		if (err == nil) != (tc.problem == "") || err != nil && !strings.Contains(err.Error(), tc.problem) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.problem)
		}
		if tc.warning != "" && !strings.Contains(fmt.Sprint(warnings), tc.warning) {
			t.Errorf("%s: got %v, want %q", tc.name, warnings, tc.warning)
		}
		if all := fmt.Sprintf("%v %#v %#v", err, err, warnings); strings.Contains(all, "canary") {
			t.Errorf("%s shows a secret: %s", tc.name, all)
		}
	}
}

func TestStripeKeysAndHosts(t *testing.T) {
	t.Parallel()
	const live = "STRIPE_SECRET_KEY=rk_live_canary0123"
	check(t, false, []rule{
		{"restricted live key", []string{live}, "", ""},
		{"secret test key", []string{"STRIPE_SECRET_KEY=sk_test_canary0123"}, "", "a restricted key"},
		{"secret live key", []string{"STRIPE_SECRET_KEY=sk_live_canary0123"}, "", "a restricted key"},
		{"publishable key", []string{"STRIPE_SECRET_KEY=pk_test_canary0123"}, "is a publishable key", ""},
		{"webhook secret", []string{"STRIPE_SECRET_KEY=whsec_canary0123"}, "webhook", ""},
		{"quoted", []string{`STRIPE_SECRET_KEY="rk_test_canary0123"`}, "does not look like a Stripe key", ""},
		{"space", []string{"STRIPE_SECRET_KEY=rk_test_canary0123 "}, "does not look like a Stripe key", ""},
		{"another word", []string{"STRIPE_SECRET_KEY=canary"}, "does not look like a Stripe key", ""},
		{"no mode", []string{"STRIPE_SECRET_KEY=sk_canary0123"}, "does not look like a Stripe key", ""},
		{"live key to Stripe", []string{live, "STRIPE_API_BASE=https://api.stripe.com/"}, "", ""},
		{"live key to loopback", []string{live, "STRIPE_API_BASE=http://127.0.0.1:12111"}, "sends a live key elsewhere", ""},
		{"live key elsewhere", []string{live, "STRIPE_API_BASE=https://api.stripe.com.evil.example"}, "sends a live key elsewhere", ""},
		{"live key, http", []string{live, "STRIPE_API_BASE=http://api.stripe.com"}, "sends a live key elsewhere", ""},
		{"live key, userinfo", []string{live, "STRIPE_API_BASE=https://api.stripe.com@evil.example"}, "not an absolute URL", ""},
		{"test key elsewhere", []string{"STRIPE_API_BASE=https://mock.example"}, "", ""},
		{"test key, loopback with path", []string{"STRIPE_API_BASE=http://[::1]:12111/sandbox"}, "", ""},
		{"test key, plain http", []string{"STRIPE_API_BASE=http://mock.example"}, "is not https", ""},
		{"query", []string{"STRIPE_API_BASE=https://mock.example?a"}, "not an absolute URL", ""},
		{"not a URL", []string{"STRIPE_API_BASE=mock"}, "not an absolute URL", ""},
		{"another scheme", []string{"STRIPE_API_BASE=ftp://127.0.0.1"}, "is not https", ""},
		{"newline", []string{"STRIPE_API_BASE=https://a\nb"}, "not an absolute URL", ""},
		{"account", []string{"TILL_STRIPE_ACCOUNT=acct_1A"}, "", ""},
		{"version", []string{"TILL_STRIPE_VERSION=2025-03-31.basil"}, "", ""},
		{"connected account", []string{"TILL_STRIPE_CONNECTED_ACCOUNT=acct_1A"}, "", ""},
		{"connected account twice", []string{"TILL_STRIPE_CONNECTED_ACCOUNT=acct_1A", "TILL_STRIPE_ACCOUNT=acct_1A"}, "", ""},
		{"connected account and another", []string{"TILL_STRIPE_CONNECTED_ACCOUNT=acct_1A", "TILL_STRIPE_ACCOUNT=acct_1B"}, "is not stripe.connected_account", ""},
		{"no connected account", []string{"TILL_STRIPE_CONNECTED_ACCOUNT=ca_1A"}, "stripe.connected_account", ""},
		{"connected account with a header", []string{"TILL_STRIPE_CONNECTED_ACCOUNT=acct_1A\r\nX: y"}, "stripe.connected_account", ""},
		{"versions", []string{"TILL_STRIPE_VERSIONS=x"}, "", "can only stand in the file"},
		{"version with a trailing line", []string{"TILL_STRIPE_VERSION=2025-03-31\n"}, "is not a Stripe version", ""},
	})
}

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	at := func(u string) []string { return []string{"TILL_LIMITS_REDIS_URL=" + u} }
	check(t, false, []rule{
		{"a host", at("redis://localhost"), "", "limits.replicas"},
		{"a host of several", append(at("redis://localhost"), "TILL_LIMITS_REPLICAS=2"), "", ""},
		{"everything", at("rediss://user:canary%2F@redis.example.com:6380/3"), "", ""},
		{"an address", at("redis://:canary@[2001:db8::1]:6379/"), "", ""},
		{"no scheme", at("redis:6379"), "limits.redis_url: names no host", ""},
		{"another scheme", at("https://redis.example.com"), "does not begin with redis:// or rediss://", ""},
		{"a socket", at("unix:///run/redis.sock"), "does not begin with redis:// or rediss://", ""},
		{"no host", at("redis://:6379"), "names no host", ""},
		{"a port of words", at("redis://localhost:canary"), "is not a URL", ""},
		{"port 0", at("redis://localhost:0"), "has a port that is none", ""},
		{"a port too high", at("redis://localhost:65536"), "has a port that is none", ""},
		{"a database of words", at("redis://localhost/canary"), "has a path that is no number of a database", ""},
		{"a negative database", at("redis://localhost/-1"), "has a path that is no number of a database", ""},
		{"two databases", at("redis://localhost/1/2"), "has a path that is no number of a database", ""},
		{"options", at("redis://localhost?read_timeout=9s"), "has more than a user", ""},
		{"a password with a slash", at("redis://:canary/@localhost"), "is not a URL", ""},
		{"a password with a fragment", at("redis://:canary#@localhost"), "is not a URL", ""},
	})
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(u string) []string { return []string{"TILL_DATABASE_URL=" + u} }
	check(t, false, []rule{
		{"a new file", at("sqlite://" + dir + "/new.db"), "", ""},
		{"an existing file", at("sqlite://" + dir + "/file"), "", ""},
		{"relative", at("sqlite://new.db"), "", ""},
		{"missing folder", at("sqlite://" + dir + "/gone/till.db"), "does not exist", ""},
		{"a file as folder", at("sqlite://" + dir + "/file/till.db"), "not a folder", ""},
		{"a folder", at("sqlite://" + dir), "is a folder", ""},
		{"a place nobody can write", at("sqlite:///proc/till.db"), "cannot be written", ""},
		{"mysql", at("mysql://user:canary@db/till"), "is not sqlite://", ""},
		{"memory", at("sqlite://:memory:"), "is not sqlite://", ""},
		{"parameters", at("sqlite://till.db?mode=ro"), "is not sqlite://", ""},
		{"no path", at("sqlite://"), "is not sqlite://", ""},
		{"a path", at(dir + "/till.db"), "is not sqlite://", ""},
	})
	left, err := filepath.Glob(filepath.Join(dir, ".till-probe-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	check(t, false, []rule{{
		"several processes", append(at("sqlite://"+dir+"/new.db"), "TILL_LIMITS_REPLICAS=2"), "", "must be on one host",
	}})
	if _, err := os.Stat("/dev/shm"); err == nil {
		check(t, false, []rule{{"tmpfs", at("sqlite:///dev/shm/till.db"), "", "is on tmpfs"}})
	}
}

func TestPostgresDatabases(t *testing.T) {
	t.Parallel()
	// Every password, and what is left of one, has the canary in it.
	const legible = "does not insist on an encrypted connection"
	var rules []rule
	for _, tc := range [][3]string{
		{"postgres://user:canary@db.example.com/till?sslmode=verify-full", "", ""},
		{"postgresql://user:canary@db.example.com:5433/till?sslmode=require&pool_max_conns=20", "", ""},
		{"postgres://user:canary@db.example.com/till?sslrootcert=system", "", ""},
		{"postgres://user:canary@db/till", "", legible},
		{"postgres://user:canary@db/till?sslmode=disable", "", legible},
		{"postgres://user:canary@db/till?sslmode=prefer", "", legible},
		{"postgres://user:canary@localhost,db/till", "", legible},
		{"postgres://user:canary@localhost/till", "", "[]"},
		{"postgres://user:canary@127.0.0.1:5432,[::1]:5433/till", "", "[]"},
		{"postgres://user:can%40ary%2F@localhost/till", "", "[]"},
		{"postgres://user@localhost/till", "", "[]"},
		{"postgres://localhost/till?user=user&password=canary", "", "[]"},
		{"postgres:///till?host=/run/postgresql&user=user", "", "[]"},
		{"postgres://user:canary@%2Frun%2Fpostgresql/till", "", "[]"},
		{"postgres://user:canary@ignored?host=127.0.0.1&port=5433&dbname=till", "", "[]"},

		{"postgres://", "names no user", ""},
		{"postgres://x", "names no user", ""},
		{"postgres://:canary@localhost/till", "names no user", ""},
		{"postgres://user:canary@localhost", "names no database", ""},
		{"postgres://user:canary@localhost/", "names no database", ""},
		{"postgres://user:canary@localhost/till/canary", "names no database", ""},
		{"postgres://user:canary@/till", "names no host", ""},
		{"postgres://user:canary@localhost,/till", "names no host", ""},
		{"postgres://user:canary@localhost:0/till", "has a port that is not", ""},
		{"postgres://user:canary@localhost:65536/till", "has a port that is not", ""},
		{"postgres://user:canary@localhost:5432,db:canary/till", "has a port that is not", ""},
		{"postgres://user:canary@a,b,c/till?port=1,2", "has more or fewer ports than hosts", ""},
		{"postgres://user:can@canary@localhost/till", "has an @ too many", ""},
		{"postgres://user:can/canary@localhost/till", "has an @ too many", ""},
		{"postgres://user:can#canary@localhost/till", "", "[]"}, // odd, and what the driver reads too
		{"postgres://user:canary%zz@localhost/till", "is not a URL", ""},
		{"postgres://us%zzer:canary@localhost/till", "is not a URL", ""},
		{"postgres://user:canary@localhost/till%zz", "is not a URL", ""},
		{"postgres://user:canary@localhost/till?sslmode=%zz", "is not a URL", ""},
		{"postgres://user:canary@localhost/till\x00", "is not a URL", ""},
		{"postgres://user:canary@localhost/till?sslmode=canary", "has an sslmode that does not exist", ""},
		{"postgres://user:canary@localhost/till?sslmode=require&sslmode=canary", "has an sslmode that does not exist", ""},
		{"postgres://user:canary@localhost/till?target_session_attrs=standby", "asks for a server that cannot be written", ""},
		{"postgres://user:canary@localhost/till?pool_max_conns=0", "has a pool_max_conns", ""},
		{"postgres://user:canary@localhost/till?pool_max_conns=canary", "has a pool_max_conns", ""},
	} {
		rules = append(rules, rule{tc[0], []string{"TILL_DATABASE_URL=" + tc[0]}, tc[1], tc[2]})
	}
	check(t, false, rules)
}

// What passes here must not end the start later.
func FuzzPostgresURL(f *testing.F) {
	for _, seed := range []string{
		"user:secret@localhost/till", "user@a,[::1]:5432/till?sslmode=disable", "/till?host=/run,/tmp&user=user&port=1,2",
		"user:%40@%2Frun/till?dbname=other", "u:p@h:1,h:2/d?target_session_attrs=any&pool_max_conns=3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		address := "postgres://" + rest
		_, _, err := config.Load(config.Source{
			Path: "till.yaml", ReadFile: reader(map[string]string{"till.yaml": minimal + portal}),
			Environ: []string{"STRIPE_SECRET_KEY=rk_test_canary0123", "TILL_DATABASE_URL=" + address},
		})
		// The driver has more parameters than are judged here, some of them files.
		_, query, _ := strings.Cut(rest, "?")
		params, _ := url.ParseQuery(query)
		for _, judged := range []string{"user", "dbname", "host", "port", "sslmode", "target_session_attrs", "pool_max_conns", "connect_timeout"} {
			delete(params, judged)
		}
		if err != nil || len(params) > 0 {
			return
		}
		if _, err := pgxpool.ParseConfig(address); err != nil {
			t.Errorf("passed, and the driver says: %v", err)
		}
	})
}

func TestTheDefaultURLIsRequiredUnlessEveryPlanHasOne(t *testing.T) {
	t.Parallel()
	const head = `public_url: https://billing.example.com
auth: {issuers: [{issuer: https://id.example.com/, audience: [till]}]}
redirects: {allow: ["https://app.example.com"]}
portals: {default: {params: {return_url: "https://app.example.com"}}}
`
	for _, tc := range []struct {
		plans string
		ok    bool
	}{
		{"", true},
		{"plans: {a: {mode: setup, params: {currency: usd}}}", false},
		{"plans: {a: {mode: setup, params: {currency: usd, success_url: https://app.example.com}}}", true},
		{"plans: {a: {mode: setup, params: {currency: usd, ui_mode: embedded, return_url: https://app.example.com}}}", true},
		{"plans: {a: {mode: setup, params: {currency: usd, ui_mode: embedded, redirect_on_completion: never}}}", true},
		{"plans: {a: {mode: setup, params: {currency: usd, ui_mode: embedded}}}", false},
	} {
		cfg, _, problems := load(t, head+tc.plans)
		if (problems == nil) != tc.ok || !tc.ok && !strings.Contains(lines(problems), "redirects.default: is required") {
			t.Errorf("%s: %v", tc.plans, problems)
		}
		if tc.ok && cfg.Portals[0].Params["return_url"] != "https://app.example.com/" {
			t.Errorf("%s: the portal's URL is not cleaned: %v", tc.plans, cfg.Portals[0].Params)
		}
	}
}

func TestKeySetsFromFiles(t *testing.T) {
	t.Parallel()
	text := strings.Replace(minimal, "audience: [till]", "audience: [till], jwks_file: jwks.json", 1) + portal
	_, _, problems := loadSource(t, config.Source{Path: "till.yaml", ReadFile: reader(map[string]string{
		"till.yaml": text, "jwks.json": `{"keys":[{"kty":"oct","k":"Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"}]}`,
	})})
	if got := lines(problems); !strings.Contains(got, "till.yaml:2:70: auth.issuers.0.jwks_file: the static key set") || strings.Contains(got, "Y2Fu") {
		t.Errorf("got %v", problems)
	}
}
