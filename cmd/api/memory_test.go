package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestTheEnvironmentWinsOverWhatMemoryThereIs(t *testing.T) {
	t.Parallel()
	limited := func() (uint64, error) { return 128 << 20, nil }
	free := func() (uint64, error) { return 0, errors.New("no limit") }
	for name, row := range map[string]struct {
		environ map[string]string
		limit   func() (uint64, error)
		want    int64
	}{
		"nothing set, no limit": {nil, free, 0},
		"a container":           {nil, limited, 96 << 20},
		"GOMEMLIMIT":            {map[string]string{"GOMEMLIMIT": "1GiB"}, limited, 0},
		"GOMEMLIMIT, empty":     {map[string]string{"GOMEMLIMIT": ""}, limited, 0},
	} {
		lookup := func(variable string) (string, bool) { v, ok := row.environ[variable]; return v, ok }
		if got := heapFor(lookup, row.limit); got != row.want {
			t.Errorf("%s: got %d, want %d", name, got, row.want)
		}
	}
}

// allowed is what a process may use that joins by writing to procs: 128 MiB, in a control
// group of its own. To make one takes root, or a group that was given away; without, it is
// what this process may use.
func allowed(t *testing.T) (procs string, limit int64) {
	t.Helper()
	dir, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir, file = "/sys/fs/cgroup", "memory.max"
	}
	dir = filepath.Join(dir, fmt.Sprintf("till-test-%d", os.Getpid()))
	if os.Mkdir(dir, 0o700) == nil {
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(128<<20)), 0o600) == nil {
			return filepath.Join(dir, "cgroup.procs"), 128 << 20
		}
	}
	here, err := memlimit.FromCgroup()
	if err != nil {
		return os.DevNull, 0
	}
	return os.DevNull, int64(here)
}

// A process keeps to three quarters of what it may use, or to what it is told.
func TestALimitOfTheContainerIsKeptTo(t *testing.T) {
	t.Parallel()
	procs, limit := allowed(t)
	share := int64(math.MaxInt64)
	if limit > 0 {
		share = limit / 4 * 3
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for environ, want := range map[string]int64{"TILL_ADDR=127.0.0.1:0": share, "GOMEMLIMIT=60MiB": 60 << 20} {
		// The shell joins the group, then becomes the program.
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `echo $$ > "$0" && exec "$1" serve --dev`, procs, self)
		cmd.Env = append(os.Environ(), asProgram+"=1", "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0", environ)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		found := false
		for lines := bufio.NewScanner(stderr); !found && lines.Scan(); {
			found = strings.Contains(lines.Text(), fmt.Sprintf(`"memory_limit":%d}`, want))
		}
		if !found {
			t.Errorf("with %s it does not keep to %d bytes", environ, want)
		}
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
}
