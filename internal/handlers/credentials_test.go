package handlers_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"till/internal/auth/devissuer"
)

// TestNoRouteTakesABadCredential sends what the tests of internal/auth send, as bytes, to
// every registered route but the open ones: each asks for a credential, and refuses a bad one
// as all the others do.
func TestNoRouteTakesABadCredential(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	routes := h.guarded()
	if len(routes) < 3 {
		t.Fatalf("only %v ask for a credential", routes)
	}
	sent := 0
	for _, c := range badCredentials(t, h) {
		for _, route := range routes {
			sent++
			request := route + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n" + c.lines + "\r\n\r\n"
			if got := h.exchange(t, request); got != c.want {
				t.Errorf("%s to %s: got %s, want %s", c.row, route, got, c.want)
			}
		}
	}
	if sent < 300 {
		t.Errorf("only %d were sent", sent)
	}
	if n := h.stripeCalls("customers.create"); n != 0 {
		t.Errorf("%d customers were created", n)
	}
	t.Logf("%d bad credentials refused, to %d routes", sent, len(routes))
}

// open are the routes that need no credential; every other one must ask for it.
var open = []string{"/healthz", "/readyz", "/openapi.yaml", "/return/:app", "/return/:app/:path", "/dev/token", "/.well-known/*", "/demo/*", "/"}

// guarded are "METHOD /path" of all registered routes but the open ones.
func (h *house) guarded() (all []string) {
	h.t.Helper()
	for _, route := range h.routes {
		if slices.Contains(open, route.Path) || route.Method == http.MethodOptions || route.Method == http.MethodHead || route.Method == echo.RouteNotFound {
			continue
		}
		path := regexp.MustCompile(`[:*]\w*`).ReplaceAllString(route.Path, "x")
		if got := h.send(request{method: route.Method, path: path}); got.status != http.StatusUnauthorized {
			h.t.Errorf("%s %s asks for no credential: %d", route.Method, route.Path, got.status)
			continue
		}
		all = append(all, route.Method+" "+path)
	}
	return all
}

// badCredential is header lines, and the answer to them.
type badCredential struct{ row, lines, want string }

// badCredentials are the rows of internal/auth that this surface can judge: those about
// proxies' headers and their issuers, about limits that depend on a token's length, and about what is accepted
// stay there.
func badCredentials(t *testing.T, h *house) (all []badCredential) {
	t.Helper()
	other, err := devissuer.New(publicURL, "till", clock)
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := other.Mint(devissuer.Claims{Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	good := h.token("alice")
	part := strings.Split(good, ".")
	fill := strings.NewReplacer("$GOOD", good, "$BOB", h.token("bob"), "$BAD", forged,
		"$H", part[0], "$C", part[1], "$S", part[2], "{{", "{", "}}", "}")
	elsewhere := regexp.MustCompile(`\$(?:BITS|REST|PROXY)`)
	for _, line := range sortedLines(t, "../auth/testdata/compact.txt") {
		f := fields(t, line)
		if f[1] == "ok" || elsewhere.MatchString(f[2]) {
			continue
		}
		token := wireBytes(fill.Replace(f[2]), "")
		// What ends a line, or is in no header, cannot be sent over this wire; and net/http
		// takes the spaces at either end of a value off, as it must.
		if strings.ContainsAny(token, "\r\n\x00\x7f\x0b") || strings.Trim(token, " \t") != token {
			continue
		}
		want := "401:unauthenticated"
		if len(token) > 16<<10 {
			want = "431"
		}
		all = append(all, badCredential{f[0], "Authorization: Bearer " + token, want})
		if !strings.ContainsAny(token, "; \t") {
			all = append(all, badCredential{f[0] + " in the cookie", "Sec-Fetch-Site: same-origin\r\nCookie: " + sessionCookie + "=" + token, want})
		}
	}
	codes := map[string]string{"401": "401:unauthenticated", "400": "400:malformed_request"}
	for _, line := range sortedLines(t, "../auth/testdata/requests.txt") {
		f := fields(t, line)
		status, _, _ := strings.Cut(f[1], " ")
		lines := wireBytes(fill.Replace(strings.ReplaceAll(f[2], " && ", "\r\n")), "")
		if codes[status] == "" || strings.HasPrefix(f[0], "P-") || elsewhere.MatchString(f[2]) || strings.Contains(lines, ": \t") {
			continue
		}
		all = append(all, badCredential{f[0], "Sec-Fetch-Site: same-origin\r\n" + lines, codes[status]})
	}
	return all
}

// fields are the three of a row in internal/auth/testdata.
func fields(t *testing.T, line string) []string {
	t.Helper()
	f := strings.SplitN(line, "|", 3)
	if len(f) != 3 {
		t.Fatalf("cannot be read: %s", line)
	}
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return f
}
