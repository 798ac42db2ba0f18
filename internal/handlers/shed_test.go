package handlers_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/overload"
)

// full returns a limiter that has no place left.
func full(t testing.TB) *overload.Limiter {
	t.Helper()
	l, err := overload.New(overload.Options{Places: 1, Metrics: prometheus.NewRegistry(), Yield: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []overload.Class{overload.Local, overload.Write} {
		if why := l.Enter(c, 0); why != "" {
			t.Fatal(why)
		}
	}
	return l
}

// TestSheddingComesAfterTheRouteAndBeforeTheCredential: nobody has looked at that, or it
// would have panicked.
func TestSheddingComesAfterTheRouteAndBeforeTheCredential(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{limiter: full(t)})
	h.breakAuth = true
	for _, row := range []struct {
		request
		status int
		code   string
	}{
		{request{method: "POST", path: "/nope", token: "bad"}, 404, "not_found"},
		{request{method: "PUT", path: "/checkout", token: "bad"}, 405, "method_not_allowed"},
		{request{method: "POST", path: "/checkout?" + strings.Repeat("x", 5000), token: "bad"}, 414, "uri_too_long"},
		{request{method: "POST", path: "/checkout", token: "bad", body: strings.Repeat("{", 65<<10), contentType: "text/plain"}, 503, "overloaded"},
		{request{method: "GET", path: "/checkout/cs_test_1", token: h.token("alice")}, 503, "overloaded"},
	} {
		want(t, h.send(row.request), row.status, row.code)
	}
}

// TestEveryRouteIsShed: but for probes and the way back. Who adds one cannot forget it.
func TestEveryRouteIsShed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{limiter: full(t)})
	for _, r := range h.routes {
		path := strings.NewReplacer(":id", "cs_test_1", ":app", "ios", ":path", "paid", "*", "x").Replace(r.Path)
		want := http.StatusServiceUnavailable
		if path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/return/") {
			want = http.StatusOK
		}
		if got := h.send(request{method: r.Method, path: path}); got.status != want {
			t.Errorf("%s %s: got %d, want %d", r.Method, r.Path, got.status, want)
		}
	}
}

func TestWhatNeedsNeitherStripeNorDatabaseHasPlacesOfItsOwn(t *testing.T) {
	t.Parallel()
	l, err := overload.New(overload.Options{Places: 1, Metrics: prometheus.NewRegistry(), Yield: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	if why := l.Enter(overload.Write, 0); why != "" {
		t.Fatal(why)
	}
	h := newHouse(t, settings{limiter: l})
	for path, status := range map[string]int{
		"/plans": 200, "/return/ios/paid": 200, "/openapi.yaml": 200, "/demo/x": 404,
		"/subscriptions": 503, "/checkout": 503, "/checkout/cs_test_1": 503,
	} {
		if got := h.get(path, h.token("alice")); got.status != status {
			t.Errorf("%s: got %d, want %d", path, got.status, status)
		}
	}
}

// TestShedRequestsAreTold: when to come back, also a page of a listed origin, and also a
// person.
func TestShedRequestsAreTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{limiter: full(t)})
	json := h.send(request{method: "POST", path: "/checkout", header: http.Header{"Origin": {appOrigin}}})
	if after := json.header.Get("Retry-After"); after != "1" && after != "2" && after != "3" {
		t.Errorf("Retry-After is %q", after)
	}
	if json.header.Get("Access-Control-Allow-Origin") != appOrigin || !strings.Contains(json.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("the page cannot read it: %v", json.header)
	}
	for _, path := range []string{"/checkout", "/portal"} {
		page := h.send(request{method: "POST", path: path, body: "plan=pro", contentType: "application/x-www-form-urlencoded"})
		if page.status != 503 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || page.header.Get("Retry-After") == "" {
			t.Errorf("a form to %s: %d %v", path, page.status, page.header)
		}
	}
	if got := h.send(request{
		method: "PATCH", path: "/checkout/cs_test_1", body: "a=b", contentType: "application/x-www-form-urlencoded",
	}); got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a form where none is taken: %v", got.header)
	}
}

func TestShedRequestsDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{limiter: full(t)})
	const many = 200
	for range many {
		want(t, h.get("/subscriptions", ""), 503, "overloaded")
	}
	lines := strings.Count(h.logs.String(), `"shed: places"`)
	if lines == 0 || lines > many/2 {
		t.Errorf("%d lines of %d requests", lines, many)
	}
	if strings.Contains(h.logs.String(), `"level":"ERROR"`) {
		t.Error("logged as an error of ours")
	}
	if counted := fmt.Sprintf("till_http_requests_total{method=\"GET\",route=\"/subscriptions\",status=\"5xx\"} %d\n", many); !strings.Contains(h.scrape(), counted) {
		t.Error("not all were counted")
	}
}

// TestPlacesAreGivenBack: also by what fails, and by what panics.
func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()
	l, err := overload.New(overload.Options{Places: 1, Metrics: prometheus.NewRegistry(), Yield: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, settings{limiter: l})
	for range 3 {
		want(t, h.get("/subscriptions", "bad"), 401, "unauthenticated")
	}
	h.breakAuth = true
	for range 3 {
		want(t, h.get("/subscriptions", h.token("alice")), 500, "internal")
	}
}

// jam is a processor for which everybody waits for long, in no time, while it is stuck.
type jam struct {
	stuck, waited atomic.Bool
	passed        atomic.Int64
}

func (j *jam) now() time.Time {
	now := time.Unix(1e9, j.passed.Load())
	if j.waited.Swap(false) {
		return now.Add(2 * time.Second)
	}
	return now
}

func (j *jam) yield() { j.waited.Store(j.stuck.Load()) }

// TestWhoIsRefusedAndAsksAtOnceIsLeftWaiting: what he sends is not read for a while when
// there are many like him, and has waited too long then. Later all is as before.
func TestWhoIsRefusedAndAsksAtOnceIsLeftWaiting(t *testing.T) {
	t.Parallel()
	var j jam
	l, err := overload.New(overload.Options{Places: 10, Processors: 1, Metrics: prometheus.NewRegistry(), Now: j.now, Yield: j.yield})
	if err != nil {
		t.Fatal(err)
	}
	if why := l.Enter(overload.Write, 0); why != "" {
		t.Fatal(why)
	}
	h := newHouse(t, settings{limiter: l})
	j.stuck.Store(true)
	for range 5 {
		want(t, h.get("/plans", ""), 503, "overloaded")
		j.passed.Add(int64(100 * time.Millisecond))
	}
	for range 100 {
		want(t, h.get("/plans", ""), 503, "overloaded")
	}
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	ask := func(status int, what string) {
		t.Helper()
		if _, err := io.WriteString(conn, "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != status {
			t.Errorf("%s: got %d, %v, want %d", what, res.StatusCode, err, status)
		}
	}
	ask(503, "refused")
	ask(503, "refused again")
	j.stuck.Store(false)
	j.passed.Add(int64(100 * time.Millisecond))
	ask(503, "left waiting")
	j.passed.Add(int64(time.Second))
	ask(200, "when it was over")
}
