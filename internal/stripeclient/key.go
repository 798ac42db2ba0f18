package stripeclient

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// keyPause is how long nothing is sent with a key that Stripe has refused.
const keyPause = 10 * time.Second

var errKeyRefused = errors.New("not sent: Stripe has just refused the key")

// keyGuard leaves Stripe alone when the key has been revoked: after a 401, one call in
// ten seconds finds out whether it is accepted again. What else Stripe answers proves
// that it is.
type keyGuard struct {
	refused atomic.Bool
	mu      sync.Mutex
	// next is when a call may be sent; it counts only while the key is refused.
	next time.Time
}

// allow returns an error for a call that must not be sent now.
func (g *keyGuard) allow(op operation) *Error {
	if !g.refused.Load() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if rest := g.next.Sub(now); rest > 0 {
		return &Error{Operation: op, Status: http.StatusUnauthorized, outcome: outcomeDenied, wait: rest, Err: errKeyRefused}
	}
	g.next = now.Add(keyPause)
	return nil
}

// heard notes the status of an answer.
func (g *keyGuard) heard(status int) {
	switch {
	case status == http.StatusUnauthorized:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.next = time.Now().Add(keyPause)
		g.refused.Store(true)
	case 0 < status && status < http.StatusInternalServerError && g.refused.Load():
		g.refused.Store(false)
	}
}
