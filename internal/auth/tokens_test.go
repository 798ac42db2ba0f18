package auth_test

import (
	_ "embed"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"till/internal/auth"
	"till/internal/problem"
)

//go:embed testdata/tokens.txt
var tokenLines string

type tokenRow struct{ id, signer, header, claims, want string }

func tokenRows(t testing.TB) []tokenRow {
	t.Helper()
	var rows []tokenRow
	for line := range strings.Lines(tokenLines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "|")
		if len(f) != 5 {
			t.Fatalf("not a row: %s", line)
		}
		for n := range f {
			f[n] = strings.TrimSpace(f[n])
		}
		rows = append(rows, tokenRow{f[0], f[1], f[2], f[3], f[4]})
	}
	return rows
}

// reasonOf returns the reason of a rejection; "ok" without an error, and the text of an
// error that is something else.
func reasonOf(err error) string {
	if err == nil {
		return "ok"
	}
	p, isProblem := errors.AsType[*problem.Error](err)
	r, isRejection := errors.AsType[*auth.Rejection](err)
	if !isProblem || !isRejection || p.Code != problem.Unauthenticated {
		return err.Error()
	}
	return string(r.Reason)
}

func TestCatalogueOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, catalogueNetwork(), catalogueIssuers()...)
		defer s.end(t)
		fetched, seriesBefore := s.network.calls.Load(), len(s.series(t))
		counts := map[string]float64{}
		for _, row := range tokenRows(t) {
			sign, known := signers()[row.signer]
			if !known {
				t.Fatalf("%s: no signer %s", row.id, row.signer)
			}
			token := forge(edited(baseHeader, row.header), edited(baseClaims, row.claims), sign)
			p, err := s.Verify(t.Context(), token)
			if got := reasonOf(err); got != row.want {
				t.Errorf("%s: got %s, want %s", row.id, got, row.want)
			}
			counts[row.want]++
			tellsNothing(t, row.id, token, err)
			if err == nil {
				secondOpinion(t, row.id, token, p)
			}
		}
		if got := s.network.calls.Load() - fetched; got != 0 {
			t.Errorf("hostile tokens caused %d fetches", got)
		}
		if got := len(s.series(t)); got != seriesBefore {
			t.Errorf("hostile tokens made %d series of %d", got, seriesBefore)
		}
		delete(counts, "ok")
		for reason, want := range counts {
			if got := s.metric(t, "till_auth_rejections_total", "reason", reason); got != want {
				t.Errorf("%s counted %v times, want %v", reason, got, want)
			}
		}
	})
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

// secondOpinion makes sure that go-jose, with its plain settings, takes what we took and
// reads the same subject.
func secondOpinion(t testing.TB, id, token string, p auth.Principal) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	})
	if err != nil {
		t.Errorf("%s: go-jose cannot read what we accept: %v", id, err)
		return
	}
	var c jwt.Claims
	if !slices.ContainsFunc(publicKeys(), func(k any) bool { return parsed.Claims(k, &c) == nil }) {
		t.Errorf("%s: go-jose refuses a signature we accept", id)
		return
	}
	expected := jwt.Expected{
		Issuer: p.Issuer, Subject: p.Subject, AnyAudience: jwt.Audience{"till", "other"}, Time: time.Unix(now, 0),
	}
	if err := c.ValidateWithLeeway(expected, 30*time.Second); err != nil {
		t.Errorf("%s: go-jose refuses claims we accept: %v", id, err)
	}
}

func publicKeys() []any {
	k := keys()
	return []any{&k.rsa.PublicKey, &k.otherRSA.PublicKey, &k.p256.PublicKey, &k.p384.PublicKey, &k.p521.PublicKey, k.ed.Public()}
}

