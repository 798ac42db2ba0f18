package handlers

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"till"
)

// What development serves without being an operation of the contract.
var devPages = []string{"GET /", "GET /demo/*", "GET /.well-known/*"}

func registered(dev *Dev) []string {
	e := echo.New()
	(&server{o: Options{Dev: dev}}).routes(e)
	var routes []string
	for _, r := range e.Routes() {
		if r.Method == http.MethodHead {
			continue // wherever there is GET; the contract says so once for all
		}
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		routes = append(routes, r.Method+" "+path)
	}
	slices.Sort(routes)
	return routes
}

func TestContractHasEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(till.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	want, wantWithoutDev := slices.Clone(devPages), []string(nil)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			want = append(want, method+" "+path)
			if !slices.Contains(op.Tags, "Development") {
				wantWithoutDev = append(wantWithoutDev, method+" "+path)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(wantWithoutDev)
	nothing := http.NotFoundHandler()
	if diff := cmp.Diff(want, registered(&Dev{WellKnown: nothing, Demo: nothing})); diff != "" {
		t.Errorf("with --dev (-openapi.yaml +routes):\n%s", diff)
	}
	if diff := cmp.Diff(wantWithoutDev, registered(nil)); diff != "" {
		t.Errorf("without --dev (-openapi.yaml +routes):\n%s", diff)
	}
}

func TestARouteThatTheAuditCannotNameIsRefused(t *testing.T) {
	t.Parallel()
	e := echo.New()
	(&server{}).routes(e)
	if err := checkActions(e.Routes()); err != nil {
		t.Error(err)
	}
	get(e, "/harmless", nil)
	if err := checkActions(e.Routes()); err != nil {
		t.Error(err)
	}
	e.DELETE("/checkout/:id", nil)
	if err := checkActions(e.Routes()); err == nil {
		t.Error("DELETE /checkout/:id has no name and is taken")
	}
}
