package stripeclient

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// counted dials, and counts what is open and what was ever opened.
func counted(dial dialFunc, open prometheus.Gauge, opened prometheus.Counter) dialFunc {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Inc()
		opened.Inc()
		return &countedConn{Conn: conn, closed: sync.OnceFunc(open.Dec)}, nil
	}
}

type countedConn struct {
	net.Conn
	closed func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
