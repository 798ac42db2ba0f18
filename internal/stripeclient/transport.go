package stripeclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"till/internal/catalog"
)

// What Stripe can make us read.
const (
	maxAnswer       = 1 << 20
	maxAnswerHeader = 64 << 10
)

var errAnswerTooLarge = errors.New("the answer is larger than 1 MiB")

// newPool returns a transport of our own: http.DefaultTransport keeps two idle
// connections per host, so that any burst dials and shakes hands again.
func newPool(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	var protocols http.Protocols
	// HTTP/1.1 only: a pool of connections was measured to be as fast as one
	// HTTP/2 connection and has no connection that all calls stall on together.
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSHandshakeTimeout:    3 * time.Second,
		Protocols:              &protocols,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		MaxConnsPerHost:        512,
		IdleConnTimeout:        90 * time.Second,
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

// tripper bounds what goes out and what comes in, and looks at Stripe's clock.
type tripper struct {
	next  http.RoundTripper
	clock *stripeClock
	// account is the connected account; here no call can be forgotten.
	account string
}

// clientInfo replaces the header in which stripe-go sends the output of uname,
// the host's name included.
const clientInfo = `{"bindings_version":"76.25.0","lang":"go","publisher":"stripe","application":{"name":"till"}}`

// RoundTrip implements http.RoundTripper.
func (t *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	x, _ := req.Context().Value(exchangeKey{}).(*exchange)
	out := req.Clone(req.Context())
	out.Header.Set("X-Stripe-Client-User-Agent", clientInfo)
	if t.account != "" {
		out.Header.Set("Stripe-Account", t.account)
	}
	if out.Header.Get("Idempotency-Key") == "" {
		out.Header.Del("Idempotency-Key")
	}
	if err := fixBody(out); err != nil {
		return nil, err
	}
	sent := t.clock.host()
	if x != nil && x.isLate(req.Context(), sent) {
		return nil, context.DeadlineExceeded
	}
	res, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	t.clock.answered(res.Header, sent)
	if x != nil {
		x.status = res.StatusCode
		x.replayed = isReplayed(res.Header)
		if advice := res.Header.Get("Stripe-Should-Retry"); advice == "true" || advice == "false" {
			x.shouldRetry = advice
		}
		if id := res.Header.Get("Request-Id"); catalog.ValidID(id) {
			x.requestID = id
		}
	}
	res.Body = &bounded{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

func isReplayed(h http.Header) bool { return h.Get("Idempotent-Replayed") == "true" }

// fixBody gives the body a length (stripe-go sends everything chunked) and takes
// away GetBody, with which net/http would silently send a request again when a
// connection breaks: every send is counted here. It does the same for requests
// without a body, so those keep an empty one that net/http does not recognise
// as such before it writes.
func fixBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return err
	}
	req.GetBody = nil
	req.ContentLength = int64(len(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 && req.Method != http.MethodGet {
		// Otherwise it would be chunked.
		req.Body = http.NoBody
	}
	return nil
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
