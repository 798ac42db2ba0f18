//go:build torture && linux

package torture_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// given is what the sandbox has answered; broken if it has not, or only in part.
type given struct {
	status int
	header http.Header
	text   []byte
	// promised is the length that the answer says it has.
	promised int64
	broken   bool
}

// exchange lets the sandbox execute the request, whatever becomes of the caller, as a
// datacentre does.
func (p *proxy) exchange(r *http.Request) given {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return given{broken: true}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, r.Method, p.stripe.base+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return given{broken: true}
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	res, err := p.client.Do(out)
	if err != nil {
		return given{broken: true}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return given{res.StatusCode, res.Header, text, max(res.ContentLength, int64(len(text))), err != nil}
}

// send writes the first n bytes of an answer under the headers of the whole.
func (g given) send(w http.ResponseWriter, n int) {
	if g.status == 0 {
		hangUp(w, false)
		return
	}
	for name, values := range g.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.FormatInt(g.promised, 10))
	w.WriteHeader(g.status)
	w.Write(g.text[:n])
	if n < int(g.promised) {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// hangUp ends the connection, by a reset if hard.
func hangUp(w http.ResponseWriter, hard bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// forward passes a call on. What the sandbox breaks off is broken off here.
func forward(p *proxy, w http.ResponseWriter, r *http.Request) {
	g := p.exchange(r)
	g.send(w, len(g.text))
}

// Before the request is executed.
func resetBefore(_ *proxy, w http.ResponseWriter, _ *http.Request) { hangUp(w, true) }

// After it was, and before the first byte of the answer.
func resetAfter(p *proxy, w http.ResponseWriter, r *http.Request) {
	_ = p.exchange(r)
	hangUp(w, true)
}

// In the middle of the answer.
func halfAnswer(p *proxy, w http.ResponseWriter, r *http.Request) {
	g := p.exchange(r)
	g.send(w, len(g.text)/2)
}

// A Content-Length that cuts the body short, as a broken proxy does.
func wrongLength(p *proxy, w http.ResponseWriter, r *http.Request) {
	g := p.exchange(r)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	if !g.broken {
		fmt.Fprintf(buffered, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			g.status, len(g.text)-7, g.text)
		_ = buffered.Flush()
	}
}

// Executed, and then not a word while the caller waits.
func silence(p *proxy, w http.ResponseWriter, r *http.Request) {
	_ = p.exchange(r)
	wait(r.Context(), patience)
	hangUp(w, false)
}

// Late: others come with the same key meanwhile.
func late(p *proxy, w http.ResponseWriter, r *http.Request) {
	g := p.exchange(r)
	wait(r.Context(), 700*time.Millisecond)
	g.send(w, len(g.text))
}
