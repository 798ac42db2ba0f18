package handlers_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/handlers"
)

func TestWhoHasBegunJustNowIsNotClosed(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4)
	old := g.visit("127.0.0.2", begun)
	g.watch.advance(60 * time.Millisecond)
	young := []visitor{g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun), g.visit("127.0.0.3", begun)}
	g.watch.advance(90 * time.Millisecond)
	g.visit("127.0.0.4", begun+rest).served("one more")
	old.closed("who has had his moment")
	for _, v := range young {
		v.send(rest)
		v.served("who has not, among many")
	}
}

func TestNewOnesWaitWhileAllHaveBegunJustNow(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 2)
	one, two := g.visit("127.0.0.2", begun), g.visit("127.0.0.2", begun)
	looks := g.watch.looks.Load()
	three := g.visit("127.0.0.3", begun+rest)
	for g.watch.looks.Load() == looks {
		time.Sleep(time.Millisecond)
	}
	if n := g.number("cut"); n > 0 {
		t.Errorf("%v were cut at once", n)
	}
	g.watch.advance(time.Second)
	three.served("who had to wait")
	one.closed("the first")
	two.send(rest)
	two.served("the second")
}

func TestHalfARequestWeighsMoreThanIdleConnections(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4)
	idle := []visitor{g.regular("127.0.0.2"), g.regular("127.0.0.2"), g.regular("127.0.0.2")}
	g.watch.advance(4 * time.Second)
	slow := g.visit("127.0.0.3", begun)
	g.watch.advance(2 * time.Second)
	g.visit("127.0.0.4", begun+rest).served("one more")
	slow.closed("half a request")
	for _, v := range idle {
		v.send(begun + rest)
		v.served("one of the idle")
	}
}

func TestAnIdleConnectionThatBeginsARequestIsNotIdle(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4)
	idle, begins := g.regular("127.0.0.2"), g.regular("127.0.0.3")
	g.watch.advance(4 * time.Second)
	begins.send(begun)
	begins.awaited()
	g.watch.advance(4 * time.Second)
	working := g.visit("127.0.0.4", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	also := g.visit("127.0.0.4", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 4 {
		<-g.read
	}
	g.visit("127.0.0.5", begun+rest).served("one more")
	begins.closed("who has begun")
	idle.send(begun + rest)
	idle.served("who has not")
	// Either of the two may get the first.
	for range 2 {
		g.released <- ""
	}
	for _, v := range []visitor{working, also} {
		v.served("who was being worked for")
	}
}

// TestAWholeRequestIsNotClosedBeforeItsHandlerIsCalled: net/http looks already whether the
// client is still there.
func TestAWholeRequestIsNotClosedBeforeItsHandlerIsCalled(t *testing.T) {
	t.Parallel()
	for name, visit := range map[string]func(*gate) visitor{
		"the first request": func(g *gate) visitor { return g.visit("127.0.0.2", "") },
		"a later one":       func(g *gate) visitor { return g.regular("127.0.0.2") },
	} {
		g := openGate(t, 0, 2)
		late := visit(g)
		late.send("GET /late HTTP/1.1\r\nHost: x\r\n")
		late.awaited()
		g.watch.advance(time.Second)
		late.send(rest)
		<-g.began
		for !g.all.Looks(late.conn.LocalAddr()) {
			time.Sleep(time.Millisecond)
		}
		half := g.visit("127.0.0.3", begun)
		g.watch.advance(time.Second)
		g.visit("127.0.0.4", begun+rest).served("one more")
		half.closed("half a request")
		g.released <- ""
		late.served(name)
	}
}

// TestManyIdleConnectionsMakeRoom: half a request is not worth less than any number of them.
func TestManyIdleConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4)
	idle := []visitor{g.regular("127.0.0.2"), g.regular("127.0.0.2"), g.regular("127.0.0.2")}
	g.watch.advance(10 * time.Second)
	slow := g.visit("127.0.0.3", begun)
	g.watch.advance(time.Second)
	g.visit("127.0.0.4", begun+rest).served("one more")
	idle[0].closed("the one that is idle for longest")
	slow.send(rest)
	slow.served("half a request, and the rest")
}

