package sandbox

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed params.txt
var paramsFile string

// loadShapes reads params.txt: operation name to what it takes.
func loadShapes() (map[string]*shape, error) {
	out := map[string]*shape{}
	var current *shape
	for i, line := range strings.Split(paramsFile, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			current = &shape{kind: "object", fields: map[string]*shape{}}
			out[line] = current
		default:
			p := &shapeParser{rest: strings.TrimSpace(line)}
			if err := p.field(current); err != nil {
				return nil, fmt.Errorf("params.txt:%d: %w", i+1, err)
			}
		}
	}
	return out, nil
}

// shapeParser is a recursive descent over one line.
type shapeParser struct{ rest string }

// field reads `name*: type` into s.
func (p *shapeParser) field(s *shape) error {
	name := p.until(":")
	p.take(":")
	p.rest = strings.TrimLeft(p.rest, " ")
	name, needed := strings.CutSuffix(name, "*")
	if needed {
		s.needed = append(s.needed, name)
	}
	t, err := p.either()
	s.fields[name] = t
	return err
}

// either reads `type/type/""`.
func (p *shapeParser) either() (*shape, error) {
	s, err := p.one()
	for err == nil && p.take("/") {
		if p.take(`""`) {
			s.clears = true
			continue
		}
		s.other, err = p.one()
	}
	return s, err
}

func (p *shapeParser) one() (*shape, error) {
	switch {
	case p.take("{"):
		return p.object()
	case p.take("["):
		return p.wrapped("list", "]")
	case p.take("<"):
		return p.wrapped("objects", ">")
	case p.take("("):
		values := strings.Split(p.until(")"), "|")
		p.take(")")
		return &shape{kind: "enum", values: values}, nil
	}
	return p.word()
}

func (p *shapeParser) object() (*shape, error) {
	s := &shape{kind: "object", fields: map[string]*shape{}}
	for !p.take("}") {
		if p.rest == "" {
			return nil, fmt.Errorf("missing }")
		}
		if err := p.field(s); err != nil {
			return nil, err
		}
		p.take(", ")
	}
	return s, nil
}

func (p *shapeParser) wrapped(kind, end string) (*shape, error) {
	elem, err := p.either()
	if err == nil && !p.take(end) {
		err = fmt.Errorf("missing %s", end)
	}
	return &shape{kind: kind, elem: elem}, err
}

func (p *shapeParser) word() (*shape, error) {
	for _, kind := range []string{"str", "int", "num", "bool", "map"} {
		if !p.take(kind) {
			continue
		}
		s := &shape{kind: kind}
		if p.take("<=") {
			s.max, _ = strconv.Atoi(p.until(",]}>/ "))
		}
		return s, nil
	}
	return nil, fmt.Errorf("no type at %q", p.rest)
}

func (p *shapeParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

// until takes everything before the first of the stop characters.
func (p *shapeParser) until(stops string) string {
	at := strings.IndexAny(p.rest, stops)
	if at < 0 {
		at = len(p.rest)
	}
	word := p.rest[:at]
	p.rest = p.rest[at:]
	return word
}
