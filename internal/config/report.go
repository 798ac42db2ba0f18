package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// report collects what is wrong, and knows where every path comes from.
type report struct {
	file     string
	places   map[string]place
	env      map[string]string // path → the variable that gave its value
	bad      map[string]bool   // paths that already have a problem
	problems Problems
	warnings []Warning
}

type place struct{ line, column int }

func newReport() *report {
	return &report{places: map[string]place{}, env: map[string]string{}, bad: map[string]bool{}}
}

// place notes that path stands at n.
func (r *report) place(path string, n *yaml.Node) { r.places[path] = place{n.Line, n.Column} }

// known reports whether the file has something at path.
func (r *report) known(path string) bool { _, ok := r.places[path]; return ok }

// spoil says that whatever is wrong at path follows from another problem.
func (r *report) spoil(path string) { r.bad[path] = true }

// spoiled reports whether path, or something it is part of, has a problem already.
func (r *report) spoiled(path string) bool {
	for ; path != ""; path = parent(path) {
		if r.bad[path] {
			return true
		}
	}
	return false
}

// touched reports whether path is spoiled, or something in it.
func (r *report) touched(path string) bool {
	for bad := range r.bad {
		if strings.HasPrefix(bad, path+".") {
			return true
		}
	}
	return r.spoiled(path)
}

func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

// refuse adds a problem at path, where the file says something about it, or at
// the nearest thing around it.
func (r *report) refuse(path, text, fix string) {
	r.note(path, text, fix)
	r.spoil(path)
}

// note is refuse for a problem from which nothing else at path follows.
func (r *report) note(path, text, fix string) {
	p := Problem{Key: clean(path), Env: r.env[path], Text: clean(text), Fix: clean(fix)}
	if p.Env == "" && (r.known(path) || !isVariable(path)) {
		p.File = r.file
		at := r.find(path)
		p.Line, p.Column = at.line, at.column
	}
	r.problems = append(r.problems, p)
}

func isVariable(path string) bool {
	return strings.HasPrefix(path, "TILL_") || strings.HasPrefix(path, "STRIPE_")
}

func (r *report) find(path string) place {
	for ; path != ""; path = parent(path) {
		if at, ok := r.places[path]; ok {
			return at
		}
	}
	return place{}
}

// rule adds a problem unless it is only the consequence of another one.
func (r *report) rule(path, text, fix string) {
	if !r.spoiled(path) {
		r.refuse(path, text, fix)
	}
}

// warn adds a warning, once.
func (r *report) warn(key, text string) {
	if w := (Warning{key, clean(text)}); !slices.Contains(r.warnings, w) {
		r.warnings = append(r.warnings, w)
	}
}

// sorted returns the problems in the order of the file; those outside it come first.
func (r *report) sorted() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return r.problems
}
