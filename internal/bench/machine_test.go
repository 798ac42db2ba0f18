//go:build bench && linux

package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// host says which processor is the measured program's and which are for all the rest.
type host struct {
	measured, rest string
	others         int // how many rest is
}

var machine host

// settle takes the last processor that this process may use for what is measured, and
// moves this process to the others. With one processor there is nothing to divide.
func (h *host) settle() error {
	allowed, err := allowedProcessors()
	if err != nil {
		return err
	}
	last := len(allowed) - 1
	h.measured, h.rest = allowed[last], strings.Join(allowed[:max(1, last)], ",")
	h.others = max(1, last)
	runtime.GOMAXPROCS(h.others)
	// Of all threads; those to come inherit it.
	out, err := exec.Command("taskset", "-a", "-c", "-p", h.rest, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w\n%s", err, out)
	}
	return nil
}

// allowedProcessors expands the kernel's list, such as 0-2,5.
func allowedProcessors() (all []string, err error) {
	list, err := statusOf("self", "Cpus_allowed_list")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, err
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return nil, err
		}
		for n := from; n <= to; n++ {
			all = append(all, strconv.Itoa(n))
		}
	}
	return all, nil
}

// statusOf reads a line of /proc/PID/status.
func statusOf(pid, name string) (string, error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("/proc/%s/status has no %s", pid, name)
}

// mebibytes reads VmRSS or VmHWM, the most there has been.
func mebibytes(pid int, name string) (float64, error) {
	text, err := statusOf(strconv.Itoa(pid), name)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	return kib / 1024, err
}

// used is the CPU time that a process of one's own user has had, user and system, to the
// nanosecond; 0 for one that is gone.
func used(pid int) time.Duration {
	// The kernel's name of the clock of a process, as clock_getcpuclockid makes it.
	const scheduler = 2
	clock := uintptr(^pid<<3 | scheduler)
	var t syscall.Timespec
	if _, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); failed != 0 {
		return 0
	}
	return time.Duration(t.Nano())
}

// tick is the unit of /proc's times: USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// usedByFamily is that of a process and its children, whether they run or have ended.
func usedByFamily(pid int) time.Duration {
	_, total := stat(pid)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if parent, time := stat(child); parent == pid {
			total += time
		}
	}
	return total
}

// stat reads the parent of a process, and its CPU time with that of ended children.
func stat(pid int) (parent int, _ time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, ticks(fields[11:15])
}

// busy is the CPU time that the whole machine has worked, and that its host took away.
func busy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 {
		return 0
	}
	// user nice system, not idle and iowait, irq softirq steal
	return ticks(fields[1:4]) + ticks(fields[6:9])
}

func ticks(fields []string) (total time.Duration) {
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		total += time.Duration(n) * tick
	}
	return total
}

func TestBothClocksOfAProcessAgree(t *testing.T) {
	t.Parallel()
	// The kernel has no ids beyond 1<<22.
	if used(1<<22+1) != 0 {
		t.Error("a process that is not there has worked")
	}
	_, coarse := stat(os.Getpid())
	if fine := used(os.Getpid()); fine < coarse-2*tick || fine == 0 {
		t.Errorf("%v by its clock, %v by /proc", fine, coarse)
	}
}
