package handlers

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"till/internal/problem"
)

const (
	maxBody  = 64 << 10
	maxDepth = 16
)

// bodyRule says whether a request may come without a body.
type bodyRule bool

const (
	required bodyRule = false
	optional bodyRule = true
)

// decode reads one JSON object into req. echo's Bind is not used: it takes
// forms and XML, lets the body override the path, the last of two equal keys
// win, and anything follow the object.
func decode(r *http.Request, rule bodyRule, req any) error {
	text, err := readJSON(r, rule)
	if err != nil {
		return err
	}
	return unmarshal(text, req)
}

// readJSON reads the text of one JSON value; a body that may be missing and is, is an
// empty object.
func readJSON(r *http.Request, rule bodyRule) ([]byte, error) {
	empty := r.ContentLength == 0
	if _, named := r.Header["Content-Type"]; !empty || named && rule == required {
		if err := mediaType(r.Header, "application/json"); err != nil {
			return nil, err
		}
	}
	if empty {
		if rule == required {
			return nil, malformed("", "a JSON object is required")
		}
		return []byte("{}"), noQuery(r)
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return body, scan(body)
}

// readBody reads what may be a body, of a request that has no query.
func readBody(r *http.Request) ([]byte, error) {
	body, err := readAll(r)
	if errors.Is(err, errTooLarge) {
		return nil, problem.New(problem.PayloadTooLarge, err)
	}
	// Closed is what LimitConnections does to a body that others need the place of.
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return nil, problem.New(problem.RequestTimeout, err)
	}
	if err != nil {
		return nil, problem.New(problem.MalformedRequest, err)
	}
	return body, noQuery(r)
}

var errTooLarge = errors.New("the body is larger than 64 KiB")

// readAll reads a body to its end, at first into as much memory as it says that it needs,
// but no more than most do: who announces much and sends nothing gets no more. What is too
// large is read no further than it takes to know that.
func readAll(r *http.Request) ([]byte, error) {
	const unknown, most = 512, 4 << 10
	room := int64(unknown)
	if r.ContentLength > 0 {
		room = min(r.ContentLength, most)
	}
	// One more, so that the end is seen when there is no more.
	body := make([]byte, 0, room+1)
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			body = slices.Grow(body, len(body))
		}
	}
}

func unmarshal(text []byte, req any) error {
	if err := json.Unmarshal(text, req, json.RejectUnknownMembers(true)); err != nil {
		return unmarshalProblem(err)
	}
	return nil
}

// mediaType accepts one, in UTF-8 (RFC 8259 knows no other).
func mediaType(h http.Header, want string) error {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return problem.New(problem.UnsupportedMediaType, nil)
	}
	if values[0] == want {
		return nil
	}
	kind, params, err := mime.ParseMediaType(values[0])
	if err != nil || kind != want {
		return problem.New(problem.UnsupportedMediaType, err)
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return problem.New(problem.UnsupportedMediaType, nil)
		}
	}
	return nil
}

// scan reads the tokens once before anything is decoded: too deep nesting, equal
// keys, text after the object, and null are refused. Null is nothing a field can
// be, and taking it for "absent" would make a mistyped form use a default.
func scan(body []byte) error {
	s, _ := scanners.Get().(*scanner)
	defer s.release()
	_, _ = s.text.Write(body) // it does not fail
	d := &s.decoder
	d.Reset(&s.text)
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return syntaxProblem(err)
		}
		if token.Kind() == 'n' {
			return malformed(string(d.StackPointer()), "must not be null; leave it out")
		}
		if d.StackDepth() > maxDepth {
			return malformed("", "is nested too deeply")
		}
	}
	return nil
}

// scanner is what scan needs, kept from one body to the next.
type scanner struct {
	text    bytes.Buffer
	decoder jsontext.Decoder
}

var scanners = sync.Pool{New: func() any { return &scanner{} }}

// release keeps nothing of the body, and no more room than most bodies need.
func (s *scanner) release() {
	const usual = 4 << 10
	if s.text.Cap() > usual {
		return
	}
	clear(s.text.AvailableBuffer()[:s.text.Available()])
	s.text.Reset()
	scanners.Put(s)
}

func syntaxProblem(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return malformed(string(e.JSONPointer), "is there twice")
	}
	return problem.New(problem.MalformedRequest, err)
}

func unmarshalProblem(err error) error {
	e, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		return problem.New(problem.MalformedRequest, err)
	case errors.Is(err, json.ErrUnknownName):
		return malformed(string(e.JSONPointer), "is not a field of this request")
	default:
		return malformed(string(e.JSONPointer), "has a value of the wrong type")
	}
}

func malformed(pointer, detail string) error {
	return problem.At(problem.MalformedRequest, pointer, detail)
}

// noQuery refuses query parameters where none has a meaning: one that is
// ignored today (customer=…) must not begin to work tomorrow.
func noQuery(r *http.Request) error {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return problem.New(problem.MalformedRequest, errors.New("query parameters on a route without any"))
	}
	return nil
}
