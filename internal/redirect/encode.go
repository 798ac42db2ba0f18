package redirect

import "strings"

// The printable characters a browser percent-encodes (WHATWG URL, section 1.3,
// "special-query" included). Braces are left out: those that are still there are
// Stripe's template, which must arrive as it is. "^" in paths is encoded since
// 2024; older browsers leave it, and the encoded form is stable in both.
const (
	encodedInPath     = "\"<>`^"
	encodedInQuery    = "\"<>'"
	encodedInFragment = "\"<>`"
)

// String puts the URL together as a browser's URL.href does, but for the template.
func (u location) String() string {
	return u.origin() + encode(u.path, encodedInPath) + encode(u.query, encodedInQuery) + encode(u.fragment, encodedInFragment)
}

func encode(s, chars string) string {
	if !strings.ContainsAny(s, chars) {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(chars, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}
