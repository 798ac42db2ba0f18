package redirect

import (
	"strconv"
	"strings"
)

// Template is what Stripe replaces with the id of the session. It is the only
// place where braces may stand.
const Template = "{CHECKOUT_SESSION_ID}"

// location is a URL taken apart. Scheme and host are lower case, port is ""
// when it is the scheme's default, path begins with "/", query and fragment
// carry their "?" and "#" (an empty query is not the same URL as none).
type location struct {
	scheme, host, port    string
	path, query, fragment string
}

func (u location) origin() string {
	if u.port == "" {
		return u.scheme + "://" + u.host
	}
	return u.scheme + "://" + u.host + ":" + u.port
}

// checkText judges raw as a string: length, bytes and braces.
func checkText(raw string) error {
	switch {
	case raw == "":
		return refuse(Empty)
	case len(raw) > MaxLength:
		return refuse(TooLong)
	}
	for _, c := range []byte(raw) {
		// Browsers drop tabs and line ends, trim spaces, and read \ as /.
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return refuse(Characters)
		}
	}
	if strings.ContainsAny(strings.Replace(raw, Template, "", 1), "{}") {
		return refuse(Placeholder)
	}
	return nil
}

// parse takes raw, which has passed checkText, apart. It is not net/url because
// that one accepts less here (escapes) and more there (opaque URLs) than browsers.
func parse(raw string) (location, error) {
	scheme, rest, found := strings.Cut(raw, ":")
	u := location{scheme: strings.ToLower(scheme)}
	if !found || u.scheme != "https" && u.scheme != "http" {
		return u, refuse(Scheme)
	}
	rest, found = strings.CutPrefix(rest, "//")
	// Browsers skip any number of slashes; without exactly two nothing is clear.
	if !found || rest == "" || strings.ContainsRune("/?#", rune(rest[0])) {
		return u, refuse(Syntax)
	}
	authority, tail := cutAt(rest, "/?#")
	tail, u.fragment = cutAt(tail, "#")
	u.path, u.query = cutAt(tail, "?")
	if u.path == "" {
		u.path = "/"
	}
	if err := u.setAuthority(authority); err != nil {
		return u, err
	}
	if !wellEscaped(u.path) || !wellEscaped(u.query) || !wellEscaped(u.fragment) {
		return u, refuse(Syntax)
	}
	return u, nil
}

// cutAt splits s before the first byte of chars.
func cutAt(s, chars string) (before, from string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func (u *location) setAuthority(authority string) error {
	switch {
	case strings.Contains(authority, "@"):
		return refuse(UserInfo)
	case strings.ContainsAny(authority, "{}"):
		return refuse(Placeholder)
	}
	u.host = strings.ToLower(authority)
	colon := strings.LastIndexByte(authority, ':')
	if colon > strings.LastIndexByte(authority, ']') {
		u.host, u.port = u.host[:colon], u.host[colon+1:]
		if !isPort(u.port) {
			return refuseHost(u.host)
		}
	}
	if u.scheme == "https" && u.port == "443" || u.scheme == "http" && u.port == "80" {
		u.port = ""
	}
	return nil
}

// isPort wants the form browsers print: no leading zero, no sign.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}
