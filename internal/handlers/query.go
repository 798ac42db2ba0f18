package handlers

import (
	"errors"
	"net/http"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"

	"till/internal/problem"
)

// decodeQuery reads the query into req by the rules for forms: the same names
// (created[gte]), and nothing unknown, nothing twice. Who writes a query means
// what stands in it, so an empty value is none that was left out.
func decodeQuery(r *http.Request, req any) error {
	t := reflect.TypeOf(req).Elem()
	if r.URL.ForceQuery {
		return malformed("", "has a question mark and no query")
	}
	fields, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	object := map[string]any{}
	for _, f := range fields {
		if f.value == "" {
			return malformed(pointer(f.path), "must not be empty; leave it out")
		}
		if f.path, err = momentOf(f.path); err != nil {
			return err
		}
		if err := f.put(object, t); err != nil {
			return err
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return problem.New(problem.Internal, err)
	}
	err = unmarshal(text, req)
	if p, ok := errors.AsType[*problem.Error](err); ok && len(p.Fields) == 1 && p.Fields[0].Pointer == pointer(moment) {
		p.Fields[0].Pointer = pointer(moment[:1])
	}
	return err
}

var moment = []string{"created", "at"}

// momentOf: at Stripe, `created` is a moment and the name of its bounds. Here the
// moment is a member beside the bounds, which nobody can name.
func momentOf(path []string) ([]string, error) {
	switch {
	case slices.Equal(path, moment[:1]):
		return moment, nil
	case slices.Equal(path, moment):
		return nil, malformed(pointer(path), "is not a field of this request")
	default:
		return path, nil
	}
}
