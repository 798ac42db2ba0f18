// Package audit remembers who changed what: one event per write of a known caller,
// with its outcome. It decides what an event holds, which writes leave one, and what
// becomes of events that the database does not take; it knows nothing of HTTP or SQL.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"till/internal/problem"
)

// Action names what was asked for.
type Action string

// The closed list. Customers are not on it: the row of the owner is their record.
const (
	CheckoutCreate Action = "checkout.create"
	CheckoutUpdate Action = "checkout.update"
	CheckoutExpire Action = "checkout.expire"
	PortalCreate   Action = "portal.create"
)

// OK is the outcome of a write that was carried out. Every other outcome is the code
// of the problem that the caller was told.
const OK problem.Code = "ok"

// Actor is who acted, and for whom.
type Actor struct {
	// Account is the Stripe account in one of its modes; "" when it was not known yet.
	Account  string
	Livemode bool
	// Issuer, Kind and Subject are the owner's; Member is the person who acted for an
	// organisation, "" for a person of his own. Subject and Member are in the form of
	// stripe.metadata_subject.
	Issuer  string
	Kind    string
	Subject string
	Member  string
}

// Event is one write, or an attempt at one. It holds no secret, no URL and no e-mail
// address, and nothing of the request's body.
type Event struct {
	// At is the service's time of the answer, in milliseconds. At and ID together are
	// unique, and the order of events.
	At time.Time
	ID string
	Actor
	Action Action
	// Object is Stripe's id of what was made, or what the caller named as such; Customer
	// is whose it is. "" when there is none.
	Object   string
	Customer string
	Outcome  problem.Code
	// RequestID is that of the answer and of the request's line in the log.
	RequestID string
	// Client is the network of the client, as in the request's line in the log.
	Client string
	// KeyHash is the SHA-256 of the Idempotency-Key, in hexadecimal; "" without one.
	KeyHash string
}

// HashKey returns what an event keeps of an Idempotency-Key: enough to find the
// attempts that belong together, and to know a key again that somebody shows.
func HashKey(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// maxText is the most bytes of one text of an event. Subjects and ids have 255.
const maxText = 512

// storable returns the event as every database can keep it, whatever callers and
// tokens hold: one event must not keep the others of its batch from being stored.
func (e Event) storable() Event {
	e.At = e.At.Truncate(time.Millisecond)
	for _, text := range []*string{
		&e.Account, &e.Issuer, &e.Kind, &e.Subject, &e.Member, &e.Object, &e.Customer, &e.RequestID, &e.Client, &e.KeyHash,
	} {
		if len(*text) > maxText {
			// Cut off, two of them could look like one.
			*text = "sha256:" + HashKey(*text)
		}
		*text = strings.ToValidUTF8(strings.ReplaceAll(*text, "\x00", "\ufffd"), "\ufffd")
	}
	return e
}

// weight says what becomes of an outcome.
type weight int

const (
	// dropped outcomes leave no event: nothing was judged, so there is no "what", and a
	// row for each would undo the limit that refused it.
	dropped weight = iota
	// bounded outcomes are refusals by rule. They leave an event each, up to a rate: who
	// repeats them must not fill the disk.
	bounded
	// kept outcomes are those after which Stripe may have changed something.
	kept
)

func weightOf(outcome problem.Code) weight {
	switch outcome {
	case OK, problem.Internal, problem.UpstreamError, problem.UpstreamTimeout:
		return kept
	case problem.MalformedRequest, problem.IdempotencyKeyInvalid, problem.Unauthenticated, problem.MethodNotAllowed,
		problem.RequestTimeout, problem.PayloadTooLarge, problem.URITooLong, problem.UnsupportedMediaType,
		problem.RateLimited, problem.Overloaded:
		return dropped
	default:
		return bounded
	}
}
