package handlers_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// form is a form that a page of ours sends: with a cookie and the browser's word.
func (h *house) form(path, token, body string) response {
	h.t.Helper()
	same := proof{header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}}}
	return h.send(request{method: "POST", path: path, header: same.with(token), body: body, contentType: formType})
}

const (
	formType   = "application/x-www-form-urlencoded"
	pagePolicy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; " +
		"form-action 'self' https://checkout.stripe.com https://billing.stripe.com"
)

// TestForms sends every line of testdata/forms.txt.
func TestForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	all := sortedLines(t, "testdata/forms.txt")
	for _, line := range all {
		head, body, ok := strings.Cut(line, " | ")
		expect := strings.Fields(head)
		if !ok || len(expect) != 3 {
			t.Fatalf("cannot be read: %s", line)
		}
		res := h.form("/checkout", alice, unescape(body))
		code, pointer := res.page(t)
		if got := fmt.Sprintf("%d %s %s", res.status, code, pointer); got != head {
			t.Errorf("%q\n got %s\nwant %s", body, got, head)
		}
		if res.status == http.StatusSeeOther && !strings.HasPrefix(res.header.Get("Location"), h.sandbox.URL+"/") {
			t.Errorf("%q leads to %q", body, res.header.Get("Location"))
		}
	}
	t.Logf("%d forms", len(all))
}

var (
	pageCode    = regexp.MustCompile(`quote this: <code>(\w+) [\w.-]+</code>`)
	pagePointer = regexp.MustCompile(`<li><code>([^<]*)</code>`)
)

// page reads the code and the first pointer off an answer to a form; "-" is none.
func (r response) page(t *testing.T) (code, pointer string) {
	t.Helper()
	code, pointer = "-", "-"
	if r.status == http.StatusSeeOther {
		return code, pointer
	}
	if got := r.header.Get("Content-Type"); got != "text/html; charset=UTF-8" || r.header.Get("Content-Security-Policy") != pagePolicy {
		t.Errorf("no page: %d %v %s", r.status, r.header, r.body)
	}
	if m := pageCode.FindSubmatch(r.body); m != nil {
		code = string(m[1])
	}
	if m := pagePointer.FindSubmatch(r.body); m != nil && len(m[1]) > 0 {
		pointer = html.UnescapeString(string(m[1]))
	}
	return code, pointer
}

func TestFormsToThePortal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for body, want := range map[string]string{
		"":                                    "303 - -",
		"locale=de&return_url=":               "303 - -",
		"portal=default":                      "303 - -",
		"return_url=https://app.example.com/": "303 - -",
		"flow[type]=customer_update":          "422 validation_failed /flow/type",
		"flow[type]=a&flow[type][x]=b":        "400 malformed_request /flow/type/x",
		"flow[type][x]=b&flow[type]=a":        "400 malformed_request /flow/type/x",
		"plan=pro":                            "400 malformed_request /plan",
		"portal=no":                           "422 catalog_not_allowed /portal",
	} {
		res := h.form("/portal", alice, body)
		code, pointer := res.page(t)
		if got := fmt.Sprintf("%d %s %s", res.status, code, pointer); got != want {
			t.Errorf("%q\n got %s\nwant %s", body, got, want)
		}
	}
	if res := h.form("/portal", alice, "flow"+strings.Repeat("[a]", 16)+"=b"); res.status != 400 {
		t.Errorf("17 levels: got %d", res.status)
	}
	many := strings.Repeat("flow[a]=b&", 200) + "flow[a]=b"
	if res := h.form("/portal", alice, many); res.status != 400 {
		t.Errorf("201 fields: got %d", res.status)
	}
}

// TestWhoSendsAFormSeesAPage, whatever goes wrong.
func TestWhoSendsAFormSeesAPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	post := func(header http.Header, body, contentType string) response {
		return h.send(request{method: "POST", path: "/checkout", header: header, body: body, contentType: contentType})
	}
	same := proof{header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	cross := proof{header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}
	fault := func(kind string) response {
		h.control(http.MethodPost, "faults", `{"operation":"*","kind":"`+kind+`"}`)
		defer h.control(http.MethodDelete, "faults", "")
		return post(same.with(alice), "plan=tshirt", formType)
	}
	for name, row := range map[string]struct {
		got  response
		want string
	}{
		"no cookie":      {post(same.header, "plan=pro", formType), "401 unauthenticated"},
		"a bad cookie":   {post(same.with("x"), "plan=pro", formType), "401 unauthenticated"},
		"from elsewhere": {post(cross.with(alice), "plan=pro", formType), "403 csrf_rejected"},
		"another charset": {
			post(same.with(alice), "plan=pro", formType+"; charset=latin1"), "415 unsupported_media_type",
		},
		"too much":           {post(same.with(alice), "plan="+strings.Repeat("a", 64<<10), formType), "413 payload_too_large"},
		"Stripe has trouble": {fault("garbage_200"), "502 upstream_error"},
		"Stripe is busy":     {fault("rate_limit"), "503 overloaded"},
	} {
		code, _ := row.got.page(t)
		if got := fmt.Sprintf("%d %s", row.got.status, code); got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
	h.breakAuth = true
	if code, _ := post(same.with(alice), "plan=pro", formType).page(t); code != "internal" {
		t.Errorf("a panic: %q", code)
	}
	h.breakAuth = false
	// A form may come with a bearer token, and a script always gets JSON.
	if res := h.send(request{method: "POST", path: "/portal", token: alice, body: "locale=de", contentType: strings.ToUpper(formType)}); res.status != 303 {
		t.Errorf("a form with a bearer token: %d %s", res.status, res.body)
	}
	script := h.send(request{method: "POST", path: "/checkout", token: alice, body: "{", header: http.Header{"Accept": {"text/html"}}})
	want(t, script, 400, "malformed_request")
	elsewhere := h.send(request{method: "POST", path: "/dev/token", body: "sub=alice", contentType: formType})
	want(t, elsewhere, 415, "unsupported_media_type")
	markup := h.form("/checkout", alice, "plan=pro&%3Cscript%3Ealert(1)%3C/script%3E=x")
	if strings.Contains(string(markup.body), "<script>") {
		t.Errorf("markup is not escaped: %s", markup.body)
	}
}
