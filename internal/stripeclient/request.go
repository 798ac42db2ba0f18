package stripeclient

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// clientInfo takes the place of the header in which stripe-go sends the output of
// uname, the host's name included.
const (
	clientInfo = `{"bindings_version":"76.25.0","lang":"go","publisher":"stripe","application":{"name":"till"}}`
	userAgent  = "Stripe/v1 GoBindings/76.25.0"
)

// wire is what all requests have in common. The values of headers are shared between
// requests: nobody may change them.
type wire struct {
	base                                  url.URL
	contentType, userAgent, info, account []string
}

func newWire(base *url.URL, account string) wire {
	w := wire{
		base:        url.URL{Scheme: base.Scheme, Host: base.Host, User: base.User},
		contentType: []string{"application/x-www-form-urlencoded"},
		userAgent:   []string{userAgent},
		info:        []string{clientInfo},
	}
	// As stripe-go does: each path begins with the version of the API.
	w.base.Path = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/"), "/v1")
	if account != "" {
		w.account = []string{account}
	}
	return w
}

// request builds the request of one try, whole: stripe-go would ask the host for its
// name, send bodies chunked, and have net/http send them a second time by itself.
func (c *Client) request(ctx context.Context, k call) *http.Request {
	own := [...]string{"Bearer " + c.o.Key.Reveal(), cmp.Or(k.version, c.version(k.op)), k.key}
	h := make(http.Header, 8)
	h["Authorization"] = own[0:1:1]
	h["Stripe-Version"] = own[1:2:2]
	if k.key != "" {
		h["Idempotency-Key"] = own[2:3:3]
	}
	h["Content-Type"], h["User-Agent"], h["X-Stripe-Client-User-Agent"] = c.wire.contentType, c.wire.userAgent, c.wire.info
	if c.wire.account != nil {
		h["Stripe-Account"] = c.wire.account
	}
	u := c.wire.base
	u.Path += k.path
	req := &http.Request{
		Method: k.method, URL: &u, Host: u.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	switch {
	case k.method == http.MethodGet:
		u.RawQuery = k.form
		// Without a body, or with one that can be had again, net/http silently sends a
		// request once more when a connection breaks: every send is counted here.
		req.Body = io.NopCloser(strings.NewReader(""))
	case k.form == "":
		// Otherwise it would be chunked.
		req.Body = http.NoBody
	default:
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(k.form)), int64(len(k.form))
	}
	return req.WithContext(ctx)
}
