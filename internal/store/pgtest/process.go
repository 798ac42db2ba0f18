package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is for machines that do much else.
const patience = 60 * time.Second

// account is whom the servers run as when we are root, which they refuse; nil when
// we are not.
type account struct{ uid, gid int }

func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		return &account{uid, gid}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("this is root, as whom Postgres does not run, and there is no user postgres or nobody")
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

func (a *account) become(cmd *exec.Cmd) {
	// A group of its own: Ctrl-C is for us, and the watchdog sees to the rest.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // ids of the system's own list
	}
}

// process is a server that runs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func (t tools) start(dir, program string, args ...string) (*process, error) {
	p := &process{cmd: t.command(dir, program, args...), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in the log
		close(p.ended)
	}()
	return p, nil
}

// await waits until the server answers.
func (p *process) await(what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", what, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", what, err, tail(p.log))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end sends a signal and waits for the end, which there may have been already.
func (p *process) end(signal syscall.Signal) error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("it did not end: %s", tail(p.log)), p.killFamily())
	}
}

// killFamily kills the process and its children, which Postgres gives sessions of
// their own.
func (p *process) killFamily() error {
	// Stopped first, so that it bears no more.
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	family := children(p.cmd.Process.Pid)
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	err := p.cmd.Process.Kill()
	<-p.ended
	for _, pid := range family {
		for end := time.Now().Add(patience); syscall.Kill(pid, 0) == nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	return err
}

// children reads /proc. Elsewhere there are none: Postgres' own end by themselves
// when the first one is gone.
func children(parent int) []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// watchdog waits for the end of this process, even by kill -9 or a panic.
type watchdog struct {
	cmd  *exec.Cmd
	life io.Closer
}

// The script reads from a pipe that ends with us. A process counts as ours when
// the folder is part of its command line.
const watch = `cat >/dev/null
for file in "$1"/data/postmaster.pid "$1"/bouncer.pid; do
	pid=$(head -n 1 "$file" 2>/dev/null) || continue
	{ tr '\0' ' ' <"/proc/$pid/cmdline" || ps -o command= -p "$pid"; } 2>/dev/null | grep -qF "$1" && kill -QUIT "$pid"
done
i=0
while [ -e "$1/data/postmaster.pid" ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
rm -rf "$1"`

func guard(folder string) (*watchdog, error) {
	cmd := exec.Command("sh", "-c", watch, "sh", folder) //nolint:noctx,gosec // it is there to outlive us; the folder is our own
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &watchdog{cmd, life}, cmd.Start()
}

// dismiss has the watchdog clean up now.
func (w *watchdog) dismiss() error {
	return errors.Join(w.life.Close(), w.cmd.Wait())
}
