package sandbox

import (
	"embed"
	"encoding/json"
	"maps"
	"path"
	"strings"
)

// object is a Stripe object in wire form. By convention a stored object's
// nested values are replaced, never changed in place, so that answers and
// templates can share them.
type object = map[string]any

// The templates hold, per kind, every field that an object has when nothing
// is set: required fields of both API versions, and null for the rest.
//
//go:embed objects/*.json
var objectFiles embed.FS

// loadTemplates reads the templates by kind ("customer", "checkout.session").
func loadTemplates() (map[string]object, error) {
	entries, err := objectFiles.ReadDir("objects")
	if err != nil {
		return nil, err
	}
	out := map[string]object{}
	for _, entry := range entries {
		raw, err := objectFiles.ReadFile(path.Join("objects", entry.Name()))
		if err != nil {
			return nil, err
		}
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, err
		}
		out[strings.TrimSuffix(entry.Name(), ".json")] = o
	}
	return out, nil
}

// over returns a copy of base with the fields of top laid over it.
func over(base, top object) object {
	out := make(object, len(base)+len(top))
	maps.Copy(out, base)
	maps.Copy(out, top)
	return out
}

// listOf is Stripe's list envelope around rows.
func listOf(url string, rows []any, more bool) object {
	if rows == nil {
		rows = []any{}
	}
	return object{"object": "list", "url": url, "has_more": more, "data": rows}
}

// stringOf reads a string field; null and absent are "".
func stringOf(o object, field string) string {
	s, _ := o[field].(string)
	return s
}

// nullable turns "" into null.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
