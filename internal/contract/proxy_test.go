//go:build contract

package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// exchange is one request as it arrived, and what stripe-mock made of it.
type exchange struct {
	method, path string
	header       http.Header
	query, body  string
	status       int
	answer       string
}

// operation names what the request does; sessions also by mode.
func (x *exchange) operation() string {
	parts := strings.Split(x.path, "/")
	switch {
	case len(parts) == 4 && (parts[2] == "customers" || parts[2] == "subscriptions"),
		x.method == http.MethodGet && len(parts) == 4 && parts[2] == "prices":
		parts[len(parts)-1] = "{id}"
	case len(parts) > 4 && parts[2] == "checkout":
		parts[4] = "{id}"
	}
	name := x.method + " " + strings.Join(parts, "/")
	if mode := x.form().Get("mode"); mode != "" {
		name += " " + mode
	}
	return name
}

// form is all that was sent, with names as Stripe writes them.
func (x *exchange) form() url.Values {
	form, err := url.ParseQuery(x.query + "&" + x.body)
	if err != nil {
		return nil // judge says so
	}
	return form
}

// proxy stands before a stripe-mock. Requests pass untouched.
type proxy struct {
	t      *testing.T
	target *url.URL
	server *httptest.Server

	mu      sync.Mutex
	journal []*exchange
	patched map[string]map[string]int // operation, field: how often
	// sessions is what a stateful Stripe would remember of each: its customer and metadata.
	sessions map[string]object
	// customer is the id of the newest.
	customer any
}

type object = map[string]any

type exchangeKey struct{}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: u, patched: map[string]map[string]int{}, sessions: map[string]object{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			// A compressed answer could not be read here.
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: p.hear,
	}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading %s %s: %v", r.Method, r.URL.Path, err)
		}
		x := &exchange{method: r.Method, path: r.URL.Path, header: r.Header.Clone(), query: r.URL.RawQuery, body: string(body)}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	}))
	t.Cleanup(p.server.Close)
	return p
}

// hear writes the exchange down and patches the answer.
func (p *proxy) hear(res *http.Response) error {
	x, _ := res.Request.Context().Value(exchangeKey{}).(*exchange)
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	x.status, x.answer = res.StatusCode, string(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal = append(p.journal, x)
	if res.StatusCode < 300 {
		if text, err = p.patch(x, text); err != nil {
			return err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	res.ContentLength = int64(len(text))
	res.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// patch makes the answer one that Stripe could have given to this request.
func (p *proxy) patch(x *exchange, text []byte) ([]byte, error) {
	var answer object
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&answer); err != nil {
		return nil, err
	}
	for _, at := range objectsOf(answer) {
		p.patchObject(x, at)
	}
	return json.Marshal(answer)
}

// objectsOf are the members of a list, or the object itself.
func objectsOf(answer object) []object {
	if answer["object"] != "list" {
		return []object{answer}
	}
	var all []object
	members, _ := answer["data"].([]any)
	for _, m := range members {
		if o, ok := m.(object); ok {
			all = append(all, o)
		}
	}
	return all
}

// patchable are the fields of answers that may be changed: what stripe-mock cannot know
// (it remembers nothing) or invents (a live-mode portal on a host of its authors').
var patchable = []string{"id", "livemode", "url", "customer", "metadata", "lookup_key", "ui_mode", "flow", "status", "code", "active"}

func (p *proxy) patchObject(x *exchange, at object) {
	set := func(field string, value any) {
		if !slices.Contains(patchable, field) {
			p.t.Errorf("the proxy may not patch %s", field)
			return
		}
		if same(at[field], value) {
			return
		}
		at[field] = value
		name := x.operation()
		if p.patched[name] == nil {
			p.patched[name] = map[string]int{}
		}
		p.patched[name][field]++
	}
	form := x.form()
	if _, has := at["livemode"]; has {
		set("livemode", false)
	}
	switch at["object"] {
	case "customer":
		set("metadata", sentMetadata(form))
		if x.method == http.MethodPost {
			p.customer = at["id"]
		}
	case "promotion_code":
		set("code", form.Get("code"))
		set("active", true)
	case "price":
		if key := form.Get("lookup_keys[0]"); key != "" {
			set("lookup_key", key)
		}
	case "billing_portal.session":
		set("customer", form.Get("customer"))
		set("flow", sentFlow(form))
		set("url", "https://billing.stripe.com/p/session/test_from_the_mock")
	case "checkout.session":
		p.patchSession(x, at, set)
	case "subscription":
		p.patchSubscription(x, at, set)
		set("status", "active")
	}
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// sentFlow is the flow as far as the service looks at it.
func sentFlow(form url.Values) any {
	kind := form.Get("flow_data[type]")
	if kind == "" {
		return nil
	}
	flow := object{"type": kind}
	if sub := form.Get("flow_data[" + kind + "][subscription]"); sub != "" {
		flow[kind] = object{"subscription": sub}
	}
	return flow
}

func sentMetadata(form url.Values) object {
	sent := object{}
	for name, values := range form {
		if key, ok := strings.CutPrefix(name, "metadata["); ok {
			sent[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return sent
}

// exchanges are the requests so far.
func (p *proxy) exchanges() []*exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.journal)
}

// summary says what was patched, one line for each operation.
func (p *proxy) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.patched)) {
		fmt.Fprintf(&b, "\n  %s:", name)
		for _, field := range slices.Sorted(maps.Keys(p.patched[name])) {
			fmt.Fprintf(&b, " %s ×%d", field, p.patched[name][field])
		}
	}
	return b.String()
}
