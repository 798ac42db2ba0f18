package handlers

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

// located is a result that has a path of its own.
type located interface{ Location() string }

func answer(c echo.Context, status int, res any) error {
	if l, ok := res.(located); ok && status == http.StatusCreated {
		c.Response().Header().Set(echo.HeaderLocation, l.Location())
	}
	body, err := json.Marshal(res)
	if err != nil {
		return err
	}
	return c.Blob(status, "application/json", append(body, '\n'))
}

func (s *server) healthz(c echo.Context) error {
	return answer(c, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *server) readyz(c echo.Context) error {
	if err := s.o.Ready(); err != nil {
		return notReady(err)
	}
	return answer(c, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *server) openapi(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", s.o.OpenAPI)
}
