package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"till/internal/sandbox"
	"till/internal/store/pgtest"
)

// BenchmarkStart is how long it takes from exec to the first 200 of /readyz, with the
// database, the issuer's keys and a Stripe with TLS there: the median, in ms. A database
// is "new" when it has to be migrated and has never seen the account.
//
//	go test ./cmd/api -run '^$' -bench Start -benchtime 9x
func BenchmarkStart(b *testing.B) {
	fake, err := sandbox.New(sandbox.Options{})
	if err != nil {
		b.Fatal(err)
	}
	stripe := httptest.NewTLSServer(fake.Handler())
	b.Cleanup(stripe.Close)
	root := filepath.Join(b.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stripe.Certificate().Raw}), 0o600); err != nil {
		b.Fatal(err)
	}
	environ := append(stripeAt(stripe.URL), "SSL_CERT_FILE="+root, asProgram+"=1")
	onSQLite := func() []string {
		config, _ := files(b, same)
		return []string{"serve", "--config", config, "--drain-pause", "0s"}
	}
	onPostgres := func() []string {
		args, _ := onPostgres(b, pgtest.Database(b))
		return args
	}
	for name, args := range map[string]func() []string{"SQLite": onSQLite, "Postgres": onPostgres} {
		b.Run(name+"/new", func(b *testing.B) {
			medianOf(b, func() time.Duration { return startOnce(b, args(), environ) })
		})
		b.Run(name+"/known", func(b *testing.B) {
			known := args()
			startOnce(b, known, environ)
			medianOf(b, func() time.Duration { return startOnce(b, known, environ) })
		})
	}
}

func medianOf(b *testing.B, start func() time.Duration) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		took = append(took, start())
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[0].Microseconds())/1000, "ms-least")
	b.ReportMetric(0, "ns/op")
}

// startOnce starts the program, as a process of its own, and ends it when it is ready.
func startOnce(b *testing.B, args, environ []string) time.Duration {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	said := &output{}
	cmd := exec.CommandContext(b.Context(), self, args...)
	cmd.Env = append(slices.Clone(environ), "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0")
	cmd.Stderr = said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it has done what it is for
	}()
	for time.Since(began) < 20*time.Second {
		time.Sleep(5 * time.Millisecond) // more often, it would wait for us
		at := servingLine.FindStringSubmatch(said.String())
		if at == nil {
			continue
		}
		res, err := http.Get("http://" + at[1] + "/readyz")
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return time.Since(began)
		}
	}
	b.Fatalf("not ready:\n%s", said)
	return 0
}
