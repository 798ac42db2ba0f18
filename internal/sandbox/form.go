package sandbox

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPairs = 5000
	maxDepth = 8
)

// node is one level of a decoded form: a leaf with a value, or named children
// in the order they came.
type node struct {
	leaf  bool
	value string
	names []string
	kids  map[string]*node
}

// parseForm decodes `a[b][0][c]=v` pairs into a tree. Errors are *apiError
// and mean that the text is no such form.
func parseForm(text string) (*node, error) {
	root := &node{}
	pairs := strings.Split(text, "&")
	if len(pairs) > maxPairs {
		return nil, malformed("", "", "Too many parameters: the sandbox takes %d.", maxPairs)
	}
	for _, pair := range pairs {
		if pair == "" {
			continue
		}
		if err := root.put(pair); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func (n *node) put(pair string) error {
	rawKey, rawValue, _ := strings.Cut(pair, "=")
	key, err1 := url.QueryUnescape(rawKey)
	value, err2 := url.QueryUnescape(rawValue)
	if err1 != nil || err2 != nil {
		return malformed("", "", "Invalid request: the parameters are not valid form encoding.")
	}
	path, ok := splitKey(key)
	if !ok || len(path) > maxDepth {
		return malformed("parameter_unknown", key, "Received unknown parameter: %s", key)
	}
	for _, name := range path {
		n = n.child(name)
	}
	n.leaf, n.value = true, value
	return nil
}

// child returns the named child, made if needed; "" appends to a list.
func (n *node) child(name string) *node {
	if name == "" {
		name = strconv.Itoa(len(n.names))
	}
	if kid, ok := n.kids[name]; ok {
		return kid
	}
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	kid := &node{}
	n.kids[name] = kid
	n.names = append(n.names, name)
	return kid
}

// splitKey turns `a[b][0]` into a, b, 0.
func splitKey(key string) ([]string, bool) {
	head, rest, nested := strings.Cut(key, "[")
	if head == "" || strings.Contains(head, "]") {
		return nil, false
	}
	if !nested {
		return []string{head}, true
	}
	inner, ok := strings.CutSuffix(rest, "]")
	if !ok {
		return nil, false
	}
	path := append([]string{head}, strings.Split(inner, "][")...)
	return path, !slices.ContainsFunc(path, func(s string) bool { return strings.ContainsAny(s, "[]") })
}

// elements returns the children of a list by index, or false if a name is no
// index.
func (n *node) elements() ([]*node, bool) {
	type item struct {
		at   int
		node *node
	}
	var items []item
	for _, name := range n.names {
		at, err := strconv.Atoi(name)
		if err != nil || at < 0 {
			return nil, false
		}
		items = append(items, item{at, n.kids[name]})
	}
	slices.SortStableFunc(items, func(a, b item) int { return a.at - b.at })
	var out []*node
	for _, it := range items {
		out = append(out, it.node)
	}
	return out, true
}

// flat lists the pairs again, for the journal and for comparing requests.
func (n *node) flat() map[string]string {
	out := map[string]string{}
	n.flatten("", out)
	return out
}

func (n *node) flatten(prefix string, out map[string]string) {
	if n.leaf {
		out[prefix] = n.value
	}
	for _, name := range n.names {
		n.kids[name].flatten(join(prefix, name), out)
	}
}

// join writes a parameter's name as Stripe does: a[b][0].
func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "[" + name + "]"
}
