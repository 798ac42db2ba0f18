//go:build bench && linux

package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a process of ours to do something.
const patience = 30 * time.Second

// child is a process of ours, which dies with this one, however this one dies.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string
	began time.Time
	ended chan struct{}
}

// launch starts a program on the given processors. What it says goes to a file, as a
// service manager would have it.
func launch(dir, name, processors string, env []string, program string, args ...string) (*child, error) {
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	c := &child{name: name, log: log.Name(), ended: make(chan struct{})}
	defer log.Close() // the process has its own
	c.cmd = exec.Command("taskset", append([]string{"-c", processors, program}, args...)...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = env, log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := starter(func() error { c.began = time.Now(); return c.cmd.Start() }); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // how it ended is in its log
	}()
	return c, nil
}

// starter runs f on one thread that lives as long as this process: the kernel sends the
// signal of Pdeathsig when the thread ends that started the child.
var starter = func() func(func() error) error {
	work, done := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for f := range work {
			done <- f()
		}
	}()
	var mu sync.Mutex
	return func(f func() error) error {
		mu.Lock()
		defer mu.Unlock()
		work <- f
		return <-done
	}
}()

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop lets the process end by itself, and ends it when it does not.
func (c *child) stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := c.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-c.ended:
			return os.Remove(c.log)
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("%s does not end", c.name)
}

// listening is how every program of ours says where it does.
var listening = regexp.MustCompile(`"addr":"([^"]+)"(?:,"ops_addr":"([^"]+)")?`)

// await waits until the process says where it listens.
func (c *child) await() ([]string, error) {
	var found []string
	err := c.until(func() bool {
		text, err := os.ReadFile(c.log)
		if err == nil {
			found = listening.FindStringSubmatch(string(text))
		}
		return found != nil
	})
	return found, err
}

func (c *child) until(holds func() bool) error {
	for end := time.Now().Add(patience); !holds(); time.Sleep(500 * time.Microsecond) {
		gone := false
		select {
		case <-c.ended:
			gone = true
		default:
		}
		if gone || time.Now().After(end) {
			text, _ := os.ReadFile(c.log)
			return fmt.Errorf("%s has not started:\n%s", c.name, text[max(0, len(text)-4096):])
		}
	}
	return nil
}

// built is the service, built once.
type built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var program built

func (b *built) get(ctx context.Context) (string, error) {
	b.once.Do(func() {
		if b.path = *prebuilt; b.path != "" {
			return
		}
		if b.dir, b.err = os.MkdirTemp("", "till-bench-"); b.err != nil {
			return
		}
		b.path = filepath.Join(b.dir, "till")
		// As make build does.
		out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", b.path, "till/cmd/api").CombinedOutput()
		if err != nil {
			b.err = fmt.Errorf("building till: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

func (b *built) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}
