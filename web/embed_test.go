package web_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"till/web"
)

func get(t *testing.T, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

// served are the paths of every file in demo/.
func served(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("demo")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/"}
	for _, entry := range entries {
		if name := entry.Name(); name != "index.html" {
			paths = append(paths, "/demo/"+name)
		}
	}
	return paths
}

func TestEveryFileIsServed(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"/": "text/html; charset=utf-8", "/demo/form.html": "text/html; charset=utf-8", "/demo/app.js": "text/javascript; charset=utf-8",
		"/demo/style.css": "text/css; charset=utf-8", "/demo/icon.svg": "image/svg+xml",
	}
	for _, path := range served(t) {
		w := get(t, http.MethodGet, path)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: got %d with %d bytes", path, w.Code, w.Body.Len())
		}
		if got := w.Header().Get("Content-Type"); got != kinds[path] {
			t.Errorf("%s: got type %q, want %q", path, got, kinds[path])
		}
		head := get(t, http.MethodHead, path)
		if head.Code != http.StatusOK || head.Body.Len() != 0 {
			t.Errorf("HEAD %s: got %d with %d bytes", path, head.Code, head.Body.Len())
		}
	}
}

func TestAQueryIsForThePage(t *testing.T) {
	t.Parallel()
	if w := get(t, http.MethodGet, "/?session_id=cs_test_a1"); w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
			"img-src 'self' data:; form-action 'self' https://checkout.stripe.com https://billing.stripe.com; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Cache-Control":          "no-store",
	}
	for _, request := range [][2]string{
		{http.MethodGet, "/"},
		{http.MethodHead, "/"},
		{http.MethodGet, "/demo/app.js"},
		{http.MethodGet, "/demo/unknown.js"},
		{http.MethodPost, "/"},
	} {
		h := get(t, request[0], request[1]).Header()
		for name, value := range want {
			if got := h.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s %s: %s is %q, want %q", request[0], request[1], name, got, value)
			}
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/index.html", "/demo", "/demo/", "/demo/index.html", "/demo/unknown.js", "/app.js", "//", "/demo/../embed.go", "/embed.go",
	} {
		if w := get(t, http.MethodGet, path); w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

func TestOnlyReading(t *testing.T) {
	t.Parallel()
	for _, path := range served(t) {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			w := get(t, method, path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %d, Allow %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

// The policy above forbids these; a browser would drop them without a word to anybody
// but its console.
func TestPageHasNothingInline(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/").Body.String() + get(t, http.MethodGet, "/demo/form.html").Body.String()
	for name, pattern := range map[string]string{
		"script":        `(?is)<script[^>]*>\s*[^<\s]`,
		"scriptless":    `(?i)<script(\s+type="[^"]*")?\s*>`,
		"style element": `(?i)<style`,
		"style":         `(?i)\sstyle\s*=`,
		"handler":       `(?i)<[^>]*\son[a-z]+\s*=`,
		"script URL":    `(?i)javascript:`,
		"base":          `(?i)<base`,
		"other origin":  `(?i)(src|href|action)\s*=\s*["']?(https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%s: %q", name, found)
		}
	}
}

func TestPageRefersToWhatExists(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/").Body.String()
	script := get(t, http.MethodGet, "/demo/app.js").Body.String()
	ids := matches(page, `\sid="([^"]+)"`)
	if unique := slices.Compact(slices.Sorted(slices.Values(ids))); len(unique) != len(ids) {
		t.Errorf("an id is there twice: %q", ids)
	}
	ofTheAPI := []string{"/openapi.yaml", "/readyz"}
	for _, reference := range matches(page, `(?:src|href)="([^"]+)"`) {
		id, local := strings.CutPrefix(reference, "#")
		switch {
		case local && !slices.Contains(ids, id):
			t.Errorf("%s leads nowhere", reference)
		case !local && !slices.Contains(ofTheAPI, reference) && get(t, http.MethodGet, reference).Code != http.StatusOK:
			t.Errorf("%s is not served", reference)
		}
	}
	for _, list := range matches(page, `\s(?:for|aria-labelledby|aria-describedby)="([^"]+)"`) {
		for id := range strings.FieldsSeq(list) {
			if !slices.Contains(ids, id) {
				t.Errorf("the page refers to %q, which it does not have", id)
			}
		}
	}
	for _, id := range matches(script, `(?:element|say)\("([^"]+)"`) {
		if !slices.Contains(ids, id) {
			t.Errorf("the script wants %q, which the page does not have", id)
		}
	}
}

func TestScriptKeepsItsPromises(t *testing.T) {
	t.Parallel()
	script := get(t, http.MethodGet, "/demo/app.js").Body.String()
	// Comments may speak of them.
	code := regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(script, "")
	for _, name := range []string{"localStorage", "document.cookie", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function("} {
		if strings.Contains(code, name) {
			t.Errorf("the script uses %s", name)
		}
	}
}

func TestEveryInputHasALabel(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/").Body.String() + get(t, http.MethodGet, "/demo/form.html").Body.String()
	labels := matches(page, `<label for="([^"]+)"`)
	inputs := matches(page, `<input id="([^"]+)"`)
	seen := strings.Count(page, "<input") - strings.Count(page, `<input type="hidden"`)
	if len(inputs) == 0 || len(inputs) != seen {
		t.Errorf("of %d inputs, %d begin with an id", seen, len(inputs))
	}
	for _, id := range inputs {
		if !slices.Contains(labels, id) {
			t.Errorf("no label for %s", id)
		}
	}
}

// matches returns the first group of every match.
func matches(text, pattern string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}
