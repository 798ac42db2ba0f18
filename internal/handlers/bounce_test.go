package handlers_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestBackToTheApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for path, link := range map[string]string{
		"/return/ios":       "myapp://billing",
		"/return/ios/paid":  "myapp://billing/paid",
		"/return/ios/a/b/c": "myapp://billing/a/b/c",
		"/return/ios/paid?session_id=cs_test_1&a=b": "myapp://billing/paid?session_id=cs_test_1&amp;a=b",
		"/return/ios?next=https://evil.example/":    "myapp://billing?next=https://evil.example/",
		`/return/ios?a="><script>alert(1)</script>`: "myapp://billing?a=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
		"/return/ios?a=';url=https://evil.example/": "myapp://billing?a=%27;url=https://evil.example/",
		"/return/ios?javascript:alert(1)":           "myapp://billing?javascript:alert(1)",
	} {
		res := h.send(request{method: "GET", path: path})
		// The template writes parentheses of an address as escapes.
		body := strings.NewReplacer("%28", "(", "%29", ")").Replace(string(res.body))
		if res.status != http.StatusOK || !strings.Contains(body, `content="0;url=`+link+`"`) || !strings.Contains(body, `<a href="`+link+`"`) {
			t.Errorf("%s: %d %s", path, res.status, body)
		}
		if strings.Contains(body, "<script") || res.header.Get("Location") != "" {
			t.Errorf("%s: a script or a redirect: %v %s", path, res.header, body)
		}
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": pagePolicy,
		} {
			if res.header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, res.header.Get(name))
			}
		}
	}
	for _, path := range []string{
		"/return/evil", "/return/IOS", "/return/ios/../x", "/return/ios/..", "/return/ios/%2e%2e", "/return/ios//evil.example",
		"/return/ios/a%2fb", "/return/ios/%2f%2fevil.example", "/return/ios@evil.example", "/return/ios:80", "/return/ios/a:b",
		"/return/ios/javascript:alert(1)", "/return/ios/%0d%0aLocation:x", "/return/%69os", "/return/ios/paid/",
		"/return/https://evil.example/", "/return//evil.example", "/return/ios/" + strings.Repeat("a", 300), "/return/ios?%zz",
		"/return/ios?a=%", "/return/ios/\\evil", "/return/ios?a=\\", "/return/{app}", "/return/myapp://billing",
	} {
		res := h.send(request{method: "GET", path: path})
		code, _ := res.page(t)
		if res.status != http.StatusNotFound || code != "not_found" || strings.Contains(string(res.body), "http-equiv") {
			t.Errorf("%s: %d %s", path, res.status, res.body)
		}
	}
	for _, path := range []string{"/return", "/return/", "/return/ios/"} {
		if res := h.send(request{method: "GET", path: path}); res.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.status)
		}
	}
}

// TestAnApplicationIsReachedThroughStripe: what a caller names is what Stripe is
// told, in https.
func TestAnApplicationIsReachedThroughStripe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	res := h.post("/checkout", h.token("alice"), `{"plan":"pro","success_url":"app:ios/paid?s={CHECKOUT_SESSION_ID}","cancel_url":"app:ios"}`)
	want(t, res, 201, "")
	if success, cancel := res.text(t, "success_url"), res.text(t, "cancel_url"); success != publicURL+"/return/ios/paid?s={CHECKOUT_SESSION_ID}" || cancel != publicURL+"/return/ios" {
		t.Errorf("got %q and %q", success, cancel)
	}
	want(t, h.post("/portal", h.token("alice"), `{"return_url":"app:ios/back"}`), 201, "")
}
