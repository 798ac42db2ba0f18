// Package handlers is the HTTP surface: routes, the decoding of requests and the
// one place that writes errors. A handler decodes, calls one operation, encodes;
// it knows neither SQL nor Stripe. echo stops at this package.
package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/overload"
	"till/internal/problem"
)

// Authenticator says who sent a request. Errors are *problem.Error.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Principal, error)
}

// Apps finds the link of an application for a path and query below /return/.
type Apps interface {
	Link(path, query string) (link string, ok bool)
}

// Options configure the surface. Service, Auth, Limits, Audit, Ready, Apps, Limiter, Metrics and
// Logger are required.
type Options struct {
	Service *billing.Service
	Auth    Authenticator
	Limits  Limits
	// Audit gets an event for every write.
	Audit Auditor
	// Ready reports whether requests can be served; the error is for the log.
	Ready func() error
	// Apps knows where {public_url}/return/ leads to.
	Apps Apps
	// Limiter refuses what there is no room for.
	Limiter *overload.Limiter
	// TrustedProxies are the networks of the proxies in front: what they say about
	// whom they ask for is believed.
	TrustedProxies []netip.Prefix
	// Origins are the exact origins that browsers may call from.
	Origins []string
	// LoopbackOrigins also allows every origin on this machine (development).
	LoopbackOrigins bool
	// OpenAPI is the contract, served as it is.
	OpenAPI []byte
	Metrics prometheus.Registerer
	Logger  *slog.Logger
	// RequestTimeout bounds the work of one request; 12 s by default.
	RequestTimeout time.Duration
	// Dev adds the development routes.
	Dev *Dev
}

// Dev is what only `till serve --dev` serves.
type Dev struct {
	// Mint makes a token for anybody.
	Mint func(DevTokenRequest) (token string, expires time.Time, err error)
	// Host is the host and port of the public URL, by which token requests may come
	// besides this machine's own names.
	Host string
	// WellKnown serves the issuer's documents below /.well-known/, Demo the page
	// at / and its files below /demo/.
	WellKnown, Demo http.Handler
}

type server struct {
	o        Options
	metrics  *metrics
	refusals refusals
	classes  map[endpoint]overload.Class
}

// New returns the public surface.
func New(o Options) (http.Handler, error) {
	if o.Service == nil || o.Auth == nil || o.Limits == nil || o.Audit == nil || o.Ready == nil || o.Apps == nil ||
		o.Limiter == nil || o.Metrics == nil || o.Logger == nil {
		return nil, errors.New("handlers: a required collaborator is missing")
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 12 * time.Second
	}
	s := &server{o: o}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	s.routes(e)
	if err := checkActions(e.Routes()); err != nil {
		return nil, err
	}
	var err error
	if s.metrics, err = newMetrics(o.Metrics, e.Routes()); err != nil {
		return nil, err
	}
	s.classes = classesOf(e.Routes())
	// From the outside in: the event sees everything, the panic guard everything
	// but the event; refusals of CORS come before any handler reads anything. What bounds
	// one address, and all together, stands behind CORS, so that pages can read refusals.
	e.Use(chain(s.event, s.guard, s.headers, s.cors, hurry, s.limit, address, s.shed, s.deadline))
	return e, nil
}

// chain puts middleware together once, in front of whatever the router finds; echo itself
// does it for each request anew.
func chain(outside ...echo.MiddlewareFunc) echo.MiddlewareFunc {
	whole := func(c echo.Context) error { return c.Handler()(c) }
	for _, m := range slices.Backward(outside) {
		whole = m(whole)
	}
	return func(echo.HandlerFunc) echo.HandlerFunc { return whole }
}

// The longest request target, in bytes, and the most query parameters. Ours are
// all short, and most have none.
const (
	maxAddress = 4 << 10
	maxQuery   = 100
)

// address refuses what is no address of ours whatever the router made of it:
// echo lets the last parameter of a route match slashes.
func address(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if isSafe(r.Method) && r.Body != http.NoBody {
			// Nobody reads it, so the connection cannot go on.
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
		switch {
		case r.Method == http.MethodConnect && r.URL.Path == "":
			// A host in place of a path has no methods at all.
			c.Response().Header().Set(echo.HeaderAllow, "")
			return problem.New(problem.MethodNotAllowed, nil)
		case strings.Count(r.URL.RawQuery, "&") >= maxQuery:
			return problem.New(problem.MalformedRequest, errors.New("too many query parameters"))
		case len(r.RequestURI) > maxAddress:
			return problem.New(problem.URITooLong, nil)
		case strings.Contains(c.Param("id"), "/"):
			return problem.New(problem.NotFound, nil)
		}
		return next(c)
	}
}

// deadline bounds what a request may cost, whatever it waits for.
func (s *server) deadline(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}
