package handlers

import (
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"till/internal/problem"
)

// bounce leads a browser that comes back from Stripe to an application. It is a
// page and not a redirect: a browser that does not follow a redirect to another
// scheme (the application is not installed, the person declined, nobody has tapped
// anything) shows an error or nothing, with nothing to tap. The refresh is the
// attempt, the link what is left when it is not followed.
func (s *server) bounce(c echo.Context) error {
	eventOf(c).page = true
	r := c.Request()
	link, ok := s.o.Apps.Link(strings.TrimPrefix(r.URL.EscapedPath(), "/return/"), r.URL.RawQuery)
	if !ok {
		return problem.New(problem.NotFound, errors.New("no application, or not a path or query that may go there"))
	}
	return writePage(c, http.StatusOK, "app", template.URL(link)) //nolint:gosec // configured, and what is behind it is plain
}
