//go:build contract

package contract_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// spec is one of Stripe's OpenAPI documents.
type spec struct{ doc *openapi3.T }

// The documents have megabytes, so each is read once.
var loaded = struct {
	mu    sync.Mutex
	specs map[string]*spec
}{specs: map[string]*spec{}}

func (b build) spec(t *testing.T) *spec {
	t.Helper()
	file := fromEnv(t, b.specEnv)
	loaded.mu.Lock()
	defer loaded.mu.Unlock()
	if s := loaded.specs[file]; s != nil {
		return s
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatalf("%s: %v", b.specEnv, err)
	}
	if doc.Info.Version != b.version {
		t.Fatalf("%s is the specification of %s, want %s: run `make contract`.", b.specEnv, doc.Info.Version, b.version)
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			closed(bodySchema(op))
			for _, p := range op.Parameters {
				closed(p.Value.Schema.Value)
			}
		}
	}
	s := &spec{doc}
	loaded.specs[file] = s
	return s
}

// operation finds the operation of a request; nil if the version has none. A path can
// fit several templates (/v1/prices/search): the one with the most fixed parts wins.
func (s *spec) operation(method, path string) (template string, op *openapi3.Operation) {
	best := -1
	for candidate, item := range s.doc.Paths.Map() {
		fixed, fits := matches(candidate, path)
		if fits && fixed > best && item.GetOperation(method) != nil {
			best, template, op = fixed, candidate, item.GetOperation(method)
		}
	}
	return template, op
}

func matches(template, path string) (fixed int, fits bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i := range want {
		switch {
		case want[i] == got[i]:
			fixed++
		case !strings.HasPrefix(want[i], "{") || got[i] == "":
			return 0, false
		}
	}
	return fixed, true
}

// response is the schema of an answer without an error; nil if there is none.
func response(op *openapi3.Operation, status int) *openapi3.Schema {
	r := op.Responses.Value(strconv.Itoa(status))
	if r == nil {
		return nil
	}
	if media := r.Value.Content.Get("application/json"); media != nil && media.Schema != nil {
		return media.Schema.Value
	}
	return nil
}

// visit judges a value. Nothing needs to be switched off for Stripe's documents: formats
// (unix-time, decimal, currency) are Stripe's own and therefore not looked at, `nullable`
// is OpenAPI 3.0's, and every pattern (of the url of a list) compiles in Go.
func visit(schema *openapi3.Schema, value any, more ...openapi3.SchemaValidationOption) error {
	return schema.VisitJSON(value, append(more, openapi3.MultiErrors())...)
}

// findings turns an error of visit into one line for each place.
func findings(err error) []string {
	var out []string
	switch e := err.(type) { //nolint:errorlint // kin-openapi returns these very types, and Unwrap would lose the place
	case nil:
	case openapi3.MultiError:
		for _, one := range e {
			out = append(out, findings(one)...)
		}
	case *openapi3.SchemaError:
		out = append(out, fmt.Sprintf("/%s: %s%s", strings.Join(e.JSONPointer(), "/"), reason(e), shown(e.Value)))
	default:
		out = append(out, err.Error())
	}
	return out
}

// reason names the rule. That none of several schemas fits says little, so what each
// of them finds follows.
func reason(e *openapi3.SchemaError) string {
	text := e.Reason
	if text == "" {
		text = "breaks " + e.SchemaField
	}
	inner, ok := e.Origin.(openapi3.MultiError) //nolint:errorlint // as above
	if !ok {
		return text
	}
	var each []string
	for _, one := range inner {
		each = append(each, strings.Join(findings(one), ", "))
	}
	return text + " (" + strings.Join(each, " | ") + ")"
}

const maxShown = 120

func shown(value any) string {
	text := fmt.Sprintf("%v", value)
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return ", got " + text
}
