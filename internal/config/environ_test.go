package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/config"
)

func TestTheEnvironmentWins(t *testing.T) {
	t.Parallel()
	cfg, _, problems := load(t, minimal+portal+"stripe: {account: acct_file, metadata_subject: plain}\nlimits: {replicas: 2}\n",
		"TILL_PUBLIC_URL=https://env.example.com", "TILL_ADDR=127.0.0.1:1", "TILL_OPS_ADDR=127.0.0.1:2",
		"TILL_STRIPE_ACCOUNT=acct_env", "TILL_STRIPE_METADATA_SUBJECT=sha256", "TILL_LIMITS_REPLICAS=3",
		"TILL_AUTH_COOKIE_NAME=__Host-env", "TILL_REDIRECTS_DEFAULT=https://app.example.com/env", "TILL_STRIPE_VERSION=",
		"TILL_PUBLIC_URL=https://second.example.com", "STRIPE_API_BASE=http://127.0.0.1:12111/",
	)
	if problems != nil {
		t.Fatal(problems)
	}
	got := []string{
		cfg.PublicURL, cfg.Addr, cfg.OpsAddr, cfg.Stripe.Account, cfg.Stripe.MetadataSubject, fmt.Sprint(cfg.Limits.Replicas),
		cfg.Auth.CookieName, cfg.Redirects.Default, cfg.Stripe.Version, cfg.Stripe.APIBase,
	}
	want := []string{
		"https://env.example.com", "127.0.0.1:1", "127.0.0.1:2", "acct_env", "sha256", "3",
		"__Host-env", "https://app.example.com/env", "", "http://127.0.0.1:12111",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsNameTheVariable(t *testing.T) {
	t.Parallel()
	_, _, problems := load(t, minimal+portal+"stripe: {account: acct_1}\nlimits: {replicas: x}\n",
		"TILL_STRIPE_ACCOUNT=nonsense", "TILL_LIMITS_REPLICAS=many", "TILL_ADDR=8080", "TILL_OPS_ADDR=localhost:http", "TILL_PUBLIC_URL=x",
		"TILL_REDIRECTS_DEFAULT=https://evil.example/")
	want := `TILL_LIMITS_REPLICAS: limits.replicas: must be a whole number. Fix: write decimal digits only, without quotes and leading zeros
TILL_ADDR: is not host:port. Fix: write such as :8080 or 127.0.0.1:8081
TILL_OPS_ADDR: is not host:port. Fix: write such as :8080 or 127.0.0.1:8081
TILL_PUBLIC_URL: public_url: must begin with https://. Fix: write an exact origin such as https://billing.example.com
TILL_STRIPE_ACCOUNT: stripe.account: is not an account id. Fix: write acct_ and what follows it in the Dashboard, or leave it out
TILL_REDIRECTS_DEFAULT: redirects.default: redirects.allow does not allow it (host). Fix: write an absolute URL below one of redirects.allow
till.yaml:6:10: limits.replicas: must be a whole number. Fix: write decimal digits only, without quotes and leading zeros`
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesMustDiffer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		addr, ops string
		ok        bool
	}{
		{":8080", ":8081", true},
		{":8080", "127.0.0.1:8080", false},
		{"127.0.0.1:8080", "localhost:8080", false},
		{"[::]:8080", "10.0.0.1:8080", false},
		{"10.0.0.1:8080", "127.0.0.1:8080", true},
		{":0", ":0", true},
		{":70000", ":1", false},
	} {
		_, _, problems := load(t, minimal+portal, "TILL_ADDR="+tc.addr, "TILL_OPS_ADDR="+tc.ops)
		if (problems == nil) != tc.ok {
			t.Errorf("%s and %s: %v", tc.addr, tc.ops, problems)
		}
	}
}

func TestUnknownVariablesOnlyWarn(t *testing.T) {
	t.Parallel()
	_, warnings, problems := load(t, minimal+portal,
		"TILL_PORT=tcp://10.0.0.1:80", "TILL_PORT_8080_TCP=a", "TILL_PORT_8080_TCP_ADDR=a", "TILL_PORT_8080_TCP_PORT=a", "TILL_PORT_8080_TCP_PROTO=a",
		"TILL_SERVICE_HOST=a", "TILL_SERVICE_PORT=a", "TILL_SERVICE_PORT_HTTP=a", "TILL_API_SERVICE_HOST=a", "TILL_API_PORT_80_TCP=a", "PATH=/bin",
		"TILL_PUBLIC_ULR=canary", "TILL_AUTH_ORIGINS=canary", "TILL_ZZZ=canary", "TILL_PORTALS=canary", "TILL_STRIPE_ACCOUNT_FILE=canary", "TILL_EMPTY=",
	)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []string{
		"TILL_AUTH_ORIGINS: is ignored: auth.origins is not a single value and can only stand in the file",
		"TILL_PORTALS: is ignored: portals is not a single value and can only stand in the file",
		"TILL_PUBLIC_ULR: is not a setting and is ignored; did you mean TILL_PUBLIC_URL?",
		"TILL_STRIPE_ACCOUNT_FILE: is not a setting and is ignored; did you mean TILL_STRIPE_ACCOUNT?",
		"TILL_ZZZ: is not a setting and is ignored",
	}
	if diff := cmp.Diff(want, texts(warnings, "TILL_")); diff != "" {
		t.Error(diff)
	}
}

func texts(warnings []config.Warning, prefix string) []string {
	var all []string
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, prefix) {
			all = append(all, w.String())
		}
	}
	return all
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	yaml := file("till.yaml", minimal+portal, 0o600)
	for _, tc := range []struct {
		name    string
		env     []string
		problem string
		warning string
	}{
		{"file", []string{"STRIPE_SECRET_KEY_FILE=" + file("a", key+"\n", 0o600)}, "", ""},
		{"file with CR LF", []string{"STRIPE_SECRET_KEY_FILE=" + file("b", key+"\r\n", 0o600)}, "", ""},
		{"both the same", []string{"STRIPE_SECRET_KEY_FILE=" + file("c", key, 0o600), "STRIPE_SECRET_KEY=" + key}, "", ""},
		{
			"both different",
			[]string{"STRIPE_SECRET_KEY_FILE=" + file("d", key, 0o600), "STRIPE_SECRET_KEY=rk_test_other_canary"},
			"STRIPE_SECRET_KEY: has another value than the file", "",
		},
		{"missing", []string{"STRIPE_SECRET_KEY_FILE=" + dir + "/gone"}, "STRIPE_SECRET_KEY_FILE: names a file that cannot be read: no such file or directory", ""},
		{"empty", []string{"STRIPE_SECRET_KEY_FILE=" + file("e", "\n", 0o600)}, "STRIPE_SECRET_KEY_FILE: names an empty file", ""},
		{"world-readable", []string{"STRIPE_SECRET_KEY_FILE=" + file("f", key, 0o644)}, "", "chmod o-r"},
		{"of another shape", []string{"STRIPE_SECRET_KEY_FILE=" + file("g", key+" canary", 0o600)}, "STRIPE_SECRET_KEY_FILE: STRIPE_SECRET_KEY: does not look like", ""},
		{"neither", nil, "STRIPE_SECRET_KEY: is required", ""},
	} {
		cfg, warnings, err := config.Load(config.Source{Path: yaml, Environ: append(tc.env, "TILL_DATABASE_URL=sqlite://"+dir+"/till.db")})
		if (err == nil) != (tc.problem == "") || err != nil && (!strings.Contains(err.Error(), "\n"+tc.problem) || strings.Count(err.Error(), "\n") != 1) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.problem)
		}
		if err == nil && cfg.Stripe.Key.Reveal() != key {
			t.Errorf("%s: another key", tc.name)
		}
		if got := strings.Join(texts(warnings, "STRIPE_"), "\n"); !strings.Contains(got, tc.warning) || tc.warning == "" && got != "" {
			t.Errorf("%s: got warning %q, want %q", tc.name, got, tc.warning)
		}
		if all := fmt.Sprintf("%v %+v %#v %+v", err, err, err, warnings); strings.Contains(all, "canary") {
			t.Errorf("%s shows a secret: %s", tc.name, all)
		}
	}
}

