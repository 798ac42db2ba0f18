package handlers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConnectionOptions are of one listener.
type ConnectionOptions struct {
	// Limit is how many there may be at a time; 0 is no limit.
	Limit int
	// TrustedProxies are the networks whose connections are closed last.
	TrustedProxies []netip.Prefix
	// Metrics must be set.
	Metrics prometheus.Registerer
	// Now is time.Now if nil.
	Now func() time.Time
}

// LimitConnections returns l such that server, which must serve it and nothing else and have
// a limit on reading and on idling, has a limited number of connections. Nobody is turned away: for a new connection another one
// is closed, of those that wait for their client (for the rest of a request, for an answer
// to be taken, for the next request), from the network where the number of those times the
// age of the oldest is largest: that oldest one. So who opens many closes his own, and who
// asks and takes the answer is not in the way. Half a request counts for more than an idle
// connection, and nobody is closed who has begun to wait just now, or whose request is
// there and has only not been read. At the limit answers end their connection, so that
// there is no idle one to close while its client sends the next request.
//
// While there is none to close, which ends by itself, new ones wait to be accepted.
func LimitConnections(server *http.Server, l net.Listener, o ConnectionOptions) (*Connections, error) {
	s := &Connections{Listener: l, o: o, open: map[*connection]bool{}}
	s.waiting.of = map[netip.Prefix]*crowd{}
	s.changed.L = &s.mu
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	s.cut = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "till_http_connections_cut_total",
		Help: "Connections closed to make room for others: somebody opens many, or limits.connections is too small.",
	})
	gauge := func(state string, count func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "till_http_connections",
			Help:        "Open connections of the public listener, limits.connections at most: waiting for their client, or worked on.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(count())
		})
	}
	if err := errors.Join(
		o.Metrics.Register(s.cut), o.Metrics.Register(gauge("waiting", func() int { return s.waiting.number })),
		o.Metrics.Register(gauge("working", func() int { return len(s.open) - s.waiting.number })),
	); err != nil {
		return nil, err
	}
	server.Handler = takeTurns(server.Handler)
	inner := server.ConnContext
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(inner(ctx, conn), connectionKey{}, conn)
	}
	return s, nil
}

// Connections are those of one server, and its listener.
type Connections struct {
	net.Listener
	o   ConnectionOptions
	cut prometheus.Counter

	mu      sync.Mutex
	changed sync.Cond
	closed  bool
	open    map[*connection]bool
	waiting waiting
	// patient is whether an Accept waits for somebody's grace to be over, which nobody who
	// begins to wait now can be the first to have behind him.
	patient bool
	// draining is whether every answer is the last on its connection, and stopped whether
	// there are no new ones.
	draining, stopped bool
	// left are the connections that were open and not accepted when there were no new ones.
	left []net.Conn
	// requests counts all that have been begun.
	requests int
}

// Accept waits for the next connection, and for a place.
func (s *Connections) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		if conn = s.next(); conn == nil {
			return nil, err
		}
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil // not of the kind that strangers can open
	}
	c := &connection{TCPConn: tcp, all: s}
	if peer, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		addr := peer.Addr().Unmap().WithZone("")
		c.from = network(addr)
		c.proxy = slices.ContainsFunc(s.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.full() && !s.closed && !s.makeRoom() {
		s.changed.Wait()
	}
	s.patient = false
	if s.closed {
		return nil, errors.Join(net.ErrClosed, tcp.Close())
	}
	s.open[c] = true
	return c, nil
}

// Close lets an Accept go that waits for a place.
func (s *Connections) Close() error {
	s.mu.Lock()
	s.closed = true
	stopped := s.stopped
	s.mu.Unlock()
	s.changed.Broadcast()
	if err := s.Listener.Close(); !stopped {
		return err
	}
	return nil
}

// full is whether somebody has to go before another may come. At the end there are only
// those left that the kernel has already let in.
func (s *Connections) full() bool { return s.o.Limit > 0 && len(s.open) >= s.o.Limit && !s.stopped }

// makeRoom closes the connection that is to go. If there is none, it sees to it that it
// is asked again when there may be.
func (s *Connections) makeRoom() bool {
	// Of one moment, so that whoever is found to have more is not looked at twice.
	now := s.o.Now()
	for {
		c, soon := s.waiting.first(now)
		if c == nil {
			s.patient = soon > 0
			if s.patient {
				time.AfterFunc(soon, s.ask)
			}
			return false
		}
		s.waiting.remove(c)
		if c.hasMore() {
			s.waiting.add(c, now)
			continue
		}
		delete(s.open, c)
		s.cut.Inc()
		// Whoever serves it is told by his next read or write.
		_ = c.TCPConn.Close()
		return true
	}
}

// ask wakes an Accept, which may be about to wait.
func (s *Connections) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Signal()
}

// begin says that c waits from now on.
func (s *Connections) begin(c *connection) {
	if !s.open[c] {
		return
	}
	s.waiting.add(c, s.o.Now())
	if !s.patient {
		s.changed.Signal()
	}
}
