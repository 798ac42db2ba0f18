package sandbox

import (
	"net/http"
	"time"
)

// dated gives every answer a Date of the sandbox's clock, of the moment when the
// answer begins: a client that goes by Stripe's time sees the clock move.
type dated struct {
	http.ResponseWriter
	s    *Sandbox
	done bool
}

// WriteHeader implements http.ResponseWriter.
func (d *dated) WriteHeader(status int) {
	if !d.done {
		d.done = true
		d.Header().Set("Date", d.s.time().UTC().Format(http.TimeFormat))
	}
	d.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (d *dated) Write(p []byte) (int, error) {
	if !d.done {
		d.WriteHeader(http.StatusOK)
	}
	return d.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (d *dated) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// time is the sandbox's time for callers that do not hold mu.
func (s *Sandbox) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Unix(s.now(), 0)
}
