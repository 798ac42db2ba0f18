package handlers

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"till/internal/billing"
	"till/internal/problem"
	"till/internal/ratelimit"
)

// Limits refuse callers who ask for too much. Errors are *problem.Error.
type Limits interface {
	// Request admits one request from a client network.
	Request(ctx context.Context, client netip.Prefix) error
	// Write admits one write of an owner, by an opaque name.
	Write(ctx context.Context, owner string) error
}

// limit holds every client network to its limit, before anything is done that costs:
// tokens are read behind it, and token issuers asked. Preflights do not get here, since
// no page can read a refusal of one, or what it would have asked for then.
func (s *server) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		e := eventOf(c)
		if isProbe(c.Path()) || s.isProxy(e.client.Addr()) {
			// Load balancers' own questions; and a proxy that does not say for whom it
			// asks, which may be for everybody.
			return next(c)
		}
		err := s.o.Limits.Request(c.Request().Context(), e.client)
		if p, refused := errors.AsType[*problem.Error](err); refused && e.untrusted {
			p.Err = errors.New("many clients may be behind this address: it sends headers of a proxy and is not in trusted_proxies")
		}
		if err != nil {
			// Nobody has looked at what it is; a person may look at the answer.
			e.page = isForm(c.Request().Header) || strings.HasPrefix(c.Path(), "/return/")
			return err
		}
		return next(c)
	}
}

// writer is caller, for writes. Each counts, whatever becomes of it, and before its body
// is read.
func (s *server) writer(c echo.Context) (billing.Caller, error) {
	caller, err := s.caller(c)
	if err != nil {
		return billing.Caller{}, err
	}
	ctx := c.Request().Context()
	return caller, s.o.Limits.Write(ctx, ratelimit.OwnerOf(ctx))
}

// maxRefusals is how many lines a second are written about requests over a limit: to
// write one for each would make the log what the limit keeps from everything else.
const maxRefusals = 10

// refusals thins out lines. The zero value is ready.
type refusals struct {
	mu     sync.Mutex
	second int64
	lines  int
	left   int
}

// line reports whether to write one now, and how many were left out since the last.
func (r *refusals) line(now time.Time) (left int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if second := now.Unix(); second != r.second {
		r.second, r.lines = second, 0
	}
	if r.lines == maxRefusals {
		r.left++
		return 0, false
	}
	r.lines++
	left, r.left = r.left, 0
	return left, true
}
