package handlers

import (
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"till/internal/problem"
)

var writtenByte = regexp.MustCompile(`\\x[0-9a-f]{2}`)

// TestWhatIsJSON reads every line of testdata/json.txt: the decoder agrees with its class,
// and so does another reader, as far as it is as strict.
func TestWhatIsJSON(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/json.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		class, body, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " | ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		body = writtenByte.ReplaceAllStringFunc(body, func(e string) string {
			n, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(n)})
		})
		if member, ok := strings.CutPrefix(body, "="); ok {
			body = `{"a":` + member + `}`
		}
		count[class]++
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var into any
		err := decode(r, required, &into)
		if (err == nil) != (class == "y") || err != nil && asProblem(err).Code != problem.MalformedRequest {
			t.Errorf("%s %q: %v", class, body, err)
		}
		if class != "i" && utf8.ValidString(body) && stdjson.Valid([]byte(body)) != (class == "y") {
			t.Errorf("%s %q is in the wrong class", class, body)
		}
	}
	if count["y"] < 20 || count["n"] < 90 || count["i"] < 9 {
		t.Errorf("only %v", count)
	}
	t.Logf("%v", count)
}
