package auth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
)

// everyPolicy returns a Verifier of the catalogue's issuers, whose keys are given.
func everyPolicy(t testing.TB) *auth.Verifier {
	t.Helper()
	issuers := catalogueIssuers()
	for n, i := range issuers {
		if i.Secret.IsZero() {
			issuers[n].JWKSURL, issuers[n].StaticJWKS = "", allKeys()
		}
	}
	v, err := auth.New(issuers, auth.Options{
		Cookie: cookieName, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func onTheList(err error) bool { return slices.Contains(auth.Reasons(), auth.Reason(reasonOf(err))) }

// FuzzVerify: whatever comes, the answer is a principal or a refusal on the list, and what
// is accepted is accepted by two other libraries too.
func FuzzVerify(f *testing.F) {
	for _, row := range tokenRows(f) {
		f.Add(row.token(f))
	}
	for _, row := range rows(f, compactLines, 3) {
		f.Add(unescape(strings.ReplaceAll(row[2], "$REST", "9")))
	}
	v := everyPolicy(f)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), token)
		switch {
		case err == nil:
			otherOpinions(t, "fuzz", token, p)
		case !onTheList(err):
			t.Errorf("not a refusal on the list: %v", err)
		}
	})
}

// FuzzCookie: a cookie that we take is the only one of its name to net/http too, and has
// the same value there.
func FuzzCookie(f *testing.F) {
	for _, row := range rows(f, requestLines, 3) {
		if line, found := strings.CutPrefix(row[2], "Cookie: "); found {
			f.Add(unescape(line), "")
			f.Add("", unescape(line))
		}
	}
	v, _ := staticOf(f, auth.Issuer{}, auth.Options{Cookie: cookieName})
	good := genuine(`"alg":"EdDSA","kid":"ed"`, "", "ed")
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.Count(first+second, ";") > 1000 {
			return // net/http reads no cookies from there on
		}
		h := http.Header{}
		for _, line := range []string{first, second} {
			if line != "" {
				h.Add("Cookie", strings.ReplaceAll(line, "$GOOD", good))
			}
		}
		r := requestWith(t, h)
		p, err := v.Authenticate(r)
		if err != nil {
			if !onTheList(err) {
				t.Errorf("not a refusal on the list: %v", err)
			}
			return
		}
		if same := r.CookiesNamed(cookieName); !p.Ambient || len(same) != 1 || same[0].Value != good {
			t.Errorf("taken from %q, where net/http sees %v", h, same)
		}
	})
}

// FuzzClaims looks behind the signature, where FuzzVerify hardly comes: header and claims
// are signed with a good key whatever they say.
func FuzzClaims(f *testing.F) {
	for _, row := range tokenRows(f) {
		f.Add(edited(baseHeader, row.header), edited(baseClaims, row.claims))
	}
	v := everyPolicy(f)
	sign := signers()["ed"] // which always signs alike, as the fuzzer needs it
	f.Fuzz(func(t *testing.T, header, claims string) {
		header = strings.NewReplacer("RS256", "EdDSA", `"rsa"`, `"ed"`).Replace(header)
		token := forge(header, claims, sign)
		p, err := v.Verify(t.Context(), token)
		if err != nil {
			return
		}
		if p.Subject == "" || p.Issuer == "" || p.ExpiresAt.IsZero() {
			t.Errorf("accepted without a subject, an issuer or an end: %+v", p)
		}
		// go-jose also judges members that we never look at, such as jwk and x5c.
		if slices.ContainsFunc(names(header), func(name string) bool { return name != "alg" && name != "kid" && name != "typ" }) {
			return
		}
		otherOpinions(t, "fuzz", token, p)
	})
}

// FuzzJWKS: any bytes are a key set or a reason why not, and never a panic; what is used
// must say no to a signature of zeros.
func FuzzJWKS(f *testing.F) {
	replace := words()
	for line := range strings.Lines(keyLines) {
		if parts := strings.SplitN(line, "|", 3); len(parts) == 3 {
			f.Add([]byte(`{"keys":[` + unescape(replace.Replace(parts[2])) + `]}`))
		}
	}
	for _, set := range unusableSets() {
		if len(set) < 10_000 {
			f.Add(set)
		}
	}
	token := forge(edited(baseHeader, `"alg":"EdDSA","kid":"k"`), edited(baseClaims, ""), signers()["zero"])
	f.Fuzz(func(t *testing.T, set []byte) {
		i := auth.Issuer{Issuer: "https://id.example.com/", Audience: []string{"till"}, StaticJWKS: set}
		if len(set) == 0 || len(i.Check()) > 0 {
			return
		}
		v, _ := static(t, auth.Issuer{StaticJWKS: set})
		if _, err := v.Verify(t.Context(), token); err == nil {
			t.Error("a key that says yes to zeros")
		}
	})
}
