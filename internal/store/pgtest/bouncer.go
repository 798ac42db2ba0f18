package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Bouncer is PgBouncer in front of a cluster, in transaction mode: two statements
// of one client may run on different connections to the server.
type Bouncer struct {
	Port int

	folder   string
	server   *process
	watchdog *watchdog
}

const bouncerConfig = `[databases]
* = host=%s port=%d user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
pidfile = %s/bouncer.pid
`

// NewBouncer starts PgBouncer with poolSize connections per database.
func (c *Cluster) NewBouncer(poolSize int) (*Bouncer, error) {
	program, err := findBouncer()
	if err != nil {
		return nil, err
	}
	b := new(Bouncer)
	if b.folder, err = c.tools.folder(); err != nil {
		return nil, err
	}
	if b.watchdog, err = guard(b.folder); err != nil {
		return nil, err
	}
	if b.Port, err = freePort(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	config := filepath.Join(b.folder, "bouncer.ini")
	text := fmt.Sprintf(bouncerConfig, c.Folder, c.Port, User, b.Port, poolSize, b.folder)
	if err := c.tools.write(config, text); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if b.server, err = c.tools.start(b.folder, program, config); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	err = b.server.await("PgBouncer", func(ctx context.Context) error {
		return execAt(ctx, b.URL("postgres")+"&default_query_exec_mode=simple_protocol", "SELECT 1")
	})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func findBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("pgbouncer is neither in PATH nor in /usr/sbin")
}

// URL is a database of the server behind it.
func (b *Bouncer) URL(database string) string {
	return "postgres://" + User + ":" + Password + "@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Port)) + "/" + database + "?sslmode=disable"
}

// Close ends it.
func (b *Bouncer) Close() error {
	var err error
	if b.server != nil {
		err = b.server.end(syscall.SIGQUIT)
	}
	return errors.Join(err, b.watchdog.dismiss())
}
