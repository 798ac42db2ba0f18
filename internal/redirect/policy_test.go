package redirect_test

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"till/internal/redirect"
)

var options = redirect.Options{
	Allow: []string{
		"https://app.example.com", "https://shop.example.com/pay/", "https://docs.example.com/a/b", "https://münchen.example",
	},
	Default:   "https://app.example.com/account",
	Apps:      map[string]string{"ios": "myapp://billing", "android": "com.example.app://pay/"},
	PublicURL: "https://billing.example.com",
}

var origins = []string{
	"https://app.example.com", "https://shop.example.com", "https://docs.example.com", "https://xn--mnchen-3ya.example",
}

func policy(t testing.TB, o redirect.Options) *redirect.Policy {
	t.Helper()
	p, err := redirect.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines reads a file of testdata: fields apart by one space, Go strings unquoted.
func lines(t testing.TB, name string) [][]string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for scan := bufio.NewScanner(strings.NewReader(string(data))); scan.Scan(); {
		if line := scan.Text(); line != "" && line[0] != '#' {
			all = append(all, fields(t, line))
		}
	}
	return all
}

func fields(t testing.TB, line string) (out []string) {
	t.Helper()
	for line != "" {
		quoted, err := strconv.QuotedPrefix(line)
		if err == nil {
			text, _ := strconv.Unquote(quoted)
			out, line = append(out, text), strings.TrimPrefix(line[len(quoted):], " ")
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		out, line = append(out, word), rest
	}
	return out
}

func TestHostileURLsAreRefused(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	all := lines(t, "hostile.txt")
	for _, f := range all {
		got, err := p.Check(f[2])
		refused, ok := errors.AsType[*redirect.Refused](err)
		if !ok {
			t.Errorf("%s %q: got %q, %v", f[0], f[2], got, err)
			continue
		}
		if string(refused.Reason) != f[1] || got != "" {
			t.Errorf("%s %q: got reason %s, want %s", f[0], f[2], refused.Reason, f[1])
		}
	}
	t.Logf("%d hostile URLs, 0 accepted", len(all))
}

func TestAllowedURLsAreCleaned(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	all := lines(t, "valid.txt")
	for _, f := range all {
		want := f[2]
		if want == "=" {
			want = f[1]
		}
		if got, err := p.Check(f[1]); err != nil || got != want {
			t.Errorf("%s %q: got %q, %v; want %q", f[0], f[1], got, err, want)
		}
	}
	t.Logf("%d valid URLs, 0 refused", len(all))
}

func TestTheFilesAreLongEnoughAndUseEveryReason(t *testing.T) {
	t.Parallel()
	hostile, seen := lines(t, "hostile.txt"), map[string]bool{"too_long": true}
	for _, f := range hostile {
		seen[f[1]] = true
	}
	if len(hostile) < 500 || len(lines(t, "valid.txt")) < 200 {
		t.Errorf("%d hostile and %d valid lines", len(hostile), len(lines(t, "valid.txt")))
	}
	for _, reason := range redirect.Reasons() {
		if !seen[string(reason)] {
			t.Errorf("no line for %s", reason)
		}
	}
}

func TestLength(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	const base = "https://app.example.com/"
	for _, tc := range []struct {
		name, url string
		ok        bool
	}{
		{"2,048 bytes", base + strings.Repeat("a", redirect.MaxLength-len(base)), true},
		{"2,049 bytes", base + strings.Repeat("a", redirect.MaxLength+1-len(base)), false},
		{"2,048 bytes that encoding makes longer", base + strings.Repeat("<", redirect.MaxLength-len(base)), false},
		{"a megabyte", base + strings.Repeat("a", 1<<20), false},
	} {
		_, err := p.Check(tc.url)
		refused, _ := errors.AsType[*redirect.Refused](err)
		if (err == nil) != tc.ok || err != nil && refused.Reason != redirect.TooLong {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestARefusalShowsTheHostAtMost(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	for _, f := range lines(t, "hostile.txt") {
		// A few of them become harmless by the longer path.
		_, err := p.Check(f[2] + "/canary?canary#canary")
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", f[2], err)
		}
		refused, _ := errors.AsType[*redirect.Refused](err)
		if refused != nil && !slices.Contains(redirect.Reasons(), refused.Reason) {
			t.Errorf("%q: reason %q is not on the list", f[2], refused.Reason)
		}
	}
	long := strings.Repeat("a.", 126) + "a" // 253 bytes
	for raw, want := range map[string]string{
		"https://evil.example/a?b":    "redirect refused: host evil.example",
		"https://" + long + "/":       "redirect refused: host " + long,
		"https://a" + long + "/":      "redirect refused: host", // longer than hosts are
		"https://evil!.example/":      "redirect refused: host", // what hosts do not have stays out of logs
		"https://app.example.com/../": "redirect refused: path",
	} {
		if _, err := p.Check(raw); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", raw, err, want)
		}
	}
}

func TestLoopbackIsForDevelopment(t *testing.T) {
	t.Parallel()
	o := options
	o.AllowLoopback = true
	p := policy(t, o)
	for _, ok := range []string{
		"http://localhost:3000/", "https://localhost/a?b#c", "http://127.0.0.1:8080/", "http://[::1]:5173/x", "http://localhost/",
	} {
		if got, err := p.Check(ok); err != nil || got != ok {
			t.Errorf("%s: got %q, %v", ok, got, err)
		}
	}
	for _, bad := range []string{
		"http://localhost.evil.example/", "http://127.0.0.2/", "http://127.1/", "http://[::2]/", "http://[0:0:0:0:0:0:0:1]/",
		"http://localhost./", "http://localhost:99999/", "http://localhost:/", "http://localhost@evil.example/",
		"http://localhost/../x", "ws://localhost/", "http://[::1/", "http://::1/", "http://evil.example/",
	} {
		if got, err := p.Check(bad); err == nil {
			t.Errorf("%s is accepted as %s", bad, got)
		}
	}
}

func TestListedLoopbackOriginsAreExact(t *testing.T) {
	t.Parallel()
	p := policy(t, redirect.Options{Allow: []string{"http://localhost:3000", "https://192.0.2.7/pay", "https://[2001:db8::1]:8443"}})
	for url, ok := range map[string]bool{
		"http://localhost:3000/a":       true,
		"http://localhost:3001/a":       false,
		"https://localhost:3000/a":      false,
		"https://192.0.2.7/pay":         true,
		"https://192.0.2.7/payments":    false,
		"https://192.0.2.07/pay":        false,
		"https://[2001:db8::1]:8443/":   true,
		"https://[2001:db8:0::1]:8443/": false,
	} {
		if _, err := p.Check(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDefaultIsCleaned(t *testing.T) {
	t.Parallel()
	if got := policy(t, redirect.Options{Allow: options.Allow, Default: "HTTPS://app.example.com:443"}).Default(); got != "https://app.example.com/" {
		t.Errorf("got %q", got)
	}
	if got := policy(t, redirect.Options{}).Default(); got != "" {
		t.Errorf("got %q", got)
	}
}
