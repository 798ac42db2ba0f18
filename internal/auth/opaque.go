package auth

import "strings"

// minOpaque is the fewest characters that can hold the 128 bits of chance that RFC 6749
// section 10.10 wants in a token. What is shorter was made up, and is asked of nobody.
const minOpaque = 16

// opaque reports whether a token can only be judged by asking its issuer: it has the
// letters of RFC 6750's b64token and less than two dots. With two it could be a JWT, and
// is one or nothing.
func opaque(token string) bool {
	if len(token) < minOpaque || len(token) > maxToken || strings.Count(token, ".") > 1 {
		return false
	}
	return strings.Trim(strings.TrimRight(token, "="), b64letters) == "" && !strings.HasPrefix(token, "=")
}

const b64letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
