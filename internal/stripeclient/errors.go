package stripeclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"till/internal/problem"
)

// outcome is how a call ended, for metrics and for decisions.
type outcome string

const (
	outcomeOK          outcome = "ok"
	outcomeRefused     outcome = "refused"      // 400, 402, 404: Stripe understood and said no
	outcomeDenied      outcome = "denied"       // 401, 403: the key
	outcomeConflict    outcome = "conflict"     // 409, and 429 for a lock
	outcomeRateLimited outcome = "rate_limited" // 429
	outcomeFailed      outcome = "failed"       // 5xx
	outcomeTimeout     outcome = "timeout"      // no answer in time
	outcomeNetwork     outcome = "network"      // no answer
	outcomeNonsense    outcome = "nonsense"     // an answer that cannot be read
	outcomeDisbelieved outcome = "disbelieved"  // an answer that is not what was asked for
	outcomeQueue       outcome = "queue_full"   // our own rate limit; not sent
	outcomeBreaker     outcome = "breaker_open" // not sent
	outcomeCanceled    outcome = "canceled"     // the caller has gone
)

var outcomes = []outcome{
	outcomeOK, outcomeRefused, outcomeDenied, outcomeConflict, outcomeRateLimited, outcomeFailed,
	outcomeTimeout, outcomeNetwork, outcomeNonsense, outcomeDisbelieved, outcomeQueue, outcomeBreaker, outcomeCanceled,
}

// Error is a call that brought nothing to believe in. Its text is for logs: it
// has Stripe's codes and, for refusals of parameters, Stripe's sentence, which
// is what the operator has to read, without what is private in it. Answers about
// the key are never quoted.
type Error struct {
	Operation operation
	Status    int
	Type      string
	Code      string
	param     string
	Message   string
	RequestID string
	Err       error

	outcome outcome
	// keyed says that the call had an idempotency key.
	keyed       bool
	shouldRetry string
	replayed    bool
	// nothing says that nothing came of this try, nor of those before it.
	nothing bool
	// wait is how long it takes, at least, until a call that was not sent may be.
	wait time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stripe %s: %s", e.Operation, e.outcome)
	for _, f := range []struct{ name, value string }{
		{"type", e.Type}, {"code", e.Code}, {"param", e.param}, {"message", e.Message}, {"request", e.RequestID},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%q", f.name, f.value)
		}
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " status=%d", e.Status)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause, when there is one that is safe to print.
func (e *Error) Unwrap() error { return e.Err }

// Param returns Stripe's name of the parameter it refused.
func (e *Error) Param() string { return e.param }

// Missing reports whether Stripe says that an object the call names does not exist.
func (e *Error) Missing() bool {
	return e.outcome == outcomeRefused && e.Code == string(stripe.ErrorCodeResourceMissing)
}

// Refused reports whether Stripe understood the call and said no, also if only
// because something is Missing: it will say so again. A proxy's refusal is none.
func (e *Error) Refused() bool { return e.outcome == outcomeRefused && e.Err == nil }

// KeyRefused reports whether Stripe does not accept the key at all, or did not a moment
// ago.
func (e *Error) KeyRefused() bool { return e.Status == http.StatusUnauthorized }

// AccountRefused reports whether the key has no access to the connected account.
func (e *Error) AccountRefused() bool {
	return e.Status == http.StatusForbidden && e.Code == string(stripe.ErrorCodeAccountInvalid)
}

// PermissionDenied reports whether the key may not make this call.
func (e *Error) PermissionDenied() bool { return e.Status == http.StatusForbidden }

// KeySpent reports whether Stripe replays a failure for the idempotency key: for
// a day, nothing else will come of it.
func (e *Error) KeySpent() bool { return e.replayed && e.Status >= http.StatusInternalServerError }

// KeyInUse reports whether another call with the same key is running.
func (e *Error) KeyInUse() bool {
	return e.Status == http.StatusConflict && e.Code == string(stripe.ErrorCodeIdempotencyKeyInUse)
}

// DidNothing reports whether surely nothing came of the call, with all its tries: it
// was not sent, or Stripe itself said no before, or instead of, doing anything.
func (e *Error) DidNothing() bool { return e.nothing }

// didNothing judges one try. Of a key that was used with other parameters, the
// earlier call may have done something.
func (e *Error) didNothing() bool {
	switch e.outcome {
	case outcomeQueue, outcomeBreaker:
		return true
	case outcomeRefused, outcomeDenied, outcomeRateLimited:
		return e.wait > 0 || e.Err == nil && e.Type != string(stripe.ErrorTypeIdempotency)
	default:
		return false
	}
}

// verdict is what the breaker hears: an error for a Stripe that does not work,
// context.Canceled for a try that says nothing about it, and nil for one that
// does, whatever it answered, replays of earlier failures included.
func (e *Error) verdict() error {
	if e == nil || e.replayed {
		// A failure from yesterday's notes is read out by a Stripe that works today.
		return nil
	}
	switch e.outcome {
	case outcomeFailed, outcomeTimeout, outcomeNetwork, outcomeNonsense:
		return e
	case outcomeCanceled:
		return context.Canceled
	default:
		return nil
	}
}

