//go:build torture && linux

package torture_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// front is nginx before a fleet, as deploy/nginx.conf has it.
type front struct {
	*child
	base, dir string
}

// frontOrSkip returns nginx; it may be missing here, and not where CI runs.
func frontOrSkip(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("TILL_NGINX"), "nginx"))
	if err != nil {
		leftOut(t, "nginx is not installed")
	}
	return path
}

// leftOut ends a scenario that is not possible here. Nothing is left out where CI runs.
func leftOut(t *testing.T, why string) {
	t.Helper()
	report.fact(t, "left out", why)
	if os.Getenv("CI") == "true" {
		t.Fatal("CI may not go without:", why)
	}
	t.Skip(why)
}

// ofTheExample turns the example into one that runs here: without TLS, in its own folder,
// and with a log of whom each request went to.
func ofTheExample(example []byte, listen, dir string) []byte {
	for _, change := range []struct{ pattern, with string }{
		{`(?m)^\s*ssl_.*\n`, ""},
		{`listen 443 ssl;`, "listen " + listen + ";"},
		{`(?m)^\s*server_name .*\n`, ""},
		{`include \S+;`, "include " + dir + "/servers.conf;"},
		{`worker_processes auto;`, "daemon off; worker_processes 2; master_process on; pid " + dir + "/pid; error_log " + dir + "/error.log warn;"},
		{`access_log off;`, "log_format whom '$request_method $status $upstream_addr $upstream_status'; access_log " + dir + "/access.log whom;" +
			" client_body_temp_path " + dir + "/a; proxy_temp_path " + dir + "/b; fastcgi_temp_path " + dir + "/c; uwsgi_temp_path " + dir + "/d; scgi_temp_path " + dir + "/e;"},
	} {
		pattern := regexp.MustCompile(change.pattern)
		if !pattern.Match(example) {
			panic("deploy/nginx.conf has no " + change.pattern)
		}
		example = pattern.ReplaceAllLiteral(example, []byte(change.with))
	}
	return example
}

// startFront puts nginx before addresses (host:port).
func startFront(t *testing.T, addresses []string) *front {
	t.Helper()
	path := frontOrSkip(t)
	example, err := os.ReadFile("../../deploy/nginx.conf")
	must(t, err)
	// Its workers are another user when its master is root.
	dir, err := os.MkdirTemp("", "till-nginx-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	f := &front{dir: dir, base: "http://" + listen}
	must(t, f.write(addresses))
	config := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(config, ofTheExample(example, listen, dir), 0o600))
	f.child, err = launch("nginx", os.Environ(), path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config)
	must(t, err)
	t.Cleanup(func() {
		_ = f.signal(syscall.SIGTERM) // its workers go with it, as they do not with a kill
		_ = f.wait(patience)
	})
	must(t, f.until(func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", listen)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}))
	return f
}

func (f *front) write(addresses []string) error {
	var text strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&text, "server %s max_fails=0;\n", address)
	}
	return os.WriteFile(filepath.Join(f.dir, "servers.conf"), []byte(text.String()), 0o600)
}

// balance makes these the ones that requests go to, and returns once new workers have begun.
func (f *front) balance(addresses []string) error {
	before := f.workers()
	if err := f.write(addresses); err != nil {
		return err
	}
	if err := f.signal(syscall.SIGHUP); err != nil {
		return err
	}
	return f.until(func() bool {
		return len(slices.DeleteFunc(f.workers(), func(pid string) bool { return slices.Contains(before, pid) })) > 1
	})
}

// workers are the processes of nginx that serve.
func (f *front) workers() []string {
	pid := f.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// follow writes to nginx who is ready, as an orchestrator does, until the context ends.
// Who is not ready gets no more requests; those that he has are finished.
func (f *front) follow(ctx context.Context, addresses []string) error {
	listed := addresses
	for ctx.Err() == nil {
		ready := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return !isReady(ctx, "http://"+a) })
		if ctx.Err() == nil && len(ready) > 0 && !slices.Equal(ready, listed) {
			if err := f.balance(ready); err != nil {
				return err
			}
			listed = ready
		}
		wait(ctx, 100*time.Millisecond)
	}
	return nil
}

// askedTwice counts what nginx asked more than one replica for, by method.
func (f *front) askedTwice() (map[string]int, error) {
	text, err := os.ReadFile(filepath.Join(f.dir, "access.log"))
	if err != nil {
		return nil, err
	}
	byMethod := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, ", ") {
			method, _, _ := strings.Cut(line, " ")
			byMethod[method]++
		}
	}
	return byMethod, nil
}

// complaints are the kinds of what nginx says went wrong, and how often it did.
func (f *front) complaints() string {
	log, err := os.ReadFile(filepath.Join(f.dir, "error.log"))
	if err != nil {
		return err.Error()
	}
	kinds := map[string]int{}
	for line := range bytes.Lines(log) {
		_, rest, found := strings.Cut(string(line), "[error]")
		if !found {
			continue
		}
		if _, after, found := strings.Cut(rest, "*"); found {
			_, rest, _ = strings.Cut(after, " ")
		}
		what, _, _ := strings.Cut(rest, ", client:")
		kinds[strings.TrimSpace(what)]++
	}
	if len(kinds) == 0 {
		return "none"
	}
	return counts(kinds)
}

// freePort is one below those that outgoing connections take, so that it stays free while
// the process that listens on it is started again.
func freePort(t *testing.T) int {
	t.Helper()
	r := dice(t.Name() + strconv.FormatInt(time.Now().UnixNano(), 10))
	for range 200 {
		port := 15000 + r.IntN(15000)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			must(t, l.Close())
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
