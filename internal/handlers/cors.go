package handlers

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
)

const (
	corsMethods = "GET, POST, PATCH, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, X-CSRF, X-Request-Id, traceparent"
	corsMaxAge  = "600"
)

// Values of headers, shared by all answers.
var (
	byOrigin           = []string{echo.HeaderOrigin}
	credentialsAllowed = []string{"true"}
	corsExposed        = []string{"Location, Retry-After, X-Request-Id, Idempotency-Replayed"}
)

// cors lets pages of the listed origins call. The origin is compared whole and
// never reflected unless it is on the list; preflights are answered before
// anything else is looked at, since browsers send them without credentials.
func (s *server) cors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req, h := c.Request(), c.Response().Header()
		h[echo.HeaderVary] = byOrigin
		origins := req.Header.Values(echo.HeaderOrigin)
		allowed := len(origins) == 1 && s.originAllowed(origins[0])
		if allowed {
			h[echo.HeaderAccessControlAllowOrigin] = origins[:1:1]
			h[echo.HeaderAccessControlAllowCredentials] = credentialsAllowed
		} else if reason := corsReasonOf(req.Header); reason != "" {
			s.metrics.cors.WithLabelValues(string(reason)).Inc()
		}
		// A path without routes has no Allow value, and no preflight either.
		_, known := c.Get(echo.ContextKeyHeaderAllow).(string)
		if req.Method == http.MethodOptions && known && req.Header.Get(echo.HeaderAccessControlRequestMethod) != "" {
			if allowed {
				h.Set(echo.HeaderAccessControlAllowMethods, corsMethods)
				h.Set(echo.HeaderAccessControlAllowHeaders, corsHeaders)
				h.Set(echo.HeaderAccessControlMaxAge, corsMaxAge)
			}
			return c.NoContent(http.StatusNoContent)
		}
		if allowed {
			h[echo.HeaderAccessControlExposeHeaders] = corsExposed
		}
		return next(c)
	}
}

// corsReason says why a page got no leave to read: for the metric.
type corsReason string

// The closed list.
const (
	corsUnlisted corsReason = "unlisted"
	corsNull     corsReason = "null"  // a sandboxed frame, a file, a redirect between sites
	corsTwice    corsReason = "twice" // no browser does that
)

func corsReasons() []corsReason { return []corsReason{corsUnlisted, corsNull, corsTwice} }

// corsReasonOf is why the origin in h has no leave; "" where nobody has asked for any: a
// page of our own origin needs none, and names it all the same when it writes.
func corsReasonOf(h http.Header) corsReason {
	switch origins := h.Values(echo.HeaderOrigin); {
	case len(origins) == 0, h.Get("Sec-Fetch-Site") == "same-origin":
		return ""
	case len(origins) > 1:
		return corsTwice
	case origins[0] == "null":
		return corsNull
	default:
		return corsUnlisted
	}
}

func (s *server) originAllowed(origin string) bool {
	return slices.Contains(s.o.Origins, origin) || s.o.LoopbackOrigins && isLoopbackOrigin(origin)
}

// isLoopbackOrigin accepts http or https on this machine, on any port.
func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}
