//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestLoadBlockedLog has whoever reads the log stop reading. The pipe is soon full, and the
// callers must not be the ones who wait for it.
func TestLoadBlockedLog(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "log")
	must(t, syscall.Mkfifo(path, 0o600))
	// For reading and writing: a pipe that has a writer does not end with its first one.
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = pipe.Close() }() // it also ends the reader
	var deafened atomic.Bool
	s := newSite(ctx, t, siteOptions{shell: "exec 2>'" + path + "'", prepare: func(f *fleet) { go listen(pipe, f.slots[0], &deafened) }})
	base := *s.slots[0].base.Load()

	deafened.Store(true)
	outcomes := clickAt(ctx, base, 100, lasting(5*time.Second, 60*time.Second), s.honest)
	deafened.Store(false)
	failed, kinds := failedOnes(outcomes)
	report.judge(t, "requests that failed while nobody read the log", "0", fmt.Sprintf("%d of %d %s", failed, len(outcomes), kinds), failed == 0)
	after := clickAt(ctx, base, 50, time.Second, s.honest)
	failed, kinds = failedOnes(after)
	report.judge(t, "requests that failed afterwards", "0", fmt.Sprintf("%d of %d %s", failed, len(after), kinds), failed == 0)
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

// listen reads what the process of a slot says, but not while it is deafened.
func listen(pipe *os.File, s *slot, deafened *atomic.Bool) {
	buffer := make([]byte, 4096)
	for {
		for deafened.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		n, err := pipe.Read(buffer)
		if err != nil {
			return
		}
		if c := s.present(); c != nil {
			_, _ = c.said.Write(buffer[:n]) // it never fails
		}
	}
}
