package redirect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/redirect"
)

func TestWrongOptionsAreAllFound(t *testing.T) {
	t.Parallel()
	o := redirect.Options{
		Allow:   []string{"*", "https://app.example.com", "http://app.example.com"},
		Default: "https://evil.example/",
		Apps:    map[string]string{"ios": "myapp://billing", "web": "https://app.example.com", "B!": "myapp://x"},
	}
	var got []string
	for _, f := range o.Check() {
		got = append(got, f.Path)
		if f.Text == "" || f.Fix == "" {
			t.Errorf("%s lacks a text or a fix: %+v", f.Path, f)
		}
	}
	if diff := cmp.Diff([]string{"allow.0", "allow.2", "default", "apps.B!", "apps.web"}, got); diff != "" {
		t.Error(diff)
	}
	_, err := redirect.New(o)
	if err == nil || strings.Count(err.Error(), "Fix: ") != 5 {
		t.Errorf("got %v", err)
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "*", "https://*", "https://*.com", "https://*.example.com", "https://app.example.*", "app.example.com",
		"//app.example.com", "https:app.example.com", "https:///app.example.com", "http://app.example.com", "ftp://app.example.com",
		"myapp://billing", "https://user@app.example.com", "https://user:pass@app.example.com", "https://app.example.com?a",
		"https://app.example.com/?", "https://app.example.com#a", "https://app.example.com/#", "https://app.example.com:0",
		"https://app.example.com:99999", "https://app.example.com:", "https://app.example.com.", "https://.example.com",
		"https://app..example.com", "https://app.example.com/pay/*", "https://app.example.com/pay.*", "https://app.example.com/^pay$",
		"https://app.example.com/(pay|shop)", "https://app.example.com/[a-z]+", "https://app.example.com/pay/../x",
		"https://app.example.com/./pay", "https://app.example.com//pay", "https://app.example.com/pay//", "https://app.example.com/%70ay",
		"https://app.example.com/{CHECKOUT_SESSION_ID}", "https://app.example.com/pay;x", `https://app.example.com\pay`,
		"https://app.example.com/a b", " https://app.example.com", "https://app.exa mple.com", "https://127.1", "https://0x7f.1",
		"https://1.2.3", "https://[::ffff:1.2.3.4]", "https://[fe80::1%25eth0]", "https://[::1", "https://[0:0::1]", "https://ａｐｐ.example.com",
		"https://xn--a.example", "https://xn--.example", "https://app.example.com,https://b.example", "https://a_\u200bb.example",
		"https://" + strings.Repeat("a", 64) + ".example", "https://" + strings.Repeat("a.", 130) + "example", "null", "regexp:.*",
		"https://münchen.example@evil.example", "https://app.example.com/é", "https://[1.2.3.4]", "https://[::1:443", "https://::ffff:1.2.3.4:443",
		"https://0x7f000001", "https://127.0.0.0x1", "https://1.2.3.0x", "https://" + strings.Repeat("a.", 123) + "examples",
	} {
		if found := (redirect.Options{Allow: []string{entry}}).Check(); len(found) != 1 || found[0].Path != "allow.0" {
			if entry != "https://app.example.com/pay.*" || len(found) == 0 {
				t.Errorf("%q: %v", entry, found)
			}
		}
	}
}

// An operator is told which part of an entry is wrong, and what to write.
func TestEntriesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"": "not an absolute URL: empty",
		"https://app.example.com/" + strings.Repeat("a", redirect.MaxLength): "not an absolute URL: empty, too long",
		"https://app.example.com/{x}":                                        "characters that URLs do not have",
		"https://\x80.example":                                               "not a name or address as browsers print it",
		"https://*.example.com":                                              "wildcards are not supported",
		"https://user@app.example.com":                                       "no user name and no password",
		"ftp://app.example.com":                                              "must begin with https://",
		"https://app.example.com:0":                                          "the port is not a number from 1 to 65535",
		"https:app.example.com":                                              "not an absolute URL",
		"http://app.example.com":                                             "http is only for loopback",
		"https://app.example.com.":                                           "not a name or address as browsers print it",
		"https://app.example.com/?a":                                         "no query and no fragment",
		"https://app.example.com/#a":                                         "no query and no fragment",
		"https://app.example.com/pay/../":                                    "the path prefix is not plain",
	} {
		found := (redirect.Options{Allow: []string{entry}}).Check()
		if len(found) != 1 || !strings.Contains(found[0].Text, want) || found[0].Fix == "" {
			t.Errorf("%.80q: got %v, want %s", entry, found, want)
		}
	}
}

func TestEntriesThatAreTaken(t *testing.T) {
	t.Parallel()
	for entry, url := range map[string]string{
		"https://app.example.com/":                         "https://app.example.com/x",
		"HTTPS://App.Example.com:443":                      "https://app.example.com/x",
		"https://app.example.com:8443":                     "https://app.example.com:8443/",
		"https://münchen.example:8443/a":                   "https://xn--mnchen-3ya.example:8443/a/b",
		"https://MÜNCHEN.example":                          "https://xn--mnchen-3ya.example/",
		"https://xn--mnchen-3ya.example":                   "https://xn--mnchen-3ya.example/",
		"https://intranet":                                 "https://intranet/",
		"http://127.0.0.1:3000":                            "http://127.0.0.1:3000/",
		"http://[::1]:3000":                                "http://[::1]:3000/",
		"https://my_app.example.com":                       "https://my_app.example.com/",
		"https://app.example.com/v1.2/a":                   "https://app.example.com/v1.2/a",
		"https://app.0xample":                              "https://app.0xample/",
		"https://" + strings.Repeat("a.", 123) + "example": "https://" + strings.Repeat("a.", 123) + "example/", // 253 bytes
	} {
		if got, err := policy(t, redirect.Options{Allow: []string{entry}}).Check(url); err != nil || got != url {
			t.Errorf("%q: got %q, %v", entry, got, err)
		}
	}
}

func TestAppLinks(t *testing.T) {
	t.Parallel()
	for link, ok := range map[string]bool{
		"myapp://billing": true, "MYAPP://billing": true, "com.example.app://billing/paid": true,
		"": false, "myapp": false, "myapp:billing": false, "myapp:///billing": false, "javascript://x": false, "https://x": false,
		"intent://x": false, "data://x": false, "myapp://u@billing": false, "myapp://billing?a": false, "myapp://billing/../x": false,
		"myapp://billing:1": false, "my app://billing": false, "myapp://billing/{CHECKOUT_SESSION_ID}": false, "file://x": false,
		"myapp://billing/.": false, "myapp://billing/.x": false,
	} {
		if found := (redirect.Options{Apps: map[string]string{"ios": link}}).Check(); (len(found) == 0) != ok {
			t.Errorf("%q: %v", link, found)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "https://APP.example.com:443": "https://app.example.com",
		"https://münchen.example": "https://xn--mnchen-3ya.example", "http://localhost:3000": "http://localhost:3000",
		"https://app.example.com/": "", "https://app.example.com/a": "", "https://app.example.com?": "", "https://app.example.com#": "",
		"*": "", "null": "", "": "", "http://app.example.com": "", "https://*.example.com": "", "https://a@app.example.com": "",
	} {
		if got, err := redirect.Origin(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
