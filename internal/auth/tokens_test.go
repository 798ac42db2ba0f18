package auth_test

import (
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"till/internal/auth"
	"till/internal/problem"
)

// What is sent lies in testdata, a line each: tokens, what can stand in their place, and
// whole requests.
var (
	//go:embed testdata/tokens.txt
	tokenLines string
	//go:embed testdata/compact.txt
	compactLines string
	//go:embed testdata/requests.txt
	requestLines string
)

const (
	cookieName  = "__Host-session"
	proxyHeader = "Cf-Access-Jwt-Assertion"
)

// rows returns the fields of each line that is no comment.
func rows(t testing.TB, text string, fields int) [][]string {
	t.Helper()
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, "|", fields)
		if len(f) != fields {
			t.Fatalf("not a row: %s", line)
		}
		for n := range f {
			f[n] = strings.TrimSpace(f[n])
		}
		all = append(all, f)
	}
	return all
}

type tokenRow struct{ id, signer, header, claims, want string }

func (r tokenRow) token(t testing.TB) string {
	t.Helper()
	sign, known := signers()[r.signer]
	if !known {
		t.Fatalf("%s: no signer %s", r.id, r.signer)
	}
	return forge(edited(baseHeader, r.header), edited(baseClaims, r.claims), sign)
}

func tokenRows(t testing.TB) []tokenRow {
	t.Helper()
	var all []tokenRow
	for _, f := range rows(t, tokenLines, 5) {
		all = append(all, tokenRow{f[0], f[1], f[2], f[3], f[4]})
	}
	return all
}

// forbidden are the reasons for which a genuine token is refused.
var forbidden = map[string]bool{"scope": true, "machine": true, "organisation": true}

// reasonOf returns the reason of a rejection that has the right code; "ok" without an
// error, and the text of an error that is something else.
func reasonOf(err error) string {
	if err == nil {
		return "ok"
	}
	p, isProblem := errors.AsType[*problem.Error](err)
	r, isRejection := errors.AsType[*auth.Rejection](err)
	if !isProblem || !isRejection {
		return err.Error()
	}
	code := problem.Unauthenticated
	if forbidden[string(r.Reason)] {
		code = problem.Forbidden
	}
	if p.Code != code {
		return err.Error()
	}
	return string(r.Reason)
}

// carrier puts a token into a request. Proxied issuers are the same ones, which take their
// tokens from the proxy's header instead.
type carrier struct {
	name    string
	ambient bool
	issuers func() []auth.Issuer
	put     func(h http.Header, token string)
}

func carriers() []carrier {
	proxied := func() []auth.Issuer {
		issuers := catalogueIssuers()
		for n := range issuers {
			issuers[n].Header = strings.ToLower(proxyHeader)
		}
		return issuers
	}
	return []carrier{
		{"Authorization", false, catalogueIssuers, func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }},
		{"cookie", true, catalogueIssuers, func(h http.Header, token string) { h.Set("Cookie", "theme=dark; "+cookieName+"="+token+"; a=b") }},
		{"proxy's header", true, proxied, func(h http.Header, token string) { h.Set(proxyHeader, token) }},
	}
}

func requestWith(t testing.TB, h http.Header) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", nil)
	r.Header = h
	return r
}

// overEachCarrier sends what can be sent in one, by each, and makes sure that nothing of it
// reaches the network or adds a series.
func overEachCarrier(t *testing.T, send func(t *testing.T, s *service, c carrier)) {
	for _, c := range carriers() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, catalogueNetwork(), c.issuers()...)
				defer s.end(t)
				fetched, series := s.network.calls.Load(), len(s.series(t))
				send(t, s, c)
				if got := s.network.calls.Load() - fetched; got != 0 {
					t.Errorf("hostile requests caused %d fetches", got)
				}
				if got := len(s.series(t)); got != series {
					t.Errorf("hostile requests made %d series of %d", got, series)
				}
			})
		})
	}
}

