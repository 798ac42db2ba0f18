//go:build contract

package contract_test

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// judge holds one request against the specification, to the last nested member:
// stripe-mock looks for unknown ones at the top only.
func (s *spec) judge(x *exchange) error {
	_, op := s.operation(x.method, x.path)
	if op == nil {
		return errors.New("the specification has no such operation")
	}
	body, err := url.ParseQuery(x.body)
	if err != nil {
		return fmt.Errorf("the body is not a form: %w", err)
	}
	query, err := url.ParseQuery(x.query)
	if err != nil {
		return fmt.Errorf("the query is not a form: %w", err)
	}
	return errors.Join(judgeForm(body, bodySchema(op)), judgeForm(query, querySchema(op)))
}

// bodySchema is the schema of the form; an operation without one takes nothing.
func bodySchema(op *openapi3.Operation) *openapi3.Schema {
	if op.RequestBody != nil {
		if media := op.RequestBody.Value.Content.Get("application/x-www-form-urlencoded"); media != nil && media.Schema != nil {
			return media.Schema.Value
		}
	}
	return openapi3.NewObjectSchema().WithoutAdditionalProperties()
}

// querySchema makes one schema of the query parameters.
func querySchema(op *openapi3.Operation) *openapi3.Schema {
	all := openapi3.NewObjectSchema().WithoutAdditionalProperties()
	for _, p := range op.Parameters {
		if p.Value.In != openapi3.ParameterInQuery {
			continue
		}
		all.WithPropertyRef(p.Value.Name, p.Value.Schema)
		if p.Value.Required {
			all.Required = append(all.Required, p.Value.Name)
		}
	}
	return all
}

// closed makes the schema of a request refuse what it does not know, at every depth.
// Stripe's documents say so for the top only; Stripe itself refuses all of it.
func closed(schema *openapi3.Schema) {
	for _, one := range schema.AnyOf {
		closed(one.Value)
	}
	if schema.Items != nil {
		closed(schema.Items.Value)
	}
	for _, p := range schema.Properties {
		closed(p.Value)
	}
	if open := &schema.AdditionalProperties; open.Schema == nil && open.Has == nil && len(schema.Properties) > 0 {
		open.Has = new(false)
	}
}

func judgeForm(form url.Values, schema *openapi3.Schema) error {
	root := &field{members: map[string]*field{}}
	for name, values := range form {
		if len(values) != 1 {
			return fmt.Errorf("%s is sent %d times", name, len(values))
		}
		if err := root.put(name, values[0]); err != nil {
			return err
		}
	}
	if text := findings(visit(schema, root.value(schema), openapi3.VisitAsRequest())); len(text) > 0 {
		return errors.New(strings.Join(text, "; "))
	}
	return nil
}

// field is a form as a tree: a text, or members by name or index.
type field struct {
	text    string
	members map[string]*field
}

// put adds `a[b][0]=text`.
func (f *field) put(name, text string) error {
	at := f
	for _, step := range strings.Split(strings.ReplaceAll(name, "]", ""), "[") {
		if at.members == nil {
			at.members = map[string]*field{}
		}
		if at.members[step] == nil {
			at.members[step] = &field{}
		}
		at = at.members[step]
	}
	if at.members != nil || at.text != "" {
		return fmt.Errorf("%s is sent beside members of itself", name)
	}
	at.text = text
	return nil
}

// value reads the tree as the JSON that schema would have it be. What fits no type
// stays as it is, for the schema to refuse.
func (f *field) value(schema *openapi3.Schema) any {
	for _, one := range schema.AnyOf {
		if v := f.value(one.Value); visit(one.Value, v) == nil {
			return v
		}
	}
	if len(schema.AnyOf) > 0 {
		return f.value(schema.AnyOf[0].Value)
	}
	switch {
	case f.members == nil:
		return scalar(f.text, schema)
	case schema.Type.Is(openapi3.TypeArray):
		return f.list(schema.Items.Value)
	default:
		return f.object(schema)
	}
}

func (f *field) object(schema *openapi3.Schema) object {
	out := object{}
	for name, member := range f.members {
		known := schema.AdditionalProperties.Schema
		if p := schema.Properties[name]; p != nil {
			known = p
		}
		if known == nil {
			out[name] = member.text
			continue
		}
		out[name] = member.value(known.Value)
	}
	return out
}

// list wants the indexes to begin at 0 and to leave nothing out.
func (f *field) list(items *openapi3.Schema) any {
	var out []any
	for i := range len(f.members) {
		member, ok := f.members[strconv.Itoa(i)]
		if !ok {
			return fmt.Sprintf("a list without index %d", i)
		}
		out = append(out, member.value(items))
	}
	return out
}

// scalar reads a text as Stripe does: forms have no types.
func scalar(text string, schema *openapi3.Schema) any {
	switch {
	case schema.Type.Is(openapi3.TypeBoolean) && (text == "true" || text == "false"):
		return text == "true"
	case schema.Type.Is(openapi3.TypeInteger):
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i
		}
	case schema.Type.Is(openapi3.TypeNumber):
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	}
	return text
}
