package sandbox

// params are the decoded parameters of one request; absent ones read as zero.
type params object

func (p params) has(name string) bool { _, ok := p[name]; return ok }

func (p params) str(name string) string { return stringOf(object(p), name) }

func (p params) bool(name string) bool { b, _ := p[name].(bool); return b }

func (p params) int(name string) int64 { n, _ := p[name].(int64); return n }

// sub is a nested object, empty if absent or unset.
func (p params) sub(name string) params { o, _ := p[name].(object); return params(o) }

func (p params) list(name string) []any { l, _ := p[name].([]any); return l }

// subs is a list of objects.
func (p params) subs(name string) []params {
	var out []params
	for _, v := range p.list(name) {
		o, _ := v.(object)
		out = append(out, params(o))
	}
	return out
}

// strings is a list of strings.
func (p params) strings(name string) []string {
	var out []string
	for _, v := range p.list(name) {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// or is the value if present and not unset, else the fallback.
func (p params) or(name string, fallback any) any {
	if v, ok := p[name]; ok && v != "" {
		return v
	}
	return fallback
}

// reflect copies the named parameters into fields; an unset one becomes null.
func (p params) reflect(fields object, names ...string) {
	for _, name := range names {
		if v, ok := p[name]; ok {
			fields[name] = v
			if v == "" {
				fields[name] = nil
			}
		}
	}
}

// metadata merges the request's metadata into old as Stripe does: an empty
// value drops one key, an empty whole drops all.
func (p params) metadata(old object) object {
	if p["metadata"] == "" {
		return object{}
	}
	merged := over(old, object(p.sub("metadata")))
	for key, value := range merged {
		if value == "" {
			delete(merged, key)
		}
	}
	return merged
}

// metadataOf reads an object's metadata, never nil.
func metadataOf(fields object) object {
	if m, ok := fields["metadata"].(object); ok {
		return m
	}
	return object{}
}