func TestWhoWasAnsweredJustNowComesAfterOthers(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4)
	idle := []visitor{g.regular("127.0.0.2"), g.regular("127.0.0.2"), g.regular("127.0.0.2")}
	g.watch.advance(2 * time.Second)
	slow := g.visit("127.0.0.3", begun)
	g.watch.advance(200 * time.Millisecond)
	g.visit("127.0.0.4", begun+rest).served("one more")
	slow.closed("half a request")
	for _, v := range idle {
		v.send(begun + rest)
		v.served("one who was answered just now")
	}
}

func TestWhoWasAnsweredJustNowMakesRoomWhenNobodyElseWaits(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 2)
	answered := g.regular("127.0.0.2")
	working := g.visit("127.0.0.3", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		<-g.read
	}
	g.watch.advance(time.Second)
	g.visit("127.0.0.4", begun+rest).served("one more")
	answered.closed("who was answered")
	g.released <- ""
	working.served("who was being worked for")
}

func TestProxiesMakeRoomLast(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 4, "127.0.0.2/32")
	proxy := []visitor{g.regular("127.0.0.2"), g.regular("127.0.0.2"), g.regular("127.0.0.2")}
	g.watch.advance(20 * time.Second)
	stranger := g.visit("127.0.0.3", begun)
	g.watch.advance(200 * time.Millisecond)
	g.visit("127.0.0.2", begun+rest).served("one more of the proxy's")
	stranger.closed("a stranger")
	for _, v := range proxy {
		v.send(begun + rest)
		v.served("an idle one of the proxy's")
	}
}

func TestAProxyMakesRoomWhenNobodyElseWaits(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 2, "127.0.0.2/32")
	idle := g.regular("127.0.0.2")
	working := g.visit("127.0.0.2", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		<-g.read
	}
	g.watch.advance(time.Second)
	g.visit("127.0.0.2", begun+rest).served("one more")
	idle.closed("an idle one of the proxy's")
	g.released <- ""
	working.served("what the proxy is being worked for")
}

// TestAtTheLimitAnswersEndTheirConnection: nobody sends a request down one that is about
// to be closed.
func TestAtTheLimitAnswersEndTheirConnection(t *testing.T) {
	t.Parallel()
	g := openGate(t, 0, 2)
	for _, ends := range []bool{false, true} {
		v := g.visit("127.0.0.2", begun+rest)
		res, err := http.ReadResponse(v.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.Close != ends {
			t.Errorf("ends %v, want %v", res.Close, ends)
		}
	}
}

// accepted is both ends of a connection that nobody serves.
type accepted struct{ client, server net.Conn }

// acceptor returns how to connect to a listener with a limit.
func acceptor(t *testing.T, limit int, w *watch) (visit func() accepted) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := handlers.ConnectionOptions{Limit: limit, Metrics: prometheus.NewRegistry(), Now: w.now}
	if l, err = handlers.LimitConnections(&http.Server{ReadHeaderTimeout: time.Second}, l, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return func() accepted {
		t.Helper()
		var d net.Dialer
		client, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
		return accepted{client, server}
	}
}

// reads begins to read from the server's end, and returns when that waits.
func (a accepted) reads(w *watch) (read chan error) {
	looks := w.looks.Load()
	read = make(chan error, 1)
	go func() {
		_, err := io.ReadFull(a.server, make([]byte, 1))
		read <- err
	}()
	for w.looks.Load() == looks {
		time.Sleep(time.Millisecond)
	}
	return read
}

// TestWhoseRequestHasJustBeenReadIsNotClosed: nor before anybody has looked at it.
func TestWhoseRequestHasJustBeenReadIsNotClosed(t *testing.T) {
	t.Parallel()
	var w watch
	visit := acceptor(t, 2, &w)
	prompt, silent := visit(), visit()
	if _, err := io.WriteString(prompt.client, "G"); err != nil {
		t.Fatal(err)
	}
	if err := <-prompt.reads(&w); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	cut := silent.reads(&w)
	w.advance(time.Second)
	visit()
	if err := <-cut; err == nil {
		t.Error("who is silent was read from")
	}
	if _, err := io.WriteString(prompt.server, "HTTP/1.1 200 OK"); err != nil {
		t.Errorf("whose request was there: %v", err)
	}
	if _, err := bufio.NewReader(prompt.client).Peek(1); err != nil {
		t.Errorf("whose request was there: %v", err)
	}
}
