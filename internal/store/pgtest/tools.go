package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tools are the programs of one version of Postgres, and who may run them.
type tools struct {
	bin     string
	account *account
}

// findTools prefers what is in PATH, and of Debian's folders the newest. Wrappers
// in PATH are passed by: what counts is that postgres lies beside initdb.
func findTools() (tools, error) {
	var folders []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir != "" {
			folders = append(folders, dir)
		}
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(installed, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	for _, dir := range append(folders, installed...) {
		if hasAll(dir, "postgres", "initdb", "pg_basebackup") {
			a, err := unprivileged()
			return tools{dir, a}, err
		}
	}
	return tools{}, errors.New("postgres, initdb and pg_basebackup are neither in PATH nor below /usr/lib/postgresql")
}

func major(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func hasAll(dir string, names ...string) bool {
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() { //nolint:gosec // PATH is whose shell it is
			return false
		}
	}
	return true
}

func (t tools) path(name string) string { return filepath.Join(t.bin, name) }

// folder makes one that the account owns, with a path that leaves room for the
// name of a socket: the limit is 107 bytes.
func (t tools) folder() (string, error) {
	parent := "/tmp"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "till-pg-")
	if err != nil {
		return "", err
	}
	return dir, t.account.own(dir)
}

// write writes a file that the account can read.
func (t tools) write(path, text string) error {
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), t.account.own(path))
}

// run runs a program to its end.
func (t tools) run(dir, name string, args ...string) error {
	cmd := t.command(dir, t.path(name), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (t tools) command(dir, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...) //nolint:noctx,gosec // it outlives every context; the programs are the ones that findTools found
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "HOME=" + dir, "PATH=" + os.Getenv("PATH")} // and nothing of PG*
	t.account.become(cmd)
	return cmd
}

// freePort is below those that outgoing connections get, so that it is still free
// when a server comes back to it.
func freePort() (int, error) {
	var all error
	for range 50 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // nothing is secret about it

		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it returns at once
		if err == nil {
			return port, l.Close()
		}
		all = err
	}
	return 0, all
}

// tail is the end of a log.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
