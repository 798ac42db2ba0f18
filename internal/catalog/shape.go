package catalog

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed params.txt
var paramsFile string

// kind is what one value of a parameter is.
type kind string

const (
	text     kind = "str"
	integer  kind = "int"
	number   kind = "num"
	truth    kind = "bool"
	moment   kind = "time"
	decimal  kind = "decimal"
	currency kind = "currency"
	choice   kind = "one of"
	object   kind = "object"
	list     kind = "list of"
	table    kind = "map of"
)

// age says in which of the two API versions of params.txt something is.
type age int

const (
	always age = iota
	added      // not in the older one
	gone       // not in the newer one
)

// The two API versions that params.txt speaks of. What stripe-go v76 sends is the older.
const (
	olderVersion = "2023-10-16"
	newerVersion = "2026-08-26.dahlia"
)

// shape is what one parameter takes; params.txt explains the notation.
type shape struct {
	kind     kind
	max      int // of a text, in characters; 0 is unbounded
	oldMax   int // in the older version, if it differs
	choices  []string
	ages     map[string]age // of choices that are not in both versions
	elem     *shape         // of a list or table
	members  map[string]*shape
	needed   []string // members that must be given
	clears   bool     // "" unsets it
	age      age
	isNeeded bool
}

// names are the members in order.
func (s *shape) names() []string { return slices.Sorted(maps.Keys(s.members)) }

// at follows a path of members, through lists and tables.
func (s *shape) at(path ...string) *shape {
	for _, name := range path {
		s = s.inner().members[name]
	}
	return s
}

// inner is what a list or table is made of, or s itself.
func (s *shape) inner() *shape {
	for s.elem != nil {
		s = s.elem
	}
	return s
}

// leaves counts the values that can be sent for s in the newer version.
func (s *shape) leaves() int {
	in := s.inner()
	if len(in.members) == 0 {
		return 1
	}
	n := 0
	for _, m := range in.members {
		if m.age != gone {
			n += m.leaves()
		}
	}
	return n
}

// shapes are the operations of params.txt by name. The file is part of the program and
// read by every test, so that it cannot be read is no error to pass on.
var shapes = sync.OnceValue(func() map[string]*shape {
	all, err := readShapes(paramsFile)
	if err != nil {
		panic(err)
	}
	// The client spells it as the version wants it, and custom came and went in between.
	all[checkoutCreate].members["ui_mode"] = &shape{kind: choice, choices: spellings()}
	return all
})

// The operations of params.txt.
const (
	checkoutCreate = "checkout.sessions.create"
	portalCreate   = "billing_portal.sessions.create"
)

func checkoutShape() *shape { return shapes()[checkoutCreate] }
func portalShape() *shape   { return shapes()[portalCreate] }

// readShapes reads the indented lines of params.txt.
func readShapes(file string) (map[string]*shape, error) {
	all := map[string]*shape{}
	var around []*shape // by depth
	for i, line := range strings.Split(file, "\n") {
		body := strings.TrimLeft(line, " ")
		depth := (len(line) - len(body)) / 2
		switch {
		case body == "" || body[0] == '#':
		case depth == 0:
			all[body] = &shape{kind: object, members: map[string]*shape{}}
			around = []*shape{all[body]}
		case depth > len(around):
			return nil, fmt.Errorf("params.txt:%d: stands below nothing", i+1)
		default:
			name, s, err := readShape(body)
			if err != nil {
				return nil, fmt.Errorf("params.txt:%d: %w", i+1, err)
			}
			outer := around[depth-1]
			outer.members[name] = s
			if s.isNeeded {
				outer.needed = append(outer.needed, name)
			}
			around = append(around[:depth], s.inner())
		}
	}
	return all, nil
}

// readShape reads `name+*: list of str<=40 or ""`.
func readShape(line string) (string, *shape, error) {
	name, rest, ok := strings.Cut(line, ": ")
	if !ok {
		return "", nil, fmt.Errorf("no colon in %q", line)
	}
	name, needed := strings.CutSuffix(name, "*")
	name, how := readAge(name)
	rest, clears := strings.CutSuffix(rest, ` or ""`)
	s, err := readType(rest)
	if err != nil {
		return "", nil, err
	}
	s.clears, s.age, s.isNeeded = clears, how, needed
	return name, s, nil
}

func readAge(word string) (string, age) {
	if rest, ok := strings.CutSuffix(word, "+"); ok {
		return rest, added
	}
	if rest, ok := strings.CutSuffix(word, "-"); ok {
		return rest, gone
	}
	return word, always
}

func readType(words string) (*shape, error) {
	for _, k := range []kind{list, table} {
		if rest, ok := strings.CutPrefix(words, string(k)+" "); ok {
			elem, err := readType(rest)
			return &shape{kind: k, elem: elem}, err
		}
	}
	if rest, ok := strings.CutPrefix(words, string(choice)+" "); ok {
		s := &shape{kind: choice, ages: map[string]age{}}
		for word := range strings.FieldsSeq(rest) {
			value, how := readAge(word)
			s.choices = append(s.choices, value)
			s.ages[value] = how
		}
		return s, nil
	}
	word, limit, _ := strings.Cut(words, "<=")
	switch k := kind(word); k {
	case "map":
		return &shape{kind: table, elem: &shape{kind: text}}, nil
	case object:
		return &shape{kind: k, members: map[string]*shape{}}, nil
	case text, integer, number, truth, moment, decimal, currency:
		s := &shape{kind: k}
		newer, older, _ := strings.Cut(strings.TrimSuffix(limit, ")"), "(")
		s.max, _ = strconv.Atoi(newer)
		s.oldMax, _ = strconv.Atoi(older)
		return s, nil
	default:
		return nil, fmt.Errorf("no type %q", word)
	}
}
