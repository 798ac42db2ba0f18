package secrettest_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"till/internal/secret/secrettest"
)

func TestASecretIsFoundInEveryDress(t *testing.T) {
	t.Parallel()
	const value = "p@ss/word+&<ü>?" // none of it is left alone by every encoding
	w := secrettest.New(map[string]string{"password": value})
	quoted, err := json.Marshal(map[string]string{"error": "for " + value})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"error: " + value + "!",
		string(quoted),
		"GET /?q=" + url.QueryEscape(value),
		"/x/" + url.PathEscape(value) + "/y",
		hex.EncodeToString([]byte("before " + value + " after")),
		strings.ToUpper(hex.EncodeToString([]byte(value))),
		fmt.Sprintf("%v", []byte("before "+value)),
		fmt.Sprintf("%x", value),
		fmt.Sprintf("%X", value),
	} {
		if found := w.Find(text); len(found) == 0 || strings.Contains(strings.Join(found, ""), value) {
			t.Errorf("%q: found %q", text, found)
		}
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		for before := range 6 {
			for after := range 6 {
				text := encoding.EncodeToString([]byte(strings.Repeat("x", before) + value + strings.Repeat("y", after)))
				if len(w.Find("Basic "+text)) == 0 {
					t.Errorf("not found, %d bytes after the start and %d before the end of %q", before, after, text)
				}
			}
		}
	}
	for _, text := range []string{"", "password", "p@ss/word+&<u>?", "[redacted]", "200 0.5 127.0.0.1"} {
		if found := w.Find(text); len(found) != 0 {
			t.Errorf("%q: found %q", text, found)
		}
	}
}

func TestWhatIsLeftOfASecretIsFound(t *testing.T) {
	t.Parallel()
	const header, claims, signature = "eyJhbGciOiJFUzI1NiJ9", "eyJpc3MiOiJodHRwczovL2lkIiwic3ViIjoiYWxpY2UifQ", "mH1n8yQ9rVb2cXz7LkJtWpE4uGfD6sAoRi5NxBqTvYhZ3eK0jMwCgUlSdFaPIO12"
	w := secrettest.New(nil)
	w.AddToken("token", strings.Join([]string{header, claims, signature}, "."))
	w.AddToken("opaque", "0123456789abcdefghijklmnopqrstuvwxyz")
	w.Add("session", "https://checkout.stripe.com/c/pay/cs_test_1#fidkdWxOYHwnPyd1blpxYHZxWjA0")
	for text, want := range map[string]bool{
		header + "...": false,
		"token …" + signature[len(signature)-16:]:              true,
		signature[:40] + "…":                                   true,
		header + "." + claims:                                  true,
		"…klmnopqrstuvwxyz":                                    true,
		"https://checkout.stripe.com/":                         false,
		"#fidkdWxOYHwnPyd1blpxYHZxWjA0":                        true,
		"another's token eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.": true,
		"sk_test_" + secrettest.Mark + "01":                    true,
	} {
		if got := len(w.Find(text)) > 0; got != want {
			t.Errorf("%q: found %v, want %v", text, w.Find(text), want)
		}
	}
}

func TestFilesAreSearched(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	clean, allowed := filepath.Join(folder, "clean"), filepath.Join(folder, "till.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := secrettest.New(nil)
	found := func() int {
		r := &recorder{TB: t}
		w.CheckFiles(r, folder, filepath.Base(allowed))
		return r.errors
	}
	write(clean, "x")
	write(allowed, secrettest.Mark)
	if n := found(); n != 0 {
		t.Errorf("%d found where none is", n)
	}
	write(clean, "\x00binary\x00"+secrettest.Mark+"\x00")
	write(filepath.Join(folder, secrettest.Mark), "")
	if n := found(); n != 2 {
		t.Errorf("%d of 2 found", n)
	}
}

func TestALongTextIsSearched(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"":                        0,
		"one\ntwo\n":              0,
		"one\n" + secrettest.Mark: 1,
		strings.Repeat(secrettest.Mark+"\n", 1000):          1,
		strings.Repeat("x", 1<<20) + secrettest.Mark + "\n": 1,
	} {
		r := &recorder{TB: t}
		if secrettest.New(nil).CheckLines(r, "text", strings.NewReader(text)); r.errors != want {
			t.Errorf("%.20q: %d found, want %d", text, r.errors, want)
		}
	}
}

// recorder counts what would fail a test.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.errors++ }
func (r *recorder) Errorf(string, ...any) { r.errors++ }
