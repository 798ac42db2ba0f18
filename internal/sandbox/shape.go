package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shape says what one parameter takes; see params.txt for the notation.
type shape struct {
	kind   string // str int num bool map enum object list objects
	max    int
	values []string
	elem   *shape
	fields map[string]*shape
	needed []string
	other  *shape // an alternative: a scalar beside a list or object
	clears bool   // an empty value unsets
}

// decode judges n against s and returns string, int64, float64, bool,
// []any or object. Errors are *apiError with the parameter named.
func (s *shape) decode(n *node, param string) (any, error) {
	if s.clears && n.leaf && n.value == "" {
		return "", nil
	}
	return s.side(n).decodeOnly(n, param)
}

// side chooses between the two of x/y.
func (s *shape) side(n *node) *shape {
	switch {
	case s.other == nil:
		return s
	case s.composite() && !n.leaf:
		return s
	case !s.composite() && slices.Contains(s.values, n.value):
		return s
	}
	return s.other
}

func (s *shape) composite() bool {
	return s.kind == "object" || s.kind == "list" || s.kind == "map" || s.kind == "objects"
}

func (s *shape) decodeOnly(n *node, param string) (any, error) {
	switch s.kind {
	case "object":
		return s.object(n, param)
	case "list":
		return s.list(n, param)
	case "map":
		return s.stringMap(n, param)
	case "objects":
		return s.objects(n, param)
	}
	if !n.leaf {
		return nil, malformed("", param, "Invalid %s: must be a single value", param)
	}
	if n.value == "" {
		return nil, malformed("parameter_invalid_empty", param,
			"You passed an empty string for '%[1]s'. We assume empty values are an attempt to unset a parameter; however '%[1]s' cannot be unset. You should remove '%[1]s' from your request or supply a non-empty value.", param)
	}
	return s.scalar(n.value, param)
}

func (s *shape) scalar(value, param string) (any, error) {
	switch s.kind {
	case "int":
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, malformed("parameter_invalid_integer", param, "Invalid integer: %s", value)
		}
		return v, nil
	case "num":
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, malformed("", param, "Invalid decimal: %s", value)
		}
		return v, nil
	case "bool":
		if value != "true" && value != "false" {
			return nil, malformed("", param, "Invalid boolean: %s", value)
		}
		return value == "true", nil
	case "enum":
		if !slices.Contains(s.values, value) {
			return nil, notOneOf(param, s.values)
		}
	}
	if s.max > 0 && utf8.RuneCountInString(value) > s.max {
		return nil, malformed("", param, "Invalid string: %s; must be at most %d characters", shorten(value), s.max)
	}
	return value, nil
}

func notOneOf(param string, values []string) error {
	last := len(values) - 1
	list := strings.Join(values, "")
	if last > 0 {
		list = "one of " + strings.Join(values[:last], ", ") + ", or " + values[last]
	}
	return malformed("", param, "Invalid %s: must be %s", param, list)
}

func (s *shape) object(n *node, param string) (any, error) {
	if n.leaf {
		return nil, malformed("", param, "Invalid object")
	}
	if err := s.known(n, param); err != nil {
		return nil, err
	}
	out := object{}
	for _, name := range n.names {
		v, err := s.fields[name].decode(n.kids[name], join(param, name))
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, s.complete(out, param)
}

// known refuses the parameters that the operation does not have, all at once.
func (s *shape) known(n *node, param string) error {
	var unknown []string
	for _, name := range n.names {
		if s.fields[name] == nil {
			unknown = append(unknown, join(param, name))
		}
	}
	switch len(unknown) {
	case 0:
		return nil
	case 1:
		return malformed("parameter_unknown", unknown[0], "Received unknown parameter: %s", unknown[0])
	}
	return malformed("parameter_unknown", unknown[0], "Received unknown parameters: %s", strings.Join(unknown, ", "))
}

func (s *shape) complete(got object, param string) error {
	for _, name := range s.needed {
		if _, ok := got[name]; !ok {
			return missing(join(param, name))
		}
	}
	return nil
}

func missing(param string) *apiError {
	return malformed("parameter_missing", param, "Missing required param: %s.", param)
}

func (s *shape) list(n *node, param string) (any, error) {
	kids, ok := n.elements()
	if n.leaf || !ok {
		return nil, malformed("", param, "Invalid array")
	}
	out := []any{}
	for i, kid := range kids {
		v, err := s.elem.decode(kid, join(param, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (s *shape) objects(n *node, param string) (any, error) {
	if n.leaf {
		return nil, malformed("", param, "Invalid hash")
	}
	out := object{}
	for _, name := range n.names {
		v, err := s.elem.decode(n.kids[name], join(param, name))
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// stringMap is metadata: Stripe's limits are 50 keys, 40 and 500 characters.
func (s *shape) stringMap(n *node, param string) (any, error) {
	if n.leaf {
		return nil, malformed("", param, "Invalid hash")
	}
	if len(n.names) > 50 {
		return nil, malformed("", param, "You can only specify 50 metadata keys.")
	}
	out := object{}
	for _, name := range n.names {
		kid := n.kids[name]
		if err := checkMetadata(name, kid, join(param, name)); err != nil {
			return nil, err
		}
		out[name] = kid.value
	}
	return out, nil
}

func checkMetadata(name string, kid *node, param string) error {
	switch {
	case !kid.leaf:
		return malformed("", param, "Metadata values must be strings, but a hash was passed for '%s'.", name)
	case utf8.RuneCountInString(name) > 40:
		return malformed("", param, "Metadata keys can have up to 40 characters, but you passed in a key that is %d characters.", utf8.RuneCountInString(name))
	case utf8.RuneCountInString(kid.value) > 500:
		return malformed("", param, "Metadata values can have up to 500 characters, but you passed in a value that is %d characters.", utf8.RuneCountInString(kid.value))
	}
	return nil
}

func shorten(s string) string {
	if len(s) <= 20 {
		return s
	}
	return s[:8] + "..." + s[len(s)-4:]
}
