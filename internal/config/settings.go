package config

import (
	"reflect"
	"strings"
	"time"

	"till/internal/secret"
)

// Setting is one value that the environment can give.
type Setting struct {
	// Env is the variable. A secret can also stand in a file that Env with _FILE names.
	Env string
	// Path is the place in till.yaml; "" when the file cannot hold it.
	Path string
	// Default is "" when there is none.
	Default string
	Help    string
	Secret  bool
}

// Describe lists every setting of the environment, in the order of till.yaml.
func Describe() []Setting {
	var all []Setting
	for _, f := range fields() {
		if f.scalar {
			all = append(all, f.Setting)
		}
	}
	return all
}

// field is a field of document, or of a section of it.
type field struct {
	Setting
	scalar bool
	// key is the place that problems name: the path, or below its section the
	// field's variable when the file cannot hold it.
	key   string
	index []int
}

// fields lists what lies outside lists and maps.
func fields() []field { return walk(reflect.TypeFor[document](), "", nil) }

func walk(t reflect.Type, path string, index []int) []field {
	var all []field
	for sf := range t.Fields() {
		f := fieldOf(sf, path, index)
		all = append(all, f)
		if sf.Type.Kind() == reflect.Struct && !f.scalar {
			all = append(all, walk(sf.Type, f.Path, f.index)...)
		}
	}
	return all
}

func fieldOf(sf reflect.StructField, path string, index []int) field {
	f := field{scalar: isScalar(sf.Type), index: append(index[:len(index):len(index)], sf.Index...)}
	f.Default, f.Help, f.Secret = sf.Tag.Get("default"), sf.Tag.Get("help"), sf.Type == secretType
	f.Env = sf.Tag.Get("env")
	f.key = f.Env
	if name := sf.Tag.Get("yaml"); name != "" {
		f.Path = join(path, name)
		f.key = f.Path
		f.Env = "TILL_" + strings.ToUpper(strings.ReplaceAll(f.Path, ".", "_"))
	}
	return f
}

var (
	secretType   = reflect.TypeFor[secret.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
)

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	default:
		return t == secretType
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// defaults returns the document that an empty file means.
func defaults() document {
	var doc document
	for _, f := range fields() {
		if f.Default != "" {
			// The tags are constants; a test sets each of them.
			_ = setScalar(reflect.ValueOf(&doc).Elem().FieldByIndex(f.index), f.Default)
		}
	}
	return doc
}
