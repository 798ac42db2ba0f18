package idempotency_test

import (
	"errors"
	"strings"
	"testing"

	"till/internal/idempotency"
	"till/internal/problem"
)

func TestKeysAreReadFromTheHeader(t *testing.T) {
	t.Parallel()
	const uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324"
	for name, tc := range map[string]struct {
		lines []string
		want  idempotency.Key // "" is refused
	}{
		"bare":                          {[]string{uuid}, uuid},
		"as a string":                   {[]string{`"` + uuid + `"`}, uuid},
		"one character":                 {[]string{"k"}, "k"},
		"the longest":                   {[]string{strings.Repeat("k", 255)}, idempotency.Key(strings.Repeat("k", 255))},
		"the longest as a string":       {[]string{`"` + strings.Repeat("k", 255) + `"`}, idempotency.Key(strings.Repeat("k", 255))},
		"the longest of escapes":        {[]string{`"` + strings.Repeat(`\"`, 255) + `"`}, idempotency.Key(strings.Repeat(`"`, 255))},
		"every visible character":       {[]string{"!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"}, "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"},
		"statements":                    {[]string{"';DROP/**/TABLE/**/idempotency_keys;--"}, "';DROP/**/TABLE/**/idempotency_keys;--"},
		"quotes inside":                 {[]string{`a"b"`}, `a"b"`},
		"a backslash":                   {[]string{`a\b`}, `a\b`},
		"escapes":                       {[]string{`"a\"b\\c"`}, `a"b\c`},
		"upper case is another":         {[]string{"K"}, "K"},
		"no longer":                     {[]string{strings.Repeat("k", 256)}, ""},
		"no longer as a string":         {[]string{`"` + strings.Repeat("k", 256) + `"`}, ""},
		"empty":                         {[]string{""}, ""},
		"an empty string":               {[]string{`""`}, ""},
		"two lines":                     {[]string{"k", "k"}, ""},
		"an empty second line":          {[]string{"k", ""}, ""},
		"two lines that a proxy joined": {[]string{"k, k"}, ""},
		"a space":                       {[]string{"a b"}, ""},
		"a space in a string":           {[]string{`"a b"`}, ""},
		"a tab":                         {[]string{"a\tb"}, ""},
		"a control character":           {[]string{"a\x01"}, ""},
		"NUL":                           {[]string{"a\x00"}, ""},
		"DEL":                           {[]string{"a\x7f"}, ""},
		"a letter beyond ASCII":         {[]string{"zoë"}, ""},
		"bytes that are no text":        {[]string{"\xff\xfe"}, ""},
		"an open string":                {[]string{`"k`}, ""},
		"a quote and nothing":           {[]string{`"`}, ""},
		"more after a string":           {[]string{`"k"x`}, ""},
		"parameters of a string":        {[]string{`"k";v=1`}, ""},
		"two strings":                   {[]string{`"k","l"`}, ""},
		"an escape of nothing":          {[]string{`"k\`}, ""},
		"an escape of the last quote":   {[]string{`"k\"`}, ""},
		"an escape of something else":   {[]string{`"\k"`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := idempotency.ParseKey(tc.lines)
			p, refused := errors.AsType[*problem.Error](err)
			if got != tc.want || refused != (tc.want == "") || refused && p.Code != problem.IdempotencyKeyInvalid {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	if got, err := idempotency.ParseKey(nil); got != "" || err != nil {
		t.Errorf("without the header: got %q, %v", got, err)
	}
}

func TestRowsOfDifferentKeysRoutesAndOwnersDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, id := range map[string]string{
		"plain":         idempotency.Key("k").ID(idempotency.Checkout, "acct", "alice"),
		"another key":   idempotency.Key("l").ID(idempotency.Checkout, "acct", "alice"),
		"another route": idempotency.Key("k").ID(idempotency.Portal, "acct", "alice"),
		"another owner": idempotency.Key("k").ID(idempotency.Checkout, "acct", "bob"),
		"a seam moved":  idempotency.Key("k").ID(idempotency.Checkout, "acctal", "ice"),
		"a seam gone":   idempotency.Key("k").ID(idempotency.Checkout, "acctalice"),
		"a part more":   idempotency.Key("k").ID(idempotency.Checkout, "acct", "alice", ""),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the same row", name, other)
		}
		seen[id] = name
		if strings.Contains(id, "alice") || len(id) != 43 {
			t.Errorf("%s: %q is no hash", name, id)
		}
	}
	if a, b := idempotency.Key("k").ID(idempotency.Checkout, "a"), idempotency.Key("k").ID(idempotency.Checkout, "a"); a != b {
		t.Error("the same key has two rows")
	}
}

// FuzzParseKey: what is accepted is 1 to 255 visible characters, and quoting it gives
// the same key.
func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"", "k", `"k"`, `"a\"b\\c"`, `"k`, `"k"x`, "a b", "zoë", `"\k"`, "\xff", strings.Repeat("k", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := idempotency.ParseKey([]string{line})
		if (err == nil) != (key != "") {
			t.Fatalf("%q: got %q, %v", line, key, err)
		}
		if err != nil {
			return
		}
		if len(key) > 255 || strings.ContainsFunc(string(key), func(r rune) bool { return r < 0x21 || r > 0x7e }) {
			t.Errorf("%q was accepted as %q", line, key)
		}
		if !strings.HasPrefix(line, `"`) && string(key) != line {
			t.Errorf("%q became %q", line, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(key)) + `"`
		if again, err := idempotency.ParseKey([]string{quoted}); again != key || err != nil {
			t.Errorf("%q and %q are different keys: %q, %v", line, quoted, again, err)
		}
	})
}
