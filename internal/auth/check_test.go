package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
)

func TestIssuerCheck(t *testing.T) {
	k := keys()
	private := strings.Replace(rsaJWK("rsa", &k.rsa.PublicKey, ""), `{`, `{"d":"AQ",`, 1)
	rows := []struct {
		name   string
		change func(*auth.Issuer)
		want   []string // parts of each problem, in order
	}{
		{"right", func(*auth.Issuer) {}, nil},
		{"discovery", func(i *auth.Issuer) { i.JWKSURL = "" }, nil},
		{"loopback", func(i *auth.Issuer) { i.Issuer, i.JWKSURL = "http://localhost:8080", "http://127.0.0.1:8080/jwks" }, nil},
		{"loopback in IPv6", func(i *auth.Issuer) { i.Issuer, i.JWKSURL = "http://[::1]:8080", "" }, nil},
		{"static", func(i *auth.Issuer) { i.JWKSURL, i.StaticJWKS = "", allKeys() }, nil},
		{"query in jwks_url", func(i *auth.Issuer) { i.JWKSURL += "?p=policy" }, nil},
		{"empty", func(i *auth.Issuer) { *i = auth.Issuer{} }, []string{"issuer is not an absolute URL", "audience is empty"}},
		{"plain http", func(i *auth.Issuer) { i.Issuer = "http://id.example.com/" }, []string{"issuer is not https"}},
		{"almost loopback", func(i *auth.Issuer) { i.Issuer = "http://localhost.evil.example/" }, []string{"issuer is not https"}},
		{"host only", func(i *auth.Issuer) { i.Issuer = "id.example.com" }, []string{"issuer is not an absolute URL"}},
		{"opaque", func(i *auth.Issuer) { i.Issuer = "https:id.example.com" }, []string{"issuer is not an absolute URL"}},
		{"query", func(i *auth.Issuer) { i.Issuer += "?tenant=1" }, []string{"issuer has a query"}},
		{"bare question mark", func(i *auth.Issuer) { i.Issuer += "?" }, []string{"issuer has a query"}},
		{"fragment", func(i *auth.Issuer) { i.Issuer += "#x" }, []string{"issuer has userinfo or a fragment"}},
		{"bare fragment", func(i *auth.Issuer) { i.Issuer += "#" }, []string{"issuer has userinfo or a fragment"}},
		{"userinfo", func(i *auth.Issuer) { i.Issuer = "https://a:b@id.example.com/" }, []string{"issuer has userinfo or a fragment"}},
		{"control character", func(i *auth.Issuer) { i.Issuer += "\n" }, []string{"issuer is not an absolute URL"}},
		{"empty audience", func(i *auth.Issuer) { i.Audience = []string{"till", ""} }, []string{"audience contains an empty value"}},
		{"plain http keys", func(i *auth.Issuer) { i.JWKSURL = "http://id.example.com/jwks" }, []string{"jwks_url is not https"}},
		{"private keys' address", func(i *auth.Issuer) { i.JWKSURL = "https://10.0.0.1/jwks" }, []string{"jwks_url names a private address"}},
		{"private issuer", func(i *auth.Issuer) { i.Issuer, i.JWKSURL = "https://192.168.0.1", "" }, []string{"issuer names a private address"}},
		{"private issuer, keys elsewhere", func(i *auth.Issuer) { i.Issuer = "https://192.168.0.1" }, nil},
		{"two sources", func(i *auth.Issuer) { i.StaticJWKS = allKeys() }, []string{"keep one"}},
		{"static private", func(i *auth.Issuer) { i.JWKSURL, i.StaticJWKS = "", jwks(private) }, []string{"private or symmetric"}},
		{"static private beside public", func(i *auth.Issuer) {
			i.JWKSURL, i.StaticJWKS = "", jwks(private, rsaJWK("good", &k.otherRSA.PublicKey, ""))
		}, []string{"private or symmetric"}},
		{"static secret", func(i *auth.Issuer) { i.JWKSURL, i.StaticJWKS = "", jwks(`{"kty":"oct","k":"AAAA"}`) }, []string{"private or symmetric"}},
		{"static and useless", func(i *auth.Issuer) {
			i.JWKSURL, i.StaticJWKS, i.Algorithms = "", oneKey(), []string{"ES256"}
		}, []string{"no key that can be used"}},
		{"static and not JSON", func(i *auth.Issuer) { i.JWKSURL, i.StaticJWKS = "", []byte("-----BEGIN PUBLIC KEY-----") }, []string{"is not a JWK set"}},
		{"none", func(i *auth.Issuer) { i.Algorithms = []string{"RS256", "none"} }, []string{`algorithms contains "none"; use some of [ES256`}},
		{"symmetric", func(i *auth.Issuer) { i.Algorithms = []string{"HS256"} }, []string{"HS256 without secret_env"}},
		{"lower case", func(i *auth.Issuer) { i.Algorithms = []string{"rs256"} }, []string{`"rs256"`}},
		{"lifetime", func(i *auth.Issuer) { i.MaxLifetime = -time.Second }, []string{"max_lifetime is negative"}},
		{"half an organisation", func(i *auth.Issuer) { i.Org.Claim = "org_id" }, []string{"org is incomplete"}},
		{"nobody may bill", func(i *auth.Issuer) { i.Org = auth.Org{Claim: "org_id", RoleClaim: "role"} }, []string{"org is incomplete"}},
		{"role of nothing", func(i *auth.Issuer) { i.Org = auth.Org{BillingRoles: []string{"owner"}} }, []string{"org is incomplete"}},
		{"empty role", func(i *auth.Issuer) { i.Org = auth.Org{Claim: "o", RoleClaim: "r", BillingRoles: []string{""}} }, []string{"empty role"}},
		{"verified nothing", func(i *auth.Issuer) { i.Profile.EmailVerified = "email_verified" }, []string{"without profile.email"}},
		{"several", func(i *auth.Issuer) { i.Issuer, i.Audience, i.Algorithms = "x", nil, []string{"none"} }, []string{"absolute URL", "audience", "algorithms"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			i := remote()
			row.change(&i)
			got := i.Check()
			if len(got) != len(row.want) {
				t.Fatalf("got %v, want %d problems", got, len(row.want))
			}
			for n, part := range row.want {
				if !strings.Contains(got[n].Error(), part) {
					t.Errorf("got %v, want %q", got[n], part)
				}
			}
			_, err := auth.New([]auth.Issuer{i}, auth.Options{Metrics: prometheus.NewRegistry()})
			if (err == nil) != (len(row.want) == 0) {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestNewReportsEverything(t *testing.T) {
	twice := remote()
	wrong := auth.Issuer{Issuer: "http://b.example.com", Audience: []string{"till"}}
	_, err := auth.New([]auth.Issuer{twice, twice, wrong}, auth.Options{Leeway: time.Hour})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"given twice", "is not https", "metrics registerer", "leeway"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if _, err := auth.New(nil, auth.Options{Metrics: prometheus.NewRegistry()}); err == nil {
		t.Error("a verifier that trusts nobody")
	}
	registry := prometheus.NewRegistry()
	for n, want := range []bool{true, false} {
		if _, err := auth.New([]auth.Issuer{remote()}, auth.Options{Metrics: registry}); (err == nil) != want {
			t.Errorf("verifier %d on one registry: %v", n, err)
		}
	}
}
