package stripeclient_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"till/internal/billing"
	"till/internal/stripeclient"
)

// upstreamEnv makes this program a Stripe, with a certificate from standard input: a
// process of its own, so that only the client's work is counted in ours.
const upstreamEnv = "STRIPECLIENT_TEST_UPSTREAM"

// upstream takes as long as the header Till-Test-Wait of the idempotency key says, and
// answers /connections with how many it has accepted. It ends with its standard input.
func upstream() {
	in := bufio.NewReader(os.Stdin)
	var text strings.Builder
	for !strings.Contains(text.String(), "END EC PRIVATE KEY") {
		line, err := in.ReadString('\n')
		must(err)
		text.WriteString(line)
	}
	cert, err := tls.X509KeyPair([]byte(text.String()), []byte(text.String()))
	must(err)
	go func() { _, _ = in.ReadString(0); os.Exit(0) }()
	var accepted atomic.Int64
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wait, _ := time.ParseDuration(r.Header.Get("Idempotency-Key"))
			time.Sleep(wait)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Till-Test-Connections", fmt.Sprint(accepted.Load()))
			_, _ = w.Write(lifelike)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				accepted.Add(1)
			}
		},
		TLSConfig: serverTLS(cert),
		// As nginx and most load balancers have it.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 128},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	_, _ = fmt.Fprintln(os.Stdout, listener.Addr())
	must(server.ServeTLS(listener, "", ""))
}

// startUpstream returns its address.
func startUpstream(b *testing.B) string {
	b.Helper()
	self, err := os.Executable()
	must(err)
	cmd := exec.CommandContext(b.Context(), self)
	cmd.Env = append(os.Environ(), upstreamEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(err)
	out, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	key, err := x509.MarshalECPrivateKey(trusted.PrivateKey.(*ecdsa.PrivateKey))
	must(err)
	must(pem.Encode(in, &pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate[0]}))
	must(pem.Encode(in, &pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	address, err := bufio.NewReader(out).ReadString('\n')
	must(err)
	return strings.TrimSpace(address)
}

// processor is the time that this process has had of it.
func processor() time.Duration {
	var u syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProtocols is what newPool decides by: HTTP/1.1 and HTTP/2 against a server
// with TLS, one call after the other and 400 at once that take 200 ms each. It prints
// processor time of the client per call, connections opened, and the 99th percentile.
func BenchmarkProtocols(b *testing.B) {
	address := startUpstream(b)
	for _, protocol := range []string{"HTTP1", "HTTP2"} {
		for _, load := range []struct {
			name    string
			callers int
			wait    string
		}{{"one", 1, "0ms"}, {"64", 64, "0ms"}, {"400x200ms", 400, "200ms"}} {
			b.Run(protocol+"/"+load.name, func(b *testing.B) {
				pool := stripeclient.NewPool()
				defer pool.CloseIdleConnections()
				if protocol == "HTTP2" {
					pool.Protocols.SetHTTP1(false)
					pool.Protocols.SetHTTP2(true)
				}
				c := newClient(b, stripeclient.Options{BaseURL: "https://" + address, Transport: pool})
				session := billing.NewSession{IdempotencyKey: load.wait, Customer: "cus_RstUvWxYz01234", Params: lifelikeParams()}
				session.Params["mode"] = "subscription"
				measure(b, pool, "https://"+address, load.callers, func() error {
					_, err := c.CreateCheckoutSession(b.Context(), session)
					return err
				})
			})
		}
	}
}

// measure makes b.N calls, after as many to warm up as there are callers.
func measure(b *testing.B, pool *http.Transport, base string, callers int, call func() error) {
	b.Helper()
	connections := func() (n float64) {
		res, err := (&http.Client{Transport: pool}).Get(base)
		must(err)
		_, err = io.Copy(io.Discard, res.Body)
		must(errors.Join(err, res.Body.Close()))
		_, err = fmt.Sscan(res.Header.Get("Till-Test-Connections"), &n)
		must(err)
		return n
	}
	before := connections()
	round := func(n int) []time.Duration {
		var left atomic.Int64
		left.Store(int64(n))
		took := make([][]time.Duration, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for left.Add(-1) >= 0 {
					start := time.Now()
					if err := call(); err != nil {
						b.Error(err)
						return
					}
					took[i] = append(took[i], time.Since(start))
				}
			})
		}
		all.Wait()
		return slices.Sorted(slices.Values(slices.Concat(took...)))
	}
	round(callers)
	warm := connections()
	b.ResetTimer()
	start := processor()
	took := round(b.N)
	spent := processor() - start
	b.StopTimer()
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(warm-before, "warm-up-conns")
	b.ReportMetric(connections()-warm, "conns")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
