// Package stripeclient is the only place that talks to Stripe. It decides how a
// call is made (transport, tries, deadlines, budget) and whether an answer is
// believed; it knows nothing of callers or of the catalogue.
//
// stripe-go sends, and decodes errors. Everything around it is ours, because what
// the library does there was measured to be unsafe for a service: its retries sleep
// without looking at the context, its transport follows redirects and reads without
// limit, its errors print secrets, and it reads a good answer six times over.
package stripeclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"github.com/stripe/stripe-go/v76"

	"till/internal/catalog"
	"till/internal/problem"
	"till/internal/ratelimit"
	"till/internal/secret"
)

// DefaultBaseURL is where Stripe's API is.
const DefaultBaseURL = "https://api.stripe.com"

// APIVersion is the Stripe-Version sent when the configuration names none.
const APIVersion = stripe.APIVersion

// Options configure a Client. Key and Metrics are required.
type Options struct {
	Key secret.Secret
	// BaseURL of the API, without /v1; Stripe's own by default.
	BaseURL string
	// Version is the Stripe-Version; the one stripe-go was made for by default.
	Version string
	// Versions are the Stripe-Versions of single operations, by the names of Operations.
	Versions map[string]string
	// Connected is the connected account that every call is made for; "" is the key's own.
	Connected string
	// URLHosts are the hosts (with port, if any) that session URLs may have
	// besides Stripe's own and, when BaseURL is not Stripe's, its host.
	URLHosts []string
	// DialContext opens connections; TCP by default.
	DialContext dialFunc
	// Transport carries the requests in place of connections of our own; those by default.
	Transport http.RoundTripper
	// Budget bounds the calls per second to each of Endpoints; nil is no bound.
	Budget *ratelimit.Budget
	// TryTimeout bounds one try (8 s), Deadline a call with all its tries (12 s).
	TryTimeout, Deadline time.Duration
	// Clock reads the host's monotonic and its wall clock; the system's by default.
	Clock   func() (time.Duration, time.Time)
	Metrics prometheus.Registerer
}

// Client makes calls to Stripe. It is safe for concurrent use.
type Client struct {
	o       Options
	backend *stripe.BackendImplementation
	wire    wire
	hosts   sessionHosts
	budget  *retryBudget
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	// turns are the budgets of the operations' endpoints.
	turns   map[operation]*ratelimit.Endpoint
	metrics *metrics
	pool    *http.Transport
	clock   *stripeClock
	guard   keyGuard
	silence silence
}

