package till_test

import (
	"cmp"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors are the versions below which a module has a known hole that matters here.
var floors = map[string]string{
	"go":                                  "1.26.6",  // net/http: GO-2026-6089, GO-2026-6218
	"github.com/labstack/echo/v4":         "4.16.0",  // GHSA-2ffq-g2xg-c22p, GHSA-r7w9-592q-9vg4, GHSA-v753-g4cw-jm48
	"github.com/golang-jwt/jwt/v5":        "5.2.2",   // CVE-2025-30204
	"github.com/go-jose/go-jose/v4":       "4.1.4",   // CVE-2026-34986
	"github.com/jackc/pgx/v5":             "5.9.2",   // CVE-2026-41889, CVE-2026-33815, CVE-2026-33816
	"golang.org/x/net":                    "0.55.0",  // HTML and HTTP/2
	"github.com/prometheus/client_golang": "1.11.1",  // CVE-2022-21698
	"github.com/stripe/stripe-go/v76":     "76.25.0", // the last of its line
}

var requirement = regexp.MustCompile(`(?m)^(?:\t|require |)(go|[a-z0-9.-]+\.[a-z]+/\S+) v?(\d+\.\d+\.\d+\S*)( // indirect)?$`)

// modules reads go.mod: the version of each module, and whether our code imports it.
func modules(t *testing.T) (versions map[string]string, direct []string) {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	versions = map[string]string{}
	for _, m := range requirement.FindAllStringSubmatch(string(text), -1) {
		versions[m[1]] = m[2]
		if m[3] == "" && m[1] != "go" {
			direct = append(direct, m[1])
		}
	}
	if len(direct) < 5 {
		t.Fatalf("go.mod was not read: %v", versions)
	}
	return versions, direct
}

func TestNoDependencyIsBelowItsFloor(t *testing.T) {
	t.Parallel()
	versions, _ := modules(t)
	for module, floor := range floors {
		if have, used := versions[module]; used && below(have, floor) {
			t.Errorf("%s is %s, and below %s it has a known hole", module, have, floor)
		}
	}
	for _, pair := range [][2]string{{"1.26.5", "1.26.6"}, {"1.9.0", "1.10.0"}, {"4.15.9", "4.16.0"}} {
		if !below(pair[0], pair[1]) || below(pair[1], pair[0]) || below(pair[0], pair[0]) {
			t.Errorf("%v are in the wrong order", pair)
		}
	}
}

// below compares versions by their three numbers.
func below(a, b string) bool {
	return slices.CompareFunc(strings.SplitN(a, ".", 3), strings.SplitN(b, ".", 3), func(x, y string) int {
		n, _ := strconv.Atoi(x)
		m, _ := strconv.Atoi(y)
		return cmp.Compare(n, m)
	}) < 0
}

// TestEveryDependencyIsExplained: docs/dependencies.md has a word on each.
func TestEveryDependencyIsExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, direct := modules(t)
	for _, module := range direct {
		if !explained(string(text), module) {
			t.Errorf("docs/dependencies.md does not say what %s is for", module)
		}
	}
	if explained(string(text), "example.com/none") {
		t.Error("everything counts as explained")
	}
}

// explained reports whether text has the module's path, or the end of it, as a name.
func explained(text, module string) bool {
	for path := module; ; {
		if strings.Contains(text, "`"+path+"`") {
			return true
		}
		_, rest, more := strings.Cut(path, "/")
		if !more {
			return false
		}
		path = rest
	}
}
