package redirect

import (
	"errors"
	"regexp"
	"strings"
)

// mistake is what is wrong with one configured value, and what to write instead.
type mistake struct{ text, fix string }

const entryFix = "write an exact origin such as https://app.example.com, with a path prefix if needed: https://app.example.com/pay/"

// plainPath: no patterns, no escapes, whole segments.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+/?$`)

// parseEntry reads one entry of the allow-list. The prefix is "" when every path
// is allowed.
func parseEntry(entry string) (origin, prefix string, bad *mistake) {
	if strings.Contains(entry, "*") {
		return "", "", &mistake{"wildcards are not supported", "list each origin by itself, such as https://app.example.com"}
	}
	ascii, err := toASCII(entry)
	if err != nil {
		return "", "", &mistake{"the host is not a valid internationalised name", "write the host's A-label (xn--…)"}
	}
	u, bad := parseAddress(ascii)
	if bad != nil {
		return "", "", bad
	}
	switch {
	case u.query != "" || u.fragment != "":
		return "", "", &mistake{"an entry has no query and no fragment", "remove everything from ? or # on: callers may add their own"}
	case u.path == "/":
		return u.origin(), "", nil
	case !plainPath.MatchString(u.path) || checkPath(u.path, true) != nil:
		return "", "", &mistake{"the path prefix is not plain: patterns, escapes, dot segments and empty segments are not supported", "use letters, digits and - . _ ~ between slashes"}
	}
	return u.origin(), u.path, nil
}

// Origin reads an exact origin, "https://app.example.com", as the configuration
// writes them: https, or http on loopback; nothing after the host and port. It
// returns the form that a browser sends in its Origin header.
func Origin(text string) (string, error) {
	ascii, err := toASCII(text)
	if err != nil {
		return "", errors.New("the host is not a valid internationalised name")
	}
	u, bad := parseAddress(ascii)
	if bad != nil {
		return "", errors.New(bad.text)
	}
	if u.path+u.query+u.fragment != "/" || strings.HasSuffix(text, "/") {
		return "", errors.New("an origin ends after its host and port: no path, not even a slash")
	}
	return u.origin(), nil
}

// parseAddress reads a configured URL: absolute, https or loopback http, no
// userinfo, a host that browsers print as it stands.
func parseAddress(text string) (location, *mistake) {
	if err := checkText(text); err != nil || strings.Contains(text, "{") {
		return location{}, &mistake{"not an absolute URL: empty, too long, or characters that URLs do not have", entryFix}
	}
	u, err := parse(text)
	refused, _ := errors.AsType[*Refused](err)
	switch {
	case refused != nil && refused.Reason == UserInfo:
		return u, &mistake{"a URL here has no user name and no password", "remove everything up to the @"}
	case refused != nil && refused.Reason == Scheme:
		return u, &mistake{"must begin with https://", entryFix}
	case refused != nil && refused.Reason == Host:
		return u, &mistake{"the port is not a number from 1 to 65535", entryFix}
	case refused != nil:
		return u, &mistake{"not an absolute URL", entryFix}
	case u.scheme == "http" && !isLoopback(u.host):
		return u, &mistake{"http is only for loopback (localhost, 127.0.0.1, [::1])", "write https://"}
	case !isHost(u.host):
		return u, &mistake{"the host is not a name or address as browsers print it", "write the bare host name, without a final dot"}
	}
	return u, nil
}
