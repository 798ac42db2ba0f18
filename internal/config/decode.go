package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"till/internal/catalog"
)

// maxDepth is far beyond any Stripe parameter.
const maxDepth = 40

// decoder fills document from a tree. It goes on after a problem, and notes where
// each path stands.
type decoder struct {
	*report
	depth int
}

// reader is a value that can be written in several ways.
type reader interface {
	read(d *decoder, path string, n *yaml.Node)
}

var paramsType = reflect.TypeFor[catalog.Params]()

// value reads n into one field.
func (d *decoder) value(path string, n *yaml.Node, into reflect.Value) {
	d.depth++
	defer func() { d.depth-- }()
	if !d.usable(path, n) {
		return
	}
	custom, isCustom := into.Addr().Interface().(reader)
	switch {
	case isCustom:
		custom.read(d, path, n)
	case into.Type() == paramsType:
		into.Set(reflect.ValueOf(d.object(path, n)))
	case isScalar(into.Type()):
		d.scalar(path, n, into)
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(path, n, into.Elem())
	case into.Kind() == reflect.Struct:
		d.structure(path, n, into)
	case into.Kind() == reflect.Map:
		d.table(path, n, into)
	default:
		d.list(path, n, func(at string, item *yaml.Node) {
			into.Set(reflect.Append(into, reflect.Zero(into.Type().Elem())))
			d.value(at, item, into.Index(into.Len()-1))
		})
	}
}

// usable refuses what no field can hold. Aliases are refused whole: a few lines of
// them can stand for gigabytes, and nobody misses them here.
func (d *decoder) usable(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.refuse(path, "anchors and aliases are not supported", "write the value out")
	case d.depth > maxDepth:
		d.refuse(path, "is nested too deeply", "Stripe has no parameter like this; remove it")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.refuse(path, "has no value", "give it one or remove the key")
	default:
		return true
	}
	return false
}

func (d *decoder) structure(path string, n *yaml.Node, into reflect.Value) {
	s := membersOf(into)
	d.mapping(path, n, func(name, at string, value *yaml.Node) {
		v, ok := s.known[name]
		switch {
		case ok:
			d.value(at, value, v)
		case s.rest.IsValid():
			s.add(name, d.params(at, value))
		default:
			d.refuse(at, "unknown key", d.unknown(path, name, s))
		}
	})
}

// unknown returns what to do about a key that does not exist.
func (d *decoder) unknown(path, name string, s members) string {
	if variable := s.outside[name]; variable != "" {
		return "set " + variable + " instead: it is not read from the file"
	}
	near := catalog.Nearest(name, s.names)
	if near == "" {
		return "remove it; known are " + strings.Join(s.names, ", ")
	}
	// The key that was meant is not "missing" too.
	d.spoil(join(path, near))
	return fmt.Sprintf("did you mean %q?", near)
}

// table reads a mapping with free names.
func (d *decoder) table(path string, n *yaml.Node, into reflect.Value) {
	into.Set(reflect.MakeMap(into.Type()))
	d.mapping(path, n, func(name, at string, value *yaml.Node) {
		v := reflect.New(into.Type().Elem()).Elem()
		d.value(at, value, v)
		into.SetMapIndex(reflect.ValueOf(name), v)
	})
}

func (d *decoder) scalar(path string, n *yaml.Node, into reflect.Value) {
	isText := into.Kind() == reflect.String || into.Type() == secretType || into.Type() == durationType
	isNone := into.Type() == durationType && n.Value == "0" // the one that needs no unit
	tag := n.ShortTag()
	switch {
	case n.Kind != yaml.ScalarNode:
		d.refuse(path, "must be a single value", "write one value, not a list or a mapping")
	case isText && !isNone && tag != "!!str" && tag != "!!timestamp":
		w := notText(into)
		d.refuse(path, w.text, w.fix)
	case !isText && tag == "!!str":
		w := setScalar(into, "") // never right for a number or a boolean
		d.refuse(path, w.text, w.fix)
	default:
		if w := setScalar(into, n.Value); w != nil {
			d.refuse(path, w.text, w.fix)
		}
	}
}

func notText(into reflect.Value) *wrong {
	if into.Type() == durationType {
		return setScalar(into, "")
	}
	return &wrong{"must be a text", "put the value into quotes"}
}

// mapping calls each for every member of n, and refuses what is not one.
func (d *decoder) mapping(path string, n *yaml.Node, each func(name, at string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.refuse(path, "must be a mapping", "write {key: value}, or indented lines of key: value")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i], join(path, n.Content[i].Value)
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" {
			d.place(at, key)
			if key.ShortTag() == "!!merge" {
				d.spoil(path) // it could have brought anything
			}
			d.refuse(at, "is not a plain text as a key", "put the key into quotes; merge keys (<<) are not supported")
			continue
		}
		d.place(at, key)
		if line, twice := seen[key.Value]; twice {
			d.refuse(at, fmt.Sprintf("is given twice, first in line %d", line), "keep one")
			continue
		}
		seen[key.Value] = key.Line
		each(key.Value, at, n.Content[i+1])
	}
}

// list calls each for every member of n, and refuses what is not one.
func (d *decoder) list(path string, n *yaml.Node, each func(at string, item *yaml.Node)) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.refuse(path, "must be a list", "write [value], or indented lines of - value")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s.%d", path, i)
		d.place(at, item)
		each(at, item)
	}
}
