package redirect_test

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"till/internal/redirect"
)

// verify holds what acceptance promises, with net/url as the second opinion.
func verify(t *testing.T, p *redirect.Policy, raw, out string) {
	t.Helper()
	if strings.HasPrefix(raw, "app:") {
		verifyApp(t, p, raw, out)
		return
	}
	if again, err := p.Check(out); err != nil || again != out {
		t.Errorf("%q became %q, which becomes %q, %v", raw, out, again, err)
	}
	u, err := url.Parse(out)
	if err != nil || u.User != nil || !slices.Contains(origins, u.Scheme+"://"+u.Host) {
		t.Errorf("%q became %q: %v, %v", raw, out, u, err)
		return
	}
	if u.Host == "shop.example.com" && !strings.HasPrefix(path.Clean(u.Path)+"/", "/pay/") {
		t.Errorf("%q became %q, outside /pay/", raw, out)
	}
	outside := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }
	if strings.ContainsFunc(out, outside) || len(out) > redirect.MaxLength {
		t.Errorf("%q became %q", raw, out)
	}
	if strings.ContainsAny(strings.Replace(out, redirect.Template, "", 1), "{}") || strings.Count(raw, redirect.Template) != strings.Count(out, redirect.Template) {
		t.Errorf("%q became %q: braces", raw, out)
	}
}

// verifyApp: the page's address leads to the application named, and nowhere else.
func verifyApp(t *testing.T, p *redirect.Policy, raw, out string) {
	t.Helper()
	rest, ours := strings.CutPrefix(out, options.PublicURL+"/return/")
	rest = strings.ReplaceAll(rest, redirect.Template, "cs_test_1")
	path, query, _ := strings.Cut(rest, "?")
	link, ok := p.Link(path, query)
	name, _, _ := strings.Cut(path, "/")
	base := strings.TrimSuffix(options.Apps[name], "/")
	tail, behind := strings.CutPrefix(link, base)
	if !ours || !ok || base == "" || !behind || tail != "" && tail[0] != '/' && tail[0] != '?' {
		t.Errorf("%q became %q, which leads to %q, %v", raw, out, link, ok)
	}
}

func FuzzCheck(f *testing.F) {
	for _, line := range lines(f, "hostile.txt") {
		f.Add(line[2])
	}
	for _, line := range lines(f, "valid.txt") {
		f.Add(line[1])
	}
	p := policy(f, options)
	f.Fuzz(func(t *testing.T, raw string) {
		if out, err := p.Check(raw); err == nil {
			verify(t, p, raw, out)
		}
	})
}

// FuzzLink: whatever a browser asks of /return/, the answer is nothing or an address of an
// application that is configured, with nothing in it that a page could be broken with.
func FuzzLink(f *testing.F) {
	for _, row := range linkRows {
		f.Add(row[0], row[1])
	}
	p := policy(f, options)
	f.Fuzz(func(t *testing.T, rest, query string) {
		link, ok := p.Link(rest, query)
		if !ok {
			if link != "" {
				t.Errorf("%q ? %q: refused, with %q", rest, query, link)
			}
			return
		}
		name, _, _ := strings.Cut(rest, "/")
		app, errApp := url.Parse(options.Apps[name])
		u, err := url.Parse(link)
		if errApp != nil || err != nil || app.Host == "" || u.Scheme != app.Scheme || u.Host != app.Host || u.User != nil {
			t.Errorf("%q ? %q: leads to %q, %v", rest, query, link, err)
			return
		}
		if u.Path != "" && path.Clean(u.Path) != u.Path {
			t.Errorf("%q ? %q: %q has dot segments, or empty ones", rest, query, link)
		}
		unsafe := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>'\\", r) }
		if strings.ContainsFunc(link, unsafe) || u.Fragment != "" {
			t.Errorf("%q ? %q: %q is not safe in a page", rest, query, link)
		}
	})
}
