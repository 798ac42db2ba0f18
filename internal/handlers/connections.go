package handlers

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// LimitConnections returns l such that server, which must serve it and nothing else,
// has at most limit connections at a time; 0 is no limit. Nobody is turned away: for a
// new connection another one is closed, of those that wait for their client (for the
// rest of a request, for an answer to be taken, for the next request): of the address
// that has most of them, the one that has waited longest. So who opens many closes his
// own, and who asks and takes the answer is not in the way. While all of them are being
// worked on, which ends by itself, new ones wait to be accepted.
func LimitConnections(server *http.Server, l net.Listener, limit int, reg prometheus.Registerer) (net.Listener, error) {
	s := &connections{Listener: l, limit: limit, open: map[net.Conn]*connection{}, waiting: map[netip.Prefix]*crowd{}}
	s.changed.L = &s.mu
	s.cut = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "till_http_connections_cut_total",
		Help: "Connections closed to make room for others: somebody opens many, or limits.connections is too small.",
	})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "till_http_connections",
		Help: "Open connections of the public listener; limits.connections is the most.",
	}, s.count)
	if err := errors.Join(reg.Register(s.cut), reg.Register(open)); err != nil {
		return nil, err
	}
	server.Handler = s.follow(server.Handler)
	server.ConnState = s.ended
	inner := server.ConnContext
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(inner(ctx, conn), connectionKey{}, s.find(conn))
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
	open    map[net.Conn]*connection
	// waiting has the connections that wait for their client; crowds is the same, with
	// the one to take from on top.
	waiting map[netip.Prefix]*crowd
	crowds  crowds
	turns   uint64
}

// connection is one of them. A nil one is of a server without a limit.
type connection struct {
	all  *connections
	conn net.Conn
	from netip.Prefix
	// place is where in its crowd it waits; nil while it is being worked on.
	place *list.Element
	// turn is when it began to wait, as a number.
	turn uint64
	gone bool
}

type connectionKey struct{}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// Accept waits for the next connection, and for a place.
func (s *connections) Accept() (net.Conn, error) {
	s.mu.Lock()
	for s.full() && len(s.crowds) == 0 && !s.closed {
		s.changed.Wait()
	}
	s.mu.Unlock()
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full() && len(s.crowds) > 0 {
		s.makeRoom()
	}
	c := &connection{all: s, conn: conn}
	if peer, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.from = network(peer.Addr().Unmap().WithZone(""))
	}
	s.open[conn] = c
	s.enqueue(c)
	return conn, nil
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

func (s *connections) count() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.open))
}

func (s *connections) find(conn net.Conn) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[conn]
}

// makeRoom closes the connection that is to go.
func (s *connections) makeRoom() {
	c, _ := s.crowds[0].queue.Front().Value.(*connection)
	s.forget(c)
	s.cut.Inc()
	// Whoever serves it is told by his next read or write.
	_ = c.conn.Close()
}

// ended is what net/http says of each connection.
func (s *connections) ended(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.open[conn]; c != nil {
		s.forget(c)
	}
	s.changed.Signal()
}

func (s *connections) forget(c *connection) {
	s.dequeue(c)
	c.gone = true
	delete(s.open, c.conn)
}

// enqueue puts c behind those of its network that wait already.
func (s *connections) enqueue(c *connection) {
	from := s.waiting[c.from]
	if from == nil {
		from = &crowd{from: c.from}
		s.waiting[c.from] = from
	}
	s.turns++
	c.turn = s.turns
	c.place = from.queue.PushBack(c)
	if from.queue.Len() == 1 {
		heap.Push(&s.crowds, from)
	} else {
		heap.Fix(&s.crowds, from.index)
	}
}

func (s *connections) dequeue(c *connection) {
	if c.place == nil {
		return
	}
	from := s.waiting[c.from]
	from.queue.Remove(c.place)
	c.place = nil
	if from.queue.Len() > 0 {
		heap.Fix(&s.crowds, from.index)
		return
	}
	heap.Remove(&s.crowds, from.index)
	delete(s.waiting, c.from)
}

// waits says that it is the client's turn, from now on.
func (c *connection) waits() {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.dequeue(c)
	if !c.gone {
		c.all.enqueue(c)
		c.all.changed.Signal()
	}
}

// works says that it is our turn.
func (c *connection) works() {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.dequeue(c)
}

// follow notes whose turn it is. From the first byte of the answer on (see hurry) it
// is the client's again.
func (s *connections) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r.Context())
		if r.Body == http.NoBody {
			c.works()
		} else {
			c.waits()
			with := *r
			with.Body = arriving{r.Body, c}
			r = &with
		}
		// A handler that is through may leave a body behind, which net/http reads.
		defer c.waits()
		next.ServeHTTP(w, r)
	})
}

// arriving is a body: the client's turn, until all of it is there.
type arriving struct {
	io.ReadCloser
	c *connection
}

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.c.works()
	}
	return n, err
}

// crowd is the connections of one network that wait, the longest waiting first.
type crowd struct {
	from  netip.Prefix
	queue list.List
	index int
}

// crowds is a heap: the largest on top, and of equal ones that of the longest waiting.
type crowds []*crowd

func (h crowds) Len() int { return len(h) }

func (h crowds) Less(i, j int) bool {
	if a, b := h[i].queue.Len(), h[j].queue.Len(); a != b {
		return a > b
	}
	return h[i].since() < h[j].since()
}

func (h crowds) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *crowds) Push(x any) {
	from, _ := x.(*crowd)
	from.index = len(*h)
	*h = append(*h, from)
}

func (h *crowds) Pop() any {
	last := len(*h) - 1
	from := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return from
}

func (c *crowd) since() uint64 {
	// heap.Remove moves a crowd that has just become empty.
	front := c.queue.Front()
	if front == nil {
		return 0
	}
	first, _ := front.Value.(*connection)
	return first.turn
}
