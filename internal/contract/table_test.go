//go:build contract

package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"till/internal/catalog"
)

// TestEveryParameterArrives makes one template for each value that Stripe takes, at any
// depth, has the service open a session from it, and wants that value in the request.
// The values come from the specification; skipped says what cannot be sent, and why.
func TestEveryParameterArrives(t *testing.T) {
	t.Parallel()
	program := buildService(t)
	for _, b := range builds() {
		t.Run(b.version, func(t *testing.T) {
			t.Parallel()
			table := newTable(t, b)
			set := setting{build: b, version: b.version, subjects: "plain", templates: table.templates()}
			h := startHouse(t, program, set)
			alice := h.token("alice")
			for _, row := range table.rows {
				h.want(http.StatusCreated, http.MethodPost, row.route, alice, row.body)
			}
			h.judgeEach(set)
			table.judge(h.proxy.exchanges())
			table.report()
		})
	}
}

// skipped are the values that no template can have.
var skipped = map[string]string{
	"checkout customer_account":                   "sent in place of customer for owners who have an Account, in internal/stripeclient's tests",
	"checkout customer_creation":                  "Stripe refuses it beside customer, which is always sent",
	"checkout customer_email":                     "Stripe refuses it beside customer, which is always sent",
	"checkout expand":                             "answers have a fixed shape",
	"checkout line_items[].price_data":            "a price made up on the spot is in no catalogue",
	"checkout payment_method_options.pay_by_bank": "has no members, and a form has no empty mapping",
	"portal customer_account":                     "sent in place of customer for owners who have an Account, in internal/stripeclient's tests",
	"portal expand":                               "answers have a fixed shape",
	"portal flow_data":                            "asked for by the caller, with the caller's own subscription",
}

// written are the values that the service writes into every session, or reads elsewhere
// in the configuration.
var written = []string{
	"checkout client_reference_id", "checkout customer", "checkout mode", "portal customer",
	"checkout line_items[].price", "checkout line_items[].quantity", "checkout expires_at",
}

// leaf is one value that a request can have.
type leaf struct {
	path   []string // names, "[]" for a list's first entry, and a name for a map's
	parent []*openapi3.Schema
	schema *openapi3.Schema
}

func (l leaf) String() string { return strings.ReplaceAll(strings.Join(l.path, "."), ".[]", "[]") }

// form is the name that the value has in a form.
func (l leaf) form() string {
	name := l.path[0]
	for _, step := range l.path[1:] {
		name += "[" + strings.ReplaceAll(step, "[]", "0") + "]"
	}
	return name
}

// leaves are all values below a schema.
func leaves(schema *openapi3.Schema, at leaf) []leaf {
	schema, _ = settled(schema)
	below := func(step string, s *openapi3.Schema) []leaf {
		return leaves(s, leaf{path: append(slices.Clone(at.path), step), parent: append(slices.Clone(at.parent), schema)})
	}
	switch {
	case itemsOf(schema) != nil:
		return below("[]", itemsOf(schema))
	case valuesOf(schema) != nil:
		return below("eur", valuesOf(schema))
	case len(schema.Properties) == 0:
		at.schema = schema
		return []leaf{at}
	}
	var all []leaf
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		all = append(all, below(name, schema.Properties[name].Value)...)
	}
	return all
}

// value is one that the schema takes.
func (l leaf) value() any {
	switch {
	case l.form() == "return_url" || l.form() == "success_url" || l.form() == "cancel_url":
		return "https://app.example.com/from/" + l.form()
	case l.form() == "configuration":
		return "bpc_from_the_table"
	case l.schema.Format == "unix-time":
		return 4102444800
	case l.schema.Format == "currency":
		return "eur"
	case l.schema.Format == "decimal":
		return "12.5"
	}
	return anyOf(l.schema, l.path[len(l.path)-1])
}

func anyOf(schema *openapi3.Schema, name string) any {
	values := enum(schema)
	switch {
	case len(values) > 0:
		return values[len(values)-1]
	case schema.Type.Is(openapi3.TypeBoolean):
		return true
	case schema.Type.Is(openapi3.TypeInteger):
		return 10
	case schema.Type.Is(openapi3.TypeNumber):
		return 12.5
	case strings.Contains(name, "currency"):
		return "eur"
	}
	return "value of " + name[:min(len(name), 3)]
}

// nested puts the value of l into mappings and lists, with what is required beside it.
func (l leaf) nested() any {
	v := l.value()
	for i := len(l.path) - 1; i > 0; i-- {
		if l.path[i] == "[]" {
			v = []any{v}
			continue
		}
		m := object{l.path[i]: v}
		for _, name := range l.parent[i].Required {
			if m[name] == nil {
				m[name] = required(l.parent[i].Properties[name].Value, name)
			}
		}
		v = m
	}
	return v
}

