//go:build torture && linux

package torture_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// cgroup bounds what a process may take. It is below the group of this process, so what
// bounds that holds as well.
type cgroup struct {
	dir string
	v2  bool
}

var cgroups atomic.Int64

// newCgroup makes a group with one setting of one controller, under its name in version 1 and
// in version 2; controller is "memory" or "cpu".
func newCgroup(t *testing.T, controller string, v1, v2 [2]string) (*cgroup, error) {
	t.Helper()
	var failed []error
	for _, g := range []struct {
		version2 bool
		root     string
		setting  [2]string
	}{
		{false, "/sys/fs/cgroup/" + controller, v1},
		{true, "/sys/fs/cgroup", v2},
	} {
		parent, err := ownGroup(g.root, controller, g.version2)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		c := &cgroup{dir: filepath.Join(parent, fmt.Sprintf("till-torture-%d-%d", os.Getpid(), cgroups.Add(1))), v2: g.version2}
		if err := c.make(g.setting); err != nil {
			failed = append(failed, err)
			continue
		}
		t.Cleanup(func() { c.remove(t) })
		return c, nil
	}
	return nil, errors.Join(failed...)
}

// ownGroup is the folder of the group that this process is in.
func ownGroup(root, controller string, v2 bool) (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || v2 != (f[1] == "") || !v2 && !containsWord(f[1], controller) {
			continue
		}
		own := filepath.Join(root, f[2])
		if !v2 {
			_, err := os.Stat(own)
			return own, err
		}
		// Its children get the controller only from here on, which is refused while it has
		// processes of its own and is not the root.
		return own, os.WriteFile(filepath.Join(own, "cgroup.subtree_control"), []byte("+"+controller), 0o600)
	}
	return "", fmt.Errorf("no group of %s in version %d", controller, map[bool]int{false: 1, true: 2}[v2])
}

func containsWord(list, word string) bool {
	return strings.Contains(","+list+",", ","+word+",")
}

func (c *cgroup) make(setting [2]string) error {
	if err := os.Mkdir(c.dir, 0o750); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(c.dir, setting[0]), []byte(setting[1]), 0o600)
	if err != nil {
		err = errors.Join(err, os.Remove(c.dir))
	}
	return err
}

// remove waits for the processes of the group to be gone.
func (c *cgroup) remove(t *testing.T) {
	t.Helper()
	for range 200 {
		if err := os.Remove(c.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Errorf("%s cannot be removed", c.dir)
}

// enter is what a shell runs to move itself into the group.
func (c *cgroup) enter() string {
	return "echo $$ > '" + filepath.Join(c.dir, "cgroup.procs") + "'"
}

// number is one of a file of the group: the whole of it, or behind a word.
func (c *cgroup) number(file, word string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		value, found := strings.CutPrefix(strings.TrimSpace(line), word)
		if found {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q", file, word)
}

// oomKills is how many processes of the group the kernel has killed for want of memory.
func (c *cgroup) oomKills() (int64, error) {
	if c.v2 {
		return c.number("memory.events", "oom_kill ")
	}
	return c.number("memory.oom_control", "oom_kill ")
}

// mostMemory is the most that the group has had, what the kernel keeps for it included.
func (c *cgroup) mostMemory() (int64, error) {
	if c.v2 {
		return c.number("memory.peak", "")
	}
	return c.number("memory.max_usage_in_bytes", "")
}
