//go:build attack

package attack

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow is one connection that takes its time.
type slow struct {
	conn   net.Conn
	opened time.Time
	// cut is how long the program has kept it.
	cut time.Duration
}

// ways are the phases of a connection that can be slow. Each gets a byte a second.
var ways = map[string]func(token string) (begin string, writes bool){
	"headers": func(string) (string, bool) { return "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", true },
	"body": func(token string) (string, bool) {
		return "POST /portal HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token +
			"\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{", true
	},
	// More than the buffers between the two take, asked for at once.
	"reader": func(string) (string, bool) {
		return strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 10), false
	},
}

// TestSlowConnections: a third of the connections each in one phase, then all of them
// in all phases at once, each time at a fresh program and beside honest callers.
func TestSlowConnections(t *testing.T) {
	each := amount(1200, 5000) / 3
	for _, phases := range [][]string{{"headers"}, {"body"}, {"reader"}, {"headers", "body", "reader"}} {
		siege(t, each, phases)
	}
}

// siege opens some connections for each phase.
func siege(t *testing.T, each int, phases []string) {
	t.Helper()
	p := start(t)
	alice := p.token("alice")
	honest := visit(p, alice, p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201))
	var all []*slow
	for _, phase := range phases {
		begin, writes := ways[phase](alice)
		some := open(t, p, each, begin)
		defer close(keepSlow(some, writes))
		all = append(all, some...)
	}
	watch(t, p, all, 12*time.Second)
	longest, left := time.Duration(0), 0
	for _, s := range all {
		longest = max(longest, s.cut)
		if s.cut == 0 {
			left++
		}
		defer s.conn.Close()
	}
	good, bad, p99 := honest()
	name := fmt.Sprintf("%d slow connections, %s", len(all), strings.Join(phases, " and "))
	report(t, name, "all cut ≤ 6 s", fmt.Sprintf("the last after %.1f s, %d left", longest.Seconds(), left), left == 0 && longest <= 6*time.Second)
	report(t, "  honest callers meanwhile", "success 100 %", fmt.Sprintf("%d of %d, p99 %.0f ms", good, good+bad, p99), bad == 0 && good > 0)
	peak := p.peak()
	report(t, "  memory of the process", "≤ 120 MiB", fmt.Sprintf("%.0f MiB at most", peak), peak <= 120)
}

// open opens n connections and sends begin on each.
func open(t *testing.T, p *program, n int, begin string) []*slow {
	t.Helper()
	all := make([]*slow, n)
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if err != nil {
			return err
		}
		return failed
	}}
	var wg sync.WaitGroup
	turns := make(chan struct{}, 50)
	for i := range all {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			conn, err := d.DialContext(context.Background(), "tcp", p.address())
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			all[i] = &slow{conn: conn, opened: time.Now()}
			_, _ = conn.Write([]byte(begin))
		})
	}
	wg.Wait()
	return slices.DeleteFunc(all, func(s *slow) bool { return s == nil })
}

// keepSlow gives or takes a byte a second of each, until the channel is closed.
func keepSlow(all []*slow, writes bool) chan struct{} {
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
			one := []byte{'a'}
			for _, s := range all {
				// Neither can block: a byte always fits, and there is always one to read.
				_ = s.conn.SetDeadline(time.Now().Add(5 * time.Millisecond))
				if writes {
					_, _ = s.conn.Write(one)
				} else {
					_, _ = s.conn.Read(one)
				}
			}
		}
	}()
	return stop
}

// watch notes when the program's side of each connection is no longer established.
func watch(t *testing.T, p *program, all []*slow, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		alive, now, left := established(t, p.port()), time.Now(), 0
		for _, s := range all {
			tcp, _ := s.conn.LocalAddr().(*net.TCPAddr)
			switch {
			case s.cut > 0:
			case alive[tcp.Port]:
				left++
			default:
				s.cut = now.Sub(s.opened)
			}
		}
		if left == 0 {
			return
		}
	}
}

// established returns the ports of the peers of every connection to port.
func established(t *testing.T, port int) map[int]bool {
	t.Helper()
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		leftOut(t, "slow connections", "this system has no /proc/net/tcp")
	}
	defer file.Close()
	local, peers := fmt.Sprintf(":%04X", port), map[int]bool{}
	for scan := bufio.NewScanner(file); scan.Scan(); {
		f := strings.Fields(scan.Text())
		const isEstablished = "01"
		if len(f) < 4 || !strings.HasSuffix(f[1], local) || f[3] != isEstablished {
			continue
		}
		peer, err := strconv.ParseInt(f[2][strings.IndexByte(f[2], ':')+1:], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		peers[int(peer)] = true
	}
	return peers
}

// visit makes honest calls until its result is asked for.
func visit(p *program, token, id string) (end func() (good, bad int, p99 float64)) {
	stop, done := make(chan struct{}), make(chan struct{})
	var took []float64
	good, bad := 0, 0
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			method, path, want := "GET", "/checkout/"+id, 200
			if i%5 == 0 {
				method, path, want = "POST", "/portal", 201
			}
			from := time.Now()
			status, text, err := p.call(method, path, token, "")
			took = append(took, float64(time.Since(from).Microseconds())/1000)
			if err != nil || status != want {
				p.t.Logf("an honest %s %s: %d %s %v", method, path, status, text, err)
				bad++
				continue
			}
			good++
		}
	}()
	return func() (int, int, float64) {
		close(stop)
		<-done
		slices.Sort(took)
		return good, bad, took[len(took)*99/100]
	}
}
