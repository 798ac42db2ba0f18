//go:build torture && linux

package torture_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a process of ours to do something.
const patience = 30 * time.Second

// child is a process of ours. It dies with this one, however this one dies.
type child struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	said  *transcript
	ended chan struct{}
}

func launch(name string, env []string, program string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(program, args...), said: &transcript{}, ended: make(chan struct{})}
	c.cmd.Env = env
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	c.cmd.WaitDelay = time.Second
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.in = in
	if err := starter(c.cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // most of them end by being killed
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

func (c *child) signal(s syscall.Signal) error { return c.cmd.Process.Signal(s) }

// kill is kill -9; it returns once the process is gone.
func (c *child) kill() error {
	if err := c.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return c.wait(patience)
}

func (c *child) wait(limit time.Duration) error {
	select {
	case <-c.ended:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s goes on after %v", c.name, limit)
	}
}

func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// await waits until the process has said something and returns its submatches.
func (c *child) await(pattern *regexp.Regexp) ([]string, error) {
	var found []string
	err := c.until(func() bool {
		found = pattern.FindStringSubmatch(c.said.String())
		return found != nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s does not say %s: %w\n%s", c.name, pattern, err, c.said)
	}
	return found, nil
}

func (c *child) until(holds func() bool) error {
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("too late")
		}
		if c.gone() && !holds() {
			return fmt.Errorf("it has ended: %v", c.cmd.ProcessState)
		}
	}
	return nil
}
