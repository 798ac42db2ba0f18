package sandbox

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Handler serves Stripe's API and the control calls below /v1/ and the hosted
// pages beside it, and all of it again below /sandbox/: it can run alone or be
// mounted at "/sandbox/" of a larger server without stripping the prefix.
func (s *Sandbox) Handler() http.Handler {
	api, control, pages := s.apiRoutes(), s.controlRoutes(), s.pageRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, w = unmounted(r), &dated{ResponseWriter: w, s: s}
		switch {
		case !strings.HasPrefix(r.URL.Path, "/v1/"):
			pages.ServeHTTP(w, r)
		case matches(control, r):
			control.ServeHTTP(w, r)
		case matches(api, r):
			api.ServeHTTP(w, r)
		default:
			s.unrecognized(w, r)
		}
	})
}

// matches says whether mux serves exactly this path. ServeMux would answer a
// path like /v1/checkout/.. with a redirect and a wrong method with 405;
// Stripe does neither.
func matches(mux *http.ServeMux, r *http.Request) bool {
	if path.Clean(r.URL.Path) != r.URL.Path {
		return false
	}
	_, pattern := mux.Handler(r)
	return pattern != ""
}

// unmounted returns r as if it had come without the prefix.
func unmounted(r *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(r.URL.Path, mount+"/")
	if !ok {
		return r
	}
	out := new(http.Request)
	*out = *r
	out.URL = new(url.URL)
	*out.URL = *r.URL
	out.URL.Path = "/" + rest
	if raw, ok := strings.CutPrefix(r.URL.RawPath, mount); ok {
		out.URL.RawPath = raw
	} else {
		out.URL.RawPath = ""
	}
	return out
}
