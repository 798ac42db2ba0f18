package handlers

import (
	"container/list"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// connection is one of a server. It waits for its client while somebody reads from it who
// has nothing else to do, or writes to it.
type connection struct {
	*net.TCPConn
	all  *Connections
	from netip.Prefix
	// proxy is whether the operator vouches for who has opened it.
	proxy bool
	// busy is whether a whole request is being worked on.
	busy bool
	// idle is whether nothing has come since the last answer.
	idle bool
	// whole is whether net/http has read all of the present request, and nobody may have
	// begun to work on it.
	whole bool
	// deaf is whether what comes is not being read: an answer is being written, or was
	// the last one.
	deaf bool
	// blocked is how many calls of the kernel are under way, which may wait there.
	blocked atomic.Int32
	// place is where in which line it waits, and since when; nil while it does not.
	place *list.Element
	line  *list.List
	since time.Time
	// resting is for how long nothing is read next, see refused; before the answer is
	// written that is only asked. inRow is how many requests in a row were refused.
	resting, asked time.Duration
	inRow          int
	// unread is how long the present request may have been left there, in nanoseconds.
	unread atomic.Int64
	// read is how many bytes have come from the client.
	read int
}

type connectionKey struct{}

// hasMore reports whether it is really our turn: what the client has sent is there, and
// who waits for it has only not come to it yet.
func (c *connection) hasMore() bool {
	// In this order: what is not there may have been read a moment ago.
	return !c.deaf && arrived(c.TCPConn) || c.blocked.Load() == 0
}

// waits says that it is the client's turn: from now on, unless it is already. It returns
// for how long nothing is to be read.
func (c *connection) waits() (rest time.Duration) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.place == nil && !c.busy && !c.whole && !c.deaf {
		c.all.begin(c)
	}
	if !c.idle || c.all.draining {
		return 0
	}
	rest, c.resting = c.resting, 0
	return rest
}

// hears says that a request has begun to come, or goes on: it is idle no longer.
func (c *connection) hears(bytes int) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.read += bytes
	if c.idle && !c.deaf {
		c.all.waiting.remove(c)
	}
	c.idle = false
}

// works says that it is our turn, and whether the answer is to be the last: there are as
// many connections as there may be, or the end has come. If busy, it is whatever may be read meanwhile: net/http looks whether the client is
// still there.
func (c *connection) works(busy bool) (last bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.busy, c.idle = busy, false
	c.all.requests++
	c.all.waiting.remove(c)
	return c.all.full() || c.all.draining
}

// answers says that the answer to the present request goes out. net/http reads a body to its
// end before that, so that the connection can go on; what of it has not been read by now has
// little time.
func (c *connection) answers() {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	read := c.busy
	c.all.mu.Unlock()
	if !read {
		_ = c.SetReadDeadline(time.Now().Add(restLimit)) // what is closed needs none
	}
}

// rests says that a request has its answer, but for what is still to be written.
func (c *connection) rests() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.busy, c.idle = false, true
	c.unread.Store(0)
	c.all.waiting.remove(c)
}

// SetReadDeadline also says whose turn it is: net/http sets none when it has read a whole
// request, before it looks meanwhile whether the client is still there, and one when it
// wants to hear more. Until the handler is called, that can take as long as others hold the
// processor.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.all.mu.Lock()
	if c.whole = t.IsZero(); c.whole {
		c.all.waiting.remove(c)
	}
	c.all.mu.Unlock()
	return c.TCPConn.SetReadDeadline(t)
}

// Read waits for as long as it takes until a request is whole.
func (c *connection) Read(p []byte) (int, error) {
	// In this order: who is seen to wait is waiting.
	c.blocked.Add(1)
	c.leave(c.waits())
	n, err := c.TCPConn.Read(p)
	c.blocked.Add(-1)
	if n > 0 {
		c.hears(n)
	}
	return n, err
}

// Write waits for the client when it takes long.
func (c *connection) Write(p []byte) (int, error) {
	c.tells(true)
	defer c.tells(false)
	c.blocked.Add(1)
	defer c.blocked.Add(-1)
	return c.TCPConn.Write(p)
}

// ReadFrom is Write, of a file.
func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	c.tells(true)
	defer c.tells(false)
	c.blocked.Add(1)
	defer c.blocked.Add(-1)
	return c.TCPConn.ReadFrom(r)
}

// tells says that an answer begins to be written, or is written. One that fits into the
// kernel's buffer is so before its grace is over.
func (c *connection) tells(begins bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.deaf = begins
	c.all.waiting.remove(c)
	if begins {
		c.all.begin(c)
		return
	}
	c.resting, c.asked = c.asked, 0
}

// CloseWrite is the last that is said; net/http then gives the client half a second.
func (c *connection) CloseWrite() error {
	c.tells(true)
	c.blocked.Add(1)
	return c.TCPConn.CloseWrite()
}

// Close gives the place back.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.waiting.remove(c)
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
		if c.works(!hasBody) {
			w.Header().Set("Connection", "close")
		}
		if hasBody {
			with := *r
			with.Body = arriving{r.Body, c}
			r = &with
		}
		defer c.rests()
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
