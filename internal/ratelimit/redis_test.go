package ratelimit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/ratelimit"
	"till/internal/ratelimit/redistest"
	"till/internal/secret"
)

// Redis has a clock of its own, so the limits of these tests are such that nothing comes
// back while one runs: five at once, and then one in minutes.
const slow = 5

func open(t testing.TB, at secret.Secret) *ratelimit.Redis {
	t.Helper()
	return closing(t)(ratelimit.OpenRedis(at))
}

func openPatient(t testing.TB, at secret.Secret) *ratelimit.Redis {
	t.Helper()
	return closing(t)(ratelimit.OpenPatient(at, nil))
}

func closing(t testing.TB) func(*ratelimit.Redis, error) *ratelimit.Redis {
	return func(r *ratelimit.Redis, err error) *ratelimit.Redis {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
}

func patient(t testing.TB, s *redistest.Server) *ratelimit.Redis {
	t.Helper()
	return openPatient(t, s.URL())
}

// admitted is how many of n writes are let through.
func admitted(t testing.TB, l *ratelimit.Limits, owner string, n int) (ok int) {
	t.Helper()
	for range n {
		if wait(t, l.Write(t.Context(), owner)) == 0 {
			ok++
		}
	}
	return ok
}

func do(t testing.TB, s *redistest.Server, command ...any) any {
	t.Helper()
	answer, err := s.Do(command...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func keys(t testing.TB, s *redistest.Server) (names []string) {
	t.Helper()
	list, _ := do(t, s, "KEYS", "*").([]any)
	for _, name := range list {
		names = append(names, fmt.Sprint(name))
	}
	return names
}

func TestReplicasShareALimit(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	var all sync.WaitGroup
	var ok atomic.Int64
	for range 3 {
		l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Replicas: 3, Redis: patient(t, s), Salt: "salt"})
		for range 4 {
			all.Go(func() { ok.Add(int64(admitted(t, l, "alice", 5))) })
		}
	}
	all.Wait()
	if got := ok.Load(); got != slow {
		t.Errorf("three processes admitted %d of a burst of %d", got, slow)
	}
}

func TestKeysSayNothingAndDoNotStay(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	r := patient(t, s)
	for _, salt := range []string{"one", "two"} {
		l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, AddressPerMinute: slow, Redis: r, Salt: salt})
		if err := l.Request(t.Context(), netip.MustParsePrefix("192.0.2.1/32")); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	names := keys(t, s)
	if len(names) != 4 { // another salt, other names
		t.Errorf("got keys %q", names)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "till:") || strings.Contains(name, "alice") || strings.Contains(name, "192") {
			t.Errorf("a key says whom it is about: %s", name)
		}
		if ttl, _ := do(t, s, "PTTL", name).(int64); ttl <= 0 || ttl > 5*60_000 {
			t.Errorf("%s stays for %d ms", name, ttl)
		}
	}
}

// What a process knows for certain makes up for what Redis has lost.
func TestWhatRedisForgetsIsNotForgotten(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*testing.T, *redistest.Server){
		"a restart": func(t *testing.T, s *redistest.Server) {
			t.Helper()
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		},
		"an eviction": func(t *testing.T, s *redistest.Server) { t.Helper(); do(t, s, "FLUSHALL") },
		"a script":    func(t *testing.T, s *redistest.Server) { t.Helper(); do(t, s, "SCRIPT", "FLUSH") },
		"another type": func(t *testing.T, s *redistest.Server) {
			t.Helper()
			for _, key := range keys(t, s) {
				do(t, s, "DEL", key)
				do(t, s, "LPUSH", key, "1")
			}
		},
		"nonsense": func(t *testing.T, s *redistest.Server) {
			t.Helper()
			for _, key := range keys(t, s) {
				do(t, s, "SET", key, "nan")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.Options{})
			r := patient(t, s)
			var now clock
			l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: r, Now: now.now})
			if got := admitted(t, l, "alice", 3); got != 3 {
				t.Fatalf("%d of 3", got)
			}
			forget(t, s)
			if err := r.Probe(t.Context()); err != nil { // a connection may be dead, and that is found out once
				t.Logf("probe: %v", err)
				if err := r.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := admitted(t, l, "alice", 5); got != 2 {
				t.Errorf("%d more were admitted, want 2", got)
			}
			if r.Gone() {
				t.Error("and Redis counts as gone")
			}
		})
	}
}

