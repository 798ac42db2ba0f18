package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestTheEnvironmentWinsOverWhatMemoryThereIs(t *testing.T) {
	t.Parallel()
	limited := func() (uint64, error) { return 128 << 20, nil }
	free := func() (uint64, error) { return 0, errors.New("no limit") }
	for name, row := range map[string]struct {
		environ map[string]string
		limit   func() (uint64, error)
		want    memory
	}{
		"nothing set, no limit": {nil, free, memory{percent: gcPercent}},
		"a container":           {nil, limited, memory{percent: gcPercent, limit: 96 << 20}},
		"GOGC":                  {map[string]string{"GOGC": "50"}, limited, memory{limit: 96 << 20}},
		"GOGC, empty":           {map[string]string{"GOGC": ""}, free, memory{}},
		"GOMEMLIMIT":            {map[string]string{"GOMEMLIMIT": "1GiB"}, limited, memory{percent: gcPercent}},
		"both":                  {map[string]string{"GOGC": "off", "GOMEMLIMIT": "off"}, limited, memory{}},
	} {
		lookup := func(variable string) (string, bool) { v, ok := row.environ[variable]; return v, ok }
		if got := memoryFor(lookup, row.limit); got != row.want {
			t.Errorf("%s: got %+v, want %+v", name, got, row.want)
		}
	}
}

// cgroup makes a control group of 128 MiB, of either version, or skips: it takes root, or
// a group that was given away.
func cgroup(t *testing.T) (procs string) {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("till-test-%d", os.Getpid()))
	file := filepath.Join(dir, "memory.limit_in_bytes")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir = filepath.Join("/sys/fs/cgroup", filepath.Base(dir))
		file = filepath.Join(dir, "memory.max")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(file, []byte(strconv.Itoa(128<<20)), 0o600); err != nil {
		t.Skipf("no control group can be limited here: %v", err)
	}
	return filepath.Join(dir, "cgroup.procs")
}

// A process with 128 MiB keeps to three quarters of them, or to what it is told.
func TestALimitOfTheContainerIsKeptTo(t *testing.T) {
	t.Parallel()
	procs := cgroup(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for environ, want := range map[string]string{"TILL_ADDR=127.0.0.1:0": "100663296", "GOMEMLIMIT=60MiB": "62914560"} {
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
			found = strings.Contains(lines.Text(), `"memory_limit":`+want+",") || strings.Contains(lines.Text(), `"memory_limit":`+want+"}")
		}
		if !found {
			t.Errorf("with %s it does not keep to %s bytes", environ, want)
		}
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
}
