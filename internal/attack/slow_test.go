//go:build attack

package attack

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// TestSlowConnections: thousands of connections in one phase, then in all phases at once,
// each time at a fresh program and beside honest callers; from one address, and from
// hundreds.
func TestSlowConnections(t *testing.T) {
	const all = 5000
	type attempt struct {
		connections, addresses int
		phases                 []string
	}
	mixed := []string{"headers", "body", "reader"}
	attempts := []attempt{{1500, 1, []string{"body"}}, {1500, 500, mixed}}
	if *form == "full" {
		attempts = []attempt{
			{all, 1, []string{"headers"}},
			{all, 1, []string{"body"}},
			{all, 1, []string{"reader"}},
			{all, 1, mixed},
			{all, 500, mixed},
			{3 * all, 500, mixed},
		}
	}
	for _, s := range attempts {
		var files syscall.Rlimit
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
		if most := int(min(files.Cur, 1<<20)) - 500; s.connections > most {
			t.Logf("%d connections are more than this process may open; %d it is", s.connections, most)
			s.connections = most
		}
		siege(t, s.connections, s.addresses, s.phases)
	}
}

// siege opens connections in equal parts for each phase, from so many addresses.
func siege(t *testing.T, connections, addresses int, phases []string) {
	t.Helper()
	p, idp := startAlone(t, stripeTakes, &atomic.Int64{})
	alice := idp.mint("alice")
	id := p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201)
	stretch := busy()
	honest := visit(t, 20*time.Millisecond, func(i int) error {
		if i%2 == 0 { // down a connection of its own, as one who comes just now
			return p.arrive(alice, id)
		}
		return p.ask(i, alice, id)
	})
	var all []*slow
	for _, phase := range phases {
		begin, writes := ways[phase](alice)
		some := open(t, p, connections/len(phases), addresses, begin)
		defer close(keepSlow(some, writes))
		all = append(all, some...)
	}
	watch(t, p, all, 20*time.Second)
	longest, left := time.Duration(0), 0
	for _, s := range all {
		longest = max(longest, s.cut)
		if s.cut == 0 {
			left++
		}
		defer s.conn.Close()
	}
	visits := honest()
	// Five seconds are a clock's; the sixth is for work.
	limit := 5*time.Second + time.Duration(stretch*float64(time.Second))
	name := fmt.Sprintf("%d slow connections, %s, from %d addresses", len(all), strings.Join(phases, " and "), addresses)
	report(t, name, "all cut ≤ 6 s",
		fmt.Sprintf("the last after %.1f s, %d left (the machine does everything %.1f times as slow as alone)", longest.Seconds(), left, stretch),
		left == 0 && longest <= limit)
	report(t, "  honest callers meanwhile", "success 100 %",
		fmt.Sprintf("%v, p99 %d ms", visits, visits.p99(time.Time{}, time.Now()).Milliseconds()), visits.bad == 0 && visits.good > 0)
	peak := p.peak()
	report(t, "  memory of the process", "≤ 120 MiB", fmt.Sprintf("%.0f MiB at most", peak), peak <= 120)
}

// newcomers come each from an address of his own, as people do.
var newcomers = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 100, byte(rand.IntN(250)), byte(1+rand.IntN(250)))}}
		return d.DialContext(ctx, network, address)
	},
}}

// arrive is an honest call down a connection of its own.
func (p *program) arrive(token, id string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.base+"/checkout/"+id, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := newcomers.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("a newcomer's: %d", res.StatusCode)
	}
	return nil
}

// open opens n connections from so many addresses and sends begin on each.
func open(t *testing.T, p *program, n, addresses int, begin string) []*slow {
	t.Helper()
	all := make([]*slow, n)
	smallBuffer := func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if err != nil {
			return err
		}
		return failed
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, 50)
	for i := range all {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			d := net.Dialer{
				Timeout: 10 * time.Second, Control: smallBuffer,
				// Not the one that the honest have.
				LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i%addresses/250), byte(1+i%addresses%250))},
			}
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
			case alive[netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())]:
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

// established returns the peers of every connection to port.
func established(t *testing.T, port int) map[netip.AddrPort]bool {
	t.Helper()
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		leftOut(t, "slow connections", "this system has no /proc/net/tcp")
	}
	defer file.Close()
	local, peers := fmt.Sprintf(":%04X", port), map[netip.AddrPort]bool{}
	for scan := bufio.NewScanner(file); scan.Scan(); {
		f := strings.Fields(scan.Text())
		const isEstablished = "01"
		if len(f) < 4 || !strings.HasSuffix(f[1], local) || f[3] != isEstablished {
			continue
		}
		host, port, _ := strings.Cut(f[2], ":")
		number, err1 := strconv.ParseUint(host, 16, 32)
		peer, err2 := strconv.ParseUint(port, 16, 16)
		if err := cmp.Or(err1, err2); err != nil {
			t.Fatal(err)
		}
		var ip [4]byte
		binary.NativeEndian.PutUint32(ip[:], uint32(number))
		peers[netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(peer))] = true
	}
	return peers
}
