package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"till/internal/catalog"
)

// lookup turns os.Environ's form into a map. The first of two equal names counts,
// as in os.Getenv. An empty variable is an unset one: compose files and charts
// pass on everything, set or not.
func lookup(environ []string) map[string]string {
	all := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, seen := all[name]; !seen {
			all[name] = value
		}
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// applyEnvironment overwrites what the file says with what the environment says.
func (l *loader) applyEnvironment() {
	for _, f := range fields() {
		if !f.scalar {
			continue
		}
		text, variable := l.environ[f.Env], f.Env
		if f.Secret {
			text, variable = l.secret(f.Env)
		}
		if text == "" {
			continue
		}
		l.env[f.key] = variable
		delete(l.bad, f.key)
		if w := setScalar(reflect.ValueOf(&l.doc).Elem().FieldByIndex(f.index), text); w != nil {
			l.refuse(f.key, w.text, w.fix)
		}
	}
	l.warnUnknown()
}

// kubernetes matches what Kubernetes injects for services called till or till-….
var kubernetes = regexp.MustCompile(`^TILL_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// warnUnknown names the variables that look like ours and are not.
func (l *loader) warnUnknown() {
	names, lists := map[string]bool{}, map[string]string{}
	for _, f := range fields() {
		names[f.Env] = f.scalar
		if f.Secret {
			names[f.Env+"_FILE"] = true
		}
		if !f.scalar {
			lists[f.Env] = f.Path
		}
	}
	for _, name := range l.namedSecrets() {
		names[name], names[name+"_FILE"] = true, true
	}
	maps.DeleteFunc(names, func(_ string, scalar bool) bool { return !scalar })
	for _, name := range slices.Sorted(maps.Keys(l.environ)) {
		if names[name] || !strings.HasPrefix(name, "TILL_") || kubernetes.MatchString(name) {
			continue
		}
		l.warn(name, unknownVariable(name, lists[name], slices.Sorted(maps.Keys(names))))
	}
}

func unknownVariable(name, list string, names []string) string {
	if list != "" {
		return fmt.Sprintf("is ignored: %s is not a single value and can only stand in the file", list)
	}
	if near := catalog.Nearest(name, names); near != "" {
		return fmt.Sprintf("is not a setting and is ignored; did you mean %s?", near)
	}
	return "is not a setting and is ignored"
}
