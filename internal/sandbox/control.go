package sandbox

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// controlRoutes are the calls that Stripe does not have: they move the clock,
// play the buyer and make the sandbox misbehave. They need no key, so they
// are for this machine only.
func (s *Sandbox) controlRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for route, run := range map[string]func(*http.Request) (any, error){
		"POST /v1/checkout/{id}/complete": s.controlSession(completeByOrder),
		"POST /v1/checkout/{id}/decline":  s.controlSession(declineByOrder),
		"POST /v1/checkout/{id}/expire":   s.controlSession(expireByOrder),
		"GET /v1/clock":                   s.readClock,
		"POST /v1/clock":                  s.advanceClock,
		"GET /v1/faults":                  s.listFaults,
		"POST /v1/faults":                 s.addFaults,
		"DELETE /v1/faults":               s.clearFaults,
		"GET /v1/requests":                s.listRequests,
		"GET /v1/state":                   s.readState,
		"POST /v1/reset":                  s.resetByOrder,
		"POST /v1/customer_accounts":      s.addCustomerAccount,
		"DELETE /v1/portal_settings":      s.forgetPortalSettings,
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) { control(w, r, run) })
	}
	return mux
}

func control(w http.ResponseWriter, r *http.Request, run func(*http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if reason := foreign(r); reason != "" {
		w.WriteHeader(http.StatusForbidden)
		w.Write(encode(object{"error": object{"message": "Control calls are for this machine only: " + reason}}))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	result, err := run(r)
	if err != nil {
		e := asAPIError(err)
		w.WriteHeader(e.status())
		w.Write(encode(object{"error": object{"message": e.Message}}))
		return
	}
	w.Write(encode(result))
}

// foreign says why a request is not from this machine, "" if it is. The host
// is judged because a foreign page can point its own name at 127.0.0.1, the
// origin because a browser here may be showing a foreign page.
func foreign(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return "the caller's address is not a loopback one."
	}
	if !isLocalHost(r.Host) {
		return "the Host header is not localhost."
	}
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return "the request came through a proxy."
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" {
		return "a page of another site sent it."
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || !isLocalHost(u.Host) {
			return "a page of another origin sent it."
		}
	}
	return ""
}

// isLocalHost takes localhost, 127.0.0.1 and [::1] with any port.
func isLocalHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	switch strings.ToLower(strings.Trim(host, "[]")) {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

// readJSON decodes a control call's body, which must be known fields only.
func readJSON(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return malformed("", "", "The body is not the JSON that this call takes: %s", err)
	}
	return nil
}
