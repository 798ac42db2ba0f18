package idempotency

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"till/internal/problem"
)

// Key is what a caller tells his requests apart by: 1 to 255 visible ASCII
// characters. The zero Key is none.
type Key string

const maxKey = 255

// ParseKey reads the lines of the header Idempotency-Key. No line is the zero Key. A
// key stands there as it is, or as a string of structured fields (RFC 8941, section
// 3.3.3): "a" and a are the same key. Anything else is idempotency_key_invalid.
func ParseKey(lines []string) (Key, error) {
	if len(lines) == 0 {
		return "", nil
	}
	key, ok := unquote(lines[0])
	if len(lines) > 1 || !ok || key == "" || len(key) > maxKey || strings.ContainsFunc(key, isInvisible) {
		return "", problem.New(problem.IdempotencyKeyInvalid, nil)
	}
	return Key(key), nil
}

func isInvisible(r rune) bool { return r <= ' ' || r > '~' }

// unquote reads a string of structured fields; what begins otherwise is the key itself.
func unquote(line string) (string, bool) {
	inner, quoted := strings.CutPrefix(line, `"`)
	if !quoted {
		return line, true
	}
	var key strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; c {
		case '"':
			return key.String(), i == len(inner)-1
		case '\\':
			i++
			if i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
			key.WriteByte(inner[i])
		default:
			key.WriteByte(c)
		}
	}
	return "", false
}

// Route names an operation that knows keys. The same key on another route is another.
type Route string

// The routes.
const (
	Checkout Route = "checkout"
	Portal   Route = "portal"
)

// idVersion is hashed into every id, so that a change of the scheme meets no row of
// before.
const idVersion = "till-idempotency-v1"

// ID is the name of the row of key on route for an owner, given by all that tells
// him from others, in a fixed order. It is a hash: keys and subjects are nobody's
// business who reads the table, and have any length.
func (k Key) ID(route Route, owner ...string) string {
	h := sha256.New()
	for _, part := range append([]string{idVersion, string(route), string(k)}, owner...) {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
