package handlers_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"till/internal/auth/devissuer"
)

// proof is one line of testdata/csrf.txt.
type proof struct {
	row, verdict string
	header       http.Header
}

func proofs(t *testing.T) []proof {
	t.Helper()
	var all []proof
	for _, line := range sortedLines(t, "testdata/csrf.txt") {
		parts := strings.Split(line, " | ")
		row, verdict, _ := strings.Cut(strings.TrimSpace(parts[0]), " ")
		p := proof{row, verdict, http.Header{}}
		for _, part := range parts[1:] {
			name, value, found := strings.Cut(part, ":")
			if !found {
				t.Fatalf("cannot be read: %s", line)
			}
			p.header.Add(name, strings.TrimSpace(value))
		}
		all = append(all, p)
	}
	return all
}

// with returns the headers of p and a cookie with the token.
func (p proof) with(token string) http.Header {
	h := p.header.Clone()
	h.Set("Cookie", sessionCookie+"="+token)
	return h
}

// TestNoUnsafeRouteGoesWithoutProof walks what is registered, not what somebody
// remembered: a route that forgets the guard fails here.
func TestNoUnsafeRouteGoesWithoutProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	rows, walked := 0, 0
	for _, route := range h.routes {
		if slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, route.Method) {
			continue
		}
		walked++
		path := regexp.MustCompile(`[:*]\w*`).ReplaceAllString(route.Path, "x")
		for _, p := range proofs(t) {
			if route.Path == "/dev/token" && (p.verdict != "cross_site" || p.header.Get("Origin") == appOrigin) {
				continue // has no credential, and rules of its own
			}
			rows++
			before := h.metric(t, `till_csrf_rejections_total{reason="`+p.verdict+`"}`)
			res := h.send(request{method: route.Method, path: path, header: p.with(alice), body: "{", contentType: "application/json"})
			refused := res.status == http.StatusForbidden && res.text(t, "code") == "csrf_rejected"
			if refused != (p.verdict != "ok") {
				t.Errorf("%s %s, %s %v: got %d %s", route.Method, route.Path, p.row, p.header, res.status, res.body)
			}
			if after := h.metric(t, `till_csrf_rejections_total{reason="`+p.verdict+`"}`); refused && after == before && route.Path != "/dev/token" {
				t.Errorf("%s %s, %s %v: not counted as %s", route.Method, route.Path, p.row, p.header, p.verdict)
			}
		}
	}
	if walked < 3 || rows < 100 {
		t.Errorf("%d routes and %d rows", walked, rows)
	}
	if n := h.stripeCalls("customers.create"); n != 0 {
		t.Errorf("%d customers were created", n)
	}
	t.Logf("%d requests without proof, to %d routes", rows, walked)
}

// TestProofOpensTheDoor: with the same rows, what is proven is served, and what is
// refused is refused before anything of it is read.
func TestProofOpensTheDoor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for _, p := range proofs(t) {
		res := h.send(request{method: "POST", path: "/portal", header: p.with(alice)})
		if (res.status == http.StatusCreated) != (p.verdict == "ok") {
			t.Errorf("%s %v: got %d %s", p.row, p.header, res.status, res.body)
		}
		if len(res.header.Values("Set-Cookie")) > 0 {
			t.Errorf("X22: a cookie is set: %v", res.header)
		}
		// X13: what a bearer token comes with does not matter.
		want(t, h.send(request{method: "POST", path: "/portal", token: alice, header: p.header}), http.StatusCreated, "")
		// A valid bearer wins over the cookie, and an invalid one is not rescued by it.
		both := p.with(alice)
		want(t, h.send(request{method: "POST", path: "/portal", token: "x", header: both}), http.StatusUnauthorized, "unauthenticated")
	}
}

func TestReadingNeedsNoProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	id := h.post("/checkout", h.token("alice"), `{"plan":"pro"}`).text(t, "id")
	for _, p := range proofs(t) {
		res := h.send(request{method: "GET", path: "/checkout/" + id, header: p.with(h.token("alice"))})
		want(t, res, http.StatusOK, "")
	}
}

// TestForgeryComesAfterTheCredentialAndBeforeTheRole, as the contract has it.
func TestForgeryComesAfterTheCredentialAndBeforeTheRole(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	member := h.mint(devissuer.Claims{Subject: "carol", Org: "org_1", Role: "reader"})
	cross := proof{header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}
	same := proof{header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	body := strings.Repeat("{", 65<<10)
	for _, row := range []struct {
		header http.Header
		status int
		code   string
	}{
		{cross.with("bad"), 401, "unauthenticated"},
		{cross.with(member), 403, "csrf_rejected"},
		{same.with(member), 403, "forbidden"},
		{cross.with(h.token("alice")), 403, "csrf_rejected"},
		{same.with(h.token("alice")), 415, "unsupported_media_type"},
	} {
		res := h.send(request{method: "POST", path: "/checkout", header: row.header, body: body, contentType: "text/plain"})
		want(t, res, row.status, row.code)
	}
	if logs := h.logs.String(); !strings.Contains(logs, `"error":"csrf: cross_site, origin \"\""`) {
		t.Errorf("the log does not say why:\n%s", logs)
	}
}

// metric is the value of one series.
func (h *house) metric(t *testing.T, series string) string {
	t.Helper()
	for line := range strings.Lines(h.scrape()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestTokensForDevelopmentStayOnThisMachine(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for _, row := range []struct {
		host   string
		header http.Header
		status int
	}{
		{"", nil, 201},
		{"localhost:8080", nil, 201},
		{"127.0.0.1", nil, 201},
		{"[::1]:8080", nil, 201},
		{"billing.example.com", nil, 201}, // the public URL's
		{"localhost:3000", http.Header{"Origin": {"http://localhost:5173"}}, 201},
		{"localhost:3000", http.Header{"Origin": {"http://localhost:5173"}, "Sec-Fetch-Site": {"same-site"}}, 201},
		{"localhost:3000", http.Header{"Origin": {"https://app.example.com"}, "Sec-Fetch-Site": {"cross-site"}}, 201},
		{"localhost:3000", http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"same-origin"}}, 201},
		{"evil.example", nil, 403},
		{"evil.example:8080", http.Header{"Origin": {"http://evil.example:8080"}, "Sec-Fetch-Site": {"same-origin"}}, 403},
		{"localhost.evil.example", nil, 403},
		{"127.0.0.1.nip.io", nil, 403},
		{"localhost@evil.example", nil, 403},
		{"127.0.0.2", nil, 403},
		{"192.168.1.7:8080", nil, 403},
		{"0.0.0.0", nil, 403},
		{"billing.example.com:8080", nil, 403},
		{"localhost", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"localhost", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"same-origin"}}, 403},
		{"localhost", http.Header{"Origin": {"http://localhost.evil.example"}}, 403},
		{"localhost", http.Header{"Origin": {"http://localhost:3000/"}}, 403},
		{"localhost", http.Header{"Origin": {"null"}}, 403},
		{"localhost", http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}}, 403},
		{"localhost", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"localhost", http.Header{"Sec-Fetch-Site": {"none"}}, 403},
		{"localhost", http.Header{"Origin": {"http://localhost", "http://localhost"}}, 403},
	} {
		res := h.send(request{method: "POST", path: "/dev/token", host: row.host, header: row.header, body: `{"sub":"alice"}`})
		if res.status != row.status {
			t.Errorf("%q %v: got %d, want %d", row.host, row.header, res.status, row.status)
		}
	}
}
