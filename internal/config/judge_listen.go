package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

func (l *loader) judgeAddresses() {
	host, port, ok := l.address("TILL_ADDR", l.doc.Addr)
	opsHost, opsPort, opsOK := l.address("TILL_OPS_ADDR", l.doc.OpsAddr)
	// Port 0 asks the system for a free one, another each time.
	if ok && opsOK && port == opsPort && port != 0 && overlap(host, opsHost) {
		l.rule("TILL_OPS_ADDR", "is the address of the public listener too: metrics would be public", "choose another port")
	}
}

func (l *loader) address(variable, text string) (host string, port uint64, ok bool) {
	host, digits, err := net.SplitHostPort(text)
	port, numErr := strconv.ParseUint(digits, 10, 16)
	if err != nil || numErr != nil {
		l.rule(variable, "is not host:port", "write such as :8080 or 127.0.0.1:8081")
		return "", 0, false
	}
	return host, port, true
}

// overlap reports whether two hosts can mean the same interface.
func overlap(a, b string) bool {
	everywhere := []string{"", "0.0.0.0", "::"}
	here := []string{"localhost", "127.0.0.1", "::1"}
	return a == b || slices.Contains(everywhere, a) || slices.Contains(everywhere, b) ||
		slices.Contains(here, a) && slices.Contains(here, b)
}

// judgeProxies reads the networks of the proxies. Everywhere is not among them:
// then anybody could say who asks.
func (l *loader) judgeProxies() []netip.Prefix {
	const widest4, widest6 = 8, 16
	var all []netip.Prefix
	for i, text := range l.doc.Proxies {
		path := fmt.Sprintf("trusted_proxies.%d", i)
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			l.rule(path, "is not a network", "write an address and the length of its prefix, such as 10.0.0.0/8 or 192.0.2.7/32")
		case p.Addr().Is4In6():
			l.rule(path, "is an IPv4 network in IPv6 form", "write it as IPv4, such as 10.0.0.0/8")
		case p != p.Masked():
			l.rule(path, "has address bits behind its prefix", "write "+p.Masked().String()+", or the longer prefix that was meant")
		case p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6:
			l.rule(path, "is far more than the proxies: anybody could say who asks", "list the networks of the proxies only")
		default:
			all = append(all, p)
		}
	}
	return all
}

// judgePublicURL returns the origin of public_url; "" in development when there is none.
func (l *loader) judgePublicURL() string {
	const example = "https://billing.example.com"
	if l.doc.PublicURL == "" {
		if !l.Dev {
			l.rule("public_url", "is required", "write the origin under which callers reach this service, such as "+example)
		}
		return ""
	}
	return l.originRule("public_url", l.doc.PublicURL, example)
}
