// Package redistest runs private servers of Redis for tests and for programs that
// torture what needs one:
//
//	server := redistest.Start(t, redistest.Options{}) // a server to stop, freeze and fill
//	redis, err := ratelimit.OpenRedis(server.URL())
//
// New and the methods of Server do without testing.T. A server keeps nothing, lives in
// a folder of its own below /tmp, and both are gone when the process that started it
// is, however it ends.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"till/internal/secret"
)

// patience is for machines that do much else.
const patience = 60 * time.Second

// Options are how a server differs from one that lets everybody in.
type Options struct {
	// Settings go to the server as options, without the dashes: maxmemory, requirepass.
	Settings map[string]string
	// TLS makes the server speak nothing else, with a certificate that nobody knows
	// but Server.Roots.
	TLS bool
}

// Server is a server and its folder.
type Server struct {
	// Port is that of 127.0.0.1.
	Port int
	// Folder holds the log, and Roots the certificate if there is one.
	Folder, Roots string

	options  Options
	settings map[string]string
	shell    *exec.Cmd
	life     io.WriteCloser
	pid      int
}

// New starts a server. Close ends it.
func New(o Options) (*Server, error) {
	if _, err := find(); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "till-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{Folder: folder, options: o, settings: map[string]string{
		"bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder, "logfile": filepath.Join(folder, "log"),
	}}
	for name, value := range o.Settings {
		s.settings[name] = value
	}
	for range 3 {
		if s.Port, err = freePort(); err != nil {
			break
		}
		if err = s.listen(); err != nil {
			break
		}
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, s.Close())
}

// listen says where and how.
func (s *Server) listen() error {
	if !s.options.TLS {
		s.settings["port"] = strconv.Itoa(s.Port)
		return nil
	}
	s.settings["port"], s.settings["tls-port"], s.settings["tls-auth-clients"] = "0", strconv.Itoa(s.Port), "no"
	s.Roots = filepath.Join(s.Folder, "cert.pem")
	key := filepath.Join(s.Folder, "key.pem")
	s.settings["tls-cert-file"], s.settings["tls-key-file"] = s.Roots, key
	return certify(s.Roots, key)
}

// The shell waits for a word. When this process ends without one, it cleans up.
const run = `folder=$1
shift
"$@" >/dev/null 2>&1 &
echo $!
read -r word
kill -KILL $! 2>/dev/null
wait $! 2>/dev/null
[ "$word" = stop ] || rm -rf "$folder"`

// Start starts the server after Stop, on the same port and empty.
func (s *Server) Start() error {
	program, err := find()
	if err != nil {
		return err
	}
	args := []string{"-c", run, "sh", s.Folder, program}
	for name, value := range s.settings {
		args = append(args, "--"+name, value)
	}
	s.shell = exec.Command("sh", args...) //nolint:noctx,gosec // it outlives every context; the program is the one that find found
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := s.shell.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.shell.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.shell.Start(); err != nil {
		return err
	}
	s.life = life
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return errors.Join(err, s.Stop())
	}
	return s.await()
}

// await waits until the server answers, be it that it lets nobody in.
func (s *Server) await() error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(s.settings["logfile"])
		if strings.Contains(string(text), "eady to accept connections") {
			return nil
		}
		if syscall.Kill(s.pid, 0) != nil || time.Now().After(end) {
			return errors.Join(fmt.Errorf("redis-server did not start: %s", text), s.Stop())
		}
	}
}

// Stop kills the server; it forgets everything.
func (s *Server) Stop() error {
	if s.life == nil {
		return nil
	}
	_, err := io.WriteString(s.life, "stop\n")
	err = errors.Join(err, s.life.Close(), s.shell.Wait())
	s.life = nil
	return errors.Join(err, ignoreMissing(os.Remove(s.settings["logfile"])))
}

// Freeze stops the server in its tracks: connections stay open, and nothing answers.
func (s *Server) Freeze() error { return syscall.Kill(s.pid, syscall.SIGSTOP) }

// Thaw lets it go on.
func (s *Server) Thaw() error { return syscall.Kill(s.pid, syscall.SIGCONT) }

// Close ends the server and removes its folder.
func (s *Server) Close() error { return errors.Join(s.Stop(), os.RemoveAll(s.Folder)) }

// URL is the server's, as its first user.
func (s *Server) URL() secret.Secret {
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))}
	if s.options.TLS {
		u.Scheme = "rediss"
	}
	if password := s.options.Settings["requirepass"]; password != "" {
		u.User = url.UserPassword("", password)
	}
	return secret.New(u.String())
}

// Do runs one command, as by redis-cli: Do("CONFIG", "SET", "maxmemory", 1).
func (s *Server) Do(command ...any) (any, error) {
	o := &redis.Options{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), Protocol: 2, DialerRetries: 1,
		Password: s.options.Settings["requirepass"],
	}
	if s.options.TLS {
		return nil, errors.New("redistest: Do speaks no TLS")
	}
	c := redis.NewClient(o)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := c.Do(ctx, command...).Result()
	return answer, errors.Join(err, c.Close())
}

func find() (string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errors.New("redis-server is not in PATH")
	}
	return program, nil
}

// freePort is below those that outgoing connections get, so that it is still free
// when a server comes back to it.
func freePort() (int, error) {
	var all error
	for range 50 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // nothing is secret about it

		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it returns at once
		if err == nil {
			return port, l.Close()
		}
		all = err
	}
	return 0, all
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
