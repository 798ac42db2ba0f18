package handlers

import (
	"fmt"
	"net/http"

	"till/internal/auth"
	"till/internal/problem"
)

// A browser adds some credentials by itself, whichever page has made it send the
// request. A request that changes something and has no other credential must show
// that it comes from a page that may: by Sec-Fetch-Site, which no script can set,
// or by an Origin on the list together with a header that makes browsers ask us
// first. Older browsers send neither, and are refused.

// csrfReason says why there was no proof: for the log and the metric.
type csrfReason string

// The closed list.
const (
	csrfAbsent    csrfReason = "absent" // neither Sec-Fetch-Site nor Origin
	csrfCrossSite csrfReason = "cross_site"
	csrfNone      csrfReason = "none"   // typed into the address bar, a bookmark
	csrfSite      csrfReason = "site"   // another value of Sec-Fetch-Site, or two
	csrfOrigin    csrfReason = "origin" // null, not listed, or two
	csrfHeader    csrfReason = "header" // a listed origin without X-CSRF
	csrfHost      csrfReason = "host"   // development: not a name of this machine
)

func csrfReasons() []csrfReason {
	return []csrfReason{csrfAbsent, csrfCrossSite, csrfNone, csrfSite, csrfOrigin, csrfHeader, csrfHost}
}

// checkProof refuses a request that may have been forged.
func (s *server) checkProof(r *http.Request, p auth.Principal) error {
	if !p.Ambient || isSafe(r.Method) {
		return nil
	}
	if reason := s.unproven(r.Header); reason != "" {
		return s.rejectCSRF(r, reason)
	}
	return nil
}

// unproven returns what is missing; "" is nothing.
func (s *server) unproven(h http.Header) csrfReason {
	switch site := h.Values("Sec-Fetch-Site"); {
	case len(site) > 1:
		return csrfSite
	case len(site) == 0, site[0] == "same-site":
		return s.unprovenByOrigin(h)
	case site[0] == "same-origin":
		return ""
	case site[0] == "cross-site":
		return csrfCrossSite
	case site[0] == "none":
		return csrfNone
	default:
		return csrfSite
	}
}

func (s *server) unprovenByOrigin(h http.Header) csrfReason {
	origins, marks := h.Values("Origin"), h.Values("X-CSRF")
	switch {
	case len(origins) == 0:
		return csrfAbsent
	case len(origins) > 1 || !s.originAllowed(origins[0]):
		return csrfOrigin
	case len(marks) != 1 || marks[0] == "":
		return csrfHeader
	default:
		return ""
	}
}

func (s *server) rejectCSRF(r *http.Request, reason csrfReason) error {
	s.metrics.csrf.WithLabelValues(string(reason)).Inc()
	origin := r.Header.Get("Origin")
	return problem.New(problem.CSRFRejected, fmt.Errorf("csrf: %s, origin %q", reason, origin[:min(len(origin), 128)]))
}

// isSafe: RFC 9110, section 9.2.1.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}
