package stripeclient

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/catalog"
)

// encode writes params as Stripe's form: a[b][0][c]=v. The order is fixed, so
// that the same parameters are always the same bytes.
func encode(params catalog.Params) (*form.Values, error) {
	values := &form.Values{}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if err := appendValue(values, name, params[name]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func appendValue(values *form.Values, name string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := appendValue(values, name+"["+key+"]", v[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			if err := appendValue(values, name+"["+strconv.Itoa(i)+"]", item); err != nil {
				return err
			}
		}
	default:
		text, ok := catalog.Scalar(v)
		if !ok {
			return fmt.Errorf("parameter %s has a value of type %T", name, v)
		}
		values.Add(name, text)
	}
	return nil
}

// reencode turns a stored form back into one that can be sent.
func reencode(body string) (*form.Values, error) {
	parsed, err := url.ParseQuery(body)
	if err != nil {
		return nil, fmt.Errorf("reading frozen parameters: %w", err)
	}
	values := &form.Values{}
	for _, name := range slices.Sorted(maps.Keys(parsed)) {
		for _, v := range parsed[name] {
			values.Add(name, v)
		}
	}
	return values, nil
}
