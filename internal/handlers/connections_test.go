package handlers_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"till/internal/handlers"
)

// gate is a server with a limit of connections. Its requests say when they have begun
// and when their body is there, and end when they may.
type gate struct {
	t                     *testing.T
	address               string
	registry              *prometheus.Registry
	began, read, released chan string
}

func newGate(t *testing.T, limit int) *gate {
	t.Helper()
	g := &gate{
		t: t, registry: prometheus.NewRegistry(),
		began: make(chan string, 10), read: make(chan string, 10), released: make(chan string, 10),
	}
	server := handlers.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.began <- r.URL.Path
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		g.read <- r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/held") {
			<-g.released
		}
		_, _ = io.WriteString(w, "done")
	}), slog.New(slog.DiscardHandler))
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if l, err = handlers.LimitConnections(server, l, limit, g.registry); err != nil {
		t.Fatal(err)
	}
	g.address = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		close(g.released)
		if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

// visitor is one connection to a gate.
type visitor struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// visit connects from an address of this machine, sends text, and returns when the
// server has the connection.
func (g *gate) visit(from, text string) visitor {
	g.t.Helper()
	before := g.number("till_http_connections") + g.number("till_http_connections_cut_total")
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(g.t.Context(), "tcp", g.address)
	if err != nil {
		if errors.Is(err, os.ErrInvalid) || strings.Contains(err.Error(), "requested address") {
			g.t.Skip("this machine has one loopback address only")
		}
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	v := visitor{g.t, conn, bufio.NewReader(conn)}
	v.send(text)
	for g.number("till_http_connections")+g.number("till_http_connections_cut_total") == before {
		time.Sleep(time.Millisecond)
	}
	return v
}

func (g *gate) number(name string) float64 {
	g.t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	g.t.Fatalf("no metric %s", name)
	return 0
}

func (v visitor) send(text string) {
	v.t.Helper()
	if _, err := io.WriteString(v.conn, text); err != nil {
		v.t.Fatal(err)
	}
}

func (v visitor) served(what string) {
	v.t.Helper()
	res, err := http.ReadResponse(v.in, nil)
	if err != nil {
		v.t.Errorf("%s: %v", what, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		v.t.Errorf("%s: %d %s %v", what, res.StatusCode, body, err)
	}
}

func (v visitor) closed(what string) {
	v.t.Helper()
	if text, err := io.ReadAll(v.in); len(text) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		v.t.Errorf("%s: %q %v", what, text, err)
	}
}

const (
	begun = "GET / HTTP/1.1\r\nHost: x\r\n"
	rest  = "\r\n"
)

func TestTheLongestWaitingMakesRoom(t *testing.T) {
	t.Parallel()
	g := newGate(t, 3)
	first, second := g.visit("127.0.0.1", begun), g.visit("127.0.0.1", begun)
	third, fourth := g.visit("127.0.0.1", begun), g.visit("127.0.0.1", begun)
	first.closed("the first")
	for _, v := range []visitor{second, third, fourth} {
		v.send(rest)
		v.served("one that was not the first")
	}
	// Now all wait for their next request, the second for the longest time.
	g.visit("127.0.0.1", begun+rest).served("a fifth")
	second.closed("the second")
	third.send(begun + rest)
	third.served("the third, again")
}

func TestWhoOpensManyClosesHisOwn(t *testing.T) {
	t.Parallel()
	g := newGate(t, 4)
	early := g.visit("127.0.0.2", begun)
	many := []visitor{g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun)}
	late := g.visit("127.0.0.4", begun+rest)
	late.served("who came late")
	many[0].closed("the first of many")
	g.visit("127.0.0.3", begun)
	many[1].closed("the second of many")
	early.send(rest)
	early.served("who was there first, alone")
	many[2].send(rest)
	many[2].served("the last of many")
}

func TestOfEqualAddressesTheLongestWaitingMakesRoom(t *testing.T) {
	t.Parallel()
	g := newGate(t, 3)
	all := []visitor{g.visit("127.0.0.2", begun), g.visit("127.0.0.3", begun), g.visit("127.0.0.4", begun)}
	g.visit("127.0.0.5", begun+rest).served("one more")
	all[0].closed("the first")
	all[1].send(rest)
	all[1].served("the second")
}

func TestABodyIsTheClientsTurn(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	post := "POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"
	slow := g.visit("127.0.0.1", post)
	<-g.began
	other := g.visit("127.0.0.1", begun)
	g.visit("127.0.0.1", begun+rest).served("a third")
	slow.closed("who owes half a body")
	other.send(rest)
	other.served("the other")
}

func TestWorkIsNotInterrupted(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	post := "POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	working := g.visit("127.0.0.1", post)
	<-g.read
	waiting := g.visit("127.0.0.1", begun)
	g.visit("127.0.0.1", begun+rest).served("a third")
	waiting.closed("who has sent half a header")
	g.released <- ""
	working.served("whose request was being worked on")
}

// TestNewOnesWaitWhileAllAreWorkedOn: nobody is closed, and nobody is lost.
func TestNewOnesWaitWhileAllAreWorkedOn(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	held := "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
	one := g.visit("127.0.0.1", held)
	<-g.read
	two := g.visit("127.0.0.1", held)
	<-g.read
	three := make(chan visitor)
	go func() { three <- g.visit("127.0.0.1", begun+rest) }()
	g.released <- ""
	(<-three).served("who had to wait")
	g.released <- ""
	// Of the first two one was through, and made room with its answer given.
	one.served("one")
	two.served("two")
	if n := g.number("till_http_connections"); n > 2 {
		t.Errorf("%v connections", n)
	}
}

// TestAnAnswerNotTakenMakesRoom: who does not read holds nobody up.
func TestAnAnswerNotTakenMakesRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{connections: 1})
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(conn, strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	}()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if res := h.get("/healthz", ""); res.status != http.StatusOK {
		t.Errorf("meanwhile: %d", res.status)
	}
	if err := testutil.GatherAndCompare(h.registry, strings.NewReader(`
# HELP till_http_connections_cut_total Connections closed to make room for others: somebody opens many, or limits.connections is too small.
# TYPE till_http_connections_cut_total counter
till_http_connections_cut_total 1
`), "till_http_connections_cut_total"); err != nil {
		t.Error(err)
	}
}
