package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"till/internal/auth"
	"till/internal/problem"
)

const headerRequestID = "X-Request-Id"

// event is what one request is remembered by: one line in the log, and one row of the
// audit if it was a write.
//
// It stands in the place of the writer of the answer, so that it sees the moment in which
// that goes out.
type event struct {
	http.ResponseWriter
	s *server
	c echo.Context

	id string
	// said is the id as a header.
	said [1]string
	// client is the network that the request counts for; untrusted says that it has
	// claimed to be a proxy and is none of ours.
	client    netip.Prefix
	shown     string // client
	untrusted bool
	failed    *problem.Error
	// page says that a person looks at the answer, not a program.
	page bool
	// shed says that there was no room for it.
	shed bool
	// hurried says that the client has little time to take the answer.
	hurried bool
	// principal is who asks, once known is set.
	principal auth.Principal
	known     bool
	// object and customer are those of the result of a write.
	object, customer string
}

func eventOf(c echo.Context) *event {
	if e, ok := c.Response().Writer.(*event); ok {
		return e
	}
	return &event{}
}

func (e *event) problem(p *problem.Error) { e.failed = p }

// Unwrap is for http.ResponseController.
func (e *event) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// WriteHeader writes the audit first, and then begins to count the client's time: for the
// rest of the request, and for the answer.
func (e *event) WriteHeader(status int) {
	e.s.audit(e.c, e)
	connectionOf(e.c.Request().Context()).answers()
	if e.hurried {
		// A recorder of a test has no deadlines.
		_ = http.NewResponseController(e.ResponseWriter).SetWriteDeadline(time.Now().Add(readLimit))
	}
	e.ResponseWriter.WriteHeader(status)
}

// event gives the request its id, and writes its line and its metrics at the end.
func (s *server) event(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, req, res := time.Now(), c.Request(), c.Response()
		e := &event{ResponseWriter: res.Writer, s: s, c: c, id: requestID(req.Header)}
		e.client, e.untrusted = s.clientOf(req)
		e.shown, e.said[0] = e.client.String(), e.id
		res.Writer = e
		res.Header()[headerRequestID] = e.said[:]
		if err := next(c); err != nil {
			s.writeError(err, c)
		}
		if e.untrusted {
			s.metrics.proxies.Inc()
		}
		took, status := time.Since(start), res.Status
		route := s.metrics.observe(req.Method, c.Path(), status, took)
		attrs := []slog.Attr{
			slog.String("request_id", e.id), slog.String("method", methodLabel(req.Method)), slog.String("route", route),
			slog.Int("status", status), slog.Float64("seconds", took.Seconds()), slog.String("client", e.shown),
		}
		level := slog.LevelInfo
		if isProbe(route) && e.failed == nil {
			level = slog.LevelDebug
		}
		if e.failed != nil {
			attrs = append(attrs, slog.String("code", string(e.failed.Code)))
			attrs = append(attrs, cause(e.failed)...)
			if e.shed || e.failed.Code == problem.RateLimited {
				left, ok := s.refusals.line(start)
				if !ok {
					return nil
				}
				attrs = append(attrs, slog.Int("unlogged", left))
			}
			// What became of a caller who has hung up is nobody's fault.
			switch {
			case e.shed:
				level = slog.LevelWarn
			case status >= 500 && req.Context().Err() == nil && !isProbe(route):
				level = slog.LevelError
			}
		}
		s.line(req.Context(), start.Add(took), level, attrs)
		return nil
	}
}

// line is Logger.LogAttrs without a look for the place in the code that calls it, which
// costs more than the line and is not written.
func (s *server) line(ctx context.Context, at time.Time, level slog.Level, attrs []slog.Attr) {
	h := s.o.Logger.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(at, level, "request", 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // nobody is left to be told
}

// isProbe: load balancers ask every few seconds, and a yes is no news.
func isProbe(route string) bool { return route == "/healthz" || route == "/readyz" }

func cause(p *problem.Error) []slog.Attr {
	if r, ok := errors.AsType[*auth.Rejection](p); ok {
		return []slog.Attr{slog.String("reason", string(r.Reason))}
	}
	if p.Err == nil {
		return nil
	}
	return []slog.Attr{slog.String("error", p.Err.Error())}
}

// requestID is the caller's own if it is fit for use, or a new one.
func requestID(h http.Header) string {
	if ids := h.Values(headerRequestID); len(ids) == 1 && validRequestID(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

// validRequestID accepts what can go into a log and a header as it is.
func validRequestID(id string) bool {
	if len(id) < 1 || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// guard turns a panic into a 500: the connection and the process go on.
func (s *server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				s.metrics.panics.Inc()
				err = problem.New(problem.Internal, problem.Panicked(r))
				s.o.Logger.ErrorContext(c.Request().Context(), "panic", "error", problem.Panicked(r), "stack", string(debug.Stack()))
			}
		}()
		return next(c)
	}
}

// everyHeader is shared by all answers: a value is replaced, and never changed.
var everyHeader = http.Header{
	echo.HeaderCacheControl:          {"no-store"},
	echo.HeaderXContentTypeOptions:   {"nosniff"},
	echo.HeaderReferrerPolicy:        {"no-referrer"},
	echo.HeaderContentSecurityPolicy: {"default-src 'none'; frame-ancestors 'none'"},
}

// headers are on every answer; pages of the development server set their own
// content security policy over this one.
func (s *server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		maps.Copy(c.Response().Header(), everyHeader)
		return next(c)
	}
}
