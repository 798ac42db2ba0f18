package stripeclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/problem"
	"till/internal/stripeclient"
)

// facets are what other packages ask an error.
type facets struct {
	missing, denied, unknownKey, spent, inUse, refused bool
	param                                              string
}

func facetsOf(err error) facets {
	f := facets{missing: catalog.IsMissing(err)}
	if e, ok := errors.AsType[billing.PermissionError](err); ok {
		f.denied = e.PermissionDenied()
	}
	if e, ok := errors.AsType[billing.KeyError](err); ok {
		f.unknownKey = e.KeyRefused()
	}
	if e, ok := errors.AsType[billing.ParamError](err); ok {
		f.param = e.Param()
	}
	if e, ok := errors.AsType[interface {
		error
		KeySpent() bool
	}](err); ok {
		f.spent = e.KeySpent()
	}
	if e, ok := errors.AsType[interface {
		error
		KeyInUse() bool
	}](err); ok {
		f.inUse = e.KeyInUse()
	}
	if e, ok := errors.AsType[interface {
		error
		Refused() bool
	}](err); ok {
		f.refused = e.Refused()
	}
	return f
}

// behaviours are the ways in which Stripe, or what answers in its place, fails.
// Tries are those of a write; reads differ only where it says so.
var behaviours = []struct {
	name       string
	answer     http.HandlerFunc
	code       problem.Code
	retryAfter time.Duration
	tries      int
	outcome    string
	facets     facets
	// readTries, if not zero, are those of a read.
	readTries int
}{
	{
		name: "400 with param", answer: refuses(400, "invalid_request_error", "parameter_invalid_empty", "line_items[0][price]"),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true, param: "line_items[0][price]"},
	},
	{
		name: "400 idempotency mismatch", answer: refuses(400, "idempotency_error", "", ""),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true},
	},
	{
		name: "400 missing parameter object", answer: refuses(400, "invalid_request_error", "resource_missing", "customer"),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true, param: "customer", missing: true},
	},
	{
		name: "400 private everywhere", answer: refuses(400, leaky, leaky, leaky),
		code: "upstream_error", tries: 1, outcome: "refused",
		facets: facets{refused: true, param: "key [redacted] secret [redacted] at [redacted] of [redacted]"},
	},
	{name: "400 HTML", answer: answers(400, "<html>"+leaky), code: "upstream_error", tries: 1, outcome: "refused"},
	{name: "400 empty", answer: answers(400, ""), code: "upstream_error", tries: 1, outcome: "refused"},
	{name: "400 JSON without error", answer: answers(400, object{"message": leaky}), code: "upstream_error", tries: 1, outcome: "refused"},
	{name: "400 error of another type", answer: answers(400, object{"error": leaky}), code: "upstream_error", tries: 1, outcome: "refused"},
	{
		name: "400 endless sentence", answer: answers(400, object{"error": object{"message": strings.Repeat("x", 490) + " " + leaky}}),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true},
	},
	{name: "401", answer: refuses(401, "invalid_request_error", "api_key_expired", ""), code: "upstream_error", tries: 1, outcome: "denied", facets: facets{unknownKey: true}},
	{name: "402", answer: refuses(402, "card_error", "card_declined", ""), code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true}},
	{name: "403", answer: refuses(403, "invalid_request_error", "", ""), code: "upstream_error", tries: 1, outcome: "denied", facets: facets{denied: true}},
	{
		name: "404 missing", answer: refuses(404, "invalid_request_error", "resource_missing", "id"),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true, missing: true, param: "id"},
	},
	{name: "404 without code", answer: refuses(404, "invalid_request_error", "", ""), code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true}},
	{name: "404 HTML", answer: answers(404, "<html>resource_missing"), code: "upstream_error", tries: 1, outcome: "refused"},

	{
		name: "409 key in use", answer: refuses(409, "invalid_request_error", "idempotency_key_in_use", ""),
		code: "dependency_unavailable", retryAfter: time.Second, tries: 1, outcome: "conflict", facets: facets{inUse: true},
	},
	{
		name: "409 lock", answer: refuses(409, "invalid_request_error", "lock_timeout", ""),
		code: "dependency_unavailable", retryAfter: time.Second, tries: 3, outcome: "conflict",
	},
	{
		name: "429 rate limit", answer: refuses(429, "invalid_request_error", "rate_limit", "", "Stripe-Rate-Limited-Reason: global-rate", "Retry-After: 3600"),
		code: "overloaded", retryAfter: 2 * time.Second, tries: 1, outcome: "rate_limited",
	},
	{name: "429 HTML", answer: answers(429, "<html>"), code: "overloaded", retryAfter: 2 * time.Second, tries: 1, outcome: "rate_limited"},
	{
		name: "429 lock", answer: refuses(429, "invalid_request_error", "lock_timeout", ""),
		code: "dependency_unavailable", retryAfter: time.Second, tries: 3, outcome: "conflict",
	},

	{
		name: "advice to retry a 400", answer: refuses(400, "invalid_request_error", "", "", "Stripe-Should-Retry: true"),
		code: "upstream_error", tries: 3, outcome: "refused", facets: facets{refused: true},
	},
	{
		name: "advice to retry a rate limit, not taken", answer: refuses(429, "invalid_request_error", "rate_limit", "", "Stripe-Should-Retry: true"),
		code: "overloaded", retryAfter: 2 * time.Second, tries: 1, outcome: "rate_limited",
	},
	{
		name: "advice not to retry a 503", answer: refuses(503, "api_error", "", "", "Stripe-Should-Retry: false"),
		code: "dependency_unavailable", retryAfter: 2 * time.Second, tries: 1, outcome: "failed",
	},
	{
		name: "advice that is none", answer: refuses(400, "invalid_request_error", "", "", "Stripe-Should-Retry: "+secretKey),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true},
	},

	{name: "500", answer: refuses(500, "api_error", "", ""), code: "upstream_error", tries: 1, readTries: 3, outcome: "failed"},
	{name: "500 HTML", answer: answers(500, "<html>"+leaky), code: "upstream_error", tries: 1, readTries: 3, outcome: "failed"},
	{
		name: "500 replayed", answer: refuses(500, "api_error", "", "", "Idempotent-Replayed: true"),
		code: "upstream_error", tries: 1, outcome: "failed", facets: facets{spent: true},
	},
	{
		name: "503 replayed", answer: refuses(503, "api_error", "", "", "Idempotent-Replayed: true"),
		code: "dependency_unavailable", retryAfter: 2 * time.Second, tries: 1, outcome: "failed", facets: facets{spent: true},
	},
	{
		name: "400 replayed", answer: refuses(400, "invalid_request_error", "", "", "Idempotent-Replayed: true"),
		code: "upstream_error", tries: 1, outcome: "refused", facets: facets{refused: true},
	},
	{name: "502 HTML", answer: answers(502, "<html>"+leaky), code: "upstream_error", tries: 3, outcome: "failed"},
	{
		name: "503 HTML", answer: answers(503, "<html>"+leaky),
		code: "dependency_unavailable", retryAfter: 2 * time.Second, tries: 3, outcome: "failed",
	},
	{name: "503", answer: refuses(503, "api_error", "", ""), code: "dependency_unavailable", retryAfter: 2 * time.Second, tries: 3, outcome: "failed"},
	{name: "504 HTML", answer: answers(504, "<html>"+leaky), code: "upstream_error", tries: 3, outcome: "failed"},
	{name: "504 that looks missing", answer: refuses(504, "invalid_request_error", "resource_missing", ""), code: "upstream_error", tries: 3, outcome: "failed"},

	{name: "200 garbage", answer: answers(200, "<html>"+leaky), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "200 of another type", answer: answers(200, object{"id": 5, "url": portalURL, "data": email}), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "200 a list", answer: answers(200, `["`+leaky+`"]`), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "200 empty", answer: answers(200, ""), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "204", answer: answers(204, ""), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "200 {}", answer: answers(200, object{}), code: "upstream_error", tries: 1, outcome: "disbelieved"},
	{name: "200 null", answer: answers(200, "null"), code: "upstream_error", tries: 1, outcome: "disbelieved"},
	{name: "200 error", answer: refuses(200, "api_error", "", ""), code: "upstream_error", tries: 1, outcome: "disbelieved"},
	{name: "200 garbage, and advice to retry", answer: answers(200, leaky, "Stripe-Should-Retry: true"), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{
		name: "truncated", answer: wire("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"url\":\"" + portalURL + "\","),
		code: "upstream_error", tries: 3, outcome: "nonsense",
	},
	{
		name: "truncated error", answer: wire("HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n{\"error\":{\"message\":\"" + leaky),
		code: "dependency_unavailable", retryAfter: 2 * time.Second, tries: 3, outcome: "failed",
	},
	{
		name: "truncated chunks", answer: wire("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\""),
		code: "upstream_error", tries: 3, outcome: "nonsense",
	},
	{
		name: "length too short", answer: wire("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"id\":\"" + leaky + "\"}"),
		code: "upstream_error", tries: 3, outcome: "nonsense",
	},
	{name: "gzip that is none", answer: answers(200, leaky, "Content-Encoding: gzip"), code: "upstream_error", tries: 3, outcome: "nonsense"},

	{name: "301", answer: redirects(301), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "302", answer: redirects(302), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "303", answer: redirects(303), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "307", answer: redirects(307), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "308", answer: redirects(308), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "302 with a good body", answer: answers(302, checkoutSession, "Location: /v1/elsewhere"), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "302 to nowhere", answer: answers(302, "", "Location: ::"+leaky), code: "upstream_error", tries: 1, outcome: "nonsense"},
	{name: "304", answer: answers(304, ""), code: "upstream_error", tries: 1, outcome: "nonsense"},

	{name: "closed without an answer", answer: wire(""), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "not HTTP", answer: wire(leaky + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "no version", answer: wire("HTTP/" + secretKey + " 200 OK\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "no status", answer: wire("HTTP/1.1 " + secretKey + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "no header", answer: wire("HTTP/1.1 200 OK\r\n" + secretKey + " " + email + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "header that is none", answer: wire("HTTP/1.1 200 OK\r\n: " + leaky + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "no length", answer: wire("HTTP/1.1 200 OK\r\nContent-Length: " + secretKey + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "two lengths", answer: wire("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2" + "\r\n\r\n"), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "huge headers", answer: answers(200, checkoutSession, "X-Huge: "+strings.Repeat(email, 8<<10)), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "endless headers", answer: raw(func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(c, "X-Endless: "+email+"\r\n")
		}
	}), code: "upstream_error", tries: 3, outcome: "network"},
	{name: "endless body", answer: raw(endless("HTTP/1.1 200 OK\r\n\r\n")), code: "upstream_error", tries: 3, outcome: "nonsense"},
	{name: "endless error", answer: raw(endless("HTTP/1.1 400 No\r\n\r\n")), code: "upstream_error", tries: 1, outcome: "refused"},
	{name: "gzip bomb", answer: answers(200, bomb(), "Content-Encoding: gzip"), code: "upstream_error", tries: 3, outcome: "nonsense"},

	{
		name: "never answers", answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		code: "upstream_timeout", tries: 2, outcome: "timeout",
	},
	{name: "half an answer, then nothing", answer: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"url":"`+portalURL+`"`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, code: "upstream_timeout", tries: 2, outcome: "timeout"},
	{name: "one byte a second", answer: raw(dribble), code: "upstream_timeout", tries: 2, outcome: "timeout"},
}

func redirects(status int) http.HandlerFunc {
	return answers(status, "<html>"+leaky, "Location: http://elsewhere.test/"+secretKey)
}

func endless(head string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, head)
		for err == nil {
			_, err = io.WriteString(c, strings.Repeat(leaky, 100))
		}
	}
}

func dribble(c net.Conn) {
	_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	for err == nil {
		time.Sleep(time.Second)
		_, err = io.WriteString(c, " ")
	}
}

// bomb is 16 MiB in a few.
func bomb() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(make([]byte, 16<<20))
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return b.String()
}

// Each behaviour, seen by a write and by a read.
func TestBehaviours(t *testing.T) {
	t.Parallel()
	for _, tt := range behaviours {
		for _, op := range operations[:4] {
			if op.name != "create checkout" && op.name != "read checkout" {
				continue
			}
			t.Run(tt.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, stripe := inBubble(t, tt.answer, stripeclient.Options{})
					start := time.Now()
					got, err := op.call(t.Context(), c)
					if took := time.Since(start); took > 12*time.Second {
						t.Errorf("the call took %v", took)
					}
					wantProblem(t, err, tt.code, tt.retryAfter)
					wantSilence(t, err)
					if diff := cmp.Diff(op.zero, got); diff != "" {
						t.Errorf("a failed call returned something (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff(tt.facets, facetsOf(err), cmp.AllowUnexported(facets{})); diff != "" {
						t.Errorf("facets (-want +got):\n%s", diff)
					}
					tries := tt.tries
					if !op.write && tt.readTries != 0 {
						tries = tt.readTries
					}
					wantTries(t, c, stripe.requests(), tries)
					if c.calls(t, tt.outcome) != 1 || c.metric(t, "till_stripe_calls_total") != 1 {
						t.Errorf("the call is not counted as %s", tt.outcome)
					}
					if got := c.metric(t, "till_stripe_call_duration_seconds"); got != 1 {
						t.Errorf("%v durations, want 1", got)
					}
				})
			})
		}
	}
}

// wantTries checks that all tries are the same request.
func wantTries(t *testing.T, c *client, got []request, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("%d requests reached Stripe, want %d", len(got), want)
	}
	if retries := int(c.metric(t, "till_stripe_retries_total")); retries != want-1 {
		t.Errorf("%d retries are counted, want %d", retries, want-1)
	}
	for _, r := range got[1:] {
		if r.Method != got[0].Method || r.RequestURI != got[0].RequestURI || r.body != got[0].body || !cmp.Equal(r.Header, got[0].Header) {
			t.Errorf("a try differs from the first:\n%s %s %v %s\n%s %s %v %s",
				r.Method, r.RequestURI, r.Header, r.body, got[0].Method, got[0].RequestURI, got[0].Header, got[0].body)
		}
	}
}

// No operation prints or returns anything of what it could not use.
func TestEveryOperationFailsAlike(t *testing.T) {
	t.Parallel()
	for _, tt := range behaviours {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, op := range operations {
				if op.name == "customer's life" && tt.name == "404 missing" {
					continue // an answer, for once
				}
				synctest.Test(t, func(t *testing.T) {
					c, _ := inBubble(t, tt.answer, stripeclient.Options{})
					got, err := op.call(t.Context(), c)
					wantProblem(t, err, tt.code, tt.retryAfter)
					wantSilence(t, err)
					if diff := cmp.Diff(op.zero, got); diff != "" {
						t.Errorf("%s: a failed call returned something (-want +got):\n%s", op.name, diff)
					}
				})
			}
		})
	}
}

func TestEveryOperationSucceeds(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// Advice of Stripe about an answer that is good is not heeded.
				c, stripe := inBubble(t, answers(http.StatusOK, op.answer, "Stripe-Should-Retry: true"), stripeclient.Options{})
				got, err := op.call(t.Context(), c)
				if err != nil || cmp.Equal(op.zero, got) {
					t.Fatalf("returned %v, %v", got, err)
				}
				wantTries(t, c, stripe.requests(), 1)
				if c.calls(t, "ok") != 1 || c.metric(t, "till_stripe_calls_total") != 1 {
					t.Error("the call is not counted as ok")
				}
			})
		})
	}
}

// What is passing passes: one bad answer, then a good one.
func TestSecondTrySucceeds(t *testing.T) {
	t.Parallel()
	for _, tt := range behaviours {
		if tt.tries == 1 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				c, stripe := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) == 1 {
						tt.answer(w, r)
						return
					}
					answers(http.StatusOK, checkoutSession)(w, r)
				}, stripeclient.Options{})
				got, err := c.CreateCheckoutSession(t.Context(), createCheckout)
				if err != nil || got.ID != "cs_test_a1" {
					t.Fatalf("returned %q, %v", got.ID, err)
				}
				wantTries(t, c, stripe.requests(), 2)
				if c.calls(t, "ok") != 1 {
					t.Error("the call is not counted as ok")
				}
			})
		})
	}
}

// What half an answer left behind does not complete the next one.
func TestTriesDoNotMix(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		c, _ := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				answers(http.StatusOK, with(checkoutSession, "amount_total", "a lot"))(w, r)
				return
			}
			answers(http.StatusOK, with(checkoutSession, "url", absent{}, "metadata", object{"a": "b"}))(w, r)
		}, stripeclient.Options{})
		got, err := c.CreateCheckoutSession(t.Context(), createCheckout)
		wantProblem(t, err, problem.UpstreamError, 0)
		if got.URL != nil || n.Load() != 2 {
			t.Errorf("returned %v after %d tries", got, n.Load())
		}
	})
}

// How long a call takes when nothing comes back: a try has its time, and so has
// the call with all of them.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		options  stripeclient.Options
		tries    int
		min, max time.Duration
	}{
		{"default", stripeclient.Options{}, 2, 12 * time.Second, 12 * time.Second},
		{"all tries", stripeclient.Options{TryTimeout: time.Second}, 3, 3 * time.Second, 4500 * time.Millisecond},
		{"deadline before try", stripeclient.Options{TryTimeout: time.Hour, Deadline: time.Minute}, 1, time.Minute, time.Minute},
	}
	for _, tt := range tests {
		for name, answer := range map[string]http.HandlerFunc{
			"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"dribble":   raw(dribble),
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, stripe := inBubble(t, answer, tt.options)
					start := time.Now()
					_, err := c.AccountID(t.Context())
					if took := time.Since(start); took < tt.min || took > tt.max {
						t.Errorf("the call took %v, want %v to %v", took, tt.min, tt.max)
					}
					wantProblem(t, err, problem.UpstreamTimeout, 0)
					wantTries(t, c, stripe.requests(), tt.tries)
				})
			})
		}
	}
}

// A caller who leaves is not waited with, wherever the call is.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		leaves  time.Duration
		options stripeclient.Options
		tries   int
		code    problem.Code
		outcome string
	}{
		{"before", answers(http.StatusOK, checkoutSession), -1, stripeclient.Options{}, 0, problem.UpstreamTimeout, "canceled"},
		{"during a try", raw(dribble), 1500 * time.Millisecond, stripeclient.Options{}, 1, problem.UpstreamTimeout, "canceled"},
		{"during a pause", refuses(http.StatusConflict, "", "lock_timeout", ""), 1, stripeclient.Options{}, 1, problem.DependencyUnavailable, "conflict"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stripe := inBubble(t, tt.answer, tt.options)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leaves < 0 {
					cancel()
				}
				time.AfterFunc(tt.leaves, cancel)
				start := time.Now()
				_, err := c.CreateCheckoutSession(ctx, createCheckout)
				if took := time.Since(start); took > tt.leaves && tt.leaves > 0 {
					t.Errorf("the call took %v, the caller left after %v", took, tt.leaves)
				}
				if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != tt.code {
					t.Errorf("the error is %v, want %s", err, tt.code)
				}
				if got := len(stripe.requests()); got != tt.tries {
					t.Errorf("%d requests reached Stripe, want %d", got, tt.tries)
				}
				if c.calls(t, tt.outcome) != 1 {
					t.Errorf("the call is not counted as %s", tt.outcome)
				}
			})
		})
	}
}

// How much of an endless answer is read: 1 MiB and what is in buffers.
func TestAnswersAreCutOff(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "HTTP/1.1 500 No\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			var written atomic.Int64
			c, _ := inBubble(t, raw(func(conn net.Conn) {
				_, err := io.WriteString(conn, head)
				for n := 0; err == nil; {
					n, err = conn.Write(make([]byte, 1<<10))
					written.Add(int64(n))
				}
			}), stripeclient.Options{})
			_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
			wantProblem(t, err, problem.UpstreamError, 0)
			synctest.Wait()
			tries := int64(c.metric(t, "till_stripe_retries_total")) + 1
			if got := written.Load() / tries; got < 1<<20 || got > 1<<20+16<<10 {
				t.Errorf("%d bytes were read of an answer that begins with %q", got, head)
			}
		})
	}
}

// The largest answer that is still read.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		large := with(checkoutSession, "metadata", object{"a": strings.Repeat("x", 1<<20-1<<10)})
		c, _ := inBubble(t, answers(http.StatusOK, large), stripeclient.Options{})
		if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil {
			t.Error(err)
		}
	})
}

// The text of an error is for the operator: what he can act on is in it, in an
// order that does not change.
func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{
			"refusal",
			answers(400, object{"error": object{
				"type": "invalid_request_error", "code": "resource_missing", "param": "line_items[0][price]",
				"message": "No such price: 'price_1'; a risk_free \"word\".",
			}}, "Request-Id: req_abc"),
			`upstream_error: stripe checkout.sessions.create: refused type="invalid_request_error" code="resource_missing" ` +
				`param="line_items[0][price]" message="No such price: 'price_1'; a risk_free \"word\"." request="req_abc" status=400`,
		},
		{
			"private",
			refuses(400, "invalid_request_error", "url_invalid", "success_url"),
			`upstream_error: stripe checkout.sessions.create: refused type="invalid_request_error" code="url_invalid" param="success_url" ` +
				`message="No, because of key [redacted] secret [redacted] at [redacted] of [redacted]" request="req_1" status=400`,
		},
		{
			"key",
			refuses(401, "invalid_request_error", "", ""),
			`upstream_error: stripe checkout.sessions.create: denied type="invalid_request_error" request="req_1" status=401`,
		},
		{
			"request id that is none",
			answers(500, "", "Request-Id: "+portalURL),
			`upstream_error: stripe checkout.sessions.create: failed status=500: an error answer that is not Stripe's`,
		},
		{
			"not HTTP", wire("HTTP/9.9 " + leaky + "\r\n\r\n"),
			`upstream_error: stripe checkout.sessions.create: network: malformed HTTP status code`,
		},
		{
			"nothing", wire(""),
			`upstream_error: stripe checkout.sessions.create: network: EOF`,
		},
		{
			"another customer", answers(200, with(checkoutSession, "customer", "cus_2"), "Request-Id: req_1"),
			`upstream_error: stripe checkout.sessions.create: disbelieved request="req_1" status=200: the object belongs to another customer`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				synctest.Test(t, func(t *testing.T) {
					c, _ := inBubble(t, tt.answer, stripeclient.Options{})
					_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
					if got := fmt.Sprint(err); got != tt.want {
						t.Errorf("got  %s\nwant %s", got, tt.want)
					}
				})
			}
		})
	}
}
