package handlers

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"till/internal/auth"
	"till/internal/problem"
)

const headerRequestID = "X-Request-Id"

// shedLinesPerSecond is how many lines there are of requests that were shed; they are
// counted in till_http_shed_total.
const shedLinesPerSecond = 10

// event is what one request is remembered by: one line in the log, and one row of the
// audit if it was a write.
type event struct {
	id     string
	failed *problem.Error
	// page says that a person looks at the answer, not a program.
	page bool
	// shed says that there was no room for it: one of many, so not every one has a line.
	shed bool
	// principal is who asks; nil until that is certain.
	principal *auth.Principal
	// object and customer are those of the result of a write.
	object, customer string
}

const eventKey = "till.event"

func eventOf(c echo.Context) *event {
	if e, ok := c.Get(eventKey).(*event); ok {
		return e
	}
	return &event{}
}

func (e *event) problem(p *problem.Error) { e.failed = p }

// event gives the request its id, and writes its line and its metrics at the end.
func (s *server) event(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, req := time.Now(), c.Request()
		e := &event{id: requestID(req.Header)}
		c.Set(eventKey, e)
		c.Response().Header().Set(headerRequestID, e.id)
		c.Response().Before(func() { s.audit(c, e) })
		if err := next(c); err != nil {
			s.writeError(err, c)
		}
		client, untrusted := s.clientOf(req)
		if untrusted {
			s.metrics.proxies.Inc()
		}
		took, status := time.Since(start), c.Response().Status
		route := s.metrics.observe(req.Method, c.Path(), status, took)
		if e.shed && !s.shedLines.Allow() {
			return nil
		}
		attrs := []slog.Attr{
			slog.String("request_id", e.id), slog.String("method", methodLabel(req.Method)), slog.String("route", route),
			slog.Int("status", status), slog.Float64("seconds", took.Seconds()), slog.String("client", client.String()),
		}
		level := slog.LevelInfo
		if isProbe(route) && e.failed == nil {
			level = slog.LevelDebug
		}
		if e.failed != nil {
			attrs = append(attrs, slog.String("code", string(e.failed.Code)))
			attrs = append(attrs, cause(e.failed)...)
			// What became of a caller who has hung up is nobody's fault.
			switch {
			case e.shed:
				level = slog.LevelWarn
			case status >= 500 && req.Context().Err() == nil && !isProbe(route):
				level = slog.LevelError
			}
		}
		s.o.Logger.LogAttrs(req.Context(), level, "request", attrs...)
		return nil
	}
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

// headers are on every answer; pages of the development server set their own
// content security policy over this one.
func (s *server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderCacheControl, "no-store")
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderReferrerPolicy, "no-referrer")
		h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		return next(c)
	}
}
