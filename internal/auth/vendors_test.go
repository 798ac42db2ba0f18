package auth_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"till/internal/auth"
	"till/internal/config"
)

// vendor is a file of testdata/vendors: tokens in the shape that an identity provider
// documents, and what is to become of them under the configuration that docs/issuers.md
// shows for it.
type vendor struct {
	Section       string       `json:"section"` // of docs/issuers.md
	Source        []string     `json:"source"`
	Environment   []string     `json:"environment"`
	Discovery     string       `json:"discovery"` // where the metadata must be asked for; "": nowhere
	Keys          string       `json:"keys"`      // where the keys must be asked for; "": nowhere
	Introspection string       `json:"introspection"`
	Carrier       string       `json:"carrier"`
	Cases         []vendorCase `json:"cases"`
}

type vendorCase struct {
	Name    string         `json:"name"`
	Carrier string         `json:"carrier"` // "": Authorization; cookie, or a header
	Header  jsontext.Value `json:"header"`
	Claims  jsontext.Value `json:"claims"`
	Token   string         `json:"token"`  // an opaque one, and
	Answer  jsontext.Value `json:"answer"` // what its issuer says of it
	Want    *wanted        `json:"want"`
	Refused string         `json:"refused"`
}

// wanted is a principal, flat.
type wanted struct {
	Subject, Email, Name, Org, Role string
	MayBill, Ambient, Machine       bool
}

func flat(p auth.Principal) wanted {
	w := wanted{Subject: p.Subject, Email: p.Email, Name: p.Name, Ambient: p.Ambient, Machine: p.Machine}
	if p.Org != nil {
		w.Org, w.Role, w.MayBill = p.Org.ID, p.Org.Role, p.Org.MayBill
	}
	return w
}

func vendors(t *testing.T) map[string]vendor {
	t.Helper()
	names, err := filepath.Glob("testdata/vendors/*.json")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d vendors, %v", len(names), err)
	}
	all := map[string]vendor{}
	for _, name := range names {
		var v vendor
		if err := json.Unmarshal(must(os.ReadFile(name)), &v, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[v.Section] = v
	}
	return all
}

// snippets returns the till.yaml of each section of docs/issuers.md.
func snippets(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	sections := regexp.MustCompile("(?ms)^##+ ([^\n]+)\n(.*?)```yaml\n(.*?)```").FindAllStringSubmatch(string(must(os.ReadFile("../../docs/issuers.md"))), -1)
	for _, s := range sections {
		if strings.Contains(s[2], "\n## ") {
			t.Fatalf("the section %s has no till.yaml", s[1])
		}
		found[s[1]] = s[3]
	}
	return found
}

