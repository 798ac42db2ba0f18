// Package pgtest runs private servers of Postgres, and PgBouncer in front of them,
// for tests and for programs that torture the store:
//
//	url := pgtest.Database(t)             // a new database on a server that tests share
//	c := pgtest.Start(t, pgtest.Options{}) // a server to stop, kill and promote
//
// New and the methods of Cluster do without testing.T. A server lives in a folder
// of its own below /tmp; both are gone when the process that started it is, however
// it ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// The superuser of every cluster. Connections by TCP need the password.
const (
	User     = "till"
	Password = "pgtest"
)

// Options are how a server differs from one that is made for tests.
type Options struct {
	// Fsync makes commits survive a loss of power, and slow.
	Fsync bool
	// Settings go into postgresql.conf.
	Settings map[string]string
}

// Cluster is a server and its folder.
type Cluster struct {
	// Port is that of 127.0.0.1 and of the socket in Folder.
	Port int
	// Folder holds the socket, the data and the log.
	Folder string

	options  Options
	tools    tools
	server   *process
	watchdog *watchdog
}

// Mode is a way to stop a server.
type Mode syscall.Signal

// Fast ends the sessions and shuts down. Immediate is a crash without a loss of
// power: the next start recovers.
const (
	Fast      = Mode(syscall.SIGINT)
	Immediate = Mode(syscall.SIGQUIT)
)

// New makes a cluster and starts its server. Close ends it.
func New(o Options) (*Cluster, error) {
	c, err := prepare(o)
	if err != nil {
		return nil, err
	}
	password := filepath.Join(c.Folder, "password")
	if err = c.tools.write(password, Password+"\n"); err == nil {
		err = c.tools.run(c.Folder, "initdb", "-D", c.data(), "-U", User, "--pwfile", password, "--auth-local=trust",
			"--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	}
	return c.launch(err)
}

// Standby makes a copy of the running server that follows it, some moments behind.
func (c *Cluster) Standby() (*Cluster, error) {
	standby, err := prepare(c.options)
	if err != nil {
		return nil, err
	}
	err = standby.tools.run(standby.Folder, "pg_basebackup", "-D", standby.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-h", c.Folder, "-p", strconv.Itoa(c.Port), "-U", User)
	return standby.launch(err)
}

// prepare makes the folder, which dies with this process.
func prepare(o Options) (*Cluster, error) {
	t, err := findTools()
	if err != nil {
		return nil, err
	}
	folder, err := t.folder()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Folder: folder, options: o, tools: t}
	if c.watchdog, err = guard(folder); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return c, nil
}

// launch starts the server for the first time, on a port that nobody has.
func (c *Cluster) launch(err error) (*Cluster, error) {
	for range 3 {
		if err != nil {
			break
		}
		if c.Port, err = freePort(); err != nil {
			break
		}
		if err = c.Start(); err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, c.Close())
}

func (c *Cluster) data() string { return filepath.Join(c.Folder, "data") }

// Start starts the server after Stop or Kill, on the same port and data.
func (c *Cluster) Start() error {
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(c.Port), "unix_socket_directories": c.Folder,
		"max_connections": "200", "shared_buffers": "32MB", "max_wal_senders": "4", "wal_level": "replica", "hot_standby": "on",
		"fsync": onOff(c.options.Fsync), "full_page_writes": onOff(c.options.Fsync),
		"log_line_prefix": "%m [%p] ", "restart_after_crash": "on",
	}
	for name, value := range c.options.Settings {
		settings[name] = value
	}
	args := []string{"-D", c.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	server, err := c.tools.start(c.Folder, c.tools.path("postgres"), args...)
	if err != nil {
		return err
	}
	c.server = server
	return c.server.await("the server", func(ctx context.Context) error { return c.Exec(ctx, "postgres", "SELECT 1") })
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Stop shuts the server down and waits for its end.
func (c *Cluster) Stop(m Mode) error { return c.server.end(syscall.Signal(m)) }

// Kill ends all processes of the server at once, as a crash of the machine would;
// what the kernel has of its files survives.
func (c *Cluster) Kill() error {
	err := c.server.killFamily()
	return errors.Join(err, ignoreMissing(os.Remove(filepath.Join(c.data(), "postmaster.pid"))))
}

// StartReadOnly starts a server that was stopped or killed as a standby of nobody: it
// answers and takes no writes, as an old primary that was fenced.
func (c *Cluster) StartReadOnly() error {
	if err := c.tools.write(filepath.Join(c.data(), "standby.signal"), ""); err != nil {
		return err
	}
	return c.Start()
}

// Promote makes a standby a primary.
func (c *Cluster) Promote() error {
	return c.withTimeout(func(ctx context.Context) error { return c.Exec(ctx, "postgres", "SELECT pg_promote(true, 30)") })
}

// Detach makes a standby miss what its primary does from now on: Promote then
// loses it, as a standby that was some moments behind would.
func (c *Cluster) Detach() error {
	return c.withTimeout(func(ctx context.Context) error {
		for _, statement := range []string{"ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"} {
			if err := c.Exec(ctx, "postgres", statement); err != nil {
				return err
			}
		}
		for {
			var receivers int
			if err := c.QueryRow(ctx, "postgres", "SELECT count(*) FROM pg_stat_wal_receiver", &receivers); err != nil || receivers == 0 {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// Close ends the server and removes its folder.
func (c *Cluster) Close() error {
	var err error
	if c.server != nil {
		err = c.server.end(syscall.SIGQUIT)
	}
	return errors.Join(err, c.watchdog.dismiss())
}

// URL is a database of the server, by TCP.
func (c *Cluster) URL(database string) string { return URL(database, c) }

// URL is a database that several servers may have; the first that takes writes is it.
func URL(database string, servers ...*Cluster) string {
	var hosts string
	for i, c := range servers {
		if i > 0 {
			hosts += ","
		}
		hosts += net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))
	}
	return "postgres://" + User + ":" + Password + "@" + hosts + "/" + database + "?sslmode=disable"
}

// SocketURL is a database of the server, by its socket, where no password is asked.
func (c *Cluster) SocketURL(database string) string {
	q := url.Values{"host": {c.Folder}, "port": {strconv.Itoa(c.Port)}, "user": {User}}
	return "postgres:///" + database + "?" + q.Encode()
}

var databases atomic.Int64

// NewDatabase makes an empty database and returns its name.
func (c *Cluster) NewDatabase() (name string, err error) {
	name = fmt.Sprintf("till_%d_%d", os.Getpid(), databases.Add(1))
	err = c.withTimeout(func(ctx context.Context) error { return c.Exec(ctx, "postgres", createDatabase(name)) })
	return name, err
}

// createDatabase copies template0, which nobody is connected to.
func createDatabase(name string) string {
	return "CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'"
}

// Exec runs one statement as the superuser.
func (c *Cluster) Exec(ctx context.Context, database, statement string) error {
	return execAt(ctx, c.SocketURL(database), statement)
}

func execAt(ctx context.Context, databaseURL, statement string) error {
	return connected(ctx, databaseURL, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

// QueryRow scans the one row of a query of the superuser.
func (c *Cluster) QueryRow(ctx context.Context, database, query string, dest ...any) error {
	return connected(ctx, c.SocketURL(database), func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, query).Scan(dest...)
	})
}

func connected(ctx context.Context, databaseURL string, use func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return use(conn)
}

func (c *Cluster) withTimeout(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return call(ctx)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
