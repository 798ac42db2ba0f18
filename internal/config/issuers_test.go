package config_test

import (
	"strings"
	"testing"

	"till/internal/config"
)

const theRest = `
portals: {default: {}}
redirects: {allow: ["https://app.example.com"]}
public_url: https://billing.example.com
`

// TestSecretsOfIssuers: a secret is named, never written down, and no message shows it.
func TestSecretsOfIssuers(t *testing.T) {
	t.Parallel()
	const long = "canary-0123456789-0123456789-0123456789"
	rows := []struct {
		name, more string
		env        []string
		want       string // part of the one problem
	}{
		{"variable", ``, []string{"TILL_JWT=" + long}, ""},
		{"file", ``, []string{"TILL_JWT_FILE=secret"}, ""},
		{"HS256 in so many words", `, algorithms: [HS256]`, []string{"TILL_JWT=" + long}, ""},
		{"no file", ``, []string{"TILL_JWT_FILE=/gone"}, "cannot be read"},
		{"two values", ``, []string{"TILL_JWT_FILE=secret", "TILL_JWT=x" + long}, "another value"},
		{"empty", ``, []string{"TILL_JWT="}, "not set"},
		{"31 bytes", ``, []string{"TILL_JWT=" + long[:31]}, "less than 32 bytes"},
		{"32 bytes", ``, []string{"TILL_JWT=" + long[:32]}, ""},
		{"PEM", ``, []string{"TILL_JWT=-----BEGIN PUBLIC KEY----- canary " + long}, "no shared secret"},
		{"JWK", ``, []string{`TILL_JWT={"kty":"RSA","n":"canary0123456789012345678901234567"}`}, "no shared secret"},
		{"beside keys", `, jwks_url: "https://id.example.com/jwks"`, []string{"TILL_JWT=" + long}, "keep one"},
		{"beside a key's algorithm", `, algorithms: [HS256, RS256]`, []string{"TILL_JWT=" + long}, "more than HS256"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"till.yaml": `auth: {issuers: [{issuer: "https://id.example.com/", audience: [till], secret_env: TILL_JWT` + row.more + `}]}` + theRest,
				"secret":    long + "\n",
			}
			cfg, warnings, problems := loadSource(t, config.Source{Path: "till.yaml", ReadFile: reader(files)}, row.env...)
			for _, w := range warnings {
				if strings.HasPrefix(w.Key, "TILL_JWT") {
					t.Errorf("warned: %s", w)
				}
			}
			if row.want == "" {
				if problems != nil {
					t.Fatal(problems)
				}
				if got := cfg.Auth.Issuers[0].Secret.Reveal(); !strings.HasPrefix(long, got) || got == "" {
					t.Errorf("got %q", got)
				}
				return
			}
			if len(problems) != 1 || !strings.Contains(problems.Error(), row.want) || strings.Contains(problems.Error(), "canary") {
				t.Errorf("got %v, want one with %q and without the secret", problems, row.want)
			}
		})
	}
}

// TestOneIssuerIsAsked: an opaque token says nothing of where it comes from.
func TestOneIssuerIsAsked(t *testing.T) {
	t.Parallel()
	const one = `{issuer: "https://NAME.example.com/", audience: [till], introspection: {url: "https://NAME.example.com/ask", client_id: till, secret_env: TILL_ASK}}`
	a, b := strings.ReplaceAll(one, "NAME", "a"), strings.ReplaceAll(one, "NAME", "b")
	cfg, _, problems := load(t, `auth: {issuers: [`+a+`]}`+theRest, "TILL_ASK=x")
	if problems != nil {
		t.Fatal(problems)
	}
	if got := cfg.Auth.Issuers[0].Introspection; got.ClientID != "till" || got.Secret.Reveal() != "x" {
		t.Errorf("got %v", got)
	}
	_, _, problems = load(t, `auth: {issuers: [`+a+`, `+b+`]}`+theRest, "TILL_ASK=x")
	if len(problems) != 1 || problems[0].Key != "auth.issuers.1.introspection" {
		t.Errorf("got %v", problems)
	}
}

// TestCookieNames: what browsers do with a prefix decides what a name is worth.
func TestCookieNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "ok", "__Host-session": "ok", "__Secure-session": "ok",
		"session": "warned", "__session": "warned", "Host-session": "warned",
		"__Host-": "refused", "__Secure-": "refused", "__HOST-session": "refused", "__secure-session": "refused",
		"a b": "refused", "a;b": "refused", "a=b": "refused", `"a"`: "refused", "ä": "refused",
	} {
		t.Run("name "+name, func(t *testing.T) {
			t.Parallel()
			_, warnings, problems := load(t, `auth: {issuers: [{issuer: "https://id.example.com/", audience: [till]}]}`+theRest, "TILL_AUTH_COOKIE_NAME="+name)
			got := "ok"
			for _, w := range warnings {
				if w.Key == "auth.cookie.name" {
					got = "warned"
				}
			}
			if len(problems) > 0 {
				got = "refused"
			}
			if got != want {
				t.Errorf("got %s, want %s: %v %v", got, want, problems, warnings)
			}
		})
	}
}
