package auth

import (
	"encoding/base64"
	"strings"
)

// maxToken is far above what issuers send and far below what would cost us anything.
const maxToken = 8 << 10

// compact is a JWS in compact serialisation (RFC 7515 section 7.1), taken apart.
type compact struct {
	header, claims, signature []byte
	signed                    string // what the signature is over
}

// parseCompact takes a token apart. Each segment must be the one canonical base64url
// spelling of its bytes, so that a token has no second form; everything else is Malformed,
// or TooLarge before any of it is looked at.
func parseCompact(token string) (compact, error) {
	if len(token) > maxToken {
		return compact{}, reject(TooLarge, "the token is longer than 8 KiB")
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return compact{}, reject(Malformed, "the token has not exactly three segments")
	}
	var decoded [3][]byte
	for n, part := range parts {
		var ok bool
		if decoded[n], ok = decodeBase64URL(part); !ok {
			return compact{}, reject(Malformed, "a segment is empty or not canonical base64url")
		}
	}
	return compact{
		header: decoded[0], claims: decoded[1], signature: decoded[2],
		signed: parts[0] + "." + parts[1],
	}, nil
}

// decodeBase64URL decodes base64url without padding (RFC 7515 section 2). It reports false
// for the empty string and for every spelling but the canonical one.
func decodeBase64URL(s string) ([]byte, bool) {
	// encoding/base64 skips line ends even when it is strict.
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, false // not the part that could be read
	}
	return decoded, true
}
