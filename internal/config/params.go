package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// params reads Stripe parameters of any shape: string, bool, int64, float64,
// []any and map[string]any. It returns nil for what it refuses.
func (d *decoder) params(path string, n *yaml.Node) any {
	d.depth++
	defer func() { d.depth-- }()
	if !d.usable(path, n) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.object(path, n)
	case yaml.SequenceNode:
		all := []any{}
		d.list(path, n, func(at string, item *yaml.Node) {
			if v := d.params(at, item); v != nil {
				all = append(all, v)
			}
		})
		return all
	default:
		return d.single(path, n)
	}
}

func (d *decoder) object(path string, n *yaml.Node) map[string]any {
	all := map[string]any{}
	d.mapping(path, n, func(name, at string, value *yaml.Node) {
		if v := d.params(at, value); v != nil {
			all[name] = v
		}
	})
	return all
}

func (d *decoder) single(path string, n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value
	case "!!bool":
		if isTrue := strings.EqualFold(n.Value, "true"); isTrue || strings.EqualFold(n.Value, "false") {
			return isTrue
		}
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && plainInteger.MatchString(n.Value) {
			return i
		}
	case "!!float":
		// What would not come out as it was written ("1.10", "1e3", ".5") is no number
		// to whoever wrote it.
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == n.Value {
			return f
		}
	}
	d.refuse(path, "is a value that can be read in several ways", "put it into quotes, or write plain decimal digits")
	return nil
}
