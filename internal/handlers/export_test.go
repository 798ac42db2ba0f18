package handlers

import "net"

// Awaits reports whether the connection from a client waits for him, and has read all of
// the bytes that he has sent.
func (s *Connections) Awaits(client net.Addr, sent int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of(client)
	return c != nil && c.read == sent && c.place != nil && !c.deaf && c.blocked.Load() == 1
}

// Looks reports whether the connection from a client is being read from.
func (s *Connections) Looks(client net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.of(client)
	return c != nil && c.blocked.Load() == 1
}

func (s *Connections) of(client net.Addr) *connection {
	for c := range s.open {
		if c.RemoteAddr().String() == client.String() {
			return c
		}
	}
	return nil
}
