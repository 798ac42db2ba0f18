package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"till/internal/problem"
)

// Verifier judges credentials. It is safe for concurrent use.
type Verifier struct {
	trusted map[string]*trust // by the exact iss
	now     func() time.Time
	leeway  time.Duration
	metrics *metrics
}

// trust is one issuer with its keys. Keys are never looked for across issuers.
type trust struct {
	Issuer
	keys *keySource
}

// New returns a Verifier for issuers. The error joins every problem of every issuer.
// Key sets that must be fetched are fetched by Run, and not before.
func New(issuers []Issuer, o Options) (*Verifier, error) {
	if err := errors.Join(o.check(), checkAll(issuers)); err != nil {
		return nil, err
	}
	o = o.withDefaults(configuredLoopback(issuers))
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	v := &Verifier{trusted: map[string]*trust{}, now: o.Now, leeway: o.Leeway, metrics: m}
	for _, i := range issuers {
		t, err := newTrust(i.withDefaults(), o, configuredLoopback(issuers), m)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", i.Issuer, err)
		}
		v.trusted[i.Issuer] = t
	}
	return v, nil
}

// checkAll joins what is wrong with each issuer and with all together.
func checkAll(issuers []Issuer) error {
	if len(issuers) == 0 {
		return errors.New("no issuer is trusted; give at least one")
	}
	var problems []error
	seen := map[string]bool{}
	for _, i := range issuers {
		problems = append(problems, i.Check()...)
		if seen[i.Issuer] {
			problems = append(problems, fmt.Errorf("issuer %q is given twice; keep one", i.Issuer))
		}
		seen[i.Issuer] = true
	}
	return errors.Join(problems...)
}

func newTrust(i Issuer, o Options, hosts loopbackHosts, m *metrics) (*trust, error) {
	t := &trust{Issuer: i, keys: &keySource{}}
	if len(i.StaticJWKS) > 0 {
		set, err := parseKeySet(i.StaticJWKS, i.Algorithms)
		if err != nil {
			return nil, err
		}
		t.keys.replace(set)
		m.show(i.Issuer, set)
		return t, nil
	}
	t.keys.refresh = &refresher{
		issuer: i.Issuer, keys: t.keys, metrics: m, log: o.Logger, wake: make(chan struct{}, 1),
		fetch: fetcher{client: o.Client, issuer: i, hosts: hosts}.fetch,
	}
	return t, m.watchAge(i.Issuer, t.keys)
}

// Run keeps the key sets fresh until ctx ends; it returns nil then, with every fetch ended.
func (v *Verifier) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, t := range v.trusted {
		if r := t.keys.refresh; r != nil {
			running.Go(func() { r.run(ctx) })
		}
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// Ready reports whether some issuer has keys to judge with. Tokens of the others
// are answered with DependencyUnavailable meanwhile.
func (v *Verifier) Ready() bool {
	for _, t := range v.trusted {
		if _, ok := t.keys.usable(); ok {
			return true
		}
	}
	return false
}

// Authenticate says who sent r, from its Authorization header. Errors are *problem.Error:
// Unauthenticated with a *Rejection as its cause; MalformedRequest for two Authorization
// lines; Forbidden for an organisation that cannot be read; DependencyUnavailable when the
// issuer's keys cannot be had, so that the token was not judged.
func (v *Verifier) Authenticate(r *http.Request) (Principal, error) {
	token, err := bearer(r)
	if err != nil {
		return Principal{}, v.refused(err)
	}
	return v.Verify(r.Context(), token)
}

// Verify says whom a token speaks for. Errors are those of Authenticate.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	p, err := v.judge(ctx, token)
	if err != nil {
		return Principal{}, v.refused(err)
	}
	return p, nil
}

// refused counts a rejection and makes it the caller's problem.
func (v *Verifier) refused(err error) error {
	r, ok := errors.AsType[*Rejection](err)
	if !ok {
		return err
	}
	v.metrics.rejections.WithLabelValues(string(r.Reason)).Inc()
	return problem.New(problem.Unauthenticated, r)
}

// judge applies the policy, the cheap parts first. Up to the signature nothing of the
// token is believed; what is read before it can only lead to a refusal, or to a key.
func (v *Verifier) judge(ctx context.Context, token string) (Principal, error) {
	jws, err := parseCompact(token)
	if err != nil {
		return Principal{}, err
	}
	h, err := parseHeader(jws.header)
	if err != nil {
		return Principal{}, err
	}
	c, err := parseClaims(jws.claims)
	if err != nil {
		return Principal{}, err
	}
	t, trusted := v.trusted[c.issuer]
	if !trusted {
		return Principal{}, reject(Issued, "iss is not an issuer we trust")
	}
	if err := t.accepts(h); err != nil {
		return Principal{}, err
	}
	if err := c.check(t.Issuer, h.typ, clock{now: v.now(), leeway: v.leeway}); err != nil {
		return Principal{}, err
	}
	if err := t.checkSignature(ctx, h, jws); err != nil {
		return Principal{}, err
	}
	return c.principal(t.Issuer)
}

// checkSignature finds the key that h names among this issuer's and asks it.
func (t *trust) checkSignature(ctx context.Context, h header, jws compact) error {
	k, err := t.keys.find(ctx, h)
	if err != nil {
		return err
	}
	if k.signed(h.algorithm, jws.signed, jws.signature) {
		return nil
	}
	if h.keyID == "" {
		t.keys.doubt()
	}
	return reject(Signature, "the signature is not the key's")
}