func TestCatalogueOfTokens(t *testing.T) {
	all := tokenRows(t)
	tokens := make([]string, len(all))
	for n, row := range all {
		tokens[n] = row.token(t)
	}
	overEachCarrier(t, func(t *testing.T, s *service, c carrier) {
		counts := map[string]float64{}
		// What was good the first time is remembered the second time.
		for turn, row := range slices.Concat(all, all) {
			n := turn % len(all)
			h := http.Header{}
			c.put(h, tokens[n])
			p, err := s.Authenticate(requestWith(t, h))
			if got := reasonOf(err); got != row.want {
				t.Errorf("%s: got %s, want %s", row.id, got, row.want)
			}
			if err == nil && p.Ambient != c.ambient {
				t.Errorf("%s: ambient is %t", row.id, p.Ambient)
			}
			counts[row.want]++
			tellsNothing(t, row.id, tokens[n], err)
			if err == nil && turn == n {
				otherOpinions(t, row.id, tokens[n], p)
			}
		}
		if got := s.metric(t, "till_tokens_total", "how", "remembered"); got != counts["ok"]/2 {
			t.Errorf("%v good tokens were remembered of %v", got, counts["ok"]/2)
		}
		delete(counts, "ok")
		for reason, want := range counts {
			if got := s.metric(t, "till_auth_rejections_total", "reason", reason); got != want {
				t.Errorf("%s counted %v times, want %v", reason, got, want)
			}
		}
		t.Logf("%d tokens", len(all))
	})
}

func TestCatalogueOfTexts(t *testing.T) {
	good := genuine("", "", "rsa")
	f := strings.Split(good, ".")
	last := len(good) - 1
	replace := strings.NewReplacer("$GOOD", good, "$H", f[0], "$C", f[1], "$S", f[2],
		"$BITS", good[:last]+string(trailingBits(good[last])), "$REST", fmt.Sprint(8192-len(f[0])-len(f[1])-2))
	overEachCarrier(t, func(t *testing.T, s *service, c carrier) {
		all := rows(t, compactLines, 3)
		for _, row := range all {
			h := http.Header{}
			c.put(h, unescape(replace.Replace(row[2])))
			_, err := s.Authenticate(requestWith(t, h))
			if got := reasonOf(err); got != row[1] {
				t.Errorf("%s: got %s, want %s", row[0], got, row[1])
			}
			tellsNothing(t, row[0], good, err)
		}
		t.Logf("%d texts", len(all))
	})
}

func TestCatalogueOfRequests(t *testing.T) {
	proxy := auth.Issuer{
		Issuer: "https://proxy.example.com", Audience: []string{"till"}, Header: proxyHeader,
		JWKSURL: "https://id.example.com/jwks",
	}
	other := proxy
	other.Issuer, other.Header = "https://other.example.com", "X-Goog-IAP-JWT-Assertion"
	replace := strings.NewReplacer(
		"$GOOD", genuine("", "", "rsa"), "$BOB", genuine("", `"sub":"bob"`, "rsa"), "$BAD", genuine("", "", "other-rsa"),
		"$PROXY", genuine("", `"sub":"carol","iss":"https://proxy.example.com"`, "rsa"),
	)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, catalogueNetwork(), append(catalogueIssuers(), proxy, other)...)
		defer s.end(t)
		fetched := s.network.calls.Load()
		all := rows(t, requestLines, 3)
		for _, row := range all {
			h := http.Header{}
			for line := range strings.SplitSeq(row[2], " && ") {
				if name, value, found := strings.Cut(line, ":"); found {
					h.Add(name, unescape(replace.Replace(strings.TrimPrefix(value, " "))))
				}
			}
			p, err := s.Authenticate(requestWith(t, h))
			if got := answerOf(p, err); got != row[1] {
				t.Errorf("%s: got %s, want %s", row[0], got, row[1])
			}
		}
		if got := s.network.calls.Load() - fetched; got != 0 {
			t.Errorf("hostile requests caused %d fetches", got)
		}
		t.Logf("%d requests", len(all))
	})
}

// answerOf writes an answer as testdata/requests.txt does.
func answerOf(p auth.Principal, err error) string {
	coded, _ := errors.AsType[*problem.Error](err)
	rejection, refused := errors.AsType[*auth.Rejection](err)
	switch {
	case err == nil && p.Ambient:
		return p.Subject + " ambient"
	case err == nil:
		return p.Subject
	case coded == nil:
		return err.Error()
	case refused:
		return fmt.Sprintf("%d %s %s", coded.Code.Status(), rejection.Reason, rejection.Challenge())
	default:
		return fmt.Sprintf("%d %s -", coded.Code.Status(), coded.Code)
	}
}

// tellsNothing makes sure that an error holds nothing of the token.
func tellsNothing(t *testing.T, id, token string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if part != "" && strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: the error quotes the token: %v", id, err)
		}
	}
}

