package handlers

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"till/internal/overload"
	"till/internal/problem"
)

// local are the routes that need neither Stripe nor the database.
var local = map[string]bool{
	"/plans": true, "/openapi.yaml": true, "/dev/token": true, "/.well-known/*": true, "/": true, "/demo/*": true,
}

// always are the routes that are never shed. A process that is restarted for not answering
// its probes is missed where it was; and what leads people back who have paid is no dearer
// than a refusal.
var always = map[string]bool{"/healthz": true, "/readyz": true, "/return/:app": true, "/return/:app/:path": true}

// classesOf says what each other route counts as when there is too much to do.
func classesOf(routes []*echo.Route) map[endpoint]overload.Class {
	classes := map[endpoint]overload.Class{}
	for _, r := range routes {
		class := overload.Write
		switch {
		case always[r.Path]:
			continue
		case local[r.Path]:
			class = overload.Local
		case isSafe(r.Method):
			class = overload.Read
		}
		classes[endpoint{r.Method, r.Path}] = class
	}
	return classes
}

// shed refuses what there is no room for, before anything is done for it: no credential has
// been looked at, no body read.
func (s *server) shed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		class, known := s.classes[endpoint{r.Method, c.Path()}]
		if !known {
			return next(c)
		}
		conn := connectionOf(r.Context())
		enter, late := s.o.Limiter.Enter, class == overload.Write && r.Body != http.NoBody
		if late {
			enter = s.o.Limiter.Begin
		}
		switch reason := enter(class, conn.waited()); reason {
		case "":
		case overload.Processor:
			conn.refused(s.o.Limiter.Rest)
			return s.busy(c, reason)
		default:
			return s.busy(c, reason)
		}
		if !late {
			defer s.o.Limiter.Leave(class)
		}
		conn.admitted()
		return next(c)
	}
}

// place gives a request whose body is there its place, which it had none of before: who
// keeps us waiting for the rest must not fill them. leave gives it back.
func (s *server) place(c echo.Context) (leave func(), err error) {
	r := c.Request()
	if s.classes[endpoint{r.Method, c.Path()}] != overload.Write || r.Body == http.NoBody {
		return func() {}, nil
	}
	if reason := s.o.Limiter.Take(overload.Write); reason != "" {
		return nil, s.busy(c, reason)
	}
	return func() { s.o.Limiter.Leave(overload.Write) }, nil
}

// busy is the refusal. Those who get it at the same moment come back at different ones.
func (s *server) busy(c echo.Context, reason overload.Reason) error {
	e, r := eventOf(c), c.Request()
	e.shed = true
	e.page = r.Method == http.MethodPost && forms[c.Path()] && isForm(r.Header)
	return &problem.Error{
		Code: problem.Overloaded, Err: errShed[reason],
		RetryAfter: time.Duration(1+rand.IntN(3)) * time.Second, //nolint:gosec // nobody gains by guessing it
	}
}

var errShed = map[overload.Reason]error{
	overload.Processor: errors.New("shed: processor"), overload.Places: errors.New("shed: places"),
}
