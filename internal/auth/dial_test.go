package auth_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
)

// fetches is a slog.Handler that passes on the outcome of each fetch.
type fetches chan string

func (f fetches) Enabled(context.Context, slog.Level) bool { return true }
func (f fetches) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f fetches) WithGroup(string) slog.Handler            { return f }
func (f fetches) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "outcome" {
			f <- a.Value.String()
		}
		return true
	})
	return nil
}

// firstFetch runs a Verifier with the client it has by itself, over real sockets, and
// returns the outcome of its first fetch.
func firstFetch(t *testing.T, i auth.Issuer) (*auth.Verifier, string) {
	t.Helper()
	outcomes := make(fetches, 10)
	v, err := auth.New([]auth.Issuer{i}, auth.Options{
		Metrics: prometheus.NewRegistry(), Logger: slog.New(outcomes),
		Now: func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return v, <-outcomes
}

// discovering serves metadata that point to address; {self} is the server's own.
func discovering(t *testing.T, address string) (issuer string, keysAsked *atomic.Int64) {
	t.Helper()
	mux, asked := http.NewServeMux(), new(atomic.Int64)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	address = strings.NewReplacer("{self}", server.URL, "{port}", server.URL[strings.LastIndex(server.URL, ":")+1:]).Replace(address)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, address)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(oneKey())
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/jwks", http.StatusFound)
	})
	return server.URL, asked
}

