package handlers_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// TestWhoAsks: the connection of a test comes from 127.0.0.1, which is a proxy in
// half of the rows. The client is what the log says.
func TestWhoAsks(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:aaaa::/48")}
	behind, exposed := newHouse(t, settings{proxies: proxies}), newHouse(t, settings{})
	long := strings.TrimSuffix(strings.Repeat("10.0.0.1, ", 500), ", ")
	for _, row := range []struct {
		name, client string
		forwarded    []string
	}{
		{"nothing said", "127.0.0.1/32", nil},
		{"one hop", "198.51.100.7/32", []string{"198.51.100.7"}},
		{"a claim before it", "198.51.100.7/32", []string{"1.2.3.4, 198.51.100.7"}},
		{"two proxies", "198.51.100.7/32", []string{"1.2.3.4, 198.51.100.7, 10.1.1.1"}},
		{"two lines", "198.51.100.7/32", []string{"1.2.3.4", "198.51.100.7, 10.1.1.1"}},
		{"proxies only", "10.0.0.9/32", []string{"10.0.0.9, 10.0.0.8"}},
		{"IPv6 by its network", "2001:db8:1:2::/64", []string{"2001:db8:1:2:3:4:5:6"}},
		{"an IPv6 proxy", "2001:db8:1:2::/64", []string{"2001:db8:1:2::1, 2001:db8:aaaa::1"}},
		{"IPv4 in IPv6", "198.51.100.7/32", []string{"::ffff:198.51.100.7"}},
		{"with a zone", "fe80::/64", []string{"fe80::1%eth0"}},
		{"no address", "127.0.0.1/32", []string{"unknown"}},
		{"no address before a proxy", "10.1.1.1/32", []string{"198.51.100.7, evil, 10.1.1.1"}},
		{"with a port", "127.0.0.1/32", []string{"198.51.100.7:1234"}},
		{"in brackets", "127.0.0.1/32", []string{"[2001:db8::1]"}},
		{"empty", "127.0.0.1/32", []string{""}},
		{"a long line", "10.0.0.1/32", []string{long}},
		{"markup", "127.0.0.1/32", []string{"<script>"}},
	} {
		header := http.Header{"X-Forwarded-For": row.forwarded, "X-Real-Ip": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "True-Client-Ip": {"6.6.6.6"}}
		for house, client := range map[*house]string{behind: row.client, exposed: "127.0.0.1/32"} {
			house.send(request{method: "GET", path: "/nope", header: header})
			lines := strings.Split(strings.TrimSpace(house.logs.String()), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, `"client":"`+client+`"`) {
				t.Errorf("%s: want %s in %s", row.name, client, last)
			}
		}
	}
	exposed.send(request{method: "GET", path: "/nope"}) // claims nothing, and is not counted
	if got := behind.metric(t, "till_untrusted_proxy_header_total"); got != "0" {
		t.Errorf("the proxy counts as untrusted: %s", got)
	}
	if got := exposed.metric(t, "till_untrusted_proxy_header_total"); got != "17" {
		t.Errorf("claims counted: %s", got)
	}
}

// TestClaimsOfProxiesChangeNoAnswer: H40, H41.
func TestClaimsOfProxiesChangeNoAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for name, value := range map[string]string{
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "X_Forwarded_For": "1.2.3.4", "X-Original-URL": "/readyz",
		"X-Rewrite-URL": "/readyz", "X-Forwarded-Uri": "/readyz", "X-Forwarded-Prefix": "/x", "X-User-ID": "bob", "X-Forwarded-User": "bob",
		"X-HTTP-Method-Override": "GET", "X-Method-Override": "DELETE", "User-Agent": "kube-probe/1.31", "Accept": "text/xml",
		"Via": "1.1 evil.example", "Forwarded": "for=bob;host=evil.example", "traceparent": "00-000..", "Range": "bytes=0-1",
		"If-None-Match": "*", "Upgrade": "websocket", "Accept-Encoding": "gzip", "TE": "trailers",
	} {
		header := http.Header{name: {value}}
		res := h.send(request{method: "POST", path: "/checkout", token: alice, body: `{"plan":"tshirt"}`, header: header})
		if res.status != http.StatusCreated || res.header.Get("Content-Type") != "application/json" || res.text(t, "metadata") == "bob" {
			t.Errorf("%s: %d %v", name, res.status, res.header)
		}
		want(t, h.send(request{method: "POST", path: "/checkout", body: `{"plan":"tshirt"}`, header: header}), 401, "unauthenticated")
	}
}
