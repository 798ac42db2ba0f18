package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	unmatched   = "unmatched"
	otherMethod = "other"
)

type metrics struct {
	// requests and duration: traffic, errors and latency of each route.
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// panics: never normal; the log has the stack.
	panics prometheus.Counter
	// csrf: a rise of origin or header after a release is a page that somebody
	// forgot to list; of cross_site, somebody tries.
	csrf *prometheus.CounterVec
	// cors: a rise of unlisted after a release is a page that somebody forgot to list;
	// what it asked for may have been done, but it could not read the answer.
	cors *prometheus.CounterVec
	// proxies: not zero behind a proxy means that trusted_proxies lacks it.
	proxies prometheus.Counter
	// timeouts: bodies that did not arrive, answers that were not read. Headers that
	// do not arrive are net/http's.
	timeouts *prometheus.CounterVec
	// known holds the series of each route template and method; those of otherMethod stand
	// for what the route does not have.
	known map[endpoint]*series
}

// endpoint is a method of a route template.
type endpoint struct{ method, route string }

// series are those of an endpoint by class of status; nil where it has none so far.
type series struct {
	requests [6]prometheus.Counter
	duration [6]prometheus.Observer
}

// newMetrics creates every series at once: nothing a client sends can add one.
func newMetrics(reg prometheus.Registerer, routes []*echo.Route) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_http_requests_total",
			Help: "Requests by route template, method and class of status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "till_http_request_duration_seconds",
			Help:    "How long requests took that met a route and its method, HEAD among GET, by class of status.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 12},
		}, []string{"route", "method", "status"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_panics_total",
			Help: "Handlers that panicked; the request was answered with 500.",
		}),
		csrf: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_csrf_rejections_total",
			Help: "Requests refused because they may have been forged, by what was missing.",
		}, []string{"reason"}),
		cors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_cors_rejections_total",
			Help: "Requests, preflights among them, from pages that may not read the answer, by what is wrong with their origin.",
		}, []string{"reason"}),
		proxies: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_untrusted_proxy_header_total",
			Help: "Requests with a proxy's header from an address that is no trusted proxy; the header was ignored.",
		}),
		timeouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_http_timeouts_total",
			Help: "Requests that did not arrive or were not read in time, by the phase that took too long.",
		}, []string{"phase"}),
		known: map[endpoint]*series{},
	}
	for _, reason := range csrfReasons() {
		m.csrf.WithLabelValues(string(reason))
	}
	for _, reason := range corsReasons() {
		m.cors.WithLabelValues(string(reason))
	}
	m.timeouts.WithLabelValues("body")
	m.timeouts.WithLabelValues("write")
	m.touch(endpoint{otherMethod, unmatched})
	for _, r := range routes {
		m.touch(endpoint{otherMethod, r.Path})
		m.touch(endpoint{r.Method, r.Path})
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.panics, m.csrf, m.cors, m.proxies, m.timeouts} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) touch(at endpoint) {
	var s series
	for _, class := range []int{2, 4, 5} {
		s.requests[class], s.duration[class] = m.of(at, class)
	}
	m.known[at] = &s
}

// of returns the series of an endpoint for a class of status; no duration where that is
// not timed.
func (m *metrics) of(at endpoint, class int) (prometheus.Counter, prometheus.Observer) {
	label := strconv.Itoa(class) + "xx"
	requests := m.requests.WithLabelValues(at.route, at.method, label)
	if timed := timedAs(at.method); timed != "" {
		return requests, m.duration.WithLabelValues(at.route, timed, label)
	}
	return requests, nil
}

// timedAs is the method under which a request is timed: a histogram is a dozen series,
// so it has none for what comes to nothing, nor twice what is the same work.
func timedAs(method string) string {
	switch method {
	case otherMethod:
		return ""
	case http.MethodHead:
		return http.MethodGet
	default:
		return method
	}
}

// observe counts one request and returns the route it was counted under.
func (m *metrics) observe(method, path string, status int, took time.Duration) string {
	at := endpoint{method, path}
	if m.known[endpoint{otherMethod, path}] == nil {
		at.route = unmatched
	}
	if m.known[at] == nil {
		at.method = otherMethod
	}
	class := min(max(status/100, 1), 5)
	requests, duration := m.known[at].requests[class], m.known[at].duration[class]
	if requests == nil {
		requests, duration = m.of(at, class)
	}
	requests.Inc()
	if duration != nil {
		duration.Observe(took.Seconds())
	}
	return at.route
}

// methodLabel keeps methods that somebody made up out of the log.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return method
	default:
		return otherMethod
	}
}
