package auth

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var errNoWay = errors.New("what should lead to the claim is neither an object nor a list of one")

// claimPath takes the name of a claim apart. Names are plain, since many have dots and
// slashes in them (https://example.com/roles); what begins with a slash is a JSON Pointer
// (RFC 6901) into a claim that is an object: /o/id.
func claimPath(name string) []string {
	if !strings.HasPrefix(name, "/") {
		return []string{name}
	}
	steps := strings.Split(name[1:], "/")
	for n := range steps {
		steps[n] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[n])
	}
	return steps
}

// validClaimName reports whether name can be the name of a claim.
func validClaimName(name string) bool {
	plain := strings.NewReplacer("~0", "", "~1", "").Replace(name)
	pointer := strings.HasPrefix(name, "/")
	return name != "" && (!pointer || !strings.Contains(plain, "~") && !slices.Contains(claimPath(name), ""))
}

// at returns the claim that name leads to. It is absent when the objects on the way have
// no such member, and errNoWay when something else is in the way. In a list only "0" leads
// on, and only if that is all there is: which of several is meant cannot be told. Without
// a claim, value is nil.
func (o object) at(name string) (value jsontext.Value, present bool, err error) {
	steps := claimPath(name)
	if value, present = o[steps[0]]; !present {
		return nil, false, nil
	}
	for _, step := range steps[1:] {
		if value, err = below(value, step); value == nil || err != nil {
			return nil, false, err
		}
	}
	return value, true, nil
}

func below(value jsontext.Value, step string) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	var list []jsontext.Value
	switch {
	case value.Kind() == '{' && json.Unmarshal(value, &members) == nil:
		return members[step], nil
	case value.Kind() == '[' && json.Unmarshal(value, &list) == nil && len(list) == 1 && step == "0":
		return list[0], nil
	default:
		return nil, errNoWay
	}
}

// words returns a claim that is a string, or a list of at most limit strings.
func words(value jsontext.Value, limit int) ([]string, error) {
	if value.Kind() == '"' {
		one, err := unquote(value)
		return []string{one}, err
	}
	return texts(value, limit)
}
