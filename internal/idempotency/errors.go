package idempotency

import (
	"errors"
	"time"

	"till/internal/problem"
)

// keySpentError is an error that Stripe replays for this key from now on.
type keySpentError interface {
	error
	KeySpent() bool
}

// keyInUseError says that another call with this key is running at Stripe right now.
type keyInUseError interface {
	error
	KeyInUse() bool
}

// nothingError says that surely nothing came of a call, with all its tries.
type nothingError interface {
	error
	DidNothing() bool
}

func isKeySpent(err error) bool {
	e, ok := errors.AsType[keySpentError](err)
	return ok && e.KeySpent()
}

func isKeyInUse(err error) bool {
	e, ok := errors.AsType[keyInUseError](err)
	return ok && e.KeyInUse()
}

func didNothing(err error) bool {
	e, ok := errors.AsType[nothingError](err)
	return ok && e.DidNothing()
}

// explain says what a call's error is to the caller.
func explain(err error) error {
	if isKeyInUse(err) {
		return inProgress(err)
	}
	return err
}

func inProgress(cause error) error {
	return &problem.Error{Code: problem.IdempotencyInProgress, RetryAfter: time.Second, Err: cause}
}

// unavailable gives err the code that a database without an answer has; nil stays nil.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
}
