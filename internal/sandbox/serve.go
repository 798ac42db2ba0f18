package sandbox

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const maxBody = 1 << 20

// defaultVersion is the account's API version, for requests that name none.
const defaultVersion = "2023-10-16"

var versionShape = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(\.[a-z_]+)?(; ?[a-z0-9_=;]+)?$`)

// answer is what goes back to the caller.
type answer struct {
	status int
	body   []byte
	header map[string]string
}

// serve takes one API request through Stripe's order of things: key, version,
// form, rate limits, idempotency, parameters, execution.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request, op operation) {
	x := s.begin(w, r, op)
	form, err := x.read()
	if err != nil {
		x.refuse(err)
		return
	}
	if f := s.takeFault(op.name); f != nil {
		x.fault = f
	}
	if x.fault.before(x, form) {
		return
	}
	x.send(x.answer(form))
}

// unrecognized answers for a URL that Stripe does not have.
func (s *Sandbox) unrecognized(w http.ResponseWriter, r *http.Request) {
	x := s.begin(w, r, operation{name: "unrecognized"})
	if err := s.authenticate(r); err != nil {
		x.refuse(err)
		return
	}
	x.refuse(unrecognizedURL(r))
}

// exchange is one request and its answer.
type exchange struct {
	s       *Sandbox
	w       http.ResponseWriter
	r       *http.Request
	op      operation
	id      string // req_...
	version string
	fault   *fault
	struck  bool // the fault made a difference
	entry   journalEntry
}

func (s *Sandbox) begin(w http.ResponseWriter, r *http.Request, op operation) *exchange {
	x := &exchange{s: s, w: w, r: r, op: op, id: newID("req"), fault: noFault}
	x.version = orElse(r.Header.Get("Stripe-Version"), defaultVersion)
	x.entry = journalEntry{
		Operation: op.name, Method: r.Method, Path: r.URL.Path,
		IdempotencyKey: r.Header.Get("Idempotency-Key"),
		StripeVersion:  r.Header.Get("Stripe-Version"), RequestID: x.id,
	}
	return x
}

// read checks key and version and decodes query and body.
func (x *exchange) read() (*node, error) {
	if err := x.s.authenticate(x.r); err != nil {
		return nil, err
	}
	if !versionShape.MatchString(x.version) {
		return nil, malformed("", "", "Invalid Stripe API version: %s", x.version)
	}
	body, err := readBody(x.w, x.r)
	if err != nil {
		return nil, err
	}
	form, err := parseForm(x.r.URL.RawQuery + "&" + body)
	if err == nil {
		x.entry.Params = form.flat()
	}
	return form, err
}

// readBody returns the form text of the body. An empty body needs no
// Content-Type.
func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		e := malformed("", "", "Request body too large: the sandbox takes 1 MiB.")
		e.Status = http.StatusRequestEntityTooLarge
		return "", e
	}
	if err != nil {
		return "", malformed("", "", "Invalid request: the body ended early.")
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if len(raw) > 0 && !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return "", malformed("", "", "Invalid request: expected Content-Type application/x-www-form-urlencoded, got '%s'.", kind)
	}
	return string(raw), nil
}

// answer executes the request, or replays what its key has stored.
func (x *exchange) answer(form *node) answer {
	key := x.r.Header.Get("Idempotency-Key")
	if x.r.Method != http.MethodPost || key == "" {
		x.fault.wait(x)
		got, _ := x.execute(form)
		return got
	}
	slot, done := x.s.claim(key, x.r.URL.Path, form)
	if done != nil {
		return x.replayed(*done)
	}
	// An operation that panics must not leave its key in use for ever.
	defer x.s.release(slot)
	x.fault.wait(x)
	got, executed := x.execute(form)
	if executed {
		x.s.settle(slot, got, x.id)
	}
	return got
}

func (x *exchange) replayed(done outcome) answer {
	if done.refused != nil {
		return x.render(nil, done.refused)
	}
	x.entry.Replayed = true
	got := done.stored
	got.header = map[string]string{"Idempotent-Replayed": "true", "Original-Request": done.original}
	return got
}

// execute runs the operation under the lock. executed is false if the request
// was refused before it began.
func (x *exchange) execute(form *node) (got answer, executed bool) {
	decoded, err := x.s.shapes[x.op.name].decode(form, "")
	if err != nil {
		return x.render(nil, err), false
	}
	if x.fault.Kind == "failed_500" {
		x.struck = true
		return x.render(nil, serverError()), true
	}
	result, err := x.run(params(decoded.(object)))
	if e, ok := errors.AsType[*apiError](err); ok && e.beforeExecution {
		return x.render(nil, err), false
	}
	if err == nil && x.fault.Kind == "created_then_500" {
		x.struck, err = true, serverError()
	}
	return x.render(result, err), true
}

func (x *exchange) run(p params) (any, error) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	c := &call{state: x.s.state, sandbox: x.s, request: x.r, params: p, version: x.version, now: x.s.now()}
	result, err := x.op.run(c)
	if err != nil {
		return nil, err
	}
	return c.expand(result)
}
