package handlers_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/handlers"
)

// gate is a server with a limit of connections. Its requests say when they have begun
// and when their body is there, and end when they may.
type gate struct {
	t                     *testing.T
	address               string
	registry              *prometheus.Registry
	watch                 watch
	all                   *handlers.Connections
	began, read, released chan string
}

// watch goes on by a tick whenever it is looked at, and when it is told to.
type watch struct {
	tick          time.Duration
	passed, looks atomic.Int64
}

func (w *watch) now() time.Time {
	w.looks.Add(1)
	return time.Unix(0, w.passed.Add(int64(w.tick)))
}

func (w *watch) advance(d time.Duration) { w.passed.Add(int64(d)) }

// newGate opens one whose clock ticks longer than anybody is spared.
func newGate(t *testing.T, limit int) *gate {
	t.Helper()
	return openGate(t, 10*time.Second, limit)
}

// openGate opens one whose clock has that tick, with the networks of proxies.
func openGate(t *testing.T, tick time.Duration, limit int, proxies ...string) *gate {
	t.Helper()
	g := &gate{
		t: t, watch: watch{tick: tick}, registry: prometheus.NewRegistry(),
		began: make(chan string, 100), read: make(chan string, 100), released: make(chan string, 100),
	}
	server := handlers.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Now and not before it has begun to wait for the rest.
		if _, err := r.Body.Read(make([]byte, 1)); err == nil {
			g.began <- r.URL.Path
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		g.read <- r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/held") {
			<-g.released
		}
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, large))
		}
		_, _ = io.WriteString(w, "done")
	}), slog.New(slog.DiscardHandler))
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := handlers.ConnectionOptions{Limit: limit, Metrics: g.registry, Now: g.watch.now}
	for _, p := range proxies {
		o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(p))
	}
	if g.all, err = handlers.LimitConnections(server, l, o); err != nil {
		t.Fatal(err)
	}
	g.address = l.Addr().String()
	inner := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" { // others have the processor
			g.began <- r.URL.Path
			<-g.released
		}
		inner.ServeHTTP(w, r)
	})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(g.all) }()
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
	g    *gate
	conn net.Conn
	in   *bufio.Reader
	// sent is how many bytes.
	sent *int
}

// visit connects from an address of this machine and sends text. When that is only the
// begin of a request, it returns when the server has read it and waits for the rest.
func (g *gate) visit(from, text string) visitor {
	g.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(g.t.Context(), "tcp", g.address)
	if err != nil {
		if os.Getenv("CI") != "true" && (errors.Is(err, os.ErrInvalid) || strings.Contains(err.Error(), "requested address")) {
			g.t.Skip("this machine has one loopback address only")
		}
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	v := visitor{g.t, g, conn, bufio.NewReader(conn), new(int)}
	v.send(text)
	if text == begun {
		v.awaited()
	}
	return v
}

// regular has had an answer, and is idle when it returns.
func (g *gate) regular(from string) visitor {
	g.t.Helper()
	v := g.visit(from, begun+rest)
	v.served("a regular")
	v.awaited()
	return v
}

// number is how many connections are waiting or working, or were cut.
func (g *gate) number(which string) (n float64) {
	g.t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch {
			case which == "cut" && f.GetName() == "till_http_connections_cut_total":
				n += m.GetCounter().GetValue()
			case f.GetName() == "till_http_connections" && m.GetLabel()[0].GetValue() == which:
				n += m.GetGauge().GetValue()
			}
		}
	}
	return n
}

func (v visitor) send(text string) {
	v.t.Helper()
	if _, err := io.WriteString(v.conn, text); err != nil {
		v.t.Fatal(err)
	}
	*v.sent += len(text)
}

// awaited returns when the server has read all that was sent, and waits for more. How many
// wait does not tell: it changes while answers are written, and nothing may have been read.
func (v visitor) awaited() {
	v.t.Helper()
	for !v.g.all.Awaits(v.conn.LocalAddr(), *v.sent) {
		time.Sleep(time.Millisecond)
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
	// large is more than fits into the kernel's buffers.
	large = 16 << 20
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
}

func TestWhoHasNothingToAskMakesRoom(t *testing.T) {
	t.Parallel()
	g := newGate(t, 2)
	first := g.regular("127.0.0.1")
	working := g.visit("127.0.0.2", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		<-g.read
	}
	g.visit("127.0.0.3", begun+rest).served("a third")
	first.closed("the first, for its next request")
	g.released <- ""
	working.served("who was being worked for")
}

func TestWhoOpensManyClosesHisOwn(t *testing.T) {
	t.Parallel()
	g := newGate(t, 4)
	early := g.visit("127.0.0.2", begun)
	many := []visitor{g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun)}
	late := g.visit("127.0.0.4", begun)
	many[0].closed("the first of many")
	g.visit("127.0.0.3", begun)
	many[1].closed("the second of many")
	late.send(rest)
	late.served("who came late")
	early.send(rest)
	early.served("who was there first, alone")
	many[2].send(rest)
	many[2].served("the last of many")
}

func TestWhoHasWaitedLongMakesRoomForTwoWhoHaveNot(t *testing.T) {
	t.Parallel()
	g := newGate(t, 4)
	old, regular := g.visit("127.0.0.2", begun), g.visit("127.0.0.3", begun+rest)
	for range 10 { // time is what others do meanwhile
		regular.served("a regular")
		regular.send(begun + rest)
	}
	regular.served("a regular")
	regular.awaited()
	two := []visitor{g.visit("127.0.0.4", begun), g.visit("127.0.0.4", begun)}
	g.visit("127.0.0.5", begun+rest).served("one more")
	old.closed("who has waited long")
	for _, v := range two {
		v.send(rest)
		v.served("one of two")
	}
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
	slow.awaited()
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
	if n := g.number("waiting") + g.number("working"); n > 2 {
		t.Errorf("%v connections", n)
	}
}

// TestAnAnswerNotTakenMakesRoom: who does not read holds nobody up, whatever he has asked
// for besides.
func TestAnAnswerNotTakenMakesRoom(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 2)
	working := g.visit("127.0.0.1", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	stares := g.visit("127.0.0.1", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"+strings.Repeat(begun+rest, 1000))
	for range 2 {
		<-g.read
	}
	another := g.visit("127.0.0.1", begun+rest)
	for g.number("cut") == 0 {
		g.watch.advance(time.Second)
		time.Sleep(time.Millisecond)
	}
	another.served("who came meanwhile")
	if n, _ := io.Copy(io.Discard, stares.in); n >= large {
		t.Errorf("who did not read has got %d bytes", n)
	}
	g.released <- ""
	working.served("whose request was being worked on")
}
