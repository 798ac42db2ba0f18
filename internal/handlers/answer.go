package handlers

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

// located is a result that has a path of its own.
type located interface{ Location() string }

func answer(c echo.Context, status int, res any) error {
	h := c.Response().Header()
	if l, ok := res.(located); ok && status == http.StatusCreated {
		h.Set(echo.HeaderLocation, l.Location())
	}
	body, _ := answers.Get().(*bytes.Buffer)
	defer release(body)
	if err := json.MarshalWrite(body, res); err != nil {
		return err
	}
	body.WriteByte('\n')
	h[echo.HeaderContentType] = jsonType
	c.Response().WriteHeader(status)
	_, err := c.Response().Write(body.Bytes())
	return err
}

var jsonType = []string{"application/json"}

// answers are buffers for them, kept from one to the next.
var answers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// release keeps no more room than most answers need.
func release(b *bytes.Buffer) {
	const usual = 16 << 10
	if b.Cap() > usual {
		return
	}
	b.Reset()
	answers.Put(b)
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
