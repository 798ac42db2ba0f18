package handlers

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LimitConnections returns l such that server, which must serve it and nothing else,
// has at most limit connections at a time; 0 is no limit. Nobody is turned away: for a
// new connection another one is closed, of those that wait for their client (for the
// rest of a request, for an answer to be taken, for the next request), from the address
// where the number of those times the age of the oldest is largest: that oldest one. So
// who opens many closes his own, and who asks and takes the answer is not in the way.
// While none waits, because all are being worked on, which ends by itself, new ones wait
// to be accepted.
func LimitConnections(server *http.Server, l net.Listener, limit int, reg prometheus.Registerer) (net.Listener, error) {
	s := &connections{Listener: l, limit: limit, open: map[*connection]bool{}, waiting: map[netip.Prefix]*crowd{}}
	s.changed.L = &s.mu
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
		reg.Register(s.cut), reg.Register(gauge("waiting", s.idle)),
		reg.Register(gauge("working", func() int { return len(s.open) - s.idle() })),
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

// connections are those of one server.
type connections struct {
	net.Listener
	limit int
	cut   prometheus.Counter

	mu      sync.Mutex
	changed sync.Cond
	closed  bool
	open    map[*connection]bool
	// waiting has the connections that wait for their client; crowds is the same.
	waiting map[netip.Prefix]*crowd
	crowds  []*crowd
	// turns counts how often a connection began to wait: the clock of all ages here.
	turns int
}

// crowd is the connections of one network that wait, the longest waiting first.
type crowd struct {
	from  netip.Prefix
	queue list.List
	// since is when the first of them began to wait.
	since int
	// index is its own place among the crowds.
	index int
}

// connection is one of them. It waits for its client while somebody reads from it who
// has nothing else to do, or has been writing to it for a moment.
type connection struct {
	*net.TCPConn
	all  *connections
	from netip.Prefix
	// busy is whether a whole request is being worked on.
	busy bool
	// telling is whether an answer is being written.
	telling bool
	// place is where in its crowd it waits, and turn since when; nil while it does not.
	place *list.Element
	turn  int
}

type connectionKey struct{}

// Accept waits for the next connection, and for a place.
func (s *connections) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil // not of the kind that strangers can open
	}
	c := &connection{TCPConn: tcp, all: s}
	if peer, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.from = network(peer.Addr().Unmap().WithZone(""))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.full() && len(s.crowds) == 0 && !s.closed {
		s.changed.Wait()
	}
	switch {
	case s.closed:
		return nil, errors.Join(net.ErrClosed, tcp.Close())
	case s.full():
		s.makeRoom()
	}
	s.open[c] = true
	return c, nil
}

// Close lets an Accept go that waits for a place.
func (s *connections) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.changed.Broadcast()
	return s.Listener.Close()
}

func (s *connections) full() bool { return s.limit > 0 && len(s.open) >= s.limit }

// idle is how many wait for their client.
func (s *connections) idle() (n int) {
	for _, c := range s.crowds {
		n += c.queue.Len()
	}
	return n
}

// makeRoom closes the connection that is to go.
func (s *connections) makeRoom() {
	weight := func(c *crowd) int { return c.queue.Len() * (s.turns + 1 - c.since) }
	heaviest := slices.MaxFunc(s.crowds, func(a, b *crowd) int { return cmp.Compare(weight(a), weight(b)) })
	c, _ := heaviest.queue.Front().Value.(*connection)
	s.dequeue(c)
	delete(s.open, c)
	s.cut.Inc()
	// Whoever serves it is told by his next read or write.
	_ = c.TCPConn.Close()
}

// enqueue puts c behind those of its network that wait already.
func (s *connections) enqueue(c *connection) {
	from := s.waiting[c.from]
	if from == nil {
		from = &crowd{from: c.from, index: len(s.crowds)}
		s.waiting[c.from] = from
		s.crowds = append(s.crowds, from)
	}
	s.turns++
	c.turn = s.turns
	c.place = from.queue.PushBack(c)
	from.settle()
}

func (s *connections) dequeue(c *connection) {
	if c.place == nil {
		return
	}
	from := s.waiting[c.from]
	from.queue.Remove(c.place)
	c.place = nil
	if from.queue.Len() > 0 {
		from.settle()
		return
	}
	delete(s.waiting, c.from)
	last := s.crowds[len(s.crowds)-1]
	s.crowds[from.index], last.index = last, from.index
	s.crowds = slices.Delete(s.crowds, len(s.crowds)-1, len(s.crowds))
}

func (c *crowd) settle() {
	first, _ := c.queue.Front().Value.(*connection)
	c.since = first.turn
}

// waits says that it is the client's turn: from now on, unless it is already.
func (c *connection) waits() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.place == nil && !c.busy && !c.telling && c.all.open[c] {
		c.all.enqueue(c)
		c.all.changed.Signal()
	}
}

// works says that it is our turn. If busy, it is whatever may be read meanwhile: net/http
// looks whether the client is still there.
func (c *connection) works(busy bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.busy = busy
	c.all.dequeue(c)
}

// Read waits for as long as it takes until a request is whole.
func (c *connection) Read(p []byte) (int, error) {
	c.waits()
	return c.TCPConn.Read(p)
}

// Write waits for the client when it takes long.
func (c *connection) Write(p []byte) (int, error) {
	defer c.tells()()
	return c.TCPConn.Write(p)
}

// ReadFrom is Write, of a file.
func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	defer c.tells()()
	return c.TCPConn.ReadFrom(r)
}

// tells is called when an answer begins to be written, and told when it is. One that fits
// into the kernel's buffer must not be cut off because it is not there yet.
func (c *connection) tells() (told func()) {
	const moment = 100 * time.Millisecond
	begun := func(telling bool) {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		c.telling = telling
		c.all.dequeue(c)
	}
	begun(true)
	timer := time.AfterFunc(moment, func() {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		if c.telling && c.place == nil && c.all.open[c] {
			c.all.enqueue(c)
			c.all.changed.Signal()
		}
	})
	return func() {
		timer.Stop()
		begun(false)
	}
}

// CloseWrite is the last that is said; net/http then gives the client half a second.
func (c *connection) CloseWrite() error {
	c.waits()
	return c.TCPConn.CloseWrite()
}

// Close gives the place back.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.dequeue(c)
	delete(c.all.open, c)
	c.all.mu.Unlock()
	c.all.changed.Signal()
	return c.TCPConn.Close()
}

// takeTurns notes whose turn it is while a request is handled.
func takeTurns(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connectionKey{}).(*connection)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		hasBody := r.Body != http.NoBody
		c.works(!hasBody)
		if hasBody {
			with := *r
			with.Body = arriving{r.Body, c}
			r = &with
		}
		defer c.works(false)
		next.ServeHTTP(w, r)
	})
}

// arriving is a body: when all of it is there, the request is whole.
type arriving struct {
	io.ReadCloser
	c *connection
}

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.c.works(true)
	}
	return n, err
}