// configured loads a snippet as the program does.
func configured(t *testing.T, snippet string, environment []string) config.Auth {
	t.Helper()
	text := snippet + `
public_url: https://billing.example.com
portals: {default: {}}
redirects: {allow: ["https://app.example.com"]}
`
	cfg, _, err := config.Load(config.Source{
		Path: "till.yaml",
		Environ: append([]string{
			"STRIPE_SECRET_KEY=rk_test_123", "TILL_DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "till.db"),
		}, environment...),
		ReadFile: func(name string) ([]byte, error) {
			if name != "till.yaml" {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Auth
}

func TestVendors(t *testing.T) {
	all, written := vendors(t), snippets(t)
	if diff := cmp.Diff(keysOf(written), keysOf(all)); diff != "" {
		t.Fatalf("sections of docs/issuers.md and files of testdata/vendors: %s", diff)
	}
	for section, v := range all {
		a := configured(t, written[section], v.Environment)
		for _, c := range v.Cases {
			t.Run(section+"/"+c.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { v.judge(t, a, c) })
			})
		}
		t.Logf("%s: %d tokens, after %s", section, len(v.Cases), strings.Join(v.Source, " "))
	}
}

func keysOf[V any](m map[string]V) map[string]bool {
	keys := map[string]bool{}
	for k := range m {
		keys[k] = true
	}
	return keys
}

// judge sends one token, and, if it was accepted, what must not be.
func (v vendor) judge(t *testing.T, a config.Auth, c vendorCase) {
	n := &network{}
	v.serve(t, n, c)
	began := time.Now()
	s := startWith(t, n, auth.Options{Cookie: a.CookieName}, a.Issuers...)
	defer s.end(t)
	p, err := s.Authenticate(requestWith(t, v.carry(c, a.CookieName, c.token(v, ""))))
	switch {
	case c.Want == nil:
		if got := reasonOf(err); got != c.Refused {
			t.Errorf("got %s, want %s", got, c.Refused)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	if diff := cmp.Diff(*c.Want, flat(p)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c.Token != "" {
		return
	}
	for edit, want := range map[string]string{
		`"exp":1767225000`: "expired", `"iss":"https://evil.example"`: "issuer", `"aud":"someone-else"`: "audience",
		`"sub":""`: "subject", `"cnf":{"jkt":"x"}`: "confirmation", `"iat":1767225600,"exp":1767830401`: "lifetime",
	} {
		_, err := s.Authenticate(requestWith(t, v.carry(c, a.CookieName, c.token(v, edit))))
		if got := reasonOf(err); got != want {
			t.Errorf("%s: got %s, want %s", edit, got, want)
		}
	}
	if v.Carrier != "" {
		v.Carrier = ""
		if _, err := s.Authenticate(requestWith(t, v.carry(c, a.CookieName, c.token(v, "")))); reasonOf(err) != "issuer" {
			t.Errorf("out of its header: %v", err)
		}
	}
	if time.Since(began) > 0 {
		t.Error("something waited")
	}
}

// carry puts a token where the vendor's come.
func (v vendor) carry(c vendorCase, cookie, token string) http.Header {
	h := http.Header{}
	switch carrier := c.Carrier + v.Carrier; carrier {
	case "":
		h.Set("Authorization", "Bearer "+token)
	case "cookie":
		h.Set("Cookie", cookie+"="+token)
	default:
		h.Set(carrier, token)
	}
	return h
}

// token signs the case's token with the test's own key of that algorithm.
func (c vendorCase) token(v vendor, edit string) string {
	if c.Token != "" {
		return c.Token
	}
	var h struct {
		Alg string `json:"alg"`
	}
	_ = json.Unmarshal(c.Header, &h)
	sign := signers()[map[string]string{"RS256": "rsa", "ES256": "p256", "HS512": "secret"}[h.Alg]]
	if h.Alg == "HS256" {
		_, value, _ := strings.Cut(v.Environment[0], "=")
		sign = hs([]byte(value))
	}
	return forge(string(c.Header), changed(c.Claims, edit), sign)
}

// changed returns claims with other values for the members of edit.
func changed(claims jsontext.Value, edit string) string {
	var base, more map[string]jsontext.Value
	if err := json.Unmarshal(claims, &base); err != nil {
		panic(err)
	}
	if err := json.Unmarshal([]byte("{"+edit+"}"), &more); err != nil {
		panic(err)
	}
	for name, value := range more {
		base[name] = value
	}
	return string(must(json.Marshal(base)))
}

// serve puts the vendor on the network: its metadata, its keys under the token's kid, and
// nothing else.
func (v vendor) serve(t *testing.T, n *network, c vendorCase) {
	t.Helper()
	var h struct {
		Kid string `json:"kid"`
	}
	if c.Header != nil {
		_ = json.Unmarshal(c.Header, &h)
	}
	k := keys()
	answers := map[string]string{
		v.Discovery: fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, strings.TrimSuffix(v.Discovery, ".well-known/openid-configuration"), v.Keys),
		v.Keys: string(jwks(
			rsaJWK(h.Kid+"-old", &k.otherRSA.PublicKey, `,"alg":"RS256","use":"sig"`),
			rsaJWK(h.Kid, &k.rsa.PublicKey, `,"alg":"RS256","use":"sig"`),
		)),
		v.Introspection: string(c.Answer),
	}
	if strings.Contains(string(c.Header), "ES256") {
		answers[v.Keys] = string(jwks(ecJWK(h.Kid, &k.p256.PublicKey, `,"alg":"ES256","use":"sig"`)))
	}
	if issuer := v.Discovery; issuer != "" && !strings.Contains(issuer, "auth0.com") {
		answers[issuer] = strings.Replace(answers[issuer], `/","jwks_uri`, `","jwks_uri`, 1)
	}
	for address := range answers {
		if u, err := url.Parse(address); err == nil && address != "" {
			n.host(u.Host, func(w http.ResponseWriter, r *http.Request) {
				answer, known := answers[r.URL.String()]
				if !known {
					t.Errorf("asked for %s", r.URL)
				}
				_, _ = w.Write([]byte(answer))
			})
		}
	}
}
