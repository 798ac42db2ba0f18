//go:build contract

package contract_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

// TestTheCatalogueRefusesWhatStripeWould spoils a template at every value of the
// specification, at any depth and in every way that the specification rules out, and
// wants that found where it stands. No value of an enumeration may be refused.
func TestTheCatalogueRefusesWhatStripeWould(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			s := &spoiler{t: t, rules: catalog.Rules{Version: b.version}, ways: map[string]int{}}
			s.check = func(p object) []catalog.Finding { return catalog.Plan{Params: p}.Check(s.rules) }
			s.all(b.spec(t).takes(t, "/v1/checkout/sessions"))
			s.check = func(p object) []catalog.Finding { return catalog.Portal{Params: p}.Check(s.rules) }
			s.all(b.spec(t).takes(t, "/v1/billing_portal/sessions"))
			for _, way := range []string{"unknown", "no single value", "no list", "type", "value", "values taken", "length", "required"} {
				if s.ways[way] == 0 {
					t.Errorf("nothing was spoiled by: %s", way)
				}
			}
			t.Logf("spoiled: %v", s.ways)
		})
	}
}

// ours are refused as a whole, whatever they hold.
var ours = []string{
	"client_reference_id", "customer", "customer_account", "customer_creation", "customer_email", "expand", "expires_at", "flow_data",
	"mode", "price", "price_data", "quantity",
}

type spoiler struct {
	t     *testing.T
	rules catalog.Rules
	check func(object) []catalog.Finding
	ways  map[string]int
}

func (s *spoiler) all(takes *openapi3.Schema) {
	for _, l := range leaves(takes, leaf{}) {
		top := l.path[0]
		if top == "line_items" {
			top = l.path[2]
		}
		if slices.Contains(ours, top) || l.path[len(l.path)-1] == "pay_by_bank" {
			continue
		}
		s.one(l)
	}
}

func (s *spoiler) one(l leaf) {
	last := len(l.path) - 1
	s.found("no single value", l, l.path, object{"a": "b"}, l.path)
	switch {
	case len(enum(l.schema)) > 0 && l.form() != "ui_mode":
		s.found("value", l, l.path, "zz", l.path)
		for _, v := range enum(l.schema) {
			s.taken(l, v)
		}
	case l.schema.Type.Is(openapi3.TypeString) && l.schema.MaxLength != nil && *l.schema.MaxLength < unbounded:
		s.found("length", l, l.path, strings.Repeat("é", int(*l.schema.MaxLength)+1), l.path)
	case !l.schema.Type.Is(openapi3.TypeString) && !l.schema.Type.Is(openapi3.TypeObject):
		s.found("type", l, l.path, "soon", l.path)
	}
	switch {
	case l.path[last] == "[]":
		s.found("no list", l, l.path[:last], "x", l.path[:last])
	case len(l.parent[last].Properties) > 0:
		stranger := append(slices.Clone(l.path[:last]), "zz_stranger")
		s.found("unknown", l, stranger, "x", stranger)
		if last == 0 {
			return // what is required at the top is ours
		}
		for _, name := range l.parent[last].Required {
			lost := append(slices.Clone(l.path[:last]), name)
			s.found("required", l, lost, nil, lost)
		}
	}
}

// found sets what stands at path in a template with the value of l, nil removes it, and
// wants a finding at want.
func (s *spoiler) found(way string, l leaf, path []string, value any, want []string) {
	s.t.Helper()
	s.ways[way]++
	at := place(want)
	all := s.findings(l, path, value)
	if !slices.ContainsFunc(all, func(f catalog.Finding) bool { return f.Path == at }) {
		s.t.Errorf("%s at %s is not found: %v", way, at, all)
	}
}

func (s *spoiler) taken(l leaf, value string) {
	s.t.Helper()
	s.ways["values taken"]++
	for _, f := range s.findings(l, l.path, value) {
		if f.Path == place(l.path) && strings.Contains(f.Text, "none of its values") {
			s.t.Errorf("%s does not take %s: %s", l, value, f.Text)
		}
	}
}

func (s *spoiler) findings(l leaf, path []string, value any) []catalog.Finding {
	params := object{l.path[0]: l.nested()}
	put(params, path, value)
	if l.path[0] != "line_items" {
		return s.check(params)
	}
	entry := within(params, []string{"line_items", "[]"})
	return catalog.Plan{Mode: "payment", LineItems: []catalog.LineItem{{Params: entry}}}.Check(s.rules)
}

// put sets what stands at path; nil removes it.
func put(params object, path []string, value any) {
	last := len(path) - 1
	if path[last] == "[]" {
		put(params, path[:last], []any{value})
		return
	}
	m := within(params, path[:last])
	if value == nil {
		delete(m, path[last])
		return
	}
	m[path[last]] = value
}

// place is a path as findings have it.
func place(path []string) string {
	at := strings.ReplaceAll(strings.Join(path, "."), "[]", "0")
	if path[0] == "line_items" {
		return at
	}
	return "params." + at
}

// TestTheLocales holds both lists against the specification: no locale is taken that
// Stripe would refuse, or refused that Stripe would take.
func TestTheLocales(t *testing.T) {
	t.Parallel()
	for _, b := range builds() {
		for path, have := range map[string][]string{
			"/v1/checkout/sessions": catalog.CheckoutLocales(), "/v1/billing_portal/sessions": catalog.PortalLocales(),
		} {
			want := enum(b.spec(t).takes(t, path).Properties["locale"].Value)
			if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(have))); diff != "" {
				t.Errorf("%s of %s (-Stripe +Till):\n%s", path, b.version, diff)
			}
		}
	}
}