// retryable says whether another try with the same key can help. Stripe's own
// advice comes first; a rate limit is not retried, since more calls are what it
// is about.
func (e *Error) retryable() bool {
	switch {
	case e.replayed:
		return false
	case e.shouldRetry == "true":
		return true
	case e.shouldRetry == "false":
		return false
	}
	switch e.outcome {
	case outcomeTimeout:
		return true
	case outcomeNetwork:
		// A certificate will be no better in a second.
		_, isCertificate := errors.AsType[*tls.CertificateVerificationError](e.Err)
		return !isCertificate
	case outcomeNonsense:
		return e.Status < http.StatusMultipleChoices
	case outcomeConflict:
		return !e.KeyInUse()
	case outcomeFailed:
		// With a key, Stripe would replay the 500 as it is.
		return e.Status != http.StatusInternalServerError || !e.keyed
	default:
		return false
	}
}

func (e *Error) problem() *problem.Error {
	p := &problem.Error{Code: problem.UpstreamError, Err: e}
	switch e.outcome {
	case outcomeTimeout, outcomeCanceled:
		p.Code = problem.UpstreamTimeout
	case outcomeRateLimited:
		p.Code, p.RetryAfter = problem.Overloaded, 2*time.Second
	case outcomeQueue:
		p.Code, p.RetryAfter = problem.Overloaded, time.Second
	case outcomeConflict:
		p.Code, p.RetryAfter = problem.DependencyUnavailable, time.Second
	case outcomeBreaker:
		p.Code, p.RetryAfter = problem.DependencyUnavailable, 5*time.Second
	case outcomeDenied:
		if e.wait > 0 {
			p.Code, p.RetryAfter = problem.DependencyUnavailable, e.wait.Truncate(time.Second)+time.Second
		}
	case outcomeFailed:
		if e.Status == http.StatusServiceUnavailable {
			p.Code, p.RetryAfter = problem.DependencyUnavailable, 2*time.Second
		}
	}
	return p
}

// classify makes an Error of what a try brought, or nil when it brought an answer.
func classify(k call, x *exchange, err error) *Error {
	if err == nil {
		return nil
	}
	e := &Error{
		Operation: k.op, Status: x.status, RequestID: x.requestID,
		keyed: k.key != "", shouldRetry: x.shouldRetry, replayed: x.replayed,
	}
	se, isStripe := errors.AsType[*stripe.Error](err)
	switch {
	case errors.Is(err, errNeither):
		e.outcome, e.Err = outcomeNonsense, errNeither
	case isStripe:
		e.Type, e.Code, e.param = quote(string(se.Type)), quote(string(se.Code)), quote(se.Param)
		e.outcome = ofStatus(x.status, e.Code)
		if e.outcome == outcomeRefused && !k.personal {
			e.Message = quote(se.Msg)
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.outcome, e.Err = outcomeTimeout, context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		e.outcome, e.Err = outcomeCanceled, context.Canceled
	case x.status >= http.StatusBadRequest:
		// Not Stripe's JSON: a proxy's page, or half an answer. Its text is not quoted.
		e.outcome = ofStatus(x.status, "")
		e.Err = errors.New("an error answer that is not Stripe's")
	case x.status != 0:
		// stripe-go quotes the body, which may hold a session's URL.
		e.outcome, e.Err = outcomeNonsense, errors.New("an answer that cannot be read")
	default:
		e.outcome, e.Err = outcomeNetwork, transportCause(err)
	}
	return e
}

func ofStatus(status int, code string) outcome {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return outcomeDenied
	case status == http.StatusConflict,
		status == http.StatusTooManyRequests && code == string(stripe.ErrorCodeLockTimeout):
		return outcomeConflict
	case status == http.StatusTooManyRequests:
		return outcomeRateLimited
	case status >= http.StatusInternalServerError:
		return outcomeFailed
	default:
		return outcomeRefused
	}
}

// transportCause finds the cause that may be printed: *url.Error has the whole URL
// in its text, and net/http quotes what it could not read.
func transportCause(err error) error {
	if cause, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cause
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New("the answer's headers cannot be read")
	}
	if before, _, quotes := strings.Cut(err.Error(), `"`); quotes {
		return errors.New(strings.TrimSpace(before))
	}
	return err
}

// private is a word that is not for logs: an address, a URL (it may open a
// session), a client secret, a key.
var private = regexp.MustCompile(`\S*(?:@|://|_secret_|\b(?:sk|rk|ek|whsec)_)\S*`)

const maxQuote = 500

// quote makes Stripe's words fit for a log.
func quote(s string) string {
	if len(s) > maxQuote {
		// Only whole words, so that the half of one is not taken for harmless.
		s = s[:1+strings.LastIndexByte(s[:maxQuote], ' ')]
	}
	return private.ReplaceAllLiteralString(s, "[redacted]")
}
