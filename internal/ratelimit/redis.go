package ratelimit

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"till/internal/secret"
)

// patience is how long one question to Redis may take, whatever it waits for: a
// connection, the server, the answer.
const patience = 20 * time.Millisecond

// prefix begins every key of ours.
const prefix = "till:"

// errDown is the answer without a question, while Redis is known not to answer.
var errDown = errors.New("redis does not answer")

// Redis is a server that replicas share. It counts as gone from the first question that
// it does not answer in time and in kind, until it has answered one of Run's: nobody
// waits for it in between. It is safe for concurrent use.
type Redis struct {
	client *redis.Client
	// patience is how long one question may take.
	patience time.Duration
	gone     atomic.Bool
	losses   atomic.Uint64
	// news wakes Run with the reason of a loss.
	news chan error
}

// OpenRedis returns the server at a URL: redis://user:password@host:port/database, or
// rediss:// for TLS. It opens no connection. The error does not hold the URL, which is a
// secret.
func OpenRedis(at secret.Secret) (*Redis, error) {
	options, err := redisOptions(at)
	if err != nil {
		return nil, err
	}
	// The library would write lines of its own to standard error; what matters of them
	// comes back as errors.
	logging.Disable()
	return &Redis{client: redis.NewClient(options), patience: patience, news: make(chan error, 1)}, nil
}

// Close closes the connections.
func (r *Redis) Close() error { return r.client.Close() }

// CheckRedisURL says what is wrong with a URL, and how to write it instead.
func CheckRedisURL(at secret.Secret) error {
	_, err := redisOptions(at)
	return err
}

// redisOptions reads the URL by itself: the library's own parser has the password in its
// errors, takes an absent host for this one, and dozens of its options from the query.
func redisOptions(at secret.Secret) (*redis.Options, error) {
	u, err := url.Parse(at.Reveal())
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return nil, errors.New("does not begin with redis:// or rediss://")
	case u.Hostname() == "":
		return nil, errors.New("names no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has more than a user, a password, a host, a port and a database")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("has a port that is none")
	}
	database, err := databaseOf(u.Path)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	o := &redis.Options{
		Addr: net.JoinHostPort(u.Hostname(), port), DB: database, Username: u.User.Username(), Password: password,
		Protocol: 2, ContextTimeoutEnabled: true,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience,
		// One try: a second one would cost the caller as much again.
		MaxRetries: -1, DialerRetries: 1,
		// Ours are short, and there are at most a few dozen at a time.
		PoolSize: 32, MinIdleConns: 2, ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if u.Scheme == "rediss" {
		o.TLSConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

func databaseOf(path string) (int, error) {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return 0, errors.New("has a path that is no number of a database")
	}
	return int(n), nil
}

// ask runs a script, unless Redis counts as gone. An error means that nothing is known:
// the script may have run all the same.
func (r *Redis) ask(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	if r.gone.Load() {
		return nil, errDown
	}
	return r.run(ctx, script, keys, args...)
}

func (r *Redis) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	asking, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	answer, err := script.Run(asking, r.client, keys, args...).Result()
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil: // who has hung up says nothing of Redis
		return nil, err
	default:
		return nil, r.lost(err)
	}
}

// lost notes that Redis is gone, and why. It returns the error.
func (r *Redis) lost(err error) error {
	if r.gone.CompareAndSwap(false, true) {
		r.losses.Add(1)
		select {
		case r.news <- err:
		default: // Run has not come round to the last one yet
		}
	}
	return err
}
