package handlers

import (
	"context"
	"net/http"
	"reflect"

	"github.com/labstack/echo/v4"

	"till/internal/billing"
	"till/internal/ratelimit"
)

// routes is the whole of the public surface; openapi.yaml says the same, and a
// test compares the two.
func (s *server) routes(e *echo.Echo) {
	svc := s.o.Service
	e.POST("/checkout", write(s, creation[billing.CheckoutRequest, billing.CheckoutSession]{
		body: required, keyed: true, do: svc.CreateCheckout, page: checkoutPage,
	}))
	get(e, "/checkout", paged(s, svc.CheckoutSessions))
	get(e, "/checkout/:id", read(s, svc.Checkout))
	e.PATCH("/checkout/:id", write(s, creation[billing.UpdateRequest, billing.CheckoutSession]{
		body: required, on: svc.UpdateCheckout,
	}))
	e.POST("/checkout/:id/expire", write(s, creation[billing.Nothing, billing.CheckoutSession]{
		body: optional, on: svc.ExpireCheckout,
	}))
	get(e, "/checkout/:id/line_items", pagedOf(s, svc.CheckoutLineItems))
	e.POST("/portal", write(s, creation[billing.PortalRequest, billing.PortalSession]{
		body: optional, keyed: true, do: svc.OpenPortal, page: portalPage,
	}))
	get(e, "/plans", paged(s, svc.Offers))
	get(e, "/subscriptions", paged(s, svc.Subscriptions))
	get(e, "/return/:app", s.bounce)
	get(e, "/return/:app/:path", s.bounce)

	get(e, "/healthz", s.healthz)
	get(e, "/readyz", s.readyz)
	get(e, "/openapi.yaml", s.openapi)

	if dev := s.o.Dev; dev != nil {
		e.POST("/dev/token", s.devToken)
		get(e, "/.well-known/*", echo.WrapHandler(dev.WellKnown))
		get(e, "/", echo.WrapHandler(dev.Demo))
		get(e, "/demo/*", echo.WrapHandler(dev.Demo))
	}
}

// get serves GET, and HEAD as GET without the body: net/http leaves it out.
func get(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.GET(path, h)
	e.HEAD(path, h)
}

// forms are the paths that take forms with POST.
var forms = map[string]bool{"/checkout": true, "/portal": true}

func checkoutPage(session billing.CheckoutSession) string {
	if session.URL == nil {
		return ""
	}
	return *session.URL
}

func portalPage(session billing.PortalSession) string { return session.URL }

// operation is a use case: the caller is a parameter, so that it cannot be
// forgotten, and the request type has no member for a customer.
type operation[Req, Res any] func(ctx context.Context, c billing.Caller, req Req) (Res, error)

// operationOn is a use case about the object named in the path.
type operationOn[Req, Res any] func(ctx context.Context, c billing.Caller, id string, req Req) (Res, error)

// creation is a write. It makes something, or with on changes what the path names.
type creation[Req, Res any] struct {
	body bodyRule
	// keyed looks at the Idempotency-Key; elsewhere it means nothing.
	keyed bool
	do    operation[Req, Res]
	on    operationOn[Req, Res]
	// page is where a browser goes that has sent a form; nil takes no forms.
	page func(Res) string
}

// write serves an operation that has a body. Refusals come in the order of the
// contract: credential, forgery, role, rate, media type, size, syntax, meaning.
func write[Req, Res any](s *server, op creation[Req, Res]) echo.HandlerFunc {
	return func(c echo.Context) error {
		// Who sends a form looks at what comes back, also when it is a refusal.
		form := op.page != nil && isForm(c.Request().Header)
		eventOf(c).page = form
		caller, err := s.writer(c)
		if err != nil {
			return err
		}
		var req Req
		text, err := op.read(c.Request(), form, &req)
		if err == nil && op.keyed {
			caller, err = keyed(caller, c.Request().Header, text)
		}
		if err != nil {
			return err
		}
		leave, err := s.place(c)
		if err != nil {
			return err
		}
		defer leave()
		if form {
			caller = caller.Redirected()
		}
		res, status, err := op.run(c, caller, req)
		if err != nil {
			return err
		}
		eventOf(c).wrote(&res)
		sayReplayed(c.Response().Header(), &res)
		if form {
			return follow(c, op.page(res))
		}
		return answer(c, status, &res)
	}
}

// read reads the body into req, and returns it as JSON.
func (op creation[Req, Res]) read(r *http.Request, form bool, req *Req) (text []byte, err error) {
	if form {
		text, err = readForm(r, reflect.TypeFor[Req]())
	} else {
		text, err = readJSON(r, op.body)
	}
	if err != nil {
		return nil, err
	}
	return text, unmarshal(text, req)
}

// run returns what the operation brought, and the status of that.
func (op creation[Req, Res]) run(c echo.Context, caller billing.Caller, req Req) (res Res, status int, err error) {
	ctx := c.Request().Context()
	if op.on != nil {
		res, err = op.on(ctx, caller, c.Param("id"), req)
		return res, http.StatusOK, err
	}
	res, err = op.do(ctx, caller, req)
	return res, http.StatusCreated, err
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

// paged serves an operation that the query asks for.
func paged[Req, Res any](s *server, op operation[Req, Res]) echo.HandlerFunc {
	return pagedOf(s, func(ctx context.Context, c billing.Caller, _ string, req Req) (Res, error) {
		return op(ctx, c, req)
	})
}

// pagedOf is paged for what belongs to the object named in the path.
func pagedOf[Req, Res any](s *server, op operationOn[Req, Res]) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := s.caller(c)
		if err != nil {
			return err
		}
		var req Req
		if err := decodeQuery(c.Request(), &req); err != nil {
			return err
		}
		res, err := op(c.Request().Context(), caller, c.Param("id"), req)
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, res)
	}
}

// caller is the only way to one, and no operation runs without: who adds a route
// cannot forget the proof against forgery, nor the audit.
func (s *server) caller(c echo.Context) (billing.Caller, error) {
	principal, err := s.o.Auth.Authenticate(c.Request())
	if err != nil {
		return billing.Caller{}, err
	}
	e := eventOf(c)
	e.principal, e.known = principal, true
	if err := s.checkProof(c.Request(), principal); err != nil {
		return billing.Caller{}, err
	}
	caller, err := s.o.Service.Caller(principal)
	if err != nil {
		return billing.Caller{}, err
	}
	// Everything from here on is done for the owner, and shared out by that.
	c.SetRequest(c.Request().WithContext(ratelimit.For(c.Request().Context(), caller.Owner())))
	return caller, nil
}
