package customers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"till/internal/auth"
	"till/internal/problem"
)

// Kind says whether an owner is a person or an organisation.
type Kind string

// The two kinds. They never share a customer, even with equal subjects.
const (
	KindUser Kind = "user"
	KindOrg  Kind = "org"
)

// Account is a Stripe account in one of its modes. Objects of different
// accounts or modes never mix.
type Account struct {
	ID       string
	Livemode bool
}

// Owner is whom a customer belongs to. Every member is compared byte for byte.
type Owner struct {
	Account
	Issuer  string
	Kind    Kind
	Subject string
}

// OwnerOf returns whom p acts for: the organisation when p has one, else the
// person. A member of an organisation without a billing role is refused as
// forbidden and never falls back to the person.
func OwnerOf(p auth.Principal, account Account) (Owner, error) {
	if p.Org == nil {
		return Owner{account, p.Issuer, KindUser, p.Subject}, nil
	}
	if !p.Org.MayBill {
		return Owner{}, problem.New(problem.Forbidden, nil)
	}
	return Owner{account, p.Issuer, KindOrg, p.Org.ID}, nil
}

// ownerVersion keeps names apart from keys, which are hashes of the same members.
const ownerVersion = "till-owner-v1"

// Name is the same for the same owner on every replica, tells different owners apart,
// and says nothing of them: a hash, of 43 characters.
func (o Owner) Name() string {
	return hashOf(ownerVersion, o.ID, strconv.FormatBool(o.Livemode), o.Issuer, string(o.Kind), o.Subject)
}

// keyVersion is hashed into every key, so that a change of the scheme cannot
// meet an old key with other parameters.
const keyVersion = "till-customer-v1"

// idempotencyKey is the same for the same owner and generation on every replica
// and after every restore: a row that was lost still replays the customer that
// Stripe made for it, for the 24 hours Stripe keeps the key.
func (o Owner) idempotencyKey(generation int) string {
	return hashOf(keyVersion, o.ID, strconv.FormatBool(o.Livemode), o.Issuer, string(o.Kind), o.Subject,
		strconv.Itoa(generation))
}

func hashOf(parts ...string) string {
	text := make([]byte, 0, 512) // of most owners, on the stack
	for _, part := range parts {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SubjectForm says how subjects are written into Stripe's metadata.
type SubjectForm string

// The two forms of stripe.metadata_subject.
const (
	SubjectPlain  SubjectForm = "plain"
	SubjectSHA256 SubjectForm = "sha256"
)

// Apply returns the subject as Stripe gets to see it.
func (f SubjectForm) Apply(subject string) string {
	if f != SubjectSHA256 {
		return subject
	}
	sum := sha256.Sum256([]byte(subject))
	return hex.EncodeToString(sum[:])
}

// Customer is an owner's customer at Stripe.
type Customer struct {
	ID string
	// IsAccount says that ID is that of an account (Accounts v2), which stands in for a
	// customer. It was imported: none is ever created, and none is replaced.
	IsAccount bool
	// Generation counts the customers that the owner has had, from 1.
	Generation int
	// Sent is what the customer was last told of the person.
	Sent Sent
}

// Param is Stripe's name of the parameter that the ID goes into.
func (c Customer) Param() string {
	if c.IsAccount {
		return "customer_account"
	}
	return "customer"
}

// Has reports whether an object of Stripe's that names customer and account, either of
// which may be "", belongs to c.
func (c Customer) Has(customer, account string) bool {
	if c.IsAccount {
		customer = account
	}
	return customer != "" && customer == c.ID
}

// Metadata is what the owner's Stripe objects carry, so that the operator's own
// webhooks can find the user again.
func (o Owner) Metadata(form SubjectForm, generation int) map[string]string {
	return map[string]string{
		"till_issuer":     o.Issuer,
		"till_kind":       string(o.Kind),
		"till_subject":    form.Apply(o.Subject),
		"till_generation": strconv.Itoa(generation),
	}
}
