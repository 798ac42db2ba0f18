package auth_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/secret"
	"till/internal/secret/secrettest"
)

// TestWhatAnIssuerEchoesIsNotLogged: net/http quotes what it cannot read, and an issuer has
// been told a token and the secret to ask about it.
func TestWhatAnIssuerEchoesIsNotLogged(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"a line that is no header": "HTTP/1.1 200 OK\r\n",
		"a line that is no status": "",
		"another protocol":         "HTTP/9.",
		"a status that is none":    "HTTP/1.1 ",
		"a length that is none":    "HTTP/1.1 200 OK\r\nContent-Length: ",
		"another encoding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
		"a chunk that is none":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a trailer that is none":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
		"a redirect":               "HTTP/1.1 302 Found\r\nLocation: https://evil.example/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				told, _ := io.ReadAll(r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = fmt.Fprintf(conn, "%s%s %s\r\n\r\n", before, r.Header.Get("Authorization"), told)
			}))
			t.Cleanup(issuer.Close)
			var log bytes.Buffer
			v, err := auth.New([]auth.Issuer{{
				Issuer: "https://opaque.example.com", Audience: []string{"till"},
				Introspection: auth.Introspection{URL: issuer.URL, ClientID: "till", Secret: secret.New("canary-secret-0123456789")},
			}}, auth.Options{Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.Header.Set("Authorization", "Bearer canary-token-0123456789")
			_, err = v.Authenticate(r)
			if err == nil || !strings.Contains(log.String(), `"outcome":"`) {
				t.Errorf("not asked: %v, %q", err, log.String())
			}
			secrettest.New(nil).Check(t, "the log", log.String()+fmt.Sprint(err))
		})
	}
}
