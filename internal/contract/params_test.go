//go:build contract

package contract_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

var update = flag.Bool("update", false, "write internal/catalog/params.txt")

const paramsFile = "../catalog/params.txt"

// TestTheCatalogueHasStripesParameters keeps the catalogue's file to the specifications
// of both versions; -update writes it (`make params`).
func TestTheCatalogueHasStripesParameters(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(paramsFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(have), "\ncheckout.sessions.create\n")
	want := head + "\n" + paramsText(t)
	if *update {
		if err := os.WriteFile(paramsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(have) {
		t.Error("internal/catalog/params.txt differs from Stripe's specifications: run `make params`")
	}
}

func paramsText(t *testing.T) string {
	t.Helper()
	old, now := builds()[0].spec(t), builds()[1].spec(t)
	var b strings.Builder
	for _, op := range []struct{ name, path string }{
		{"checkout.sessions.create", "/v1/checkout/sessions"}, {"billing_portal.sessions.create", "/v1/billing_portal/sessions"},
	} {
		b.WriteString(op.name + "\n")
		w := &paramsWriter{b: &b, indent: "  ", path: ""}
		w.members(old.takes(t, op.path), now.takes(t, op.path))
	}
	return b.String()
}

// takes is the schema of what a POST takes.
func (s *spec) takes(t *testing.T, path string) *openapi3.Schema {
	t.Helper()
	_, op := s.operation(http.MethodPost, path)
	if op == nil || len(bodySchema(op).Properties) == 0 {
		t.Fatalf("the specification has no parameters for %s", path)
	}
	return bodySchema(op)
}

// grown are parameters that stripe-go v76.25.0 has, which speaks 2023-10-16: Stripe has
// added them to that version after v0.180.0 was made.
var grown = []string{
	"automatic_tax.liability", "invoice_creation.invoice_data.issuer", "subscription_data.invoice_settings",
	"payment_method_options.swish", "payment_method_options.card.request_three_d_secure",
}

// paramsWriter writes two versions of one schema as one text; either may be nil.
type paramsWriter struct {
	b            *strings.Builder
	indent, path string
}

func (w *paramsWriter) members(old, now *openapi3.Schema) {
	names := map[string]bool{}
	for _, s := range []*openapi3.Schema{old, now} {
		if s != nil {
			for name := range s.Properties {
				names[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := member(old, name), member(now, name)
		mark := ""
		switch {
		case old != nil && was == nil && !slices.Contains(grown, w.path+name):
			mark = "+"
		case now != nil && is == nil:
			mark = "-"
		}
		if needs(old, name) && (now == nil || is == nil) || needs(now, name) {
			mark += "*"
		}
		w.member(name, mark, was, is)
	}
}

func member(s *openapi3.Schema, name string) *openapi3.Schema {
	if s == nil || s.Properties[name] == nil {
		return nil
	}
	return s.Properties[name].Value
}

func needs(s *openapi3.Schema, name string) bool {
	return s != nil && slices.Contains(s.Required, name)
}

func (w *paramsWriter) member(name, mark string, old, now *openapi3.Schema) {
	text, inner := "", [2]*openapi3.Schema{}
	old, oldClears := settled(old)
	now, nowClears := settled(now)
	for _, s := range []struct {
		of  func(*openapi3.Schema) *openapi3.Schema
		say string
	}{{itemsOf, "list of "}, {valuesOf, "map of "}} {
		if s.of(old) != nil || s.of(now) != nil {
			text += s.say
			old, _ = settled(s.of(old))
			now, _ = settled(s.of(now))
		}
	}
	one := typeOf(old, now)
	if one == "object" {
		inner = [2]*openapi3.Schema{old, now}
	}
	text = strings.Replace(text+one, "map of str", "map", 1)
	if oldClears || nowClears {
		text += ` or ""`
	}
	fmt.Fprintf(w.b, "%s%s%s: %s\n", w.indent, name, mark, text)
	deeper := &paramsWriter{b: w.b, indent: w.indent + "  ", path: w.path + name + "."}
	deeper.members(inner[0], inner[1])
}

// settled leaves the alternative "" out of a schema, and says whether there was one.
func settled(s *openapi3.Schema) (*openapi3.Schema, bool) {
	if s == nil {
		return nil, false
	}
	clears := false
	for _, one := range s.AnyOf {
		if isEmptyText(one.Value) {
			clears = true
			continue
		}
		s = one.Value
	}
	return s, clears || slices.Contains(s.Enum, any(""))
}

func isEmptyText(s *openapi3.Schema) bool { return len(s.Enum) == 1 && s.Enum[0] == "" }

func itemsOf(s *openapi3.Schema) *openapi3.Schema {
	if s == nil || s.Items == nil {
		return nil
	}
	return s.Items.Value
}

func valuesOf(s *openapi3.Schema) *openapi3.Schema {
	if s == nil || s.AdditionalProperties.Schema == nil {
		return nil
	}
	return s.AdditionalProperties.Schema.Value
}

// typeOf names what one value is, from the newer version where both have it.
func typeOf(old, now *openapi3.Schema) string {
	s := now
	if s == nil {
		s = old
	}
	switch {
	case s == nil:
		return "str"
	case len(s.Enum) > 0:
		return choices(old, now)
	case s.Format == "unix-time":
		return "time"
	case s.Format == "currency" || s.Format == "decimal":
		return s.Format
	case s.Type.Is(openapi3.TypeBoolean):
		return "bool"
	case s.Type.Is(openapi3.TypeInteger):
		return "int"
	case s.Type.Is(openapi3.TypeNumber):
		return "num"
	case s.Type.Is(openapi3.TypeObject):
		return "object"
	}
	return "str" + lengths(old, now)
}

// unbounded is what the documents say of any text.
const unbounded = 5000

// lengths is the limit, and in parentheses that of the older version if it differs.
func lengths(old, now *openapi3.Schema) string {
	limit := func(s *openapi3.Schema) uint64 {
		if s == nil || s.MaxLength == nil || *s.MaxLength >= unbounded {
			return 0
		}
		return *s.MaxLength
	}
	was, is := limit(old), limit(now)
	switch {
	case is == 0 && (now != nil || was == 0):
		return ""
	case now == nil:
		return fmt.Sprintf("<=%d", was)
	case old == nil || was == is || was == 0:
		return fmt.Sprintf("<=%d", is)
	default:
		return fmt.Sprintf("<=%d(%d)", is, was)
	}
}

func choices(old, now *openapi3.Schema) string {
	marks := map[string]string{}
	for _, v := range enum(now) {
		marks[v] = "+"
		if old == nil {
			marks[v] = ""
		}
	}
	for _, v := range enum(old) {
		_, still := marks[v]
		marks[v] = ""
		if !still && now != nil {
			marks[v] = "-"
		}
	}
	var b strings.Builder
	b.WriteString("one of")
	for _, v := range slices.Sorted(maps.Keys(marks)) {
		b.WriteString(" " + v + marks[v])
	}
	return b.String()
}

func enum(s *openapi3.Schema) []string {
	var out []string
	if s == nil {
		return nil
	}
	for _, v := range s.Enum {
		if text, ok := v.(string); ok && text != "" {
			out = append(out, text)
		}
	}
	return out
}
