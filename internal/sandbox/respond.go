package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// render encodes a result or an error.
func (x *exchange) render(result any, err error) answer {
	if err == nil {
		return answer{status: http.StatusOK, body: encode(result)}
	}
	e := asAPIError(err)
	return answer{status: e.status(), body: encode(e.body(x.id)), header: e.Headers}
}

// asAPIError turns an error that is none of ours into a 500.
func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return serverError()
}

func serverError() *apiError {
	return &apiError{
		Status: http.StatusInternalServerError, Type: "api_error",
		Message: "An unknown error occurred",
	}
}

func (x *exchange) refuse(err error) { x.write(x.render(nil, err)) }

// send writes an answer, spoiled by the fault if there is one.
func (x *exchange) send(got answer) {
	if x.fault.after(x, got) {
		return
	}
	x.write(got)
}

func (x *exchange) write(got answer) {
	x.log(got.status)
	x.headers(got)
	x.w.WriteHeader(got.status)
	x.w.Write(got.body)
}

func (x *exchange) headers(got answer) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Request-Id", x.id)
	h.Set("Stripe-Version", x.version)
	if x.entry.IdempotencyKey != "" && x.r.Method == http.MethodPost {
		h.Set("Idempotency-Key", x.entry.IdempotencyKey)
	}
	for name, value := range got.header {
		h.Set(name, value)
	}
}

// log writes the journal entry; a status of 0 means that no answer was sent.
func (x *exchange) log(status int) {
	x.entry.Status = status
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.entry.Created = x.s.now()
	x.s.state.journal.add(x.entry)
	if x.struck {
		x.s.state.struck[x.fault.Kind]++
	}
}

// encode writes JSON without HTML escaping: URLs keep their ampersands.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []byte(`{"error":{"type":"api_error","message":"An unknown error occurred"}}`)
	}
	return b.Bytes()
}
