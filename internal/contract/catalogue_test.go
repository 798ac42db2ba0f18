//go:build contract

package contract_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

// TestTheCatalogueKnowsStripe holds the catalogue's own tables against the specification:
// a template may use every parameter that Stripe has, in the shape that Stripe wants, and
// no locale is taken that Stripe would refuse, or refused that Stripe would take.
func TestTheCatalogueKnowsStripe(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			checkout := b.spec(t).parameters(t, "/v1/checkout/sessions")
			portal := b.spec(t).parameters(t, "/v1/billing_portal/sessions")
			knows(t, checkout, func(p catalog.Params) []catalog.Finding {
				return catalog.Plan{Params: p}.Check(catalog.Rules{Version: b.version})
			})
			knows(t, portal, func(p catalog.Params) []catalog.Finding {
				return catalog.Portal{Params: p}.Check(catalog.Rules{Version: b.version})
			})
			for name, locales := range map[string][2][]string{
				"Checkout": {locales(checkout), catalog.CheckoutLocales()},
				"portal":   {locales(portal), catalog.PortalLocales()},
			} {
				if diff := cmp.Diff(locales[0], slices.Sorted(slices.Values(locales[1]))); diff != "" {
					t.Errorf("locales of the %s (-Stripe +Till):\n%s", name, diff)
				}
			}
		})
	}
}

func (s *spec) parameters(t *testing.T, path string) openapi3.Schemas {
	t.Helper()
	_, op := s.operation(http.MethodPost, path)
	if op == nil || len(bodySchema(op).Properties) == 0 {
		t.Fatalf("the specification has no parameters for %s", path)
	}
	return bodySchema(op).Properties
}

// knows wants check to take every parameter, and to know that there is no other.
func knows(t *testing.T, params openapi3.Schemas, check func(catalog.Params) []catalog.Finding) {
	t.Helper()
	samples := catalog.Params{}
	for name, p := range params {
		samples[name] = sample(p.Value)
	}
	for _, f := range shapes(check(samples)) {
		t.Error(f)
	}
	if len(shapes(check(catalog.Params{"no_such_parameter": "x"}))) == 0 {
		t.Error("a parameter that Stripe does not have is not found")
	}
	for name := range samples {
		samples[name] = map[string]any{}
		if _, ok := sample(params[name].Value).(map[string]any); ok {
			samples[name] = "x"
		}
	}
	if got := len(shapes(check(samples))); got == 0 {
		t.Error("no wrong shape is found")
	}
}

// sample has the shape that a parameter wants; one that can also be unset with "" wants
// the other.
func sample(schema *openapi3.Schema) any {
	if len(schema.AnyOf) > 0 {
		schema = schema.AnyOf[0].Value
	}
	switch {
	case schema.Type.Is(openapi3.TypeArray):
		return []any{}
	case schema.Type.Is(openapi3.TypeObject):
		return map[string]any{}
	default:
		return "x"
	}
}

// shapes are the findings about names and shapes; what a value means is not asked here.
func shapes(all []catalog.Finding) []string {
	var out []string
	for _, f := range all {
		if strings.Contains(f.Text, "no such parameter") || strings.HasPrefix(f.Text, "must be a ") {
			out = append(out, fmt.Sprintf("%s %s", f.Path, f.Text))
		}
	}
	return out
}

func locales(params openapi3.Schemas) []string {
	var out []string
	for _, l := range params["locale"].Value.Enum {
		if text, ok := l.(string); ok {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}
