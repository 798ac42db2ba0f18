package auth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"till/internal/auth"
	"till/internal/problem"
)

// FuzzVerify: whatever comes, the answer is a principal or a refusal on the list, and what
// is accepted is accepted by go-jose too.
func FuzzVerify(f *testing.F) {
	for _, row := range tokenRows(f) {
		f.Add(forge(edited(baseHeader, row.header), edited(baseClaims, row.claims), signers()[row.signer]))
	}
	v, _ := static(f, auth.Issuer{})
	known := map[auth.Reason]bool{}
	for _, reason := range auth.Reasons() {
		known[reason] = true
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), token)
		if err == nil {
			secondOpinion(t, "fuzz", token, p)
			return
		}
		coded, isProblem := errors.AsType[*problem.Error](err)
		rejection, isRejection := errors.AsType[*auth.Rejection](err)
		if !isProblem || coded.Code != problem.Unauthenticated || !isRejection || !known[rejection.Reason] {
			t.Errorf("not a refusal on the list: %v", err)
		}
	})
}

// FuzzClaims looks behind the signature, where FuzzVerify hardly comes: header and claims
// are signed with a good key whatever they say.
func FuzzClaims(f *testing.F) {
	for _, row := range tokenRows(f) {
		f.Add(edited(baseHeader, row.header), edited(baseClaims, row.claims))
	}
	v, _ := static(f, auth.Issuer{})
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
		secondOpinion(t, "fuzz", token, p)
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

func BenchmarkVerify(b *testing.B) {
	v, _ := static(b, auth.Issuer{})
	for name, token := range map[string]string{
		"RS256":              genuine("", "", "rsa"),
		"ES256":              genuine(`"alg":"ES256","kid":"p256"`, "", "p256"),
		"EdDSA":              genuine(`"alg":"EdDSA","kid":"ed"`, "", "ed"),
		"expired":            genuine("", `"iat":1767130000,"exp":1767140000`, "rsa"),
		"unknown kid":        genuine(`"kid":"x"`, "", "rsa"),
		"8 KiB of anything":  strings.Repeat("A", 8000) + ".A.A",
		"8 KiB of nesting":   genuine("", `"x":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500), "rsa"),
		"many small members": genuine("", manyMembers(200), "rsa"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(b.Context(), token)
			}
		})
	}
}
