package redirect_test

import (
	"strings"
	"testing"

	"till/internal/redirect"
)

// linkRows: what a browser asks of /return/, path and query, and where that leads; "" is
// nowhere.
var linkRows = [][3]string{
	{"ios", "", "myapp://billing"},
	{"ios/paid", "", "myapp://billing/paid"},
	{"ios/paid", "session_id=cs_test_1", "myapp://billing/paid?session_id=cs_test_1"},
	{"ios/cs_test_a1/x", "", "myapp://billing/cs_test_a1/x"},
	{"android/paid", "", "com.example.app://pay/paid"},
	{"android", "a=%20b", "com.example.app://pay?a=%20b"},
	{"ios", `a="<'>`, "myapp://billing?a=%22%3C%27%3E"},
	{"ios", "next=https://evil.example/", "myapp://billing?next=https://evil.example/"},
	{"ios", "s={CHECKOUT_SESSION_ID}", "myapp://billing?s={CHECKOUT_SESSION_ID}"},
	{"", "", ""},
	{"evil", "", ""},
	{"IOS", "", ""},
	{"ios/", "", ""},
	{"ios//evil.example", "", ""},
	{"/ios", "", ""},
	{"ios/..", "", ""},
	{"ios/../android", "", ""},
	{"ios/%2e%2e", "", ""},
	{"ios/a%2fb", "", ""},
	{"ios@evil.example", "", ""},
	{"ios:80", "", ""},
	{"ios/a:b", "", ""},
	{"ios/javascript:alert(1)", "", ""},
	{"ios/a b", "", ""},
	{"ios\\evil", "", ""},
	{"ios/{CHECKOUT_SESSION_ID}", "", ""},
	{"ios", "a b", ""},
	{"ios", "a#b", ""},
	{"ios", "%zz", ""},
	{"ios", "a\nb", ""},
	{"ios", `a\b`, ""},
	{"ios", "é", ""},
	{"ios", "a\x7f", ""},
	{"ios/" + strings.Repeat("a", 252), "", "myapp://billing/" + strings.Repeat("a", 252)}, // 256 bytes
	{"ios/" + strings.Repeat("a", 253), "", ""},
	{"ios", strings.Repeat("a", redirect.MaxLength), "myapp://billing?" + strings.Repeat("a", redirect.MaxLength)},
	{"ios", strings.Repeat("a", redirect.MaxLength+1), ""},
}

func TestLinksOfApplications(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	for _, row := range linkRows {
		if got, ok := p.Link(row[0], row[1]); got != row[2] || ok != (row[2] != "") {
			t.Errorf("%q ? %q: got %q, %v; want %q", row[0], row[1], got, ok, row[2])
		}
	}
}

func TestApplicationsNeedAPublicURL(t *testing.T) {
	t.Parallel()
	o := options
	o.PublicURL = ""
	if got, err := policy(t, o).Check("app:ios/paid"); err == nil {
		t.Errorf("got %q", got)
	}
	if got, err := policy(t, options).Check("app:ios/done?s={CHECKOUT_SESSION_ID}"); err != nil ||
		got != "https://billing.example.com/return/ios/done?s={CHECKOUT_SESSION_ID}" {
		t.Errorf("got %q, %v", got, err)
	}
	o = redirect.Options{Default: "app:ios", Apps: options.Apps, PublicURL: options.PublicURL}
	if got := policy(t, o).Default(); got != "https://billing.example.com/return/ios" {
		t.Errorf("as the default: %q", got)
	}
}