func TestARedisURLIsASecret(t *testing.T) {
	t.Parallel()
	cfg, warnings, problems := load(t, minimal+portal+"limits: {redis_url: 'redis://:canary@redis:6379'}\n")
	if problems != nil || cfg.Limits.RedisURL.Reveal() != "redis://:canary@redis:6379" || strings.Contains(fmt.Sprintf("%+v %v", cfg, warnings), "canary") {
		t.Errorf("got %+v, %v, %v", cfg, warnings, problems)
	}
}

func TestDescribeListsEverySetting(t *testing.T) {
	t.Parallel()
	var got []string
	for _, s := range config.Describe() {
		if s.Help == "" || strings.Contains(s.Help, "\n") {
			t.Errorf("%s has no help of one line", s.Env)
		}
		got = append(got, fmt.Sprintf("%s|%s|%s|%t", s.Env, s.Path, s.Default, s.Secret))
	}
	want := []string{
		"TILL_ADDR||:8080|false",
		"TILL_OPS_ADDR||127.0.0.1:8081|false",
		"TILL_CONFIG|||false",
		"TILL_PUBLIC_URL|public_url||false",
		"TILL_AUTH_COOKIE_NAME|auth.cookie.name||false",
		"STRIPE_SECRET_KEY|||true",
		"STRIPE_API_BASE||https://api.stripe.com|false",
		"TILL_STRIPE_ACCOUNT|stripe.account||false", "TILL_STRIPE_CONNECTED_ACCOUNT|stripe.connected_account||false",
		"TILL_STRIPE_VERSION|stripe.version||false",
		"TILL_STRIPE_METADATA_SUBJECT|stripe.metadata_subject|plain|false",
		"TILL_DATABASE_URL|database.url|sqlite://till.db|true",
		"TILL_LIMITS_OWNER_WRITES_PER_MINUTE|limits.owner_writes_per_minute|60|false",
		"TILL_LIMITS_ADDRESS_PER_MINUTE|limits.address_per_minute|600|false",
		"TILL_LIMITS_CONNECTIONS|limits.connections|1000|false",
		"TILL_LIMITS_STRIPE_RPS_PER_ENDPOINT|limits.stripe_rps_per_endpoint|25|false",
		"TILL_LIMITS_REPLICAS|limits.replicas|1|false",
		"TILL_LIMITS_REDIS_URL|limits.redis_url||true",
		"TILL_AUDIT_MODE|audit.mode|async|false",
		"TILL_AUDIT_RETENTION|audit.retention|400d|false",
		"TILL_REDIRECTS_DEFAULT|redirects.default||false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
