//go:build contract

package contract_test

import (
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for a process of ours.
const patience = 20 * time.Second

// child is a process that ends with its test.
type child struct {
	t      *testing.T
	name   string
	output transcript
	ended  chan struct{}
}

// run starts a program. If the test fails, what the program has said is shown.
func run(t *testing.T, name string, env []string, program string, args ...string) *child {
	t.Helper()
	c := &child{t: t, name: name, ended: make(chan struct{})}
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // it ends by being killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		select {
		case <-c.ended:
		case <-time.After(patience):
			t.Errorf("%s does not end", name)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, c.output.String())
		}
	})
	return c
}

// await waits until the program has said something and returns its submatches.
func (c *child) await(pattern string) []string {
	c.t.Helper()
	said := regexp.MustCompile(pattern)
	var found []string
	c.until("says "+pattern, func() bool {
		found = said.FindStringSubmatch(c.output.String())
		return found != nil
	})
	return found
}

func (c *child) until(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			c.t.Fatalf("%s: not in %v: %s", c.name, patience, what)
		}
		select {
		case <-c.ended:
			c.t.Fatalf("%s has ended before it %s", c.name, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// transcript collects output from several goroutines.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String returns what was written so far.
func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
