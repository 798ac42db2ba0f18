package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

var errBlocked = errors.New("the address is not public, and no connection is made to it")

// reach is where one issuer's keys and answers may be fetched from, besides public
// addresses. It is the issuer's own, so that no document of one can lead into the
// networks of another.
type reach struct {
	// hosts are those on this machine that the configuration itself names.
	hosts []string
	// networks are the private ones that it lists.
	networks []netip.Prefix
}

func (i Issuer) reach() reach {
	r := reach{networks: i.PrivateNetworks}
	for _, address := range []string{i.Issuer, i.JWKSURL, i.Introspection.URL} {
		if u, err := url.Parse(address); err == nil && loopbackHost(u.Hostname()) {
			r.hosts = append(r.hosts, strings.ToLower(u.Hostname()))
		}
	}
	return r
}

func (r reach) names(host string) bool { return slices.Contains(r.hosts, strings.ToLower(host)) }

// allows reports whether ip may be connected to for a host that is not named.
func (r reach) allows(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return publicAddress(ip) || slices.ContainsFunc(r.networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

const maxIdle = 16

func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// newClient returns the client that fetches keys: no proxy (it would connect for us,
// unchecked), and no connection to an address that r does not allow. Idle connections go
// to addresses that were allowed, and are kept for idle: 0 closes each after its answer.
func newClient(r reach, idle time.Duration) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:            r.dial,
			DisableKeepAlives:      idle == 0,
			IdleConnTimeout:        idle,
			MaxIdleConnsPerHost:    maxIdle,
			TLSHandshakeTimeout:    fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
	}
}

// withoutRedirects returns a copy of c that takes a redirect as the answer it is: keys come
// from the address that was configured or discovered, or not at all.
func withoutRedirects(c *http.Client) *http.Client {
	c2 := *c
	c2.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c2
}

// dial connects like net.Dialer, and looks at each address after the name was resolved, so
// that a name which changes its address between two look-ups gains nothing.
func (r reach) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	allowed := r.allows
	if r.names(host) {
		allowed = func(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }
	}
	d := net.Dialer{
		Timeout: 3 * time.Second,
		Control: func(_, resolved string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(resolved)
			if err != nil || !allowed(at.Addr()) {
				return errBlocked
			}
			return nil
		},
	}
	return d.DialContext(ctx, network, address)
}

var (
	// nat64 carries an IPv4 address in its last four bytes (RFC 6052 section 2.1).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// unicast6 is all of IPv6 that is routed on the internet (RFC 4291 section 2.4): what is
	// not in it carries IPv4 addresses in some way, or leads to this network.
	unicast6 = netip.MustParsePrefix("2000::/3")
)

// notPublic are the ranges that netip does not call private, but which lead to this
// network or to nowhere (IANA special-purpose registries, RFC 6890).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers and overlays share it
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // protocols, of which Teredo carries IPv4 addresses
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4 too
	netip.MustParsePrefix("3fff::/20"),
}

// publicAddress reports whether ip is on the public internet.
func publicAddress(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		last := ip.As16()
		return publicAddress(netip.AddrFrom4([4]byte(last[12:])))
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && (ip.Is4() || unicast6.Contains(ip)) &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}
