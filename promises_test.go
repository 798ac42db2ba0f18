package till_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proof is what the documents of promises name: a test or a row of a data file, or a whole
// file.
var proof = regexp.MustCompile("`([\\w./-]+/[\\w.-]+\\.(?:go|txt|yaml|yml|mjs|sh|md|json)|[\\w-]+_test\\.go)(?::([\\w-]+))?`")

// TestPromisesNameTestsThatExist: a promise whose test was renamed or removed is one that
// nothing holds.
func TestPromisesNameTestsThatExist(t *testing.T) {
	t.Parallel()
	for document, least := range map[string]int{"SECURITY.md": 60, "docs/asvs.md": 100} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		named := proof.FindAllStringSubmatch(string(text), -1)
		for _, m := range named {
			if what := missing(m[1], m[2]); what != "" {
				t.Errorf("%s names %s, and %s", document, strings.Trim(m[0], "`"), what)
			}
		}
		if len(named) < least {
			t.Errorf("%s names %d tests, fewer than %d: is it read?", document, len(named), least)
		}
	}
	for _, m := range [][2]string{
		{"promises_test.go", "TestNobodyWroteThis"},
		{"promises_test.go", "TestPromisesName"},
		{"nowhere_test.go", ""},
		{"internal/auth/testdata/tokens.txt", "A2"},
	} {
		if missing(m[0], m[1]) == "" {
			t.Errorf("%v is taken for present", m)
		}
	}
}

// missing says why there is no such test, row or file; "" when there is.
func missing(file, name string) string {
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		return "there is no such file"
	}
	// Rows of a class begin with its id: A29-rsa is of A29.
	begins := `(?m)^` + regexp.QuoteMeta(name) + `[ -]`
	if strings.HasSuffix(file, ".go") {
		begins = `(?m)^func (?:\([^)]*\) )?` + regexp.QuoteMeta(name) + `\(`
	}
	if name != "" && !regexp.MustCompile(begins).Match(text) {
		return "it is not in that file"
	}
	return ""
}
