package handlers

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded are the headers by which proxies say for whom they ask. One list of
// them is read, X-Forwarded-For, and only from proxies that are configured.
var forwarded = []string{
	"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
	"X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Uri",
}

// clientOf returns the network that a request counts for: an IPv4 address, or the
// /64 of an IPv6 address, since whoever has one of those has all. untrusted says
// that somebody has claimed to be a proxy who is none.
func (s *server) clientOf(r *http.Request) (client netip.Prefix, untrusted bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}, false
	}
	addr := peer.Addr().Unmap().WithZone("")
	if !s.isProxy(addr) {
		return network(addr), slices.ContainsFunc(forwarded, func(name string) bool { return r.Header[name] != nil })
	}
	// Each proxy adds the address it was asked from at the end. From there on back,
	// the first that is no proxy of ours is the client; what is before it is a claim.
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = before.Unmap().WithZone("")
		if !s.isProxy(addr) {
			break
		}
	}
	return network(addr), false
}

func (s *server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