// The local share, in each way that Redis can be there and be of no use.
func TestWithoutRedisEachKeepsToItsShare(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*redistest.Server) error{
		"gone":   (*redistest.Server).Stop,
		"frozen": (*redistest.Server).Freeze,
		"full": func(s *redistest.Server) error {
			_, err := s.Do("CONFIG", "SET", "maxmemory", "1")
			return err
		},
		"read-only": func(s *redistest.Server) error {
			_, err := s.Do("REPLICAOF", "127.0.0.1", "1")
			return err
		},
		"closed to us": func(s *redistest.Server) error {
			_, err := s.Do("ACL", "SETUSER", "default", "-eval", "-evalsha")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.Options{})
			if err := spoil(s); err != nil {
				t.Fatal(err)
			}
			r := open(t, s.URL())
			var now clock
			l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 60, Replicas: 2, Redis: r, Now: now.now})
			if got := admitted(t, l, "alice", 20); got != 5 {
				t.Errorf("%d of a share of 5 were admitted", got)
			}
			if !r.Gone() {
				t.Error("Redis does not count as gone")
			}
			if err := r.Probe(t.Context()); err == nil {
				t.Error("a probe finds nothing wrong")
			}
		})
	}
}

// The switch in both directions: what was counted by all counts in the share, and what
// was counted in the share is not forgotten afterwards.
func TestALossOfRedisIsNoSecondBurst(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	r := patient(t, s)
	var now clock
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: r, Now: now.now})
	got := admitted(t, l, "alice", 2)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	got += admitted(t, l, "alice", 2)
	if !r.Gone() {
		t.Error("nobody has noticed that Redis is gone")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for r.Probe(t.Context()) != nil {
	}
	got += admitted(t, l, "alice", 5)
	if got != slow || r.Gone() {
		t.Errorf("%d of a burst of %d were admitted", got, slow)
	}
}

// The share is of what is left, not of the whole: two processes that have both lost
// Redis would give out twice what the caller has had already.
func TestAShareIsOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	r := patient(t, s)
	var now clock
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Replicas: 2, Redis: r, Now: now.now})
	if got := admitted(t, l, "alice", 2); got != 2 {
		t.Fatalf("%d of 2", got)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := admitted(t, l, "alice", 5); got != 0 {
		t.Errorf("%d more were admitted", got)
	}
	if got := admitted(t, l, "bob", 5); got != 2 {
		t.Errorf("somebody else was admitted %d times, want the share of 2", got)
	}
}

func TestWhoIsGoneIsNotAsked(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	r := patient(t, s)
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: r})
	do(t, s, "REPLICAOF", "127.0.0.1", "1")
	for n := range 100 {
		if err := l.Write(t.Context(), fmt.Sprint("owner ", n)); err != nil {
			t.Fatal(err)
		}
	}
	// The script is sent by its hash and then whole, once.
	if stats := fmt.Sprint(do(t, s, "INFO", "commandstats")); !strings.Contains(stats, "cmdstat_evalsha:calls=1,") {
		t.Errorf("Redis was asked more than once:\n%s", stats)
	}
}

// Who is refused costs no question, however often he asks: only what a process does not
// know is asked.
func TestARefusalIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	var now clock
	first := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: patient(t, s), Now: now.now})
	second := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: patient(t, s), Now: now.now})
	if got := admitted(t, first, "alice", slow); got != slow {
		t.Fatalf("%d of %d", got, slow)
	}
	do(t, s, "CONFIG", "RESETSTAT")
	if got := admitted(t, first, "alice", 100) + admitted(t, second, "alice", 100); got != 0 {
		t.Errorf("%d more were admitted", got)
	}
	stats := fmt.Sprint(do(t, s, "INFO", "commandstats"))
	if !strings.Contains(stats, "cmdstat_evalsha:calls=1,") {
		t.Errorf("200 refusals asked Redis more than once:\n%s", stats)
	}
}

func TestWhoHangsUpSaysNothingOfRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	r := patient(t, s)
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: slow, Redis: r})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(gone, "alice"); err != nil {
		t.Error(err)
	}
	if r.Gone() {
		t.Error("Redis counts as gone")
	}
}

