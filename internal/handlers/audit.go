package handlers

import (
	"cmp"
	"context"
	"fmt"

	"github.com/labstack/echo/v4"

	"till/internal/audit"
)

// Auditor remembers writes. It does not fail.
type Auditor interface {
	Record(ctx context.Context, e audit.Event)
}

// actions are what the audit calls the unsafe routes. One that is missing here keeps
// the surface from being built, so that no write can be added without a name.
var actions = map[string]audit.Action{
	"POST /checkout":            audit.CheckoutCreate,
	"PATCH /checkout/:id":       audit.CheckoutUpdate,
	"POST /checkout/:id/expire": audit.CheckoutExpire,
	"POST /portal":              audit.PortalCreate,
	"POST /dev/token":           "", // has no caller, and changes nothing
}

func checkActions(routes []*echo.Route) error {
	for _, r := range routes {
		if _, named := actions[r.Method+" "+r.Path]; !named && !isSafe(r.Method) {
			return fmt.Errorf("handlers: the audit has no name for %s %s", r.Method, r.Path)
		}
	}
	return nil
}

// written is a result that says what it is of.
type written interface {
	Written() (object, customer string)
}

// wrote notes the result of a write for the audit.
func (e *event) wrote(res any) {
	if w, ok := res.(written); ok {
		e.object, e.customer = w.Written()
	}
}

// audit records a write of a known caller, when its answer is about to go out: the Log
// may want to hold that back until the row is committed. What nobody known has asked
// for leaves no row, or strangers could fill the database.
func (s *server) audit(c echo.Context, e *event) {
	r := c.Request()
	action := actions[r.Method+" "+c.Path()]
	if e.principal == nil || action == "" {
		return
	}
	record := audit.Event{
		Actor: s.o.Service.Actor(*e.principal), Action: action,
		Object: cmp.Or(e.object, c.Param("id")), Customer: e.customer, Outcome: audit.OK,
		RequestID: e.id, Client: e.client.String(),
	}
	if e.failed != nil {
		record.Outcome = e.failed.Code
	}
	if keys := r.Header.Values("Idempotency-Key"); len(keys) == 1 {
		record.KeyHash = audit.HashKey(keys[0])
	}
	s.o.Audit.Record(r.Context(), record)
}
