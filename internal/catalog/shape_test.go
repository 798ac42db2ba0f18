package catalog

import (
	"strings"
	"testing"
)

// The file is judged as a whole by those who read it; here, that a broken one is not
// read as another.
func TestBrokenParameterFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"op\n  a: string":           `params.txt:2: no type "string"`,
		"op\n  a":                   `params.txt:2: no colon in "a"`,
		"op\n      a: str":          "params.txt:2: stands below nothing",
		"  a: str":                  "params.txt:1: stands below nothing",
		"op\n  a: list of strings":  `no type "strings"`,
		"op\n  a: map of list of x": `no type "x"`,
	} {
		if _, err := readShapes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestAParameterFile(t *testing.T) {
	t.Parallel()
	all, err := readShapes("# a comment\n\nop\n  a+*: list of object or \"\"\n    b-: str<=40(30)\n    c: one of x+ y z-\n  d: map of object\n    e: time\n  f: map\nother\n  g: bool")
	if err != nil {
		t.Fatal(err)
	}
	op := all["op"]
	a, b, c := op.at("a"), op.at("a", "b"), op.at("a", "c")
	switch {
	case len(all) != 2 || all["other"].at("g").kind != truth || len(op.names()) != 3:
		t.Errorf("operations: %v", all)
	case a.kind != list || !a.clears || a.age != added || op.needed[0] != "a" || len(op.needed) != 1:
		t.Errorf("a is %+v", a)
	case b.kind != text || b.max != 40 || b.oldMax != 30 || b.age != gone || b.clears:
		t.Errorf("b is %+v", b)
	case c.kind != choice || strings.Join(c.choices, " ") != "x y z" || c.ages["x"] != added || c.ages["y"] != always || c.ages["z"] != gone:
		t.Errorf("c is %+v", c)
	case op.at("d", "e").kind != moment || op.at("f").kind != table || op.at("f").elem.kind != text:
		t.Error("maps are read as something else")
	}
}