func TestPasswordsUsersDatabasesAndTLS(t *testing.T) {
	t.Parallel()
	t.Run("password and database", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t, redistest.Options{Settings: map[string]string{"requirepass": "canary/#?"}})
		r := openPatient(t, secret.New(s.URL().Reveal()+"/3"))
		if err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if info := fmt.Sprint(do(t, s, "INFO", "keyspace")); !strings.Contains(info, "db3:") {
			t.Errorf("not in database 3: %s", info)
		}
	})
	t.Run("user", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t, redistest.Options{})
		do(t, s, "ACL", "SETUSER", "till", "on", ">canary", "~till:*", "+eval", "+evalsha", "+get", "+set", "+time")
		do(t, s, "ACL", "SETUSER", "default", "off")
		host := strings.TrimPrefix(s.URL().Reveal(), "redis://")
		if err := openPatient(t, secret.New("redis://till:canary@"+host)).Probe(t.Context()); err != nil {
			t.Error(err)
		}
		err := openPatient(t, secret.New("redis://till:wrong-canary@"+host)).Probe(t.Context())
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("a wrong password: %v", err)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t, redistest.Options{TLS: true})
		text, err := os.ReadFile(s.Roots)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		if err := closing(t)(ratelimit.OpenPatient(s.URL(), roots)).Probe(t.Context()); err != nil {
			t.Error(err)
		}
		if err := openPatient(t, s.URL()).Probe(t.Context()); err == nil {
			t.Error("a certificate that nobody vouches for was accepted")
		}
	})
}

// speaks is a server that answers every command with what was written for it.
func speaks(t *testing.T, answer string) secret.Secret {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for in := bufio.NewReader(conn); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					switch name := strings.ToLower(strings.TrimSpace(line)); name {
					case "hello", "client", "select":
						_, err = conn.Write([]byte("-ERR unknown command\r\n"))
					case "evalsha", "eval":
						_, err = conn.Write([]byte(answer))
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return secret.New("redis://" + l.Addr().String())
}

func TestNonsenseIsNoAnswer(t *testing.T) {
	t.Parallel()
	var now clock
	for _, answer := range []string{
		":1\r\n", "+OK\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "*1\r\n:1\r\n", "*2\r\n:2\r\n:0\r\n", "*2\r\n:-1\r\n:0\r\n",
		"*2\r\n:1\r\n:-1\r\n", "*2\r\n:0\r\n:99999999999999\r\n", "*2\r\n$1\r\n1\r\n:0\r\n", "*2\r\n:1\r\n$1\r\n0\r\n",
		"*3\r\n:1\r\n:0\r\n:0\r\n", "*2\r\n:1\r\n*0\r\n", "-ERR no\r\n", "-NOSCRIPT no\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x00\x00\r\n",
		"", "*2\r\n:1\r\n$9\r\n1",
	} {
		opened := openPatient
		if !strings.HasSuffix(answer, "\n") { // it has no end
			opened = open
		}
		r := opened(t, speaks(t, answer))
		l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 60, Replicas: 2, Redis: r, Now: now.now})
		if got := admitted(t, l, "alice", 20); got != 5 || !r.Gone() {
			t.Errorf("%q: %d of a share of 5 were admitted, and Redis counts as gone: %v", answer, got, r.Gone())
		}
	}
	// So that what is above is no failure of the server.
	r := openPatient(t, speaks(t, "*2\r\n:1\r\n:0\r\n"))
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 60, Replicas: 2, Redis: r, Now: now.now})
	if got := admitted(t, l, "alice", 20); got != 20 || r.Gone() {
		t.Errorf("a server that always says yes admits %d of 20", got)
	}
}

// One line per change, and a metric.
func TestALossIsSaidOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{Settings: map[string]string{"requirepass": "canary"}})
	r := patient(t, s)
	registry := prometheus.NewPedanticRegistry()
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 600, Redis: r, Metrics: registry})
	var out safeBuffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, slog.New(slog.NewTextHandler(&out, nil))) }()

	await(t, "there", func() bool { return value(t, registry, "till_redis_up") == 1 && len(keys(t, s)) > 0 })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	await(t, "gone", func() bool {
		admitted(t, l, "alice", 1)
		return strings.Contains(out.String(), "redis does not answer")
	})
	if value(t, registry, "till_redis_up") != 0 || value(t, registry, "till_redis_losses_total") != 1 {
		t.Error("the metrics do not say so")
	}
	admitted(t, l, "alice", 50)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "back", func() bool { return strings.Contains(out.String(), "redis answers") })
	if value(t, registry, "till_redis_up") != 1 {
		t.Error("the metric does not say that it is back")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 || strings.Contains(out.String(), "canary") {
		t.Errorf("the log:\n%s", out.String())
	}
}

func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never " + what)
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func BenchmarkWriteInRedis(b *testing.B) {
	s := redistest.Start(b, redistest.Options{})
	l := limits(b, ratelimit.Options{OwnerWritesPerMinute: 1 << 25, Redis: patient(b, s)})
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Write(b.Context(), "Ze3BErGC7Z1N6efNaWTc3r35_FuTjYedKFH3lgZruHI")
	}
}
