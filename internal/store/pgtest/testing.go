package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

// ServerVariable names a server to use instead of a private one, where a test
// needs no more than a database. Its user must be allowed to make databases.
const ServerVariable = "TILL_TEST_DATABASE_URL"

// Missing says why there is no server to test with, or is "".
func Missing() string {
	if os.Getenv(ServerVariable) != "" {
		return ""
	}
	if _, err := findTools(); err != nil {
		return "nothing was tested against Postgres: " + err.Error() + ", and " + ServerVariable + " is not set"
	}
	return ""
}

// shared is ended by its watchdog.
var shared = sync.OnceValues(func() (*Cluster, error) { return New(Options{}) })

// Database makes an empty database, on the server of TILL_TEST_DATABASE_URL or on a
// private one that all tests of the process share, and returns its URL.
func Database(t testing.TB) string {
	t.Helper()
	if server := os.Getenv(ServerVariable); server != "" {
		return databaseAt(t, server)
	}
	return Shared(t).Database(t)
}

// Shared returns the private server that the tests of this process share: they
// leave it running.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	needTools(t)
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Database makes an empty database and returns its URL.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name, err := c.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return c.URL(name)
}

func databaseAt(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(ServerVariable + " is not a URL with one host") // the error has the URL in it
	}
	name := fmt.Sprintf("till_%d_%d", os.Getpid(), databases.Add(1))
	if err := execAt(t.Context(), server, createDatabase(name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execAt(context.Background(), server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

// Start starts a server for this test alone, and ends it with the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	needTools(t)
	return closing(t)(New(o))
}

// StartStandby is Standby, ended with the test.
func (c *Cluster) StartStandby(t testing.TB) *Cluster {
	t.Helper()
	return closing(t)(c.Standby())
}

func closing(t testing.TB) func(*Cluster, error) *Cluster {
	return func(c *Cluster, err error) *Cluster {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
}

// StartBouncer is NewBouncer, ended with the test.
func (c *Cluster) StartBouncer(t testing.TB, poolSize int) *Bouncer {
	t.Helper()
	_, err := findBouncer()
	need(t, "nothing was tested behind a pooler", err)
	b, err := c.NewBouncer(poolSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func needTools(t testing.TB) {
	t.Helper()
	_, err := findTools()
	need(t, "nothing was tested against a private server of Postgres", err)
}

// need skips the test, except in CI, where what is missing is a fault.
func need(t testing.TB, left string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case strings.EqualFold(os.Getenv("CI"), "true"):
		t.Fatalf("%s: %v", left, err)
	default:
		t.Skipf("%s: %v", left, err)
	}
}