// otherOpinions makes sure that two libraries, with their plain settings, take what we took
// and read the same subject.
func otherOpinions(t testing.TB, id, token string, p auth.Principal) {
	t.Helper()
	opinionOfJose(t, id, token, p)
	opinionOfJWT(t, id, token, p)
}

func opinionOfJose(t testing.TB, id, token string, p auth.Principal) {
	t.Helper()
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.HS256,
	})
	if err != nil {
		t.Errorf("%s: go-jose cannot read what we accept: %v", id, err)
		return
	}
	var c josejwt.Claims
	if !slices.ContainsFunc(verificationKeys(), func(k any) bool { return parsed.Claims(k, &c) == nil }) {
		t.Errorf("%s: go-jose refuses a signature we accept", id)
		return
	}
	expected := josejwt.Expected{Issuer: p.Issuer, Subject: p.Subject, Time: time.Unix(now, 0)}
	if err := c.ValidateWithLeeway(expected, 30*time.Second); err != nil {
		t.Errorf("%s: go-jose refuses claims we accept: %v", id, err)
	}
	if len(c.Audience) > 0 && !c.Audience.Contains("till") && !c.Audience.Contains("other") {
		t.Errorf("%s: go-jose reads another audience than we", id)
	}
}

func opinionOfJWT(t testing.TB, id, token string, p auth.Principal) {
	t.Helper()
	parser := jwt.NewParser(
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(30*time.Second), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return time.Unix(now, 0) }), jwt.WithIssuer(p.Issuer), jwt.WithSubject(p.Subject),
	)
	_, err := parser.ParseWithClaims(token, jwt.MapClaims{}, func(parsed *jwt.Token) (any, error) {
		var set jwt.VerificationKeySet
		for _, k := range verificationKeys() {
			// The library asks for nothing but keys, and takes any for an HMAC secret.
			if _, isSecret := k.([]byte); isSecret == (parsed.Method.Alg() == "HS256") {
				set.Keys = append(set.Keys, k)
			}
		}
		return set, nil
	})
	if err != nil {
		t.Errorf("%s: golang-jwt refuses what we accept: %v", id, err)
	}
}

func verificationKeys() []any {
	k := keys()
	return []any{
		&k.rsa.PublicKey, &k.otherRSA.PublicKey, &k.p256.PublicKey, &k.p384.PublicKey, &k.p521.PublicKey,
		k.ed.Public(), []byte(sharedSecret),
	}
}

// trailingBits returns a letter that decodes to the same bytes at the end of 2 mod 4
// letters, and to unused bits that are not zero.
func trailingBits(last byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, last)|1]
}

func manyMembers(n int) string {
	members := make([]string, n)
	for m := range members {
		members[m] = `"m` + string(rune('a'+m%26)) + strings.Repeat("x", m/26) + `":0`
	}
	return strings.Join(members, ",")
}

// Where one reason has several causes, the log tells which it was.
func TestRejectionsNameTheirCause(t *testing.T) {
	v, _ := static(t, auth.Issuer{})
	for _, row := range [][3]string{
		{"-alg", "", "algorithm: alg is missing or not a string"},
		{`"alg":256`, "", "algorithm: alg is missing or not a string"},
		{`"alg":"HS256"`, "", "algorithm: alg is not one of the issuer's algorithms"},
		{"", "-iss", "issuer: iss is missing or not a string"},
		{"", `"iss":1`, "issuer: iss is missing or not a string"},
		{"", `"iss":"https://evil.example"`, "issuer: iss is not an issuer we trust in this place"},
	} {
		_, err := v.Verify(t.Context(), genuine(row[0], row[1], "rsa"))
		if r, ok := errors.AsType[*auth.Rejection](err); !ok || r.Error() != row[2] {
			t.Errorf("%s %s: got %v, want %s", row[0], row[1], err, row[2])
		}
	}
	if got := (&auth.Rejection{Reason: auth.Expired}).Error(); got != "expired" {
		t.Errorf("without a cause: %q", got)
	}
}

func TestReasonsAreCountedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, catalogueNetwork(), catalogueIssuers()...)
		defer s.end(t)
		for _, reason := range auth.Reasons() {
			if got := s.metric(t, "till_auth_rejections_total", "reason", string(reason)); got != 0 {
				t.Errorf("%s starts at %v", reason, got)
			}
		}
	})
}
