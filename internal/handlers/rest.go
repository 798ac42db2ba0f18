package handlers

import (
	"context"
	"time"
)

// connectionOf returns the connection of a request; nil if it is none of Connections.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// admitted says that the present request is being served.
func (c *connection) admitted() {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.inRow = 0
}

// refused says that the present request is refused for want of the processor. After the
// answer nothing is read for as long as rest says to so many refusals in a row.
func (c *connection) refused(rest func(inRow int) time.Duration) {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.inRow++
	c.asked = rest(c.inRow)
}

// waited is how long the present request may have been left in the kernel.
func (c *connection) waited() time.Duration {
	if c == nil {
		return 0
	}
	return time.Duration(c.unread.Load())
}

// leave leaves what comes unread for a while.
func (c *connection) leave(rest time.Duration) {
	if rest == 0 {
		return
	}
	time.Sleep(rest)
	if arrived(c.TCPConn) {
		c.unread.Store(int64(rest))
	}
}
