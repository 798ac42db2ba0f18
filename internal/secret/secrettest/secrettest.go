// Package secrettest finds secrets in what a program has emitted: its output, its
// answers, its metrics, the files it leaves. It knows how a secret looks after the
// encodings that a program may put it through, and nothing of where it came from.
//
// Secrets that tests make up contain Mark, so that they are found wherever they turn
// up. Those that only come into being while a test runs, such as a token, are added to
// a Watch.
package secrettest

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Mark is in every secret that a test makes up, and in nothing else: not in the name of
// a test, a package or a file, since those stand in stack traces and paths.
const Mark = "canary"

// tail is how many of the last characters of a long secret are looked for alone: who cuts
// a secret short to show its end shows too much. Chunks of a token are as long.
const tail = 16

// token is a JWT, whosever it is: three segments, the first of which is the base64 of an
// object's beginning.
var token = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*`)

// Watch looks for secrets. It may be used by several goroutines.
type Watch struct {
	mu    sync.Mutex
	forms map[string]string // how a secret may look: what it is
}

// New returns a Watch for Mark, for whatever has the form of a JWT, and for secrets, by
// what they are called.
func New(secrets map[string]string) *Watch {
	w := &Watch{forms: map[string]string{}}
	w.piece("a marked secret", Mark)
	for name, value := range secrets {
		w.Add(name, value)
	}
	return w
}

// Add looks for value from now on, and for its last 16 characters alone where it is 32
// or longer. An empty value is none.
func (w *Watch) Add(name, value string) {
	w.piece(name, value)
	if len(value) >= 2*tail {
		w.piece("the end of "+name, value[len(value)-tail:])
	}
}

// AddToken looks for the secret parts of a JWT: whoever has claims or signature, or an
// aligned piece of the latter, has more than the issuer's name. What is no JWT is added
// as it is.
func (w *Watch) AddToken(name, token string) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		w.Add(name, token)
		return
	}
	w.Add("the claims of "+name, segments[1])
	w.Add("the signature of "+name, segments[2])
	for chunk := range slices.Chunk([]byte(segments[2]), tail) {
		if len(chunk) == tail {
			w.piece("a part of "+name, string(chunk))
		}
	}
}

// piece adds one string in all forms.
func (w *Watch) piece(name, value string) {
	if value == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range forms(value) {
		if _, known := w.forms[f.text]; !known {
			w.forms[f.text] = name + f.called
		}
	}
}

// form is a way in which a value may be written.
type form struct{ called, text string }

func forms(value string) []form {
	quoted, _ := json.Marshal(value) // a string always can be
	decimal, _ := json.Marshal(bytesOf(value))
	list := strings.Trim(string(decimal), "[]")
	hexadecimal := hex.EncodeToString([]byte(value))
	all := []form{
		{"", value},
		{" in JSON", strings.Trim(string(quoted), `"`)},
		{" in a query", url.QueryEscape(value)},
		{" in a path", url.PathEscape(value)},
		{" in hexadecimal", hexadecimal},
		{" in upper hexadecimal", strings.ToUpper(hexadecimal)},
		{" as a list of bytes", list},
		{" as a list of bytes", strings.ReplaceAll(list, ",", " ")},
	}
	for shift := range 3 {
		all = append(all,
			form{" in base64", within(base64.RawStdEncoding, value, shift)},
			form{" in base64", within(base64.RawURLEncoding, value, shift)})
	}
	return all
}

func bytesOf(value string) []int {
	all := make([]int, 0, len(value))
	for _, b := range []byte(value) {
		all = append(all, int(b))
	}
	return all
}

// within is what stands for value in the base64 of a longer text in which it begins at a
// byte that is shift after a multiple of three: the characters that depend on value only.
func within(encoding *base64.Encoding, value string, shift int) string {
	text := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + value))
	// Six bits a character: those that share a byte with what stands before or after go.
	first := (8*shift + 5) / 6
	last := 8 * (shift + len(value)) / 6
	return text[first:last]
}

// Find returns what of the watched stands in text, sorted; never the secret itself.
func (w *Watch) Find(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{}
	if token.MatchString(text) {
		found["what looks like a JWT"] = true
	}
	for form, name := range w.forms {
		if strings.Contains(text, form) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Check fails the test for every secret in text; where says what the text is.
func (w *Watch) Check(t testing.TB, where, text string) {
	t.Helper()
	for _, name := range w.Find(text) {
		t.Errorf("%s shows %s", where, name)
	}
}

// CheckLines is Check for a long text, which it reads line by line until one has a secret.
func (w *Watch) CheckLines(t testing.TB, where string, text io.Reader) {
	t.Helper()
	lines := bufio.NewReader(text)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		for _, name := range w.Find(line) {
			t.Errorf("%s, line %d, shows %s", where, n, name)
			err = io.EOF
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Error(err)
			return
		}
	}
}

// CheckFiles fails the test for every secret in a file below folder, in its name or its
// content, except in the files that may have them, named from folder on.
func (w *Watch) CheckFiles(t testing.TB, folder string, except ...string) {
	t.Helper()
	files := os.DirFS(folder)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || slices.Contains(except, name) {
			return err
		}
		text, err := fs.ReadFile(files, name)
		w.Check(t, name, name+"\n"+string(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
