package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/problem"
)

// static returns a Verifier of one issuer whose keys are given; what i leaves open is
// filled in for the good token.
func static(t testing.TB, i auth.Issuer) (*auth.Verifier, *prometheus.Registry) {
	t.Helper()
	return staticOf(t, i, auth.Options{})
}

func staticOf(t testing.TB, i auth.Issuer, o auth.Options) (*auth.Verifier, *prometheus.Registry) {
	t.Helper()
	i.Issuer, i.Audience = "https://id.example.com/", []string{"till"}
	if i.StaticJWKS == nil {
		i.StaticJWKS = allKeys()
	}
	registry := prometheus.NewRegistry()
	o.Metrics, o.Now = registry, func() time.Time { return time.Unix(now, 0) }
	v, err := auth.New([]auth.Issuer{i}, o)
	if err != nil {
		t.Fatal(err)
	}
	return v, registry
}

func TestPrincipal(t *testing.T) {
	org := auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner", "billing"}}
	profile := auth.Profile{Email: "email", EmailVerified: "email_verified", Name: "name"}
	alice := auth.Principal{Issuer: "https://id.example.com/", Subject: "alice", ExpiresAt: time.Unix(1767229200, 0)}
	with := func(change func(*auth.Principal)) auth.Principal {
		p := alice
		change(&p)
		return p
	}
	member := func(id, role string, mayBill bool) auth.Principal {
		return with(func(p *auth.Principal) { p.Org = &auth.Membership{ID: id, Role: role, MayBill: mayBill} })
	}
	const everything = `"email":"a@example.com","email_verified":true,"name":"Alice","org_id":"acme","org_role":"owner"`
	rows := []struct {
		name    string
		org     auth.Org
		profile auth.Profile
		claims  string
		want    auth.Principal
	}{
		{"personal", org, profile, ``, alice},
		{"nothing is trusted by itself", auth.Org{}, auth.Profile{}, everything, alice},
		{"sub byte-exact", org, profile, `"sub":"Alice\u0301 "`, with(func(p *auth.Principal) { p.Subject = "Alice\u0301 " })},
		{"fraction of a second", org, profile, `"exp":1767229200.5`, with(func(p *auth.Principal) { p.ExpiresAt = time.Unix(1767229200, 5e8) })},
		{"profile", auth.Org{}, profile, everything, with(func(p *auth.Principal) {
			p.Email, p.Name = "a@example.com", "Alice"
		})},
		{"only the name", auth.Org{}, auth.Profile{Name: "name"}, everything, with(func(p *auth.Principal) { p.Name = "Alice" })},
		{"not verified", org, profile, `"email":"a@example.com","email_verified":false`, alice},
		{"verified is missing", org, profile, `"email":"a@example.com"`, alice},
		{"verified is not asked for", org, auth.Profile{Email: "email"}, `"email":"a@example.com","email_verified":false`, with(func(p *auth.Principal) { p.Email = "a@example.com" })},
		{"verified as text", org, profile, `"email":"a@example.com","email_verified":"true"`, alice},
		{"verified without e-mail", org, profile, `"email_verified":true`, alice},
		{"e-mail not text", org, profile, `"email":["a@example.com"],"email_verified":true`, alice},
		{"e-mail with a line end", org, profile, `"email":"a@example.com\nBcc: b@example.com","email_verified":true`, alice},
		{"e-mail too long", org, profile, `"email":"` + strings.Repeat("a", 256) + `"`, alice},
		{"owner", org, auth.Profile{}, everything, member("acme", "owner", true)},
		{"second billing role", org, profile, `"org_id":"acme","org_role":"billing"`, member("acme", "billing", true)},
		{"A167", org, profile, `"org_id":"acme","org_role":"viewer"`, member("acme", "viewer", false)},
		{"role in another case", org, profile, `"org_id":"acme","org_role":"Owner"`, member("acme", "Owner", false)},
		{"no role", org, profile, `"org_id":"acme"`, member("acme", "", false)},
		{"role not text", org, profile, `"org_id":"acme","org_role":{"owner":true}`, member("acme", "", false)},
		{"roles", org, profile, `"org_id":"acme","org_role":["viewer","billing"]`, member("acme", "billing", true)},
		{"roles that may not bill", org, profile, `"org_id":"acme","org_role":["viewer","dev"]`, member("acme", "viewer", false)},
		{"a role that is no text", org, profile, `"org_id":"acme","org_role":["owner",1]`, member("acme", "", false)},
		{"no roles", org, profile, `"org_id":"acme","org_role":[]`, member("acme", "", false)},
		{"role without organisation", org, profile, `"org_role":"owner"`, alice},
		{"organisation of 255 bytes", org, profile, `"org_id":"` + strings.Repeat("a", 255) + `"`, member(strings.Repeat("a", 255), "", false)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			v, _ := static(t, auth.Issuer{Org: row.org, Profile: row.profile})
			got, err := v.Verify(t.Context(), genuine("", row.claims, "rsa"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A166: an organisation that cannot be read is refused, and never the person instead.
func TestUnreadableOrganisation(t *testing.T) {
	v, _ := static(t, auth.Issuer{Org: auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner"}}})
	for _, value := range []string{
		`["acme"]`, `""`, `null`, `42`, `true`, `{"id":"acme"}`, `"acme\n"`, `"` + strings.Repeat("a", 256) + `"`,
	} {
		_, err := v.Verify(t.Context(), genuine("", `"org_role":"owner","org_id":`+value, "rsa"))
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Code != problem.Forbidden {
			t.Errorf("%s: got %v, want forbidden", value, err)
		}
	}
	_, err := v.Verify(t.Context(), genuine("", `"org_id":""`, "other-rsa"))
	if got := reasonOf(err); got != "signature" {
		t.Errorf("forged: got %s; a forger must not learn more than that", got)
	}
}

// A172: the subject alone names nobody.
func TestSameSubjectOfTwoIssuers(t *testing.T) {
	k := keys()
	one := auth.Issuer{Issuer: "https://id.example.com/", Audience: []string{"till"}, StaticJWKS: jwks(rsaJWK("rsa", &k.rsa.PublicKey, ""))}
	two := auth.Issuer{Issuer: "https://b.example.com", Audience: []string{"till"}, StaticJWKS: jwks(rsaJWK("rsa", &k.otherRSA.PublicKey, ""))}
	v, err := auth.New([]auth.Issuer{one, two}, auth.Options{
		Metrics: prometheus.NewRegistry(), Now: func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := v.Verify(t.Context(), genuine("", "", "rsa"))
	second, err2 := v.Verify(t.Context(), genuine("", `"iss":"https://b.example.com"`, "other-rsa"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if first.Issuer == second.Issuer || first.Subject != second.Subject {
		t.Errorf("got %v and %v", first, second)
	}
}

// A170: whoever allows machines is told which callers are some.
func TestMachines(t *testing.T) {
	v, _ := static(t, auth.Issuer{Machines: auth.Machines{Allow: true, Claim: "/act/client"}})
	for claims, want := range map[string]bool{
		``: false, `"azp":"web"`: false, `"sub":"web@clients","azp":"other"`: false, `"gty":"password"`: false, `"act":{}`: false,
		`"azp":"alice"`: true, `"client_id":"alice"`: true, `"azp":"web","client_id":"alice"`: true,
		`"sub":"web@clients","azp":"web"`: true, `"gty":"client-credentials"`: true, `"idtyp":"app"`: true,
		`"act":{"client":false}`: true, `"act":[]`: true, `"azp":null`: true,
	} {
		p, err := v.Verify(t.Context(), genuine("", claims, "rsa"))
		if err != nil || p.Machine != want {
			t.Errorf("%s: machine is %t, want %t (%v)", claims, p.Machine, want, err)
		}
	}
}
