// Package redirect decides to which URLs Stripe may send a browser back. It
// parses strictly, compares whole origins, and hands out only URLs it has put
// together itself. It knows nothing of requests, plans or Stripe's calls.
//
// A URL it accepts means the same to it and to a browser (WHATWG URL); where the
// two could read a text differently, the text is refused.
package redirect

import (
	"errors"
	"strings"
)

// MaxLength is the longest URL taken or handed out, in bytes.
const MaxLength = 2048

// Policy judges URLs by an allow-list. It is immutable and safe for concurrent use.
type Policy struct {
	// prefixes holds the allowed path prefixes by origin; "" allows every path.
	prefixes map[string][]string
	loopback bool
	fallback string
	// apps are the links of applications by name; their pages are below publicURL.
	apps      map[string]string
	publicURL string
}

// New returns the policy of o, or every finding of o.Check as one error.
func New(o Options) (*Policy, error) {
	var errs []error
	for _, f := range o.Check() {
		errs = append(errs, f)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	p := o.policy()
	if o.Default != "" {
		p.fallback, _ = p.Check(o.Default)
	}
	return p, nil
}

// Default returns the cleaned URL for callers that give none; "" when there is none.
func (p *Policy) Default() string { return p.fallback }

// Check returns raw cleaned: lower-case scheme and host, no default port, at
// least the path "/", and the characters percent-encoded that a browser would
// encode. "app:ios/paid" becomes the page that leads to the application. Only the
// result may go to Stripe, never raw. The error is a *Refused.
func (p *Policy) Check(raw string) (string, error) {
	if err := checkText(raw); err != nil {
		return "", err
	}
	if rest, isApp := strings.CutPrefix(raw, appPrefix); isApp {
		return p.checkBounce(rest)
	}
	u, err := parse(raw)
	if err != nil {
		return "", err
	}
	if err := p.allows(u); err != nil {
		return "", err
	}
	return within(u.String())
}

// allows compares u with the list: the whole origin first, then the path.
func (p *Policy) allows(u location) error {
	prefixes, listed := p.prefixes[u.origin()]
	switch {
	case p.loopback && isLoopback(u.host):
		return checkPath(u.path, false)
	case !listed && u.scheme != "https":
		return refuse(Scheme)
	case !listed:
		return refuseHost(u.host)
	}
	for _, prefix := range prefixes {
		if prefix == "" {
			return checkPath(u.path, false)
		}
	}
	for _, prefix := range prefixes {
		if underneath(u.path, prefix) {
			return checkPath(u.path, true)
		}
	}
	return refuse(Path)
}

// underneath compares whole segments: "/pay" covers "/pay" and "/pay/x" but not
// "/payments"; "/pay/" does not cover "/pay".
func underneath(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || strings.HasSuffix(prefix, "/") || rest[0] == '/')
}
