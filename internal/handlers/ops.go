package handlers

import (
	"net/http"
	"net/http/pprof"
	"time"
)

// scrapeLimit is how long an answer of metrics may take, with what a scraper needs to read it.
const scrapeLimit = 15 * time.Second

// Ops returns the operations surface: metrics, health and, if asked for, the
// profiler. Nothing of it is on the public one.
func Ops(metrics http.Handler, ready func() error, profiler bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		// Profiles take as long as is asked, so the server has no limit for all; but a
		// scraper that hangs, and comes again, must not leave an answer behind each time.
		// A recorder of a test has no deadlines.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeLimit))
		metrics.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready() != nil {
			say(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	if profiler {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func say(w http.ResponseWriter, status int, state string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"status":"` + state + `"}` + "\n"))
}
