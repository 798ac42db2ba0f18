package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"till/internal/problem"
)

const (
	answerFresh   = time.Minute      // how long a revoked token can go on
	refusalFresh  = 10 * time.Second // a token that is not active yet may become so
	maxAnswer     = 64 << 10
	maxActive     = 50_000 // tokens remembered
	maxRefused    = 10_000
	keepIdle      = 30 * time.Second // a connection to the issuer
	askAgain      = time.Second      // after no answer
	complainEvery = 10 * time.Second
)

// How many questions a second. Strangers can make up any number of tokens, so they have a
// budget of their own, which cannot be used up for those who were let in before.
const (
	strangersPerSecond = 50
	knownPerSecond     = 200
)

// introspector asks an issuer about opaque tokens (RFC 7662), as rarely as it can: answers
// are kept, several callers with one token share a question, and no more than a budget is
// asked, whatever arrives. What it cannot ask, it does not judge.
type introspector struct {
	issuer  Issuer
	client  *http.Client
	clock   func() clock
	metrics *metrics
	log     *slog.Logger

	// By the token's SHA-256, so that no memory of ours holds a token that still opens
	// something. Active tokens stay after their answer has grown old, as the sign that they
	// are no stranger's; only what the issuer let in gets there, so a storm cannot push it out.
	active  *otter.Cache[tokenID, answer]
	refused *otter.Cache[tokenID, answer]

	asking           singleflight.Group
	strangers, known *rate.Limiter

	complain rate.Sometimes // or a stranger could fill the log

	mu        sync.Mutex
	notBefore time.Time // nothing is asked earlier, since the issuer did not answer
}

type tokenID [sha256.Size]byte

// answer is what the issuer said, and until when it is taken for true.
type answer struct {
	principal Principal
	err       error
	until     time.Time // with its monotonic part
}

func newIntrospector(i Issuer, o Options, c func() clock, m *metrics) (*introspector, error) {
	s := &introspector{
		issuer: i, client: o.client(i.reach(), keepIdle), clock: c, metrics: m, log: o.Logger,
		strangers: rate.NewLimiter(strangersPerSecond, 2*strangersPerSecond),
		known:     rate.NewLimiter(knownPerSecond, 2*knownPerSecond),
		complain:  rate.Sometimes{First: 1, Interval: complainEvery},
	}
	var errActive, errRefused error
	s.active, errActive = otter.New(&otter.Options[tokenID, answer]{MaximumSize: maxActive})
	s.refused, errRefused = otter.New(&otter.Options[tokenID, answer]{MaximumSize: maxRefused})
	return s, errors.Join(errActive, errRefused)
}

// judge says whom an opaque token speaks for. Errors are those of Verifier.judge;
// problem.DependencyUnavailable and problem.Overloaded when the issuer could not be asked.
func (s *introspector) judge(ctx context.Context, token string) (Principal, error) {
	id := tokenID(sha256.Sum256([]byte(token)))
	now := time.Now()
	known, before := s.active.GetIfPresent(id)
	if before && now.Before(known.until) {
		return known.principal, s.ended(known.principal)
	}
	if refusal, found := s.refused.GetIfPresent(id); found && now.Before(refusal.until) {
		return Principal{}, refusal.err
	}
	budget := s.strangers
	if before {
		budget = s.known
	}
	return s.share(ctx, id, token, budget)
}

// ended refuses a principal whose token has expired since its issuer was asked.
func (s *introspector) ended(p Principal) error {
	if (validity{expires: p.ExpiresAt}).endedBy(s.clock()) {
		return reject(Expired, "exp has passed")
	}
	return nil
}

// share asks once for all who wait with the same token; it goes on when they leave.
func (s *introspector) share(ctx context.Context, id tokenID, token string, budget *rate.Limiter) (Principal, error) {
	shared := s.asking.DoChan(string(id[:]), func() (any, error) {
		return s.ask(context.WithoutCancel(ctx), id, token, budget)
	})
	select {
	case result := <-shared:
		if result.Err != nil {
			return Principal{}, result.Err
		}
		p, _ := result.Val.(Principal) // ask returns nothing else
		return p, nil
	case <-ctx.Done():
		return Principal{}, cannotAsk(problem.DependencyUnavailable, ctx.Err())
	}
}

