package auth_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/secret"
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
		{"plain http to an address", func(i *auth.Issuer) { i.Issuer = "http://192.0.2.1/" }, []string{"issuer is not https"}},
		{"plain http to a private address", func(i *auth.Issuer) { i.JWKSURL = "http://10.0.0.1/jwks" }, []string{"jwks_url is not https"}},
		{"almost loopback", func(i *auth.Issuer) { i.Issuer = "http://localhost.evil.example/" }, []string{"issuer is not https"}},
		{"host only", func(i *auth.Issuer) { i.Issuer = "id.example.com" }, []string{"issuer is not an absolute URL"}},
		{"opaque", func(i *auth.Issuer) { i.Issuer = "https:id.example.com" }, []string{"issuer is not an absolute URL"}},
		{"query", func(i *auth.Issuer) { i.Issuer += "?tenant=1" }, []string{"issuer has a query"}},
		{"bare question mark", func(i *auth.Issuer) { i.Issuer += "?" }, []string{"issuer has a query"}},
		{"fragment", func(i *auth.Issuer) { i.Issuer += "#x" }, []string{"issuer has userinfo or a fragment"}},
		{"bare fragment", func(i *auth.Issuer) { i.Issuer += "#" }, []string{"issuer has userinfo or a fragment"}},
		{"userinfo", func(i *auth.Issuer) { i.Issuer = "https://a:b@id.example.com/" }, []string{"issuer has userinfo or a fragment"}},
		{"control character", func(i *auth.Issuer) { i.Issuer += "\n" }, []string{"issuer is not an absolute URL"}},
		{"parties in place of an audience", func(i *auth.Issuer) { i.Audience, i.AuthorizedParties = nil, []string{"web"} }, nil},
		{"empty party", func(i *auth.Issuer) { i.AuthorizedParties = []string{"web", ""} }, []string{"authorized_parties contains an empty value"}},
		{"required claims", func(i *auth.Issuer) {
			i.Require = map[string][]string{"a": {"x"}, "/b/c~0~1": {"x"}, "https://d/e": {"x"}}
		}, nil},
		{"required nothing", func(i *auth.Issuer) { i.Require = map[string][]string{"a": {}} }, []string{"require has no value"}},
		{"required empty", func(i *auth.Issuer) { i.Require = map[string][]string{"a": {""}} }, []string{"require has no value"}},
		{"no pointer", func(i *auth.Issuer) { i.Require = map[string][]string{"/a~": {"x"}} }, []string{"which is no claim"}},
		{"no pointer either", func(i *auth.Issuer) { i.Require = map[string][]string{"/a~2": {"x"}} }, []string{"which is no claim"}},
		{"pointer with a hole", func(i *auth.Issuer) { i.Require = map[string][]string{"/a//b": {"x"}} }, []string{"which is no claim"}},
		{"scopes", func(i *auth.Issuer) { i.Scopes = []string{"a", "https://example.com/b:c!#[]~"} }, nil},
		{"empty scope", func(i *auth.Issuer) { i.Scopes = []string{""} }, []string{"scopes contains"}},
		{"two in one", func(i *auth.Issuer) { i.Scopes = []string{"a b"} }, []string{"scopes contains"}},
		{"quote in a scope", func(i *auth.Issuer) { i.Scopes = []string{`a"`} }, []string{"scopes contains"}},
		{"backslash in a scope", func(i *auth.Issuer) { i.Scopes = []string{`a\b`} }, []string{"scopes contains"}},
		{"header", func(i *auth.Issuer) { i.Header = "x-goog-iap-jwt-assertion" }, nil},
		{"header of ours", func(i *auth.Issuer) { i.Header = "authorization" }, []string{"header is not"}},
		{"header of browsers", func(i *auth.Issuer) { i.Header = "COOKIE" }, []string{"header is not"}},
		{"no header", func(i *auth.Issuer) { i.Header = "a b" }, []string{"header is not"}},
		{"secret", func(i *auth.Issuer) { i.JWKSURL, i.Secret = "", secret.New(strings.Repeat("s", 32)) }, nil},
		{"secret and its algorithm", func(i *auth.Issuer) {
			i.JWKSURL, i.Secret, i.Algorithms = "", secret.New(strings.Repeat("s", 32)), []string{"HS256"}
		}, nil},
		{"short secret", func(i *auth.Issuer) { i.JWKSURL, i.Secret = "", secret.New(strings.Repeat("s", 31)) }, []string{"less than 32 bytes"}},
		{"secret beside keys", func(i *auth.Issuer) { i.Secret = secret.New(strings.Repeat("s", 32)) }, []string{"keep one"}},
		{"secret beside given keys", func(i *auth.Issuer) {
			i.JWKSURL, i.StaticJWKS, i.Secret = "", allKeys(), secret.New(strings.Repeat("s", 32))
		}, []string{"keep one"}},
		{"secret beside introspection", func(i *auth.Issuer) {
			i.JWKSURL, i.Secret, i.Introspection = "", secret.New(strings.Repeat("s", 32)), opaqueIssuer().Introspection
		}, []string{"keep one"}},
		{"public key as a secret", func(i *auth.Issuer) { i.JWKSURL, i.Secret = "", secret.New(string(publicPEM(&k.rsa.PublicKey))) }, []string{"no shared secret"}},
		{"JWK as a secret", func(i *auth.Issuer) { i.JWKSURL, i.Secret = "", secret.New(" "+rsaJWK("rsa", &k.rsa.PublicKey, "")) }, []string{"no shared secret"}},
		{"secret and other algorithms", func(i *auth.Issuer) {
			i.JWKSURL, i.Secret, i.Algorithms = "", secret.New(strings.Repeat("s", 32)), []string{"HS256", "RS256"}
		}, []string{"more than HS256"}},
		{"introspection", func(i *auth.Issuer) { i.JWKSURL, i.Introspection = "", opaqueIssuer().Introspection }, nil},
		{"introspection and keys", func(i *auth.Issuer) { i.Introspection = opaqueIssuer().Introspection }, nil},
		{"half an introspection", func(i *auth.Issuer) { i.Introspection.ClientID = "till" }, []string{"introspection is incomplete"}},
		{"introspection without a secret", func(i *auth.Issuer) {
			i.Introspection = auth.Introspection{URL: "https://id.example.com/ask", ClientID: "till"}
		}, []string{"introspection is incomplete"}},
		{"introspection of nobody", func(i *auth.Issuer) {
			i.Introspection = opaqueIssuer().Introspection
			i.Introspection.ClientID = ""
		}, []string{"introspection is incomplete"}},
		{"introspection nowhere", func(i *auth.Issuer) {
			i.Introspection = opaqueIssuer().Introspection
			i.Introspection.URL = ""
		}, []string{"introspection is incomplete"}},
		{"plain introspection", func(i *auth.Issuer) {
			i.Introspection = opaqueIssuer().Introspection
			i.Introspection.URL = "http://ask.example.com/"
		}, []string{"introspection.url is not https"}},
		{"private introspection", func(i *auth.Issuer) {
			i.Introspection = opaqueIssuer().Introspection
			i.Introspection.URL = "https://[fd00::1]/ask"
		}, []string{"introspection.url names a private address"}},
		{"listed introspection", func(i *auth.Issuer) {
			i.Introspection, i.PrivateNetworks = opaqueIssuer().Introspection, []netip.Prefix{netip.MustParsePrefix("fd00::/64")}
			i.Introspection.URL = "https://[fd00::1]/ask"
		}, nil},
		{"listed keys", func(i *auth.Issuer) {
			i.JWKSURL, i.PrivateNetworks = "https://10.0.0.1/jwks", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, nil},
		{"keys beside the list", func(i *auth.Issuer) {
			i.JWKSURL, i.PrivateNetworks = "https://10.0.0.1/jwks", []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		}, []string{"jwks_url names a private address"}},
		{"everything listed", func(i *auth.Issuer) { i.PrivateNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, []string{"private_networks contains"}},
		{"metadata listed", func(i *auth.Issuer) { i.PrivateNetworks = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")} }, []string{"private_networks contains"}},
		{"more than private", func(i *auth.Issuer) { i.PrivateNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/7")} }, []string{"private_networks contains"}},
		{"no network", func(i *auth.Issuer) { i.PrivateNetworks = []netip.Prefix{{}} }, []string{"private_networks contains"}},
		{"machines", func(i *auth.Issuer) { i.Machines.Claim = "/a/b" }, nil},
		{"machines by no claim", func(i *auth.Issuer) { i.Machines.Claim = "/" }, []string{"machines.claim is no claim"}},
		{"organisation by no claim", func(i *auth.Issuer) { i.Org = auth.Org{Claim: "/", RoleClaim: "r", BillingRoles: []string{"owner"}} }, []string{"org names what is no claim"}},
		{"role by no claim", func(i *auth.Issuer) { i.Org = auth.Org{Claim: "o", RoleClaim: "/~", BillingRoles: []string{"owner"}} }, []string{"org names what is no claim"}},
		{"name by no claim", func(i *auth.Issuer) { i.Profile.Name = "/a/" }, []string{"profile names what is no claim"}},
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
		{"roles without a claim", func(i *auth.Issuer) { i.Org = auth.Org{Claim: "org_id", BillingRoles: []string{"owner"}} }, []string{"org is incomplete"}},
		{"roles of nothing", func(i *auth.Issuer) { i.Org = auth.Org{RoleClaim: "role", BillingRoles: []string{"owner"}} }, []string{"org is incomplete"}},
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
	one, two := opaqueIssuer(), opaqueIssuer()
	two.Issuer = "https://other.example.com"
	if _, err := auth.New([]auth.Issuer{one, two}, auth.Options{Metrics: prometheus.NewRegistry()}); err == nil || !strings.Contains(err.Error(), "two issuers have introspection") {
		t.Errorf("two to ask: %v", err)
	}
	for leeway, ok := range map[time.Duration]bool{0: true, 5 * time.Minute: true, 5*time.Minute + 1: false, -1: false} {
		o := auth.Options{Metrics: prometheus.NewRegistry(), Leeway: leeway}
		if _, err := auth.New([]auth.Issuer{remote()}, o); (err == nil) != ok {
			t.Errorf("leeway %v: %v", leeway, err)
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
