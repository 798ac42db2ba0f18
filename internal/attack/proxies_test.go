//go:build attack

package attack

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestNothingIsSmuggledPastNginx and TestNothingIsSmuggledPastHAProxy send every line of
// testdata/smuggle.txt through a real proxy that keeps its connections to the program,
// with honest callers on the same connections. A request is smuggled when the program has
// seen it and the proxy has not answered it, or when anybody gets somebody else's answer.
func TestNothingIsSmuggledPastNginx(t *testing.T) {
	smuggle(t, "nginx", "TILL_NGINX", nginxConfiguration, func(dir, file string) []string {
		return []string{"-p", dir, "-e", dir + "/error.log", "-c", file}
	})
}

func TestNothingIsSmuggledPastHAProxy(t *testing.T) {
	smuggle(t, "haproxy", "TILL_HAPROXY", haproxyConfiguration, func(_, file string) []string {
		return []string{"-db", "-f", file}
	})
}

// smuggle tries a proxy, found by its name or where variable says.
func smuggle(t *testing.T, name, variable, configuration string, args func(dir, file string) []string) {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv(variable), name))
	if err != nil {
		leftOut(t, "smuggling past "+name, name+" is not installed")
	}
	p := start(t)
	front := proxy(t, path, p.address(), configuration, args)
	alice := p.token("alice")
	all := smuggles(t)
	stop := make(chan struct{})
	var others sync.WaitGroup
	var mixed, honest int
	others.Go(func() { mixed, honest = bystander(t, front, stop) })
	answered := map[string]bool{}
	for i, bytes := range all {
		id := "smuggled-" + strconv.Itoa(i)
		bytes = strings.NewReplacer("{smuggled}", id, "{token}", alice).Replace(bytes)
		// haproxy writes names in lower case.
		if strings.Contains(strings.ToLower(exchange(t, front, bytes)), "x-request-id: "+id) {
			answered[id] = true
		}
	}
	close(stop)
	others.Wait()
	// The log is written in order, and a moment later.
	const last = "X-Request-Id: after-all\r\nConnection: close\r\n\r\n"
	exchange(t, front, "GET /nothing HTTP/1.1\r\nHost: x\r\n"+last)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(p.log(), `"after-all"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log does not come to its end")
		}
	}
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`"request_id":"(smuggled-\d+)"`).FindAllStringSubmatch(p.log(), -1) {
		seen[m[1]]++
	}
	smuggled := 0
	for id, times := range seen {
		if !answered[id] || times > 1 {
			smuggled++
			t.Errorf("%s reached the program %d times, answered: %v", id, times, answered[id])
		}
	}
	report(t, fmt.Sprintf("%d requests through %s that can be read in two ways", len(all), name), "0 smuggled, 0 answers mixed up",
		fmt.Sprintf("%d smuggled, %d of %d mixed up", smuggled, mixed, honest), smuggled == 0 && mixed == 0 && honest > 0)
}

var escapes = regexp.MustCompile(`\\x[0-9a-f]{2}`)

func smuggles(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/smuggle.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		row, bytes, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " | ")
		if !ok || strings.HasPrefix(row, "#") {
			continue
		}
		bytes = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t").Replace(bytes)
		all = append(all, escapes.ReplaceAllStringFunc(bytes, func(e string) string {
			n, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(n)})
		}))
	}
	return all
}

// exchange sends bytes and returns everything that comes back.
func exchange(t *testing.T, address, bytes string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// What waits for more waits in vain.
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, bytes)
	text, _ := io.ReadAll(conn)
	return string(text)
}

// bystander asks through the proxy until stop, and counts answers that are not its own.
func bystander(t *testing.T, address string, stop chan struct{}) (mixed, honest int) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return mixed, honest
		case <-time.After(5 * time.Millisecond):
		}
		id := "honest-" + strconv.Itoa(i)
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			t.Error(err)
			return mixed, honest
		}
		req.Header.Set("X-Request-Id", id)
		res, err := client.Do(req)
		if err != nil {
			mixed++
			continue
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		honest++
		if res.StatusCode != http.StatusOK || res.Header.Get("X-Request-Id") != id || string(body) != "{\"status\":\"ready\"}\n" {
			t.Logf("%s got %d %v %s", id, res.StatusCode, res.Header, body)
			mixed++
		}
	}
}

// The configurations take a folder, the program's address and the proxy's own.
const nginxConfiguration = `
daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  upstream till { server %[2]s; keepalive 2; }
  server {
    listen %[3]s;
    location / {
      proxy_pass http://till; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}`

// As haproxy is by itself, but for connections that everybody's requests share.
const haproxyConfiguration = `
# %[1]s
global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 20s
  option http-keep-alive
  option forwardfor
  http-reuse always
frontend front
  bind %[3]s
  default_backend till
backend till
  server till %[2]s pool-max-conn 2
`

// proxy starts one in front of address and returns its own.
func proxy(t *testing.T, path, address, configuration string, args func(dir, file string) []string) string {
	t.Helper()
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := free.Addr().String()
	_ = free.Close()
	conf := fmt.Sprintf(configuration, dir, address, front)
	file := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args(dir, file)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	for range 100 {
		if conn, err := net.DialTimeout("tcp", front, time.Second); err == nil {
			_ = conn.Close()
			return front
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(dir + "/error.log")
	t.Fatalf("%s has not started: %s", path, text)
	return ""
}
