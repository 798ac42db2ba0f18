package till_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"till"
	"till/internal/catalog"
	"till/internal/problem"
)

// contract returns openapi.yaml, which must be valid.
func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(till.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestContractListsAreTheCodes(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, code := range problem.Codes() {
		codes = append(codes, string(code))
	}
	schemas := contract(t).Components.Schemas
	for name, test := range map[string]struct {
		schema *openapi3.SchemaRef
		want   []string
	}{
		"codes":            {schemas["Problem"].Value.Properties["code"], codes},
		"checkout locales": {schemas["CheckoutLocale"], catalog.CheckoutLocales()},
		"portal locales":   {schemas["PortalLocale"], catalog.PortalLocales()},
	} {
		var got []string
		for _, value := range test.schema.Value.Enum {
			got = append(got, fmt.Sprint(value))
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A field that a plan can accept is a member of the request, and the other way round.
func TestContractCheckoutRequestHasTheFieldsOfPlans(t *testing.T) {
	t.Parallel()
	want := []string{"plan"}
	for _, field := range catalog.Fields() {
		want = append(want, string(field))
	}
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(contract(t).Components.Schemas["CheckoutRequest"].Value.Properties))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// body is the content of a request or a response, with where it stands.
type body struct {
	where   string
	status  int // 0 for a request
	content openapi3.Content
	headers openapi3.Headers
}

// bodies returns every one of doc, references followed.
func bodies(t *testing.T, doc *openapi3.T) []body {
	t.Helper()
	var all []body
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			where := method + " " + path
			if op.RequestBody != nil {
				all = append(all, body{where: where, content: op.RequestBody.Value.Content})
			}
			for key, response := range op.Responses.Map() {
				status, err := strconv.Atoi(key)
				if err != nil {
					t.Errorf("%s: response %q is not a status", where, key)
				}
				all = append(all, body{where + " " + key, status, response.Value.Content, response.Value.Headers})
			}
		}
	}
	return all
}

func TestContractExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, b := range bodies(t, contract(t)) {
		if len(b.content) == 0 && b.status != http.StatusSeeOther {
			t.Errorf("%s: no content", b.where)
		}
		for _, media := range b.content {
			if len(media.Examples) == 0 {
				t.Errorf("%s: no example", b.where)
			}
			for name, example := range media.Examples {
				if err := media.Schema.Value.VisitJSON(example.Value.Value); err != nil {
					t.Errorf("%s, example %s: %v", b.where, name, err)
				}
			}
		}
	}
}

func TestContractErrorsAreOurProblems(t *testing.T) {
	t.Parallel()
	for _, b := range bodies(t, contract(t)) {
		if b.status < http.StatusBadRequest {
			continue
		}
		page, hasPage := b.content["text/html"]
		if hasPage && page.Schema.Ref != "#/components/schemas/ProblemPage" {
			t.Errorf("%s: a page without the schema ProblemPage", b.where)
		}
		if strings.HasPrefix(b.where, "GET /return/") && hasPage && len(b.content) == 1 {
			continue // only people come here
		}
		media, hasJSON := b.content["application/problem+json"]
		if !hasJSON || len(b.content) > 2 || len(b.content) == 2 && !hasPage || media.Schema.Ref != "#/components/schemas/Problem" {
			t.Errorf("%s: not application/problem+json with the schema Problem", b.where)
			continue
		}
		for name, example := range media.Examples {
			got, ok := example.Value.Value.(map[string]any)
			if !ok {
				t.Errorf("%s, example %s: not an object", b.where, name)
				continue
			}
			code := problem.Code(fmt.Sprint(got["code"]))
			want := fmt.Sprint("urn:till:problem:", code, " ", code.Title(), " ", b.status, " ", code.Status())
			if text := fmt.Sprint(got["type"], " ", got["title"], " ", got["status"], " ", b.status); text != want {
				t.Errorf("%s, example %s: got %s, want %s", b.where, name, text, want)
			}
		}
	}
}

func TestContractAnswersNameTheirHeaders(t *testing.T) {
	t.Parallel()
	also := map[int]string{
		http.StatusUnauthorized:       "WWW-Authenticate",
		http.StatusTooManyRequests:    "Retry-After",
		http.StatusServiceUnavailable: "Retry-After",
	}
	for _, b := range bodies(t, contract(t)) {
		if b.status == 0 {
			continue
		}
		want := []string{"X-Request-Id", "Cache-Control"}
		if name, ok := also[b.status]; ok {
			want = append(want, name)
		}
		for _, name := range want {
			if h, ok := b.headers[name]; !ok || !h.Value.Required {
				t.Errorf("%s: no required header %s", b.where, name)
			}
		}
	}
}