func TestAuthorizationHeader(t *testing.T) {
	good := genuine("", "", "rsa")
	dot := strings.LastIndex(good, ".")
	padded := good + strings.Repeat("=", 1)
	lastFlipped := good[:len(good)-1] + string(trailingBits(good[len(good)-1]))
	long := func(size int) string { return good[:dot+1] + strings.Repeat("A", size-dot-1) }
	rows := []struct {
		id, want  string
		challenge string
		lines     []string
	}{
		{"A01", "missing", `Bearer`, nil},
		{"A01-empty", "missing", `Bearer`, []string{""}},
		{"A02", "malformed", `Bearer error="invalid_token"`, []string{"Bearer"}},
		{"A03-space", "malformed", `Bearer error="invalid_token"`, []string{"Bearer "}},
		{"A04", "ok", "", []string{"bEaReR " + good}},
		{"A05", "ok", "", []string{"Bearer  " + good}},
		{"A06-tab", "scheme", `Bearer`, []string{"Bearer\t" + good}},
		{"A06-basic", "scheme", `Bearer`, []string{"Basic YWxpY2U6"}},
		{"A06-dpop", "scheme", `Bearer`, []string{"DPoP " + good}},
		{"A06-bare", "scheme", `Bearer`, []string{good}},
		{"A07", "malformed_request: more than one Authorization line", "", []string{"Bearer " + good, "Bearer " + good}},
		{"A07-empty", "malformed_request: more than one Authorization line", "", []string{"", "Bearer " + good}},
		{"A08", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good + ", Bearer " + good}},
		{"A09-quoted", "malformed", `Bearer error="invalid_token"`, []string{`Bearer "` + good + `"`}},
		{"A16", "too_large", `Bearer error="invalid_token"`, []string{"Bearer " + long(8193)}},
		{"A16-limit", "signature", `Bearer error="invalid_token"`, []string{"Bearer " + long(8192)}},
		{"A18-two", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:dot]}},
		{"A18-dots", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + strings.Repeat(".", 8000)}},
		{"A19", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good + ".AAAA"}},
		{"A20", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good + ".AAAA.AAAA"}},
		{"A21-empty-header", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[strings.Index(good, "."):]}},
		{"A22", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + padded}},
		{"A23-plus", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:dot+1] + "+" + good[dot+2:]}},
		{"A23-slash", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:dot+1] + "/" + good[dot+2:]}},
		{"A24-trailing-bits", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + lastFlipped}},
		{"A25-newline", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:dot+5] + "\n" + good[dot+5:]}},
		{"A25-cr", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:dot+5] + "\r" + good[dot+5:]}},
		{"A25-crlf-end", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good + "\r\n"}},
		{"A25-space", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:9] + " " + good[9:]}},
		{"A25-nul", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good + "\x00"}},
		{"A26", "malformed", `Bearer error="invalid_token"`, []string{`Bearer {"protected":"e30","payload":"e30","signature":"AA"}`}},
		{"A28", "malformed", `Bearer error="invalid_token"`, []string{"Bearer " + good[:strings.Index(good, ".")] + "." + good[dot:]}},
		{"A62", "header", `Bearer error="invalid_token"`, []string{"Bearer " + genuine(`"x":"`+strings.Repeat("x", 3<<10)+`"`, "", "rsa")}},
		{"A62-members", "header", `Bearer error="invalid_token"`, []string{"Bearer " + genuine(manyMembers(33), "", "rsa")}},
		{"A67", "header", `Bearer error="invalid_token"`, []string{"Bearer " + genuine(`"kid":"`+strings.Repeat("k", 4<<10)+`"`, "", "rsa")}},
		{"A67-256", "header", `Bearer error="invalid_token"`, []string{"Bearer " + genuine(`"kid":"`+strings.Repeat("k", 256)+`"`, "", "rsa")}},
		{"A67-255", "unknown_key", `Bearer error="invalid_token"`, []string{"Bearer " + genuine(`"kid":"`+strings.Repeat("k", 255)+`"`, "", "rsa")}},
		{"A101", "audience", `Bearer error="invalid_token"`, []string{"Bearer " + genuine("", `"aud":["till"`+strings.Repeat(`,"x"`, 999)+`]`, "rsa")}},
		{"A101-100", "ok", ``, []string{"Bearer " + genuine("", `"aud":["till"`+strings.Repeat(`,"x"`, 99)+`]`, "rsa")}},
		{"A111-255", "ok", "", []string{"Bearer " + genuine("", `"sub":"`+strings.Repeat("s", 255)+`"`, "rsa")}},
		{"A111-256", "subject", `Bearer error="invalid_token"`, []string{"Bearer " + genuine("", `"sub":"`+strings.Repeat("s", 256)+`"`, "rsa")}},
		{"A124", "too_large", `Bearer error="invalid_token"`, []string{"Bearer " + genuine("", manyMembers(5000), "rsa")}},
		{"A124-few", "claims", `Bearer error="invalid_token"`, []string{"Bearer " + genuine("", manyMembers(400), "rsa")}},
		{"A124-deep", "claims", `Bearer error="invalid_token"`, []string{"Bearer " + genuine("", `"x":`+strings.Repeat("[", 5000), "rsa")}},
	}
	synctest.Test(t, func(t *testing.T) {
		s := start(t, catalogueNetwork(), catalogueIssuers()...)
		defer s.end(t)
		fetched := s.network.calls.Load()
		for _, row := range rows {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", nil)
			r.Header["Authorization"] = row.lines
			_, err := s.Authenticate(r)
			if got := reasonOf(err); got != row.want {
				t.Errorf("%s: got %s, want %s", row.id, got, row.want)
			}
			if rejection, ok := errors.AsType[*auth.Rejection](err); ok && rejection.Challenge() != row.challenge {
				t.Errorf("%s: challenge %s, want %s", row.id, rejection.Challenge(), row.challenge)
			}
			tellsNothing(t, row.id, good, err)
		}
		if got := s.network.calls.Load() - fetched; got != 0 {
			t.Errorf("hostile headers caused %d fetches", got)
		}
	})
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