func (s *introspector) ask(ctx context.Context, id tokenID, token string, budget *rate.Limiter) (Principal, error) {
	if wait := s.resting(); wait > 0 {
		return Principal{}, cannotAsk(problem.DependencyUnavailable, errors.New("the issuer did not answer a moment ago"))
	}
	if !budget.Allow() {
		s.metrics.introspections.WithLabelValues(string(askLimited)).Inc()
		return Principal{}, cannotAsk(problem.Overloaded, errors.New("too many questions about tokens"))
	}
	p, err := s.question(ctx, token)
	if _, refused := errors.AsType[*Rejection](err); err == nil || refused {
		s.remember(id, p, err)
	} else {
		s.failed(err)
		err = cannotAsk(problem.DependencyUnavailable, errors.New("the issuer cannot be asked about the token"))
	}
	return p, err
}

// question asks the issuer and judges its answer. Errors are a Rejection, or that there
// was no answer.
func (s *introspector) question(ctx context.Context, token string) (Principal, error) {
	body, err := s.send(ctx, token)
	if err != nil {
		return Principal{}, fmt.Errorf("introspection: %w", err)
	}
	c, err := s.parse(body)
	if err != nil {
		return Principal{}, err
	}
	if err := c.check(s.issuer, "", s.clock()); err != nil {
		return Principal{}, err
	}
	return c.principal(s.issuer)
}

// send returns the answer of the issuer. Client and secret go in Basic, encoded as RFC 6749
// section 2.3.1 says.
func (s *introspector) send(ctx context.Context, token string) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	to := s.issuer.Introspection
	request, err := http.NewRequest(http.MethodPost, to.URL, strings.NewReader(form.Encode())) //nolint:noctx // read gives it one
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(to.ClientID), url.QueryEscape(to.Secret.Reveal()))
	body, _, err := read(ctx, s.client, request, maxAnswer)
	return body, err
}

// parse reads an answer (RFC 7662 section 2.2), whose members are those of a JWT. It is
// errInvalid when it is no answer at all.
func (s *introspector) parse(body []byte) (claims, error) {
	o, err := parseObject(body, maxClaims)
	if err != nil {
		return claims{}, fmt.Errorf("introspection: %w: %w", errInvalid, err)
	}
	switch o["active"].Kind() {
	case 't':
	case 'f':
		return claims{}, reject(Inactive, "the issuer says that the token is not active")
	default:
		return claims{}, fmt.Errorf("introspection: %w: active is not true or false", errInvalid)
	}
	if issuer, present, err := o.text("iss"); err != nil || present && issuer != s.issuer.Issuer {
		return claims{}, reject(Issued, "iss is not the issuer that was asked")
	}
	if kind, present, err := o.text("token_type"); err != nil || present && !strings.EqualFold(kind, "Bearer") {
		return claims{}, reject(Type, "token_type is not Bearer")
	}
	return claims{object: o, issuer: s.issuer.Issuer}, nil
}

// remember keeps what the issuer said.
func (s *introspector) remember(id tokenID, p Principal, err error) {
	outcome, now := askActive, time.Now()
	if err != nil {
		outcome = askRefused
		s.refused.Set(id, answer{err: err, until: now.Add(refusalFresh)})
		s.active.Invalidate(id)
	} else {
		s.active.Set(id, answer{principal: p, until: now.Add(answerFresh)})
	}
	s.metrics.introspections.WithLabelValues(string(outcome)).Inc()
}

// resting returns how long nothing is asked.
func (s *introspector) resting() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.notBefore)
}

// failed is told that there was no answer that could be used. Where there was none at all,
// the next question waits for a moment, since each would hold a caller and a connection for
// as long as it may take. Other failures may be a matter of the token, which a stranger
// chose, and must not stop questions about others.
func (s *introspector) failed(err error) {
	outcome := outcomeOf(err)
	if outcome == fetchUnreachable {
		s.mu.Lock()
		s.notBefore = time.Now().Add(askAgain)
		s.mu.Unlock()
	}
	s.metrics.introspections.WithLabelValues(string(outcome)).Inc()
	s.complain.Do(func() {
		s.log.Warn("introspection", "issuer", s.issuer.Issuer, "outcome", string(outcome), "error", err)
	})
}

func cannotAsk(code problem.Code, cause error) error {
	return &problem.Error{Code: code, RetryAfter: askAgain, Err: cause}
}

// Outcomes of questions, besides those of fetches but fetchOK.
const (
	askActive  outcome = "active"
	askRefused outcome = "refused" // not active, or not for us
	askLimited outcome = "limited" // not asked: too many questions
)

func askOutcomes() []outcome {
	return []outcome{askActive, askRefused, askLimited, fetchInvalid, fetchBlocked, fetchUnreachable}
}