// required is the least that a required member can be.
func required(schema *openapi3.Schema, name string) any {
	schema, _ = settled(schema)
	switch {
	case itemsOf(schema) != nil:
		return []any{required(itemsOf(schema), name)}
	case schema.Type.Is(openapi3.TypeObject):
		m := object{}
		for _, inner := range schema.Required {
			m[inner] = required(schema.Properties[inner].Value, inner)
		}
		return m
	}
	return anyOf(schema, name)
}

// beside is what Stripe wants beside a value, though its specification does not say so.
var beside = []struct {
	path  string // the end of the value's path; with a dot before it, the beginning
	up    int    // how many steps above the value more belongs; 0 is the top
	merge object
}{
	{".automatic_tax", 0, object{"customer_update": object{"address": "auto"}}},
	{".tax_id_collection", 0, object{"customer_update": object{"name": "auto"}}},
	{"liability.account", 1, object{"type": "account"}},
	{"issuer.account", 1, object{"type": "account"}},
	{"icon.file", 1, object{"type": "file"}},
	{"logo.file", 1, object{"type": "file"}},
	{"icon.type", 1, object{"url": "https://app.example.com/icon.png"}},
	{"logo.type", 1, object{"url": "https://app.example.com/logo.png"}},
	{"eu_bank_transfer.country", 2, object{"type": "eu_bank_transfer"}},
	{"dropdown.default_value", 2, object{"type": "dropdown"}},
	{"dropdown.options[].label", 4, object{"type": "dropdown"}},
	{"dropdown.options[].value", 4, object{"type": "dropdown"}},
	{"numeric.default_value", 2, object{"type": "numeric"}},
	{"numeric.maximum_length", 2, object{"type": "numeric"}},
	{"numeric.minimum_length", 2, object{"type": "numeric"}},
}

// complete adds to the parameters what belongs beside the value of l.
func (l leaf) complete(params object) {
	for _, b := range beside {
		switch {
		case strings.HasPrefix("."+l.String(), b.path+"."):
			maps.Copy(params, b.merge)
		case strings.HasSuffix(l.String(), "."+b.path):
			maps.Copy(within(params, l.path[:len(l.path)-b.up]), b.merge)
		}
	}
}

// within follows a path to the mapping at its end.
func within(params object, path []string) object {
	var at any = params
	for _, step := range path {
		switch v := at.(type) {
		case object:
			at = v[step]
		case []any:
			at = v[0]
		}
	}
	m, _ := at.(object)
	return m
}

// row is one request to the service.
type row struct {
	leaf        leaf
	name        string // of the template
	route, body string
	plan        object // or portal
	want        string // in the form; "" is anything
}

type table struct {
	t       *testing.T
	build   build
	rows    []row
	leaves  map[string]int // by operation
	params  map[string]int
	skipped map[string]int // by reason
	ways    map[string]int // template, by mode and page
	asked   map[string]int // locales, by operation
}

func newTable(t *testing.T, b build) *table {
	t.Helper()
	table := &table{t: t, build: b, leaves: map[string]int{}, params: map[string]int{}, skipped: map[string]int{}, ways: map[string]int{}, asked: map[string]int{}}
	for _, op := range []struct{ name, path string }{{"checkout", "/v1/checkout/sessions"}, {"portal", "/v1/billing_portal/sessions"}} {
		takes := b.spec(t).takes(t, op.path)
		table.params[op.name] = len(takes.Properties)
		for _, l := range leaves(takes, leaf{}) {
			table.leaves[op.name]++
			table.add(op.name, l)
		}
		table.locales(op.name, enum(takes.Properties["locale"].Value))
	}
	return table
}

// locales adds every locale, as callers ask for it.
func (table *table) locales(op string, all []string) {
	for _, locale := range all {
		r := row{leaf: leaf{path: []string{"locale"}}, name: op + "-" + strings.ToLower(locale), route: "/" + op, want: locale}
		if op == "portal" {
			r.body, r.plan = fmt.Sprintf(`{"portal":%q,"locale":%q}`, r.name, locale), object{}
		} else {
			r.body = fmt.Sprintf(`{"plan":%q,"locale":%q}`, r.name, locale)
			r.plan = object{"mode": "setup", "accepts": []any{"locale"}, "params": object{"currency": "usd"}}
		}
		table.asked[op]++
		table.rows = append(table.rows, r)
	}
}

func (table *table) add(op string, l leaf) {
	name := op + " " + l.String()
	for prefix, why := range skipped {
		if name == prefix || strings.HasPrefix(name, prefix+".") || strings.HasPrefix(name, prefix+"[") {
			table.skipped[why]++
			return
		}
	}
	r := row{leaf: l, name: fmt.Sprintf("leaf-%d", len(table.rows)), route: "/" + op}
	if !slices.Contains(written, name) {
		r.want = fmt.Sprint(l.value())
	}
	if op == "portal" {
		r.body = fmt.Sprintf(`{"portal":%q}`, r.name)
		r.plan = object{"params": object{l.path[0]: l.value()}}
		if r.want == "" {
			r.plan = object{}
		}
	} else {
		r.body = fmt.Sprintf(`{"plan":%q}`, r.name)
		r.plan = table.plan(r)
	}
	table.rows = append(table.rows, r)
}

