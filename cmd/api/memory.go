package main

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// gcPercent is what the collector is told instead of 100. What lives between two
	// requests is a few MiB, so that at 100 it runs every few hundred requests and takes a
	// twelfth of the processor's time; at 200 it runs half as often, for 10 MiB more. Beyond,
	// a crowd with 400 requests in flight would need more than 150 MiB.
	gcPercent = 100
	// heapShare is how much of the memory that the process may use is the runtime's. The
	// rest is for what the runtime does not count: SQLite's memory, sockets, the program.
	heapShare = 0.75
)

// memory is how the collector of garbage is set. A zero leaves its own setting.
type memory struct {
	percent int
	limit   int64
}

// memoryFor decides how: what the environment says, by the names that every Go program
// knows, wins. limit returns how many bytes the container, or the service manager, allows.
func memoryFor(lookup func(string) (string, bool), limit func() (uint64, error)) memory {
	var m memory
	if _, set := lookup("GOGC"); !set {
		m.percent = gcPercent
	}
	if _, set := lookup("GOMEMLIMIT"); set {
		return m
	}
	// Without a limit there is an error, and nothing to keep to.
	if allowed, err := limit(); err == nil {
		m.limit = int64(heapShare * float64(allowed))
	}
	return m
}

func (m memory) apply() {
	if m.percent > 0 {
		debug.SetGCPercent(m.percent)
	}
	if m.limit > 0 {
		debug.SetMemoryLimit(m.limit)
	}
}

// tuneMemory sets the collector for this process. It must come before anything large.
func tuneMemory() { memoryFor(os.LookupEnv, memlimit.FromCgroup).apply() }

// memoryLimit is what the runtime keeps to, in bytes.
func memoryLimit() int64 { return debug.SetMemoryLimit(-1) }
