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
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/handlers"
)

// leaving is a server on its way out.
type leaving struct {
	t      *testing.T
	all    *handlers.Connections
	server *http.Server
	ended  chan error
	// held blocks what is asked for /held.
	held chan bool
}

func newLeaving(t *testing.T, limit int) *leaving {
	t.Helper()
	l := &leaving{t: t, ended: make(chan error, 1), held: make(chan bool)}
	l.server = handlers.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			<-l.held
		}
		_, _ = io.WriteString(w, "done")
	}), slog.New(slog.DiscardHandler))
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.all, err = handlers.LimitConnections(l.server, listener, handlers.ConnectionOptions{Limit: limit, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { l.ended <- l.server.Serve(l.all) }()
	return l
}

// stop begins to stop it, and returns what tells the end.
func (l *leaving) stop() (stopped chan error) {
	l.all.Drain()
	stopped = make(chan error, 1)
	go func() { stopped <- l.all.Stop(context.WithoutCancel(l.t.Context())) }()
	return stopped
}

// end shuts the server down.
func (l *leaving) end() {
	l.t.Helper()
	if err := l.server.Shutdown(context.WithoutCancel(l.t.Context())); err != nil {
		l.t.Error(err)
	}
	if err := <-l.ended; !errors.Is(err, http.ErrServerClosed) {
		l.t.Errorf("ended with %v", err)
	}
}

func (l *leaving) dial() (visitor, error) {
	var d net.Dialer
	conn, err := d.DialContext(l.t.Context(), "tcp", l.all.Addr().String())
	if err != nil {
		return visitor{}, err
	}
	return visitor{t: l.t, conn: conn, in: bufio.NewReader(conn), sent: new(int)}, nil
}

// ask returns what is wrong with the answer; last is whether it ended the connection.
func (v visitor) ask(path string) (last bool, err error) {
	if _, err := io.WriteString(v.conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return false, err
	}
	res, err := http.ReadResponse(v.in, nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.Close, err
}

// TestIdleConnectionsAreNotClosedUnderARequest: they are there for as long as anybody asks
// anything, and each one's next answer is its last.
func TestIdleConnectionsAreNotClosedUnderARequest(t *testing.T) {
	t.Parallel()
	l := newLeaving(t, 0)
	visitors := make([]visitor, 5)
	for i := range visitors {
		var err error
		if visitors[i], err = l.dial(); err != nil {
			t.Fatal(err)
		}
		defer visitors[i].conn.Close()
		if last, err := visitors[i].ask("/"); last || err != nil {
			t.Fatalf("before: last %v, %v", last, err)
		}
	}
	stopped := l.stop()
	for i, v := range visitors[1:] {
		if last, err := v.ask("/"); !last || err != nil {
			t.Errorf("connection %d: last %v, %v", i, last, err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	l.end()
	visitors[0].closed("who has asked nothing more")
}

// TestWhoHasConnectedIsServed: those too that wait for a place, and those that nobody has
// accepted yet.
func TestWhoHasConnectedIsServed(t *testing.T) {
	t.Parallel()
	l := newLeaving(t, 1)
	answered := make(chan error, 5)
	for range cap(answered) {
		v, err := l.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer v.conn.Close()
		go func() {
			_, err := v.ask("/held")
			answered <- err
		}()
	}
	stopped := l.stop()
	for {
		v, err := l.dial()
		if err != nil {
			break
		}
		_ = v.conn.Close()
	}
	close(l.held)
	for range cap(answered) {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	l.end()
}

// TestNoRequestIsLostWhenTheListenerCloses: whoever can connect is served, and whoever
// cannot has not sent anything.
func TestNoRequestIsLostWhenTheListenerCloses(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI may not go without a system that turns new connections away")
		}
		t.Skip("this system cannot turn new connections away")
	}
	l := newLeaving(t, 0)
	var served atomic.Int64
	busy := make(chan bool)
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for {
				v, err := l.dial()
				if err != nil {
					if !strings.Contains(err.Error(), "refused") {
						t.Error(err)
					}
					return
				}
				_, err = v.ask("/")
				_ = v.conn.Close()
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				if served.Add(1) == 100 {
					close(busy)
				}
			}
		})
	}
	<-busy
	if err := <-l.stop(); err != nil {
		t.Error(err)
	}
	clients.Wait()
	l.end()
}

func TestAListenerThatIsStoppedCanBeClosed(t *testing.T) {
	t.Parallel()
	l := newLeaving(t, 0)
	if err := <-l.stop(); err != nil {
		t.Error(err)
	}
	l.end()
	if err := l.all.Close(); err != nil {
		t.Error(err)
	}
}
