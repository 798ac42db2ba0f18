package main

import (
	"net/http"
	"testing"
)

// TestConnectionsAreGivenBackOnTheWayOut: one that was open is served until its answer says
// that it is the last, and then there is nobody to connect to.
func TestConnectionsAreGivenBackOnTheWayOut(t *testing.T) {
	t.Parallel()
	file, _ := files(t, same)
	p := start(t, []string{"serve", "--config", file, "--drain-pause", "1s"}, stripeAt(newStripe(t).URL)...).ready()
	// Connections of its own.
	client := &http.Client{Transport: &http.Transport{}}
	ask := func(path string) (status int, last bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode, res.Close
	}
	if status, last := ask("/healthz"); status != 200 || last {
		t.Errorf("before: %d, the last: %v", status, last)
	}
	p.stop()
	p.eventually("not ready any more", func() bool { return p.call("GET", p.ops+"/readyz", "", "").status == 503 })
	if status, last := ask("/plans"); status != 401 || !last {
		t.Errorf("on the way out: %d, the last: %v", status, last)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
	if got := p.call("GET", p.public+"/healthz", "", ""); got.status != 0 {
		t.Errorf("after the end: %d", got.status)
	}
}
