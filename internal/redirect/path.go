package redirect

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// checkPath refuses paths that a browser, a proxy or a server could read as
// another path: dot segments in every spelling and encoded control characters.
// Below a prefix encoded slashes are refused too, also those in overlong UTF-8;
// without one they are harmless, and some applications need them.
func checkPath(path string, prefixed bool) error {
	for segment := range strings.SplitSeq(path[1:], "/") {
		plain, ok := decodeAll(segment)
		if !ok || hasControl(plain) || prefixed && (strings.ContainsFunc(plain, isSlash) || !utf8.ValidString(plain)) {
			return refuse(Path)
		}
		if slices.ContainsFunc(strings.FieldsFunc(plain, isSlash), isDots) {
			return refuse(Path)
		}
	}
	return nil
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// isDots reports whether segment means this folder or the one above. Servlet
// containers drop ";…" before they resolve dots: "/pay/..;/admin".
func isDots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}

// decodeAll removes percent escapes until none is left. Text that needs more
// than four rounds is there to confuse: false.
func decodeAll(s string) (string, bool) {
	for range 5 {
		plain := decode(s)
		if plain == s {
			return s, true
		}
		s = plain
	}
	return "", false
}

// decode removes one layer of escapes and leaves broken ones as they are, as
// browsers do. (url.PathUnescape refuses the whole text.)
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && escapeAt(s, i) {
			b.WriteByte(hexValue(s[i+1])<<4 | hexValue(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// wellEscaped reports whether each % begins an escape.
func wellEscaped(s string) bool {
	for i := range len(s) {
		if s[i] == '%' && !escapeAt(s, i) {
			return false
		}
	}
	return true
}

func escapeAt(s string, i int) bool {
	return i+2 < len(s) && hexValue(s[i+1]) < 16 && hexValue(s[i+2]) < 16
}

// hexValue returns 16 for anything that is not a hexadecimal digit.
func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 16
	}
}

func hasControl(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}