// A160, A161 and T29: where discovery may lead.
func TestWhereKeysAreFetched(t *testing.T) {
	rows := []struct{ address, want string }{
		{"{self}/jwks", "ok"},
		{"{self}/elsewhere", "invalid"},
		{"http://localhost:{port}/jwks", "blocked"}, // 127.0.0.1 is configured, this name is not
		{"https://[::1]:{port}/jwks", "blocked"},
		{"https://[::ffff:127.0.0.1]:{port}/jwks", "blocked"},
		{"https://127.0.0.2:{port}/jwks", "blocked"},
		{"https://169.254.169.254/latest/meta-data", "blocked"},
		{"https://[fd00:ec2::254]/latest", "blocked"},
		{"https://[fe80::1]/jwks", "blocked"},
		{"https://10.0.0.1/jwks", "blocked"},
		{"https://172.16.0.1/jwks", "blocked"},
		{"https://192.168.1.1/jwks", "blocked"},
		{"https://100.100.100.200/jwks", "blocked"},
		{"https://0.0.0.0:{port}/jwks", "blocked"},
		{"https://[::]:{port}/jwks", "blocked"},
		{"https://224.0.0.1/jwks", "blocked"},
		{"https://255.255.255.255/jwks", "blocked"},
		{"https://[64:ff9b::7f00:1]/jwks", "blocked"},
		{"https://[64:ff9b::a00:1]/jwks", "blocked"},
		{"https://[2002:7f00:1::]/jwks", "blocked"},
		{"https://[::ffff:10.0.0.1]/jwks", "blocked"},
	}
	for _, row := range rows {
		t.Run(row.address, func(t *testing.T) {
			t.Parallel()
			issuer, asked := discovering(t, row.address)
			v, got := firstFetch(t, auth.Issuer{Issuer: issuer, Audience: []string{"till"}})
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if (asked.Load() > 0) != (row.want == "ok") {
				t.Errorf("the keys were asked for %d times", asked.Load())
			}
			_, err := v.Verify(t.Context(), genuine("", `"iss":"`+issuer+`"`, "rsa"))
			if ok := err == nil; ok != (row.want == "ok") {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

// A161: a public name that leads to this machine is stopped at the socket, after the
// look-up.
func TestNameThatLeadsToThisMachine(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	var asked atomic.Int64
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { asked.Add(1); answerLoopback(ours) }()
		return theirs, nil
	}}
	issuer, keysAsked := discovering(t, "https://keys.example.com:{port}/jwks")
	if _, got := firstFetch(t, auth.Issuer{Issuer: issuer, Audience: []string{"till"}}); got != "blocked" {
		t.Errorf("got %s, want blocked", got)
	}
	if asked.Load() == 0 || keysAsked.Load() != 0 {
		t.Errorf("%d look-ups, %d requests for keys", asked.Load(), keysAsked.Load())
	}
}

// answerLoopback is a DNS server for one question: 127.0.0.1 when it is for an IPv4
// address, nothing else (RFC 1035 section 4; a stream, so with a length before each message).
func answerLoopback(c net.Conn) {
	defer c.Close()
	size := make([]byte, 2)
	if _, err := io.ReadFull(c, size); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size))
	if _, err := io.ReadFull(c, query); err != nil {
		return
	}
	end := 12 + bytes.IndexByte(query[12:], 0) + 1 + 4 // header, name, type, class
	answer := slices.Concat(query[:2], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:end])
	if query[end-3] == 1 {
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

//go:embed testdata/addresses.txt
var addressLines string

// A160 and T29: what may be connected to at all, and with private networks listed.
func TestReachableAddresses(t *testing.T) {
	open := auth.Issuer{PrivateNetworks: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12:3456::/32"), netip.MustParsePrefix("100.64.1.0/24"),
	}}
	all := rows(t, addressLines, 2)
	for _, row := range all {
		ip := netip.MustParseAddr(row[0])
		got := "blocked"
		switch {
		case auth.Reachable(auth.Issuer{}, ip) && auth.Reachable(open, ip):
			got = "public"
		case auth.Reachable(open, ip):
			got = "listed"
		case auth.Reachable(auth.Issuer{}, ip):
			got = "public, and not with more allowed"
		}
		if got != row[1] {
			t.Errorf("%s: got %s, want %s", ip, got, row[1])
		}
	}
	t.Logf("%d addresses", len(all))
}

// Keys are fetched so seldom that a connection kept for them would only break; questions
// about tokens come in bursts, and share.
func TestConnectionsAreKeptForQuestions(t *testing.T) {
	closes := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		closes <- fmt.Sprint(r.URL.Path, " ", r.Close)
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(oneKey())
			return
		}
		_, _ = w.Write([]byte(edited(goodAnswer, fmt.Sprintf(`"iss":%q`, "http://"+r.Host))))
	}))
	defer server.Close()
	i := opaqueIssuer()
	i.Issuer, i.JWKSURL, i.Introspection.URL = server.URL, server.URL+"/jwks", server.URL+"/ask"
	v, _ := firstFetch(t, i)
	if _, err := v.Verify(t.Context(), opaqueOne); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"/jwks true", "/ask false"} {
		if got := <-closes; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What one issuer lists or names is no way into its network for the discovery of another.
func TestNetworksAreTheIssuersOwn(t *testing.T) {
	issuer, asked := discovering(t, "{self}/jwks")
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	// other's own entry names its loopback host; here only discovery leads there.
	leading, _ := discovering(t, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/jwks")
	i := auth.Issuer{Issuer: leading, Audience: []string{"till"}}
	named := auth.Issuer{Issuer: strings.Replace(other.URL, "127.0.0.1", "localhost", 1), Audience: []string{"till"}}
	outcomes := make(fetches, 10)
	v, err := auth.New([]auth.Issuer{i, named, {Issuer: issuer, Audience: []string{"till"}}}, auth.Options{
		Metrics: prometheus.NewRegistry(), Logger: slog.New(outcomes),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	got := []string{<-outcomes, <-outcomes, <-outcomes}
	cancel()
	<-ended
	slices.Sort(got) // the one that is named answers 404, if localhost is where the test listens
	if got[0] != "blocked" || got[1] == "blocked" || !slices.Contains(got, "ok") || asked.Load() != 1 {
		t.Errorf("got %v, want one blocked and one ok", got)
	}
}
