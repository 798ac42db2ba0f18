package handlers

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// NewServer returns a server for h with a limit on every phase of a connection;
// net/http has none by itself.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h,
		// The whole request, headers and 64 KiB at most, has five seconds.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		// Longer than the deadline of a request, so that the answer about it gets out.
		WriteTimeout:   15 * time.Second,
		IdleTimeout:    30 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ConnContext:    boundBuffer,
		// What clients do wrong on the wire is no event of ours.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// boundBuffer: the kernel would take megabytes for a client that does not read, and
// our answers are short.
func boundBuffer(ctx context.Context, conn net.Conn) context.Context {
	if tcp, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = tcp.SetWriteBuffer(32 << 10) // a wish; without it the deadlines still hold
	}
	return ctx
}

// readLimit is how long an answer may wait for a client that does not read: all of
// ours fit into the kernel's buffer, so only one who has not read those before waits.
const readLimit = 2 * time.Second

// restLimit is how long an answer waits for the rest of a body that nobody has read. It leaves
// most of readLimit to the answer itself.
const restLimit = 500 * time.Millisecond

// hurry cuts clients that do not read, from when there is something to read.
func hurry(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		eventOf(c).hurried = true
		return next(c)
	}
}
