package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"till/internal/sandbox"
)

// BenchmarkCustomersOfAWindow lists what a service looks for after a key is spent:
// the customers of a few seconds, first among the newest and last among the oldest.
func BenchmarkCustomersOfAWindow(b *testing.B) {
	s, err := sandbox.New(sandbox.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	call := func(method, target, body string) string {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost"
		r.Header.Set("Authorization", "Bearer sk_test_123")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
		return w.Body.String()
	}
	for i := range 10_000 {
		if i%100 == 0 {
			call("POST", "/sandbox/v1/clock", `{"advance":"1m"}`)
		}
		call("POST", "/v1/customers", fmt.Sprintf("metadata[till_subject]=%d&metadata[till_issuer]=https://id.example", i))
	}
	now := 0
	fmt.Sscanf(call("GET", "/sandbox/v1/clock", ""), `{"now":%d}`, &now)
	for name, path := range map[string]string{
		"newest": fmt.Sprintf("/v1/customers?limit=100&created[gte]=%d&created[lte]=%d", now-30, now+30),
		"oldest": fmt.Sprintf("/v1/customers?limit=100&created[gte]=%d&created[lte]=%d", now-99*60-30, now-99*60+30),
		"none":   fmt.Sprintf("/v1/customers?limit=100&created[gte]=%d&created[lte]=%d", now-10_000_000, now-9_000_000),
		"state":  "/sandbox/v1/state?limit=100000",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				call("GET", path, "")
			}
		})
	}
}
