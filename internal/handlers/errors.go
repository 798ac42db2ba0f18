package handlers

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"till/internal/auth"
	"till/internal/problem"
)

// document is RFC 9457's problem details.
type document struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Code      problem.Code    `json:"code"`
	RequestID string          `json:"request_id"`
	Errors    []problem.Field `json:"errors,omitempty"`
}

// writeError is the only place that writes an error.
func (s *server) writeError(err error, c echo.Context) {
	if _, ours := errors.AsType[*problem.Error](err); c.Response().Committed && !ours {
		s.gone(c, err)
		return
	}
	p := asProblem(err)
	eventOf(c).problem(p)
	if c.Response().Committed {
		return
	}
	h := c.Response().Header()
	if after := retryAfter(p); after > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	if says := challenge(p, err); says != "" {
		h.Set(echo.HeaderWWWAuthenticate, says)
	}
	if p.Code == problem.RequestTimeout {
		s.metrics.timeouts.WithLabelValues("body").Inc()
	}
	if p.Code == problem.PayloadTooLarge || p.Code == problem.RequestTimeout {
		// The rest of the body is not read, so the connection cannot go on.
		h.Set(echo.HeaderConnection, "close")
	}
	if err := s.show(c, describe(p, eventOf(c).id)); err != nil {
		s.gone(c, err)
	}
}

// gone notes an answer that could not be written: no fault of ours.
func (s *server) gone(c echo.Context, err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.metrics.timeouts.WithLabelValues("write").Inc()
	}
	s.o.Logger.DebugContext(c.Request().Context(), "the caller has gone", "error", err)
}

// show answers a program with JSON and a person with a page.
func (s *server) show(c echo.Context, d document) error {
	if eventOf(c).page {
		return writePage(c, d.Status, "problem", d)
	}
	if ready, ok := documents[d.Code]; ok && len(d.Errors) == 0 {
		return c.Blob(d.Status, mediaProblem, slices.Concat(ready.before, []byte(d.RequestID), ready.after))
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return c.Blob(d.Status, mediaProblem, append(body, '\n'))
}

const mediaProblem = "application/problem+json"

// documents are all that name no field, but for the request's id, which needs no escapes:
// refusals are what there is most of when there is too much to do.
var documents = func() map[problem.Code]struct{ before, after []byte } {
	all := map[problem.Code]struct{ before, after []byte }{}
	for _, code := range problem.Codes() {
		const id = "id"
		body, err := json.Marshal(describe(&problem.Error{Code: code}, id))
		if err != nil {
			continue
		}
		before, after, _ := bytes.Cut(body, []byte(`:"`+id+`"`))
		all[code] = struct{ before, after []byte }{append(before, `:"`...), append([]byte{'"'}, append(after, '\n')...)}
	}
	return all
}()

func describe(p *problem.Error, id string) document {
	return document{
		Type: "urn:till:problem:" + string(p.Code), Title: p.Code.Title(), Status: p.Code.Status(),
		Code: p.Code, RequestID: id, Errors: p.Fields,
	}
}

// retryAfter is what to send; every 503 says when to come back.
func retryAfter(p *problem.Error) time.Duration {
	if p.RetryAfter == 0 && p.Code.Status() == http.StatusServiceUnavailable {
		return time.Second
	}
	return p.RetryAfter
}

// asProblem gives every error a code. What nobody gave one is internal.
func asProblem(err error) *problem.Error {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return p
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch e.Code {
		case http.StatusNotFound:
			return problem.New(problem.NotFound, nil)
		case http.StatusMethodNotAllowed:
			return problem.New(problem.MethodNotAllowed, nil)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return problem.New(problem.UpstreamTimeout, err)
	}
	return problem.New(problem.Internal, err)
}

func challenge(p *problem.Error, err error) string {
	if r, ok := errors.AsType[*auth.Rejection](err); ok {
		return r.Challenge()
	}
	if p.Code == problem.Unauthenticated {
		return "Bearer"
	}
	return ""
}

func notReady(err error) error {
	return &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
}
