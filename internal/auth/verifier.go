package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"till/internal/problem"
)

// Verifier judges credentials. It is safe for concurrent use.
type Verifier struct {
	trusted  map[string]*trust // by the exact iss
	asked    *introspector     // about opaque tokens; nil: there are none
	known    *tokenCache       // nil: every token is judged whole
	carriers carriers
	clock    func() clock
	metrics  *metrics
}

// trust is one issuer with its keys. Keys are never looked for across issuers.
type trust struct {
	Issuer
	keys *keySource // nil: the issuer makes opaque tokens only
}

// New returns a Verifier for issuers. The error joins every problem of every issuer.
// Key sets that must be fetched are fetched by Run, and not before.
func New(issuers []Issuer, o Options) (*Verifier, error) {
	if err := errors.Join(o.check(), checkAll(issuers)); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	v := &Verifier{
		trusted: map[string]*trust{}, carriers: carriers{cookie: o.Cookie}, metrics: m,
		clock: func() clock { return clock{now: o.Now(), leeway: o.Leeway} },
	}
	if v.known, err = newTokenCache(o.TokenCache); err != nil {
		return nil, err
	}
	for _, i := range issuers {
		if err := v.trust(i.withDefaults(), o); err != nil {
			return nil, fmt.Errorf("issuer %q: %w", i.Issuer, err)
		}
	}
	return v, nil
}

// checkAll joins what is wrong with each issuer and with all together.
func checkAll(issuers []Issuer) error {
	if len(issuers) == 0 {
		return errors.New("no issuer is trusted; give at least one")
	}
	var problems []error
	seen, asked := map[string]bool{}, 0
	for _, i := range issuers {
		problems = append(problems, i.Check()...)
		if seen[i.Issuer] {
			problems = append(problems, fmt.Errorf("issuer %q is given twice; keep one", i.Issuer))
		}
		seen[i.Issuer] = true
		if i.Introspection.URL != "" {
			asked++
		}
	}
	if asked > 1 {
		// An opaque token says nothing of where it comes from, and must not be shown around.
		problems = append(problems, errors.New("two issuers have introspection; keep one"))
	}
	return errors.Join(problems...)
}

// trust adds an issuer.
func (v *Verifier) trust(i Issuer, o Options) (err error) {
	t := &trust{Issuer: i}
	v.trusted[i.Issuer] = t
	if i.Header != "" {
		v.carriers.headers = append(v.carriers.headers, i.Header)
	}
	if i.Introspection.URL != "" {
		if v.asked, err = newIntrospector(i, o, v.clock, v.metrics); err != nil {
			return err
		}
	}
	t.keys, err = newKeySource(i, o, v.metrics)
	return err
}

// newKeySource returns where an issuer's keys come from; nil when it has none.
func newKeySource(i Issuer, o Options, m *metrics) (*keySource, error) {
	s := &keySource{}
	switch {
	case !i.Secret.IsZero():
		s.replace(secretSet(i.Secret.Reveal()))
		return s, nil
	case len(i.StaticJWKS) > 0:
		set, err := parseKeySet(i.StaticJWKS, i.Algorithms)
		if err != nil {
			return nil, err
		}
		s.replace(set)
		m.show(i.Issuer, set)
		return s, nil
	case i.JWKSURL == "" && i.Introspection.URL != "":
		return nil, nil
	default:
		s.refresh = &refresher{
			issuer: i.Issuer, keys: s, metrics: m, log: o.Logger, wake: make(chan struct{}, 1),
			fetch: fetcher{client: o.client(i.reach(), 0), issuer: i}.fetch,
		}
		return s, m.watchAge(i.Issuer, s)
	}
}

// Run keeps the key sets fresh until ctx ends; it returns nil then, with every fetch ended.
func (v *Verifier) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, t := range v.trusted {
		if t.keys == nil || t.keys.refresh == nil {
			continue
		}
		r := t.keys.refresh
		running.Go(func() { r.run(ctx) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// Ready reports whether some issuer has keys to judge with, or can be asked. Tokens of the
// others are answered with DependencyUnavailable meanwhile.
func (v *Verifier) Ready() bool {
	for _, t := range v.trusted {
		if t.keys == nil {
			return true
		}
		if _, ok := t.keys.usable(); ok {
			return true
		}
	}
	return false
}

// Authenticate says who sent r, by the first that there is of Authorization, a proxy's
// header and the cookie. Errors are *problem.Error: Unauthenticated, or Forbidden for a
// genuine token that is not enough, with a *Rejection as their cause; MalformedRequest for
// two lines where one must be; DependencyUnavailable or Overloaded when the token was not
// judged, since the issuer's keys or its answer could not be had.
func (v *Verifier) Authenticate(r *http.Request) (Principal, error) {
	c, err := v.carriers.credential(r)
	if err != nil {
		return Principal{}, v.refused(err)
	}
	p, err := v.judge(r.Context(), c)
	if err != nil {
		return Principal{}, v.refused(err)
	}
	p.Ambient = c.ambient
	return p, nil
}

// Verify says whom a token speaks for that was in Authorization. Errors are those of
// Authenticate.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	p, err := v.judge(ctx, credential{token: token})
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
	return problem.New(r.code(), r)
}

// judge asks the issuer about a token that is opaque, when there is one to ask and its
// tokens come this way, and looks at the token itself otherwise.
func (v *Verifier) judge(ctx context.Context, c credential) (Principal, error) {
	if v.asked != nil && v.asked.issuer.Header == c.header && opaque(c.token) {
		return v.asked.judge(ctx, c.token)
	}
	at, kept := v.known.place(c)
	if kept {
		if p, found := v.known.find(at, v.clock()); found {
			v.metrics.remembered.Inc()
			return p, nil
		}
	}
	r, err := v.judgeJWT(ctx, c)
	if err != nil {
		return Principal{}, err
	}
	v.metrics.verified.Inc()
	if kept {
		v.known.tokens.Set(at, r)
	}
	return r.principal, nil
}

// judgeJWT applies the policy, the cheap parts first. Up to the signature nothing of the
// token is believed; what is read before it can only lead to a refusal, or to a key.
func (v *Verifier) judgeJWT(ctx context.Context, from credential) (*remembered, error) {
	jws, err := parseCompact(from.token)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(jws.header)
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(jws.claims)
	if err != nil {
		return nil, err
	}
	t, trusted := v.trusted[c.issuer]
	if !trusted || t.Header != from.header {
		return nil, reject(Issued, "iss is not an issuer we trust in this place")
	}
	if err := t.accepts(h); err != nil {
		return nil, err
	}
	if err := c.check(t.Issuer, h.typ, v.clock()); err != nil {
		return nil, err
	}
	signer, err := t.signer(ctx, h, jws)
	if err != nil {
		return nil, err
	}
	p, err := c.principal(t.Issuer)
	if err != nil {
		return nil, err
	}
	return &remembered{principal: p, validity: c.validity, issuer: t, header: h, signer: signer}, nil
}

// signer finds the key that h names among this issuer's, asks it, and returns it.
func (t *trust) signer(ctx context.Context, h header, jws compact) (key, error) {
	if t.keys == nil {
		return key{}, reject(UnknownKey, "the issuer makes opaque tokens only")
	}
	k, err := t.keys.find(ctx, h)
	if err != nil {
		return key{}, err
	}
	if k.signed(h.algorithm, jws.signed, jws.signature) {
		return k, nil
	}
	if h.keyID == "" {
		t.keys.doubt()
	}
	return key{}, reject(Signature, "the signature is not the key's")
}
