//go:build contract

package contract_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"till/internal/sandbox"
)

// walker makes calls of the sandbox and holds every answer against one specification.
type walker struct {
	t      *testing.T
	build  build
	url    string
	spec   *spec
	fields map[string]map[string]bool // object: all fields it has in any version
	// judged counts answers by operation and status.
	judged map[string]int
	// found has one example of each finding, by operation, place and rule.
	found map[string]string
}

func newWalker(t *testing.T, b build) *walker {
	t.Helper()
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return &walker{t: t, build: b, url: server.URL, spec: b.spec(t), fields: knownFields(t), judged: map[string]int{}, found: map[string]string{}}
}

// knownFields are the fields of every object that says what it is. The sandbox gives
// those of both versions together, so both count.
func knownFields(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, b := range builds() {
		for _, schema := range b.spec(t).doc.Components.Schemas {
			kind := schema.Value.Properties["object"]
			if kind == nil || len(kind.Value.Enum) != 1 {
				continue
			}
			name, ok := kind.Value.Enum[0].(string)
			if !ok {
				continue
			}
			if all[name] == nil {
				all[name] = map[string]bool{}
			}
			for field := range schema.Value.Properties {
				all[name][field] = true
			}
		}
	}
	return all
}

// undocumented are fields that Stripe gives and leaves out of its documents since prices
// have taken the place of plans.
var undocumented = map[string][]string{"subscription": {"plan", "quantity"}, "subscription_item": {"plan"}}

// call sends one request, with params as "name=value", and judges the answer.
func (w *walker) call(status int, method, path string, params ...string) reply {
	w.t.Helper()
	return w.calling(status, method, path, nil, params...)
}

// calling is call with headers of its own.
func (w *walker) calling(status int, method, path string, header http.Header, params ...string) reply {
	w.t.Helper()
	x := &exchange{method: method, path: path}
	form := encode(params)
	if method == http.MethodPost {
		x.body = form
	} else {
		x.query = form
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path+"?"+x.query, strings.NewReader(x.body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_sandbox")
	req.Header.Set("Stripe-Version", w.build.version)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(req.Header, header)
	got, err := roundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if got.status != status {
		w.t.Fatalf("%s %s %v: got %d %s, want %d", method, path, params, got.status, got.text, status)
	}
	w.judge(x, got)
	return got
}

func encode(params []string) string {
	var out []string
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		out = append(out, name+"="+url.QueryEscape(value))
	}
	return strings.Join(out, "&")
}

// judge holds an answer against the specification.
func (w *walker) judge(x *exchange, got reply) {
	w.t.Helper()
	template, op := w.spec.operation(x.method, x.path)
	name := fmt.Sprintf("%s %s %d", x.method, template, got.status)
	w.judged[name]++
	note := func(finding string) {
		w.found[name+" "+anyIndex.ReplaceAllString(finding, "/*")] = fmt.Sprintf("%s %s %s\n  %s", x.method, x.path, x.readable(), finding)
	}
	schema := w.spec.doc.Components.Schemas["error"].Value
	if got.status < 400 {
		if op == nil {
			note("no such operation")
			return
		}
		if schema = response(op, got.status); schema == nil {
			note("no such answer")
			return
		}
		// An answer to what this version does not take would prove nothing.
		if err := w.spec.judge(x); err != nil {
			w.t.Errorf("the walk sends what %s does not have: %s %s: %v", w.build.version, x.method, x.path, err)
		}
	}
	for _, finding := range findings(visit(schema, any(got.body))) {
		note(finding)
	}
	for _, stranger := range w.strangers(got.body, "") {
		note(stranger)
	}
}

var anyIndex = regexp.MustCompile(`/[0-9]+`)

// report fails the test with everything found, each thing once.
func (w *walker) report() {
	w.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(w.found)) {
		w.t.Errorf("against %s: %s", w.build.version, w.found[name])
	}
}

// strangers are the fields, at any depth, that an object of its kind has in no version.
func (w *walker) strangers(value any, at string) []string {
	var out []string
	switch v := value.(type) {
	case []any:
		for i, member := range v {
			out = append(out, w.strangers(member, fmt.Sprintf("%s/%d", at, i))...)
		}
	case object:
		kind, _ := v["object"].(string)
		known := w.fields[kind]
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if known != nil && !known[name] && !slices.Contains(undocumented[kind], name) {
				out = append(out, fmt.Sprintf("%s/%s: a %s has no such field in any version", at, name, kind))
			}
			out = append(out, w.strangers(v[name], at+"/"+name)...)
		}
	}
	return out
}

// get and post are calls that succeed.
func (w *walker) get(path string, params ...string) reply {
	w.t.Helper()
	return w.call(http.StatusOK, http.MethodGet, path, params...)
}

func (w *walker) post(path string, params ...string) reply {
	w.t.Helper()
	return w.call(http.StatusOK, http.MethodPost, path, params...)
}

// refused is a POST that is refused with a status.
func (w *walker) refused(status int, path string, params ...string) {
	w.t.Helper()
	w.call(status, http.MethodPost, path, params...)
}

// control makes one of the sandbox's own calls, which Stripe does not have.
func (w *walker) control(method, path, body string) object {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/sandbox/v1/"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := roundTrip(req)
	if err != nil || got.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s %v", method, path, got.status, got.text, err)
	}
	return got.body
}

// leftOut are the operations of params.txt that the sandbox's journal does not have as
// answered with 200.
func (w *walker) leftOut() []string {
	w.t.Helper()
	text, err := os.ReadFile("../sandbox/params.txt")
	if err != nil {
		w.t.Fatal(err)
	}
	missing := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); name != "" && line[0] != '#' && line[0] != ' ' {
			missing[name] = true
		}
	}
	if len(missing) == 0 {
		w.t.Fatal("params.txt names no operation")
	}
	entries, _ := w.control(http.MethodGet, "requests", "")["data"].([]any)
	for _, e := range entries {
		entry, _ := e.(object)
		if name, ok := entry["operation"].(string); ok && entry["status"] == 200.0 {
			delete(missing, name)
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// str follows names through the answer.
func (r reply) str(path ...string) string {
	var at any = r.body
	for _, step := range path {
		switch v := at.(type) {
		case object:
			at = v[step]
		case []any:
			at = nil
			if step == "0" && len(v) > 0 {
				at = v[0]
			}
		default:
			return ""
		}
	}
	s, _ := at.(string)
	return s
}
