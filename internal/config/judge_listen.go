package config

import (
	"net"
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
