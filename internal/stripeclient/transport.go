package stripeclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"till/internal/catalog"
)

// What Stripe can make us read.
const (
	maxAnswer       = 1 << 20
	maxAnswerHeader = 64 << 10
)

var errAnswerTooLarge = errors.New("the answer is larger than 1 MiB")

// maxConnections bounds the connections of this process to Stripe: 2,000 calls a second
// that take 200 ms are 400 at once. A connection costs about 40 KiB, so those that a burst
// leaves behind are 20 MiB at most. What a replica may really send is bounded far below,
// by its share of the account's budget.
const maxConnections = 512

// newPool returns a transport of our own: http.DefaultTransport keeps two idle
// connections per host, so that any burst dials and shakes hands again.
//
// HTTP/1.1 only. Measured against a server with TLS, HTTP/2 took 192 µs of the processor
// per call where HTTP/1.1 took 161 (one caller), 99 and 105 (64 callers), 124 and 116 (400
// calls of 200 ms at once, 99th percentile 374 and 354 ms): no gain, and with it many
// calls stall together on one connection when it does. To measure again:
//
//	go test ./internal/stripeclient -run '^$' -bench Protocols -benchtime 20000x
func newPool(dial dialFunc) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: dial,
		// A session that is resumed spares both sides the certificates.
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		TLSHandshakeTimeout: 3 * time.Second,
		Protocols:           &protocols,
		MaxIdleConns:        maxConnections,
		MaxIdleConnsPerHost: maxConnections,
		MaxConnsPerHost:     maxConnections,
		// Longer than the five minutes between two looks at the prices, so that those
		// keep one warm for as long as Stripe does. A connection that it has closed is
		// noticed at once, one that has silently died by the probes of TCP.
		IdleConnTimeout:        6 * time.Minute,
		MaxResponseHeaderBytes: maxAnswerHeader,
		ExpectContinueTimeout:  time.Second,
	}
}

// exchange is what the transport saw of one try. stripe-go loses the status of
// answers that are not JSON.
type exchange struct {
	// began and within are when the call began and how long all its tries may take.
	began  hostTime
	within time.Duration

	status      int
	requestID   string
	shouldRetry string
	replayed    bool
	// limited is whose limit of rate a 429 is about.
	limited string
	// body is a good answer, until it is decoded.
	body *bytes.Buffer
}

// isLate reports whether the call's time is over by any clock. A process that stood
// still, or a host that was asleep, must not go on to send what was decided before:
// the timer that would stop it may fire after the bytes are out.
func (x *exchange) isLate(ctx context.Context, now hostTime) bool {
	_, most := now.since(x.began)
	end, bounded := ctx.Deadline()
	return most > x.within || bounded && !time.Now().Before(end)
}

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// SetLastResponse implements stripe.LastResponseSetter; what matters of it was seen.
func (x *exchange) SetLastResponse(*stripe.APIResponse) {}

// UnmarshalJSON implements json.Unmarshaler, for the empty object that stripe-go gets.
func (x *exchange) UnmarshalJSON([]byte) error { return nil }

var errNeither = errors.New("an answer that is neither success nor error")

// decode reads the answer of a try that succeeded, and gives it up. stripe-go takes a
// redirect for success.
func (x *exchange) decode(into any) error {
	if x.body == nil {
		return errNeither
	}
	err := decode(x.body.Bytes(), into)
	release(x.body)
	x.body = nil
	return err
}

// tripper bounds what comes in, and looks at Stripe's clock.
type tripper struct {
	next  http.RoundTripper
	clock *stripeClock
}

// RoundTrip implements http.RoundTripper. It reads a good answer itself and gives
// stripe-go an empty object in its place: the library would copy the answer three
// times and look through it six times.
func (t *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errStray
	}
	sent := t.clock.host()
	if x.isLate(req.Context(), sent) {
		return nil, context.DeadlineExceeded
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	t.clock.answered(res.Header, sent)
	x.note(res)
	res.Body = &bounded{ReadCloser: res.Body, left: maxAnswer}
	if res.StatusCode >= http.StatusMultipleChoices {
		return res, nil
	}
	if x.body, err = take(res.Body, res.ContentLength); err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader("{}")), int64(len("{}"))
	return res, nil
}

// errStray cannot happen: every request is made by a try.
var errStray = errors.New("a request that belongs to no try")

func (x *exchange) note(res *http.Response) {
	x.status = res.StatusCode
	x.replayed = res.Header.Get("Idempotent-Replayed") == "true"
	x.limited = res.Header.Get("Stripe-Rate-Limited-Reason")
	if advice := res.Header.Get("Stripe-Should-Retry"); advice == "true" || advice == "false" {
		x.shouldRetry = advice
	}
	if id := res.Header.Get("Request-Id"); catalog.ValidID(id) {
		x.requestID = id
	}
}

// bounded fails a body that goes on for too long.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
