package billing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"till/internal/catalog"
	"till/internal/problem"
)

// freeze writes params as text, and thaw reads them as they were: numbers included,
// which JSON alone would all take for floating point.
func freeze(params catalog.Params) (string, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return "", problem.New(problem.Internal, fmt.Errorf("freezing parameters: %w", err))
	}
	return string(text), nil
}

func thaw(text string) (catalog.Params, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var params catalog.Params
	if err := d.Decode(&params); err != nil {
		return nil, problem.New(problem.Internal, fmt.Errorf("thawing parameters: %w", err))
	}
	for name, value := range params {
		params[name] = plain(value)
	}
	return params, nil
}

// plain is the value with numbers as parameters have them.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // what does not fit was no parameter
		return f
	}
	return value
}
