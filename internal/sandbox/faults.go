package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	maxFaults = 100
	maxDelay  = 5 * time.Minute
)

// faultKinds are the ways in which the sandbox can misbehave on request.
var faultKinds = []string{
	// nothing is executed
	"drop", "rate_limit", "lock_timeout", "key_in_use", "idempotency_error", "status", "html_502", "missing",
	// nothing is executed, and the key remembers it
	"failed_500",
	// executed, then spoiled
	"created_then_500", "created_then_silence", "garbage_200", "empty_200",
	"wrong_customer", "flip_livemode", "foreign_url", "truncated", "created_then_reset",
	// executed, late
	"delay",
}

// fault is an order to misbehave.
type fault struct {
	ID        string `json:"id"`
	Operation string `json:"operation"` // "checkout.sessions.create", or "*"
	Kind      string `json:"kind"`
	Count     int    `json:"count"` // 0: until cleared
	Remaining int    `json:"remaining"`
	// Probability is that of striking a request; none: 1. What is spared goes on
	// to the next fault.
	Probability *float64          `json:"probability,omitempty"`
	Seed        *uint64           `json:"seed,omitempty"`
	Delay       string            `json:"delay,omitempty"` // a Go duration of real time
	Status      int               `json:"status,omitempty"`
	Code        string            `json:"code,omitempty"`
	Type        string            `json:"type,omitempty"`
	Param       string            `json:"param,omitempty"`
	Message     string            `json:"message,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`

	pause  time.Duration
	chance chance
}

// noFault is what a healthy request has.
var noFault = &fault{Kind: "none"}

// check completes a fault as read from JSON; its error is for the caller.
func (f *fault) check(known func(string) bool) error {
	if f.Operation != "*" && !known(f.Operation) {
		return fmt.Errorf("operation %q is not one of this API's, such as checkout.sessions.create or *", f.Operation)
	}
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("kind %q is none of %v", f.Kind, faultKinds)
	}
	if f.Count < 0 || f.Kind == "status" && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("count must not be negative, and a status fault needs a status from 400 to 599")
	}
	if f.Delay != "" {
		d, err := time.ParseDuration(f.Delay)
		if err != nil || d < 0 || d > maxDelay {
			return fmt.Errorf("delay %q is no duration from 0s to %s", f.Delay, maxDelay)
		}
		f.pause = d
	}
	var err error
	if f.chance, f.Seed, err = newChance(f.Probability, f.Seed); err != nil {
		return err
	}
	f.ID, f.Remaining = newID("fault"), f.Count
	return nil
}

// takeFault returns the first fault for the operation that strikes, used up by one.
func (s *Sandbox) takeFault(operation string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.state.faults {
		if f.Operation != "*" && f.Operation != operation || !f.chance.strikes() {
			continue
		}
		taken := *f
		if f.Count > 0 {
			f.Remaining--
		}
		if f.Count > 0 && f.Remaining == 0 {
			s.state.faults = slices.Delete(s.state.faults, i, i+1)
		}
		return &taken
	}
	return nil
}

// wait delays the execution. It ends early when the caller has given up; the
// request is executed all the same.
func (f *fault) wait(x *exchange) {
	if f.pause == 0 {
		return
	}
	x.struck = x.struck || f.Kind == "delay"
	timer := time.NewTimer(f.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.r.Context().Done():
	}
}

// before answers in place of an execution, and says whether it did. This is
// ahead of the idempotency layer: no key remembers it.
func (f *fault) before(x *exchange, form *node) bool {
	if f == noFault {
		return false
	}
	x.entry.Fault = f.Kind
	answer, ok := f.early(form)
	if !ok {
		return false
	}
	f.wait(x)
	x.struck = true
	answer(x)
	return true
}

func (f *fault) early(form *node) (func(*exchange), bool) {
	switch f.Kind {
	case "drop":
		return reset, true
	case "html_502":
		return badGateway, true
	case "rate_limit", "lock_timeout", "key_in_use", "idempotency_error", "status", "missing":
		return func(x *exchange) { x.refuse(f.refusal(x, form)) }, true
	}
	return nil, false
}

// refusal is the error that a fault stands for; its fields may be overridden.
func (f *fault) refusal(x *exchange, form *node) *apiError {
	e := f.usual(x, form)
	e.Code, e.Type = orElse(f.Code, e.Code), orElse(f.Type, e.Type)
	e.Param, e.Message = orElse(f.Param, e.Param), orElse(f.Message, e.Message)
	if f.Status != 0 {
		e.Status = f.Status
	}
	if f.Headers != nil {
		e.Headers = f.Headers
	}
	return e
}

func (f *fault) usual(x *exchange, form *node) *apiError {
	switch f.Kind {
	case "rate_limit":
		return &apiError{
			Status: http.StatusTooManyRequests, Code: "rate_limit",
			Message: "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
			Headers: map[string]string{"Stripe-Rate-Limited-Reason": "endpoint-rate"},
		}
	case "lock_timeout":
		return &apiError{
			Status: http.StatusTooManyRequests, Code: "lock_timeout",
			Message: "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you see this error intermittently, retry the request. If you see this error frequently and are making multiple concurrent requests to a single object, make your requests serially or at a lower rate. For more details, see https://stripe.com/docs/rate-limits#object-lock-timeouts.",
		}
	case "key_in_use":
		return inUse(x.entry.IdempotencyKey)
	case "idempotency_error":
		return otherParameters(x.entry.IdempotencyKey)
	case "missing":
		return missingFault(form)
	}
	if f.Status >= 500 {
		return &apiError{Type: "api_error", Message: "An unknown error occurred"}
	}
	return &apiError{Message: "The sandbox was asked to refuse this request."}
}

// missingFault blames the customer if the request names one.
func missingFault(form *node) *apiError {
	if kid := form.kids["customer"]; kid != nil {
		return noSuch("customer", kid.value, "customer")
	}
	e := noSuch("object", "", "id")
	e.Status = http.StatusNotFound
	return e
}