// New returns a Client. It makes no call.
func New(o Options) (*Client, error) {
	if o.Key.IsZero() {
		return nil, errors.New("a Stripe key is required")
	}
	if o.Metrics == nil {
		return nil, errors.New("a metrics registry is required")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.Version == "" {
		o.Version = APIVersion
	}
	if o.TryTimeout == 0 {
		o.TryTimeout = 8 * time.Second
	}
	if o.Deadline == 0 {
		o.Deadline = 12 * time.Second
	}
	if o.Clock == nil {
		o.Clock = systemClock()
	}
	if o.Connected != "" && !catalog.ValidID(o.Connected) {
		return nil, errors.New("the connected account is not an id")
	}
	if err := checkVersions(o.Versions); err != nil {
		return nil, err
	}
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, errors.New("the Stripe base URL is not an http or https URL")
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	pool := newPool(counted(o.DialContext, m.open, m.opened))
	if o.Transport == nil {
		o.Transport = pool
	}
	c := &Client{
		o: o, hosts: newSessionHosts(base, o.URLHosts), budget: newRetryBudget(), breaker: newBreaker(o.TryTimeout),
		turns: map[operation]*ratelimit.Endpoint{}, metrics: m, pool: pool,
		clock: &stripeClock{read: o.Clock, offset: m.offset},
	}
	for _, op := range operations {
		c.turns[op] = o.Budget.Endpoint(op.endpoint())
	}
	c.wire = newWire(base, o.Connected)
	// A value and not stripe.GetBackendWithConfig, whose result has only the methods
	// that build the request as well.
	c.backend = &stripe.BackendImplementation{
		Type: stripe.APIBackend,
		URL:  o.BaseURL,
		HTTPClient: &http.Client{
			Transport:     &tripper{next: o.Transport, clock: c.clock},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxNetworkRetries: 0,
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if err := m.watch(o.Metrics, c); err != nil {
		return nil, err
	}
	return c, nil
}

// Close drops the idle connections.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

// Livemode reports whether the key is for live mode.
func (c *Client) Livemode() bool { return Livemode(c.o.Key) }

// Livemode reports whether key is for live mode.
func Livemode(key secret.Secret) bool {
	k := key.Reveal()
	return strings.HasPrefix(k, "sk_live_") || strings.HasPrefix(k, "rk_live_")
}

// Fingerprint stands for the key, and the account that it is used for if that is a
// connected one, where the key itself must not be.
func Fingerprint(key secret.Secret, connected string) string {
	text := "till-key-v1\x00" + key.Reveal()
	if connected != "" {
		text += "\x00" + connected
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// call is one call to Stripe, with all its tries.
type call struct {
	op     operation
	method string
	path   string
	// form is encoded: the query of a read, the body of a write.
	form string
	// key is the idempotency key; empty for reads, and only for them.
	key string
	// version overrides the operation's Stripe-Version.
	version string
	// personal says that Stripe may quote what must not be in a log.
	personal bool
	// began is when the call began; do sets it.
	began hostTime
}

var errKey = errors.New("a write needs an idempotency key of 1 to 255 characters, and a read none")

// answer is what Stripe sent, decoded.
type answer[T any] struct {
	body T
	// replayed says that Stripe answered with what it had said to an earlier call.
	replayed bool
}

// do makes the call, decodes the answer and has check judge it: an error of check
// means that the answer is not believed. The error is a *problem.Error whose cause
// is an *Error, and nothing of the answer is returned with it.
func do[T any](ctx context.Context, c *Client, k call, check func(T) error) (answer[T], error) {
	if isRead := k.method == http.MethodGet; isRead != (k.key == "") || len(k.key) > 255 {
		return answer[T]{}, problem.New(problem.Internal, errKey)
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Deadline)
	defer cancel()
	k.began = c.clock.host()
	var a answer[T]
	start := time.Now()
	failure := c.tries(ctx, k.op, func() *Error {
		// A new value for each try: what half an answer left behind must not
		// mix with the next one.
		a = answer[T]{}
		return c.try(ctx, k, start, &a.body, &a.replayed, func() error { return check(a.body) })
	})
	c.metrics.called(k.op, failure, time.Since(start))
	if failure != nil {
		return answer[T]{}, failure.problem()
	}
	return a, nil
}

func (c *Client) tries(ctx context.Context, op operation, try func() *Error) *Error {
	c.budget.call()
	for n, last := 1, (*Error)(nil); ; n++ {
		err := try()
		if err != nil {
			err.nothing = err.didNothing() && (last == nil || last.nothing)
		}
		switch {
		case err == nil:
			return nil
		case (err.outcome == outcomeBreaker || err.wait > 0) && last != nil:
			// This one was not sent; how the one before ended says more.
			return last
		case n == maxTries || !err.retryable() || ctx.Err() != nil || !c.budget.retry() || !backoff(ctx, n):
			return err
		}
		last = err
		c.metrics.retries.WithLabelValues(string(op)).Inc()
	}
}

func (c *Client) try(
	ctx context.Context, k call, start time.Time, body any, replayed *bool, check func() error,
) (failure *Error) {
	if c.breaker.State() == gobreaker.StateOpen {
		// No turn is spent on what will not be sent.
		return &Error{Operation: k.op, outcome: outcomeBreaker, Err: gobreaker.ErrOpenState}
	}
	if failure := c.guard.allow(k.op); failure != nil {
		return failure
	}
	if failure := c.silence.allow(k.op); failure != nil {
		return failure
	}
	if failure := c.admit(ctx, k.op, start); failure != nil {
		return failure
	}
	done, err := c.breaker.Allow()
	if err != nil {
		return &Error{Operation: k.op, outcome: outcomeBreaker, Err: err}
	}
	// Deferred, so that even a panic cannot keep one of the breaker's few probes.
	defer func() { done(failure.verdict()) }()
	seen := &exchange{began: k.began, within: c.o.Deadline}
	ctx, cancel := context.WithTimeout(withExchange(ctx, seen), c.o.TryTimeout)
	defer cancel()
	if failure = classify(k, seen, c.exchange(ctx, k, seen, body)); failure != nil {
		c.heed(failure, seen.limited)
		return failure
	}
	*replayed = seen.replayed
	if err := check(); err != nil {
		c.metrics.violations.Inc()
		return &Error{Operation: k.op, outcome: outcomeDisbelieved, Status: seen.status, RequestID: seen.requestID, Err: err}
	}
	return nil
}

// exchange sends one try and reads what comes of it into body.
func (c *Client) exchange(ctx context.Context, k call, seen *exchange, body any) error {
	c.metrics.requests.Inc()
	defer c.metrics.requests.Dec()
	err := c.backend.Do(c.request(ctx, k), nil, seen)
	c.guard.heard(seen.status)
	if seen.status > 0 {
		c.silence.heard()
	}
	if err != nil {
		return err
	}
	return seen.decode(body)
}
