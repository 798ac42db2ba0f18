package handlers

import (
	"context"
	"net"
	"time"
)

const (
	// underway is what a handshake takes that has begun when no new one is answered.
	underway = 200 * time.Millisecond
	// quiet is for how long nobody has asked anything before idle connections are closed.
	quiet = time.Second
)

// Drain has every answer be the last on its connection, so that whoever keeps connections
// open, as load balancers do, has none to this process by and by. Nothing is closed that
// somebody might be sending a request on.
func (s *Connections) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Stop ends the listener without losing what is under way to it, and returns when there are
// no idle connections, or nobody has asked anything for a second, or ctx has ended: then the
// server can be shut down, which closes idle ones at once.
//
// A listener that is closed resets the connections that nobody has accepted, also those that
// a client has sent a request on already. So at first new ones are not answered, where the
// system can do that; clients ask again after a second, and are then turned away before
// they have sent anything.
func (s *Connections) Stop(ctx context.Context) error {
	turnAway(s.Listener)
	pause(ctx, underway)
	s.mu.Lock()
	s.stopped = true
	s.left = leftOver(s.Listener)
	s.mu.Unlock()
	s.changed.Broadcast()
	err := s.Listener.Close()
	for asked := -1; ctx.Err() == nil; pause(ctx, quiet) {
		s.mu.Lock()
		last, idle := s.requests, s.waiting.number
		s.mu.Unlock()
		if idle == 0 || last == asked {
			break
		}
		asked = last
	}
	return err
}

// next is the next connection of those that were left over. When there is none it waits for
// the server to close its listener: to the server, one that fails is the end.
func (s *Connections) next() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) > 0 {
		conn := s.left[0]
		s.left = s.left[1:]
		return conn
	}
	for s.stopped && !s.closed {
		s.changed.Wait()
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
