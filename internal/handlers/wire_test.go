package handlers_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestWire sends every line of testdata/wire.txt as it stands, and takes every
// answer until the connection ends: one too many would be a smuggled request.
func TestWire(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	token := h.token("alice")
	all := sortedLines(t, "testdata/wire.txt")
	for _, line := range all {
		head, bytes, ok := strings.Cut(line, " | ")
		row, expect, _ := strings.Cut(strings.TrimSpace(head), " ")
		if !ok || expect == "" {
			t.Fatalf("cannot be read: %s", line)
		}
		if got := h.exchange(t, wireBytes(bytes, token)); got != expect {
			t.Errorf("%s %.200s\n got %s\nwant %s", row, bytes, got, expect)
		}
	}
	if res := h.get("/healthz", ""); res.status != http.StatusOK {
		t.Errorf("afterwards: %d", res.status)
	}
	t.Logf("%d exchanges", len(all))
}

var repeated = regexp.MustCompile(`\{([abcdhkmoqsx])\*(\d+)\}`)

func wireBytes(text, token string) string {
	text = strings.NewReplacer(`\r`, "\r", `\n`, "\n", "{token}", token).Replace(text)
	text = repeated.ReplaceAllStringFunc(text, func(m string) string {
		parts := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(parts[2])
		if parts[1] == "k" {
			return keys(n)
		}
		unit := map[string]string{
			"a": "a", "s": " ", "b": "[", "d": "]", "o": `{"a":`, "c": "}", "m": "{},",
			"q": "a&", "h": "X-Header: abcdefgh\r\n", "x": "1;" + strings.Repeat("e", 1024) + "\r\n \r\n",
		}[parts[1]]
		return strings.Repeat(unit, n)
	})
	return unescape(text)
}

// keys are n members.
func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":"v",`, i)
	}
	return b.String()
}

// exchange returns the statuses of every answer to bytes.
func (h *house) exchange(t *testing.T, bytes string) string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Only a connection that is never closed would come near it.
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		// The server may have answered and closed before it has read everything.
		_, _ = io.WriteString(conn, bytes)
		// To the server who closes half may have gone: his request is given up.
		if !strings.Contains(bytes, "Connection: close") {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	var statuses []string
	for in := bufio.NewReader(conn); ; {
		method := http.MethodGet
		if strings.HasPrefix(bytes, http.MethodHead) {
			method = http.MethodHead
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || len(statuses) > 0 {
				break
			}
			t.Errorf("%.80q: %v", bytes, err)
			break
		}
		statuses = append(statuses, status(t, res))
	}
	if len(statuses) == 0 {
		return "-"
	}
	return strings.Join(statuses, ",")
}

func status(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if location := res.Header.Get("Location"); location != "" && res.StatusCode != http.StatusCreated {
		t.Errorf("a redirect: %d %s", res.StatusCode, location)
	}
	if res.Header.Get("Content-Type") != "application/problem+json" || len(body) == 0 {
		return strconv.Itoa(res.StatusCode)
	}
	var p struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	return fmt.Sprintf("%d:%s", res.StatusCode, p.Code)
}

// TestAPanicEndsOneRequestOnly: H49.
func TestAPanicEndsOneRequestOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	h.breakAuth = true
	two := "POST /portal HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	if got := h.exchange(t, two); got != "500:internal,200" {
		t.Errorf("got %s", got)
	}
	if got := h.metric(t, "till_panics_total"); got != "1" {
		t.Errorf("counted %s", got)
	}
}
