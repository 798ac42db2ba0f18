package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"till/internal/auth"
)

// BenchmarkVerify is what a token costs us. A refusal must cost less than the good token.
func BenchmarkVerify(b *testing.B) {
	v := everyPolicy(b)
	good := genuine("", "", "rsa")
	for name, token := range map[string]string{
		"ok RS256":                    good,
		"ok ES256":                    genuine(`"alg":"ES256","kid":"p256"`, "", "p256"),
		"ok EdDSA":                    genuine(`"alg":"EdDSA","kid":"ed"`, "", "ed"),
		"ok HS256":                    genuine(`"alg":"HS256"`, `"iss":"https://secret.example.com"`, "secret"),
		"malformed: 8 KiB of letters": strings.Repeat("A", 8000) + ".A.A",
		"malformed: 8 KiB of dots":    strings.Repeat(".", 8000),
		"too large: 1 MiB":            strings.Repeat("A", 1<<20),
		"algorithm: none":             genuine(`"alg":"none"`, "", "hmac-none"),
		"header: duplicate":           forge(`{"alg":"none","alg":"RS256"}`, `{}`, signers()["zero"]),
		"header: 2 KiB":               genuine(`"x":"`+strings.Repeat("x", 1900)+`"`, `"iss":"x"`, "zero"),
		"claims: 8 KiB of nesting":    genuine("", `"x":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500)+`,"aud":"x"`, "zero"),
		"claims: 250 members":         genuine("", manyMembers(250)+`,"aud":"x"`, "zero"),
		"issuer: unknown":             genuine("", `"iss":"https://evil.example"`, "zero"),
		"expired":                     genuine("", `"iat":1767130000,"exp":1767140000`, "rsa"),
		"unknown kid":                 genuine(`"kid":"x"`, "", "rsa"),
		"signature: RS256":            genuine("", "", "other-rsa"),
		"signature: ES256":            genuine(`"alg":"ES256","kid":"p256"`, "", "other-ec"),
		"signature: EdDSA":            genuine(`"alg":"EdDSA","kid":"ed"`, "", "zero"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(b.Context(), token)
			}
		})
	}
}

// BenchmarkRemembered is a token that was good before.
func BenchmarkRemembered(b *testing.B) {
	v, _ := staticOf(b, auth.Issuer{}, auth.Options{TokenCache: 100})
	for name, token := range map[string]string{
		"RS256": genuine("", "", "rsa"), "ES256": genuine(`"alg":"ES256","kid":"p256"`, "", "p256"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAuthenticate is what a whole request costs, without a token to look at.
func BenchmarkAuthenticate(b *testing.B) {
	v := everyPolicy(b)
	for name, h := range map[string]http.Header{
		"missing":          {},
		"5,000 cookies":    {"Cookie": {strings.Repeat("a=b; ", 5000)}},
		"duplicate cookie": {"Cookie": {cookieName + "=a; " + cookieName + "=b"}},
	} {
		r := requestWith(b, h)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Authenticate(r)
			}
		})
	}
}

// BenchmarkOpaque is what an opaque token costs that is asked about rarely or not at all.
func BenchmarkOpaque(b *testing.B) {
	n := &network{}
	n.host(asker, answering(http.StatusOK, "{"+goodAnswer+"}"))
	verify := func(b *testing.B, v *auth.Verifier, token func(n int) string) {
		b.Helper()
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			_, _ = v.Verify(b.Context(), token(n))
		}
	}
	b.Run("remembered", func(b *testing.B) {
		verify(b, staticAsk(b, n), func(int) string { return opaqueOne })
	})
	b.Run("storm", func(b *testing.B) {
		verify(b, staticAsk(b, n), func(n int) string { return fmt.Sprintf("made-up-token-%010d", n) })
	})
}
