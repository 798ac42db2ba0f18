package handlers

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"till/internal/billing"
)

// routes is the whole of the public surface; openapi.yaml says the same, and a
// test compares the two.
func (s *server) routes(e *echo.Echo) {
	svc := s.o.Service
	e.POST("/checkout", write(s, http.StatusCreated, required, svc.CreateCheckout))
	e.GET("/checkout/:id", read(s, svc.Checkout))
	e.POST("/portal", write(s, http.StatusCreated, optional, svc.OpenPortal))

	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/openapi.yaml", s.openapi)

	if dev := s.o.Dev; dev != nil {
		e.POST("/dev/token", open(http.StatusCreated, s.devToken))
		e.GET("/.well-known/*", echo.WrapHandler(dev.WellKnown))
		e.GET("/", echo.WrapHandler(dev.Demo))
		e.GET("/demo/*", echo.WrapHandler(dev.Demo))
	}
}

// operation is a use case: the caller is a parameter, so that it cannot be
// forgotten, and the request type has no member for a customer.
type operation[Req, Res any] func(ctx context.Context, c billing.Caller, req Req) (Res, error)

// write serves an operation that has a JSON body. Refusals come in the order of
// the contract: credential, role, media type, size, syntax, meaning.
func write[Req, Res any](s *server, status int, body bodyRule, op operation[Req, Res]) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := s.caller(c)
		if err != nil {
			return err
		}
		var req Req
		if err := decode(c.Request(), body, &req); err != nil {
			return err
		}
		res, err := op(c.Request().Context(), caller, req)
		if err != nil {
			return err
		}
		return answer(c, status, res)
	}
}

// read serves an operation on the object named in the path.
func read[Res any](s *server, op operation[string, Res]) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := s.caller(c)
		if err != nil {
			return err
		}
		if err := noQuery(c.Request()); err != nil {
			return err
		}
		res, err := op(c.Request().Context(), caller, c.Param("id"))
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, res)
	}
}

// open serves an operation without a caller; only development has one.
func open[Req, Res any](status int, op func(Req) (Res, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		var req Req
		if err := decode(c.Request(), required, &req); err != nil {
			return err
		}
		res, err := op(req)
		if err != nil {
			return err
		}
		return answer(c, status, res)
	}
}

func (s *server) caller(c echo.Context) (billing.Caller, error) {
	principal, err := s.o.Auth.Authenticate(c.Request())
	if err != nil {
		return billing.Caller{}, err
	}
	return s.o.Service.Caller(principal)
}
