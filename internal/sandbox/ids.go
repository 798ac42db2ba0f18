package sandbox

import (
	"crypto/rand"
	"strings"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// token returns n random letters and digits.
func token(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(letters(n - b.Len()))
	}
	return b.String()
}

// letters returns at most n of them: bytes that would favour the front of the
// alphabet are thrown away.
func letters(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	out := raw[:0]
	for _, c := range raw {
		if int(c) < 256/len(alphabet)*len(alphabet) {
			out = append(out, alphabet[int(c)%len(alphabet)])
		}
	}
	return string(out)
}

// newID returns a fresh id of Stripe's usual length: "cus_" and 14 characters.
func newID(prefix string) string { return prefix + "_" + token(14) }

// newLongID is for the kinds whose ids carry the account: "price_1" and 23 more.
func newLongID(prefix string) string { return prefix + "_1" + token(23) }

func newSessionID() string { return "cs_test_a1" + token(56) }
