package redirect

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/net/idna"
)

// names converts as browsers do (UTS 46, non-transitional).
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false), idna.StrictDomainName(false))

var hostName = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)

var errHost = errors.New("not a host name")

// toASCII replaces a Unicode host in text by its A-label; everything else stays.
func toASCII(text string) (string, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text, nil
	}
	authority, tail := cutAt(rest, "/?#")
	if isASCII(authority) {
		return text, nil
	}
	host, port := cutAt(authority, ":")
	ascii, err := names.ToASCII(host)
	// Look-alikes of ASCII letters (full-width ones) map to plain ASCII: whoever
	// wrote them meant something else than what he would get.
	if err != nil || !strings.Contains(ascii, "xn--") {
		return "", errHost
	}
	return scheme + "://" + ascii + port + tail, nil
}

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// isHost reports whether host, in lower case, is what a browser would print for
// it. Names whose last label is a number are IPv4 addresses to a browser.
func isHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && !ip.Is4In6() && ip.Zone() == "" && ip.String() == inner
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if isNumber(last) {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Is4() && ip.String() == host
	}
	ascii, err := names.ToASCII(host)
	return err == nil && ascii == host && hostName.MatchString(host) && len(host) <= 253
}

// isNumber follows WHATWG's "ends in a number": digits, or 0x and hexadecimal digits.
func isNumber(label string) bool {
	rest, hex := strings.CutPrefix(label, "0x")
	if hex {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}
