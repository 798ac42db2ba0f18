package handlers

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"github.com/labstack/echo/v4"

	"till/internal/problem"
)

// pagePolicy: browsers apply form-action to the redirect that answers a form too,
// so a page with our forms must allow Stripe's hosts.
const pagePolicy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; " +
	"form-action 'self' https://checkout.stripe.com https://billing.stripe.com"

//go:embed page.html
var pageText string

// pages have no script, no style and nothing from elsewhere.
var pages = template.Must(template.New("pages").Parse(pageText))

// writePage answers with one of the pages.
func writePage(c echo.Context, status int, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return problem.New(problem.Internal, err)
	}
	c.Response().Header().Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	return c.HTMLBlob(status, b.Bytes())
}

// follow sends the browser that has sent a form to where it wanted to go.
func follow(c echo.Context, url string) error {
	if url == "" {
		return problem.At(problem.CatalogNotAllowed, "/plan", "has no page to go to; ask for it with JSON")
	}
	c.Response().Header().Set(echo.HeaderLocation, url)
	return c.NoContent(http.StatusSeeOther)
}
