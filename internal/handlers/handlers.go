// Package handlers is the HTTP surface: routes, the decoding of requests and the
// one place that writes errors. A handler decodes, calls one operation, encodes;
// it knows neither SQL nor Stripe. echo stops at this package.
package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/problem"
)

// Authenticator says who sent a request. Errors are *problem.Error.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Principal, error)
}

// Options configure the surface. Service, Auth, Ready, Metrics and Logger are
// required.
type Options struct {
	Service *billing.Service
	Auth    Authenticator
	// Ready reports whether requests can be served; the error is for the log.
	Ready func() error
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
	// WellKnown serves the issuer's documents below /.well-known/, Demo the page
	// at / and its files below /demo/.
	WellKnown, Demo http.Handler
}

type server struct {
	o       Options
	metrics *metrics
}

// New returns the public surface.
func New(o Options) (http.Handler, error) {
	if o.Service == nil || o.Auth == nil || o.Ready == nil || o.Metrics == nil || o.Logger == nil {
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
	var err error
	if s.metrics, err = newMetrics(o.Metrics, e.Routes()); err != nil {
		return nil, err
	}
	// From the outside in: the event sees everything, the panic guard everything
	// but the event; refusals of CORS come before any handler reads anything.
	e.Use(s.event, s.guard, s.headers, s.cors, address, s.deadline)
	return e, nil
}

// maxAddress is the longest request target, in bytes. Ours are all short.
const maxAddress = 4 << 10

// address refuses what is no address of ours whatever the router made of it:
// echo lets the last parameter of a route match slashes.
func address(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if len(c.Request().RequestURI) > maxAddress {
			return problem.New(problem.URITooLong, nil)
		}
		if strings.Contains(c.Param("id"), "/") {
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
