package handlers

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"till/internal/problem"
)

// A page without script sends a form. It is read into the JSON that a script
// would have sent, and from there on there is one decoder: the same fields, the
// same refusals. metadata[ref]=42 is {"metadata":{"ref":"42"}}.

const (
	formType  = "application/x-www-form-urlencoded"
	maxFields = 200
)

// isForm reports whether the body is announced as a form, in whatever detail.
func isForm(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), formType)
}

// readForm reads a form for a request of type t into the text of a JSON object.
func readForm(r *http.Request, t reflect.Type) ([]byte, error) {
	if err := mediaType(r.Header, formType); err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	fields, err := parseForm(string(body))
	if err != nil {
		return nil, err
	}
	object := map[string]any{}
	for _, f := range fields {
		if err := f.put(object, t); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, problem.New(problem.Internal, err)
	}
	return text, nil
}

// field is one name=value, its name taken apart at the brackets.
type field struct {
	path  []string
	value string
}

// parseForm is stricter than url.ParseQuery: what is there twice or cannot be
// read as browsers write it is refused, and nothing is dropped in silence.
func parseForm(body string) ([]field, error) {
	if body == "" {
		return nil, nil
	}
	pairs := strings.Split(body, "&")
	if len(pairs) > maxFields {
		return nil, malformed("", "has too many fields")
	}
	var fields []field
	seen := map[string]bool{}
	for _, pair := range pairs {
		escapedName, escapedValue, found := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(escapedName)
		value, valueErr := url.QueryUnescape(escapedValue)
		path := splitName(name)
		switch {
		case !found || nameErr != nil || valueErr != nil || !utf8.ValidString(name+value) || strings.Contains(pair, ";"):
			return nil, malformed("", "is not a form as browsers write it")
		case path == nil:
			return nil, malformed(pointer([]string{name}), "is not a field of this request")
		case seen[name]:
			return nil, malformed(pointer(path), "is there twice")
		}
		seen[name] = true
		fields = append(fields, field{path, value})
	}
	return fields, nil
}

// splitName turns a[b][c] into a, b, c; nil when it is no such name.
func splitName(name string) []string {
	head, rest, nested := strings.Cut(name, "[")
	path := []string{head}
	for nested {
		var part string
		part, rest, nested = strings.Cut(rest, "]")
		if !nested || part == "" || strings.Contains(part, "[") {
			return nil
		}
		path = append(path, part)
		rest, nested = strings.CutPrefix(rest, "[")
		if !nested && rest != "" {
			return nil
		}
	}
	if head == "" || strings.Contains(head, "]") || len(path) > maxDepth {
		return nil
	}
	return path
}

// put writes the field into object. Browsers send an input that was left empty
// all the same, so an empty value is none.
func (f field) put(object map[string]any, t reflect.Type) error {
	leaf := typeAt(t, f.path)
	if leaf == nil {
		return malformed(pointer(f.path), "is not a field of this request")
	}
	if f.value == "" {
		return nil
	}
	last := len(f.path) - 1
	for _, name := range f.path[:last] {
		inner, ok := object[name].(map[string]any)
		if !ok && object[name] != nil {
			return malformed(pointer(f.path), "is both a value and a group of values")
		}
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	if object[f.path[last]] != nil {
		return malformed(pointer(f.path), "is both a value and a group of values")
	}
	object[f.path[last]] = f.typed(leaf)
	return nil
}

// typed is the value as JSON has it: a number where the request wants one. What
// is no number stays text, and the decoder says that it has the wrong type.
func (f field) typed(t reflect.Type) any {
	number := jsontext.Value(f.value)
	if t.Kind() == reflect.Int64 && strings.Trim(f.value, "-0123456789") == "" && number.IsValid() {
		return number
	}
	return f.value
}

// typeAt finds what the request has at path; nil is nothing.
func typeAt(t reflect.Type, path []string) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(path) == 0 {
		return t
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if inner := typeAt(f.Type, path); f.Anonymous && inner != nil {
				return inner
			}
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == path[0] {
				return typeAt(f.Type, path[1:])
			}
		}
		return nil
	case reflect.Map:
		return typeAt(t.Elem(), path[1:])
	case reflect.Interface:
		return t
	default:
		return nil
	}
}

func pointer(path []string) string {
	var p jsontext.Pointer
	for _, name := range path {
		p = p.AppendToken(strings.ToValidUTF8(name, "?"))
	}
	return string(p)
}
