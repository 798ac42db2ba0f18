package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"till/internal/billing"
	"till/internal/idempotency"
	"till/internal/problem"
)

const (
	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
)

// keyed is the caller with the request's Idempotency-Key, if it has one. Bodies are
// the same when they are the same JSON (RFC 8785): neither the order of members nor
// white space counts, and a form is the JSON it is read into.
func keyed(caller billing.Caller, h http.Header, body jsontext.Value) (billing.Caller, error) {
	key, err := idempotency.ParseKey(h.Values(headerKey))
	if err != nil || key == "" {
		return caller, err
	}
	canonical := body.Clone()
	if err := canonical.Canonicalize(); err != nil {
		return caller, problem.New(problem.MalformedRequest, err)
	}
	sum := sha256.Sum256(canonical)
	return caller.Under(key, base64.RawURLEncoding.EncodeToString(sum[:])), nil
}

// replayed is a result that an earlier request may have brought.
type replayed interface{ IsReplayed() bool }

func sayReplayed(h http.Header, res any) {
	if r, ok := res.(replayed); ok && r.IsReplayed() {
		h.Set(headerReplayed, "true")
	}
}
