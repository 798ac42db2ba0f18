// Package billing holds the use cases: opening a Checkout or Billing Portal
// session for the caller, and reading one back. It decides what is sent to
// Stripe and who may see what; it knows neither HTTP nor the Stripe SDK nor SQL.
package billing

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/redirect"
)

// Options are the collaborators of a Service; all are required but SubjectForm
// and Now.
type Options struct {
	Gate        *Gate
	Catalog     *catalog.Catalog
	Customers   *customers.Service
	Redirects   *redirect.Policy
	Stripe      Stripe
	Idempotency *idempotency.Service
	Metrics     prometheus.Registerer
	// SubjectForm is how subjects appear at Stripe; plain by default.
	SubjectForm customers.SubjectForm
	// Now is the time by which what was read grows old; the host's by default.
	Now func() time.Time
}

// Service carries out the use cases. It is safe for concurrent use.
type Service struct {
	o       Options
	metrics *metrics
	reads   *reads
}

// New returns a Service.
func New(o Options) (*Service, error) {
	if o.Gate == nil || o.Catalog == nil || o.Customers == nil || o.Redirects == nil || o.Stripe == nil ||
		o.Idempotency == nil || o.Metrics == nil {
		return nil, errors.New("billing: a required collaborator is missing")
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o: o, metrics: m, reads: newReads(o.Now)}, nil
}

// Caller is who may act, and for whom. It can only be had from Service.Caller,
// so no operation runs without one.
type Caller struct {
	owner customers.Owner
	// profile is what the token says of the person; an organisation has none.
	profile customers.Profile
	// key is the one that the caller gave the request, body what it stands for.
	key  idempotency.Key
	body string
	// redirected says that the caller can only be sent to a page.
	redirected bool
}

// Owner names whom the caller acts for: the same on every replica, and it says nothing
// of them.
func (c Caller) Owner() string { return c.owner.Name() }

// Under is the caller with a request that has a key. body is a hash of the request's
// canonical form: the same key with another one is refused.
func (c Caller) Under(key idempotency.Key, body string) Caller {
	c.key, c.body = key, body
	return c
}

// Redirected is the caller who can only be sent to a page, as a browser that has sent
// a form: a session without one is refused before it is made.
func (c Caller) Redirected() Caller {
	c.redirected = true
	return c
}

// Caller turns a verified principal into a caller. It refuses members without a
// billing role (forbidden), and everybody while the Stripe account is unknown.
func (s *Service) Caller(p auth.Principal) (Caller, error) {
	account, err := s.o.Gate.Account()
	if err != nil {
		return Caller{}, err
	}
	owner, err := customers.OwnerOf(p, account)
	if err != nil {
		return Caller{}, err
	}
	c := Caller{owner: owner}
	if owner.Kind == customers.KindUser {
		c.profile = customers.Profile{Email: p.Email, Name: p.Name}
	}
	return c, nil
}