// plan chooses a mode and a page in which Stripe takes the value. The catalogue judges:
// what it refuses though Stripe takes it finds no mode, and fails.
func (table *table) plan(r row) object {
	var last []catalog.Finding
	for _, page := range []string{"hosted", "embedded", "custom"} {
		for _, mode := range []string{"payment", "subscription", "setup"} {
			plan, own := table.template(r, mode, page)
			last = slices.DeleteFunc(own.Check(catalog.Rules{Version: table.build.version}), func(f catalog.Finding) bool { return f.Warning })
			if len(last) == 0 {
				table.ways[mode+" "+page]++
				return plan
			}
		}
	}
	table.t.Errorf("no plan can have %s: %v", r.leaf, last)
	return object{"mode": "payment", "line_items": []any{object{"price": object{"id": "price_1"}}}}
}

// template is a plan with a value, as it is written and as the catalogue has it.
func (table *table) template(r row, mode, page string) (object, catalog.Plan) {
	plan, own := object{"mode": mode}, catalog.Plan{Mode: catalog.Mode(mode)}
	params, item := object{}, object{}
	switch top := r.leaf.path[0]; {
	case r.leaf.form() == "expires_at":
		plan["expires_after"] = "2h"
	case top == "line_items" && r.want != "":
		entries, _ := r.leaf.nested().([]any)
		item, _ = entries[0].(object)
	case r.want != "":
		params[top] = r.leaf.nested()
	}
	if len(params) > 0 {
		r.leaf.complete(params)
	}
	if page != "hosted" && params["ui_mode"] == nil {
		params["ui_mode"] = page
	}
	if mode == "setup" && params["currency"] == nil {
		params["currency"] = "usd"
	}
	if mode != "setup" {
		item["price"] = object{"lookup_key": map[string]string{"payment": "tshirt", "subscription": "pro_monthly"}[mode]}
		plan["line_items"] = []any{item}
		rest := maps.Clone(item)
		delete(rest, "price")
		own.LineItems = []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "tshirt"}, Params: rest}}
	} else if r.leaf.path[0] == "line_items" {
		own.Mode = "" // there are none in this mode
	}
	plan["params"], own.Params = params, params
	return plan, own
}

// templates is the configuration; JSON is YAML.
func (table *table) templates() string {
	plans, portals := object{}, object{}
	for _, r := range table.rows {
		if r.route == "/portal" {
			portals[r.name] = r.plan
		} else {
			plans[r.name] = r.plan
		}
	}
	var b strings.Builder
	for name, part := range map[string]any{"plans": plans, "portals": portals} {
		text, err := json.Marshal(part)
		if err != nil {
			table.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s\n", name, text)
	}
	return b.String()
}

// judge wants each value in the request that its template made. Requests come in the
// order of the rows.
func (table *table) judge(all []*exchange) {
	table.t.Helper()
	sent := slices.DeleteFunc(all, func(x *exchange) bool {
		return x.method != http.MethodPost || x.path != "/v1/checkout/sessions" && x.path != "/v1/billing_portal/sessions"
	})
	if len(sent) != len(table.rows) {
		table.t.Fatalf("%d sessions were opened, want %d", len(sent), len(table.rows))
	}
	for i, r := range table.rows {
		form := sent[i].form()
		got, there := form[r.leaf.form()]
		plan := form.Get("metadata[till_plan]")
		if r.route == "/checkout" && plan != r.name {
			table.t.Fatalf("%s: the session is of plan %s", r.name, plan)
		}
		if !there || r.want != "" && got[0] != r.want {
			table.t.Errorf("%s: %s arrived as %v, want %q\nsent: %s", r.name, r.leaf, got, r.want, sent[i].readable())
		}
	}
}

func (table *table) report() {
	table.t.Helper()
	for _, op := range []string{"checkout", "portal"} {
		n := 0
		for _, r := range table.rows {
			if r.route == "/"+op {
				n++
			}
		}
		table.t.Logf("%s %s: %d parameters, %d values, %d sent and seen arriving; %d locales asked for",
			table.build.version, op, table.params[op], table.leaves[op], n-table.asked[op], table.asked[op])
	}
	for _, why := range slices.Sorted(maps.Keys(table.skipped)) {
		table.t.Logf("%s skipped %d: %s", table.build.version, table.skipped[why], why)
	}
	table.t.Logf("%s ways: %v", table.build.version, table.ways)
}
