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

// encode writes params as Stripe's form, a[b][0][c]=v, byte for byte as stripe-go's
// form.Values would. The order is fixed, so that the same parameters are always the
// same bytes.
func encode(params catalog.Params) (string, error) {
	w := formWriter{out: make([]byte, 0, 1024), name: make([]byte, 0, 128), keys: make([]string, 0, 32)}
	if err := w.members(params); err != nil {
		return "", err
	}
	return string(w.out), nil
}

// formWriter writes a form in one pass.
type formWriter struct {
	out []byte
	// name is that of the value to come, escaped.
	name []byte
	// keys is a stack: the sorted names of each object that is being written.
	keys []string
}

func (w *formWriter) members(params map[string]any) error {
	name, first := len(w.name), len(w.keys)
	for key := range params {
		w.keys = append(w.keys, key)
	}
	slices.Sort(w.keys[first:])
	for i := range len(params) {
		key := w.keys[first+i]
		if name == 0 {
			w.name = appendEscaped(w.name, key, true)
		} else {
			w.name = append(appendEscaped(append(w.name, '['), key, true), ']')
		}
		if err := w.value(params[key]); err != nil {
			return err
		}
		w.name = w.name[:name]
	}
	w.keys = w.keys[:first]
	return nil
}

func (w *formWriter) value(value any) error {
	switch v := value.(type) {
	case map[string]any:
		return w.members(v)
	case []any:
		name := len(w.name)
		for i, item := range v {
			w.name = append(strconv.AppendInt(append(w.name, '['), int64(i), 10), ']')
			if err := w.value(item); err != nil {
				return err
			}
			w.name = w.name[:name]
		}
		return nil
	default:
		text, ok := catalog.Scalar(v)
		if !ok {
			return fmt.Errorf("parameter %s has a value of type %T", w.name, v)
		}
		if len(w.out) > 0 {
			w.out = append(w.out, '&')
		}
		w.out = append(append(w.out, w.name...), '=')
		w.out = appendEscaped(w.out, text, false)
		return nil
	}
}

// appendEscaped is url.QueryEscape, into a buffer. Brackets stay as they are in names.
func appendEscaped(out []byte, text string, isName bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~',
			isName && (c == '[' || c == ']'):
			out = append(out, c)
		case c == ' ':
			out = append(out, '+')
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return out
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
