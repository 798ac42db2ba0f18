package redirect

import (
	"regexp"
	"strings"
)

// A caller writes "app:ios/paid" and Stripe gets "{public_url}/return/ios/paid",
// since it sends browsers to https only; the page there leads to
// "myapp://billing/paid". Both ends are judged by the same rule, and what the
// caller chose can only ever stand behind the configured link.

const (
	appPrefix  = "app:"
	bouncePath = "/return/"
	maxBounce  = 256
)

// bounceRest is an application and whole segments of unreserved characters:
// nothing that any reader could take for an authority, an escape or a script.
var bounceRest = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,31})((?:/[A-Za-z0-9._~-]+)*)$`)

// splitRest returns the application's name and the path behind it.
func splitRest(rest string) (name, path string, ok bool) {
	m := bounceRest.FindStringSubmatch(rest)
	if m == nil || len(rest) > maxBounce || checkPath("/"+rest, true) != nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// checkBounce turns "app:…" into the address of the page that leads there.
func (p *Policy) checkBounce(rest string) (string, error) {
	path, query := cutAt(rest, "?#")
	name, _, ok := splitRest(strings.Replace(path, Template, "CHECKOUT_SESSION_ID", 1))
	_, listed := p.apps[name]
	switch {
	case !ok:
		return "", refuse(Path)
	case p.publicURL == "" || !listed:
		return "", refuse(App)
	// A fragment would stay in the browser, and never reach the application.
	case strings.Contains(query, "#") || !wellEscaped(query):
		return "", refuse(Syntax)
	}
	return within(p.publicURL + bouncePath + path + encode(query, encodedInQuery))
}

// Link returns the link of an application for the page at
// {public_url}/return/{rest}?{query}; rest is as the browser sent it. False when
// there is no such application, or anything is not as Check writes it.
func (p *Policy) Link(rest, query string) (string, bool) {
	name, path, ok := splitRest(rest)
	link, listed := p.apps[name]
	if !ok || !listed || len(query) > MaxLength || !wellEscaped(query) || strings.ContainsFunc(query, notInQuery) {
		return "", false
	}
	if query != "" {
		query = "?" + encode(query, encodedInQuery)
	}
	return strings.TrimSuffix(link, "/") + path + query, true
}

func notInQuery(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '#' }

func within(out string) (string, error) {
	if len(out) > MaxLength {
		return "", refuse(TooLong)
	}
	return out, nil
}
