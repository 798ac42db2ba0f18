//go:build torture && linux

package torture_test

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"till/internal/customers"
)

// doom is where this process dies. The hooks are wrappers that only this binary has: what
// they stand around is the code that is shipped.
type doom struct {
	point string
	after time.Duration // of what happens during a step
	// stops says that the process is stopped at the point, and goes on when it is let.
	stops bool
	// sealed says that the death is on its way, wherever it meets this process.
	sealed atomic.Bool
}

// here kills the process if this is the point.
func (d *doom) here(point string) {
	switch {
	case d.point != point:
	case d.stops:
		d.point = "" // once
		stop()
	default:
		die()
	}
}

// during kills the process a moment later if this is the point.
func (d *doom) during(point string) {
	if d.point != point {
		return
	}
	d.sealed.Store(true)
	go func() {
		// Sleeping is coarser than what is to be hit.
		for began := time.Now(); time.Since(began) < d.after; {
		}
		die()
	}()
}

// await waits for a death that is on its way.
func (d *doom) await() {
	if d.sealed.Load() {
		select {}
	}
}

// stop returns when the process is let go on. The signal is for this thread: any other
// may have to wait for a processor, and this one would go on meanwhile.
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}

func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // until it arrives
}

// step is one write, with a point before it, one within and one after.
func step[T any](d *doom, name string, do func() (T, error)) (T, error) {
	d.here("before " + name)
	d.during("in " + name)
	got, err := do()
	if err == nil {
		d.here("after " + name)
	}
	return got, err
}

// doomedStore dies around the writes of the protocol.
type doomedStore struct {
	customers.Store
	d *doom
}

func (s *doomedStore) Reserve(ctx context.Context, r customers.Record) (customers.Record, error) {
	return step(s.d, "reserve", func() (customers.Record, error) { return s.Store.Reserve(ctx, r) })
}

func (s *doomedStore) Attempt(ctx context.Context, r customers.Record, at customers.Moment) (customers.Record, error) {
	return step(s.d, "attempt", func() (customers.Record, error) { return s.Store.Attempt(ctx, r, at) })
}

func (s *doomedStore) Activate(ctx context.Context, r customers.Record, c customers.Customer) (customers.Record, error) {
	return step(s.d, "record", func() (customers.Record, error) { return s.Store.Activate(ctx, r, c) })
}

func (s *doomedStore) SpendKey(ctx context.Context, r customers.Record) (customers.Record, error) {
	return step(s.d, "spend", func() (customers.Record, error) { return s.Store.SpendKey(ctx, r) })
}

func (s *doomedStore) Supersede(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return step(s.d, "supersede", func() (customers.Record, error) { return s.Store.Supersede(ctx, r, next) })
}

func (s *doomedStore) Heal(ctx context.Context, r, next customers.Record) (customers.Record, error) {
	return step(s.d, "heal", func() (customers.Record, error) { return s.Store.Heal(ctx, r, next) })
}

func (s *doomedStore) Due(ctx context.Context, a customers.Account, before time.Time, limit int) ([]customers.Record, error) {
	return step(s.d, "due", func() ([]customers.Record, error) { return s.Store.Due(ctx, a, before, limit) })
}

// doomedStripe dies around the call that makes a customer.
type doomedStripe struct {
	customers.Stripe
	d    *doom
	wire *wire
}

func (s *doomedStripe) CreateCustomer(ctx context.Context, c customers.NewCustomer) (customers.Created, error) {
	s.wire.armed.Store(true)
	defer s.wire.armed.Store(false)
	return step(s.d, "call", func() (customers.Created, error) { return s.Stripe.CreateCustomer(ctx, c) })
}

// wire dies on the connection: once the request is written, and once the answer has
// arrived and nobody has read it.
type wire struct {
	d     *doom
	armed atomic.Bool
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return &doomedConn{conn, w}, err
}

type doomedConn struct {
	net.Conn
	wire *wire
}

// Write implements net.Conn.
func (c *doomedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.wire.armed.Load() {
		c.wire.d.here("request written")
	}
	return n, err
}

// Read implements net.Conn.
func (c *doomedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.wire.armed.Load() && n > 0 {
		c.wire.d.here("answer arrived")
	}
	return n, err
}
