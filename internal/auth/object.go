package auth

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The causes of JSON that is refused. They are constants, because the decoder's own
// messages quote what they read.
var (
	errNotObject = errors.New("not one JSON object without duplicate names in valid UTF-8")
	errTooMany   = errors.New("too many members")
	errNotText   = errors.New("not a string")
	errNotDate   = errors.New("not a number of seconds in range")
)

// object is a JSON object whose members are read one by one, by their exact names.
type object map[string]jsontext.Value

// parseObject reads exactly one JSON object: no duplicate names at any depth, no invalid
// UTF-8 or lone surrogates (two of which would become the same user), no byte order mark,
// nothing behind it (RFC 8725 section 3.10; RFC 7515 section 4 on duplicates).
func parseObject(data []byte, maxMembers int) (object, error) {
	if jsontext.Value(data).Kind() != '{' {
		return nil, errNotObject
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, errNotObject
	}
	if len(o) > maxMembers {
		return nil, errTooMany
	}
	return o, nil
}

func (o object) has(name string) bool {
	_, present := o[name]
	return present
}

// text returns a string member. Absent is "", false, nil; null and every other kind are an
// error.
func (o object) text(name string) (value string, present bool, err error) {
	raw, present := o[name]
	if !present {
		return "", false, nil
	}
	value, err = unquote(raw)
	return value, true, err
}

func unquote(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", errNotText
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", errNotText
	}
	return string(text), nil
}

// texts reads an array of at most limit strings.
func texts(value jsontext.Value, limit int) ([]string, error) {
	var raw []jsontext.Value
	if value.Kind() != '[' || json.Unmarshal(value, &raw) != nil || len(raw) > limit {
		return nil, errNotText
	}
	texts := make([]string, len(raw))
	for n := range raw {
		var err error
		if texts[n], err = unquote(raw[n]); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// maxDate is the last second that a float64 tells apart from its neighbours.
const maxDate = 1 << 53

// date returns a NumericDate (RFC 7519 section 2): a JSON number of seconds, fractions
// allowed. The range is checked before the conversion, whose result for numbers that do
// not fit differs between processors. Absent is the zero time and false.
func (o object) date(name string) (at time.Time, present bool, err error) {
	raw, present := o[name]
	if !present {
		return time.Time{}, false, nil
	}
	if raw.Kind() != '0' {
		return time.Time{}, true, errNotDate
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds < 0 || seconds > maxDate {
		return time.Time{}, true, errNotDate
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, nil
}
