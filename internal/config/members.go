package config

import (
	"reflect"

	"till/internal/catalog"
)

// members are the fields of a struct by the keys they have in the file.
type members struct {
	known   map[string]reflect.Value
	names   []string
	outside map[string]string // keys people try → the variable to set instead
	rest    reflect.Value     // takes every other key, if there is one
}

func membersOf(v reflect.Value) members {
	m := members{known: map[string]reflect.Value{}, outside: map[string]string{}}
	for sf, v := range v.Fields() {
		switch name := sf.Tag.Get("yaml"); name {
		case "":
			if wanted := sf.Tag.Get("outside"); wanted != "" {
				m.outside[wanted] = sf.Tag.Get("env")
			}
		case ",rest":
			m.rest = v
		default:
			m.known[name] = v
			m.names = append(m.names, name)
		}
	}
	return m
}

// add puts a parameter among the rest; nil is one that was refused.
func (m members) add(name string, value any) {
	if value == nil {
		return
	}
	if m.rest.IsNil() {
		m.rest.Set(reflect.ValueOf(catalog.Params{}))
	}
	m.rest.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
}
