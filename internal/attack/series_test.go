//go:build attack

package attack

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNothingAddsASeries: whatever is in a million requests, the metrics do not grow.
func TestNothingAddsASeries(t *testing.T) {
	p := start(t)
	alice := p.token("alice")
	p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201)
	p.member("POST", "/portal", alice, "", "id", 201)
	before := p.series()
	asked := int64(amount(20_000, 1_000_000))
	var sent atomic.Int64
	var wg sync.WaitGroup
	from := time.Now()
	for worker := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for sent.Load() < asked && time.Since(from) < 10*time.Minute {
				n, err := batch(p.address(), random, alice)
				if err != nil {
					t.Errorf("batch: %v", err)
					return
				}
				sent.Add(int64(n))
			}
		})
	}
	wg.Wait()
	after := p.series()
	report(t, fmt.Sprintf("series after %d hostile requests", sent.Load()), "+0, 2,000 at most",
		fmt.Sprintf("%+d, %d (%.0f s)", after-before, after, time.Since(from).Seconds()),
		after == before && after <= 2000 && sent.Load() >= asked)
	peak := p.peak()
	report(t, "memory of the process after them", "≤ 150 MiB", fmt.Sprintf("%.0f MiB at most", peak), peak <= 150)
}

// batch sends a hundred requests down one connection and reads what comes back.
func batch(address string, random *rand.Rand, token string) (int, error) {
	const size = 100
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	var b strings.Builder
	for range size - 1 {
		b.WriteString(hostile(random, token))
	}
	b.WriteString("GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	go func() { _, _ = io.WriteString(conn, b.String()) }()
	in, err := io.ReadAll(conn)
	answers := strings.Count(string(in), "HTTP/1.1 ")
	if answers < size {
		return 0, fmt.Errorf("%d answers to %d requests: %w", answers, size, err)
	}
	return answers, nil
}

// hostile is a request that has not been seen before.
func hostile(random *rand.Rand, token string) string {
	x := fmt.Sprintf("%x", random.Uint64())
	post := func(path, headers, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body)
	}
	const isJSON, isForm = "Content-Type: application/json\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"
	cookie := "Cookie: till-session=" + token + "\r\n"
	bearer := "Authorization: Bearer " + token + "\r\n"
	requests := []string{
		"GET /" + x + "/" + x + " HTTP/1.1\r\nHost: " + x + ".example\r\n\r\n",
		"M" + x + " /checkout HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /checkout/cs_test_" + x + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + x + "." + x + "." + x + "\r\n\r\n",
		"GET /checkout/" + x + "%2f HTTP/1.1\r\nHost: x\r\n" + bearer + "\r\n",
		"GET /healthz?" + x + "=" + x + " HTTP/1.1\r\nHost: x\r\nUser-Agent: " + x + "\r\nX-Request-Id: " + x + "\r\n\r\n",
		"GET /return/" + x + "/" + x + "?" + x + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS /checkout HTTP/1.1\r\nHost: x\r\nOrigin: https://" + x + ".example\r\nAccess-Control-Request-Method: " + x + "\r\n\r\n",
		post("/checkout", isJSON+bearer, `{"plan":"`+x+`"}`),
		post("/checkout", isJSON+bearer, `{"plan":"pro","`+x+`":1}`),
		post("/checkout", isJSON+bearer, `{"plan":"pro","success_url":"https://`+x+`.example/"}`),
		post("/checkout", isJSON+bearer, `{"plan":"pro","success_url":"app:`+x+`"}`),
		post("/checkout", isForm+cookie+"Sec-Fetch-Site: same-origin\r\n", x+"="+x),
		post("/checkout", isForm+cookie+"Sec-Fetch-Site: "+x+"\r\n", "plan=pro"),
		post("/checkout", isJSON+cookie+"Origin: https://"+x+".example\r\nX-CSRF: "+x+"\r\n", "{}"),
		post("/portal", "Content-Type: text/"+x+"\r\n"+bearer, x),
		post("/portal", isJSON+"X-Forwarded-For: "+x+"\r\nForwarded: "+x+"\r\n", "{}"),
		post("/portal", isJSON+"Authorization: "+x+" "+x+"\r\n", "{}"),
		post("/dev/token", isJSON+"Origin: https://"+x+".example\r\n", `{"sub":"`+x+`"}`),
	}
	return requests[random.IntN(len(requests))]
}
