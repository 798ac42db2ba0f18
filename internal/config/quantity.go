package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"

	"till/internal/catalog"
)

// quantity is what a line item's quantity may be: bounds, or the word none.
type quantity struct {
	none   bool
	bounds bounds
}

type bounds struct {
	Default int64 `yaml:"default"`
	Min     int64 `yaml:"min"`
	Max     int64 `yaml:"max"`
}

// read implements reader. A quantity that cannot be read becomes 1, so that
// nothing else is wrong with its plan because of it.
func (q *quantity) read(d *decoder, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Value == "none" {
		q.none = true
		return
	}
	before := len(d.problems)
	if n.Kind != yaml.MappingNode {
		d.refuse(path, "must be bounds or the word none", "write {default: 1, min: 1, max: 50}, or none for a metered price")
	} else {
		d.structure(path, n, reflect.ValueOf(&q.bounds).Elem())
		d.complete(path)
	}
	if len(d.problems) > before {
		q.bounds = bounds{Default: 1, Min: 1, Max: 1}
	}
}

func (d *decoder) complete(path string) {
	for _, name := range []string{"default", "min", "max"} {
		if at := join(path, name); !d.known(at) && !d.spoiled(at) {
			d.refuse(at, "is missing", "give all three: {default: 1, min: 1, max: 50}")
		}
	}
}

// catalog returns the bounds; nil when the caller has no say.
func (q *quantity) catalog() *catalog.Quantity {
	if q == nil || q.none {
		return nil
	}
	return &catalog.Quantity{Default: q.bounds.Default, Min: q.bounds.Min, Max: q.bounds.Max}
}
