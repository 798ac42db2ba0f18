package main

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// heapShare is how much of the memory that the process may use is the runtime's. The rest
// is for what the runtime does not count: SQLite's memory, sockets, the program.
const heapShare = 0.75

// heapFor is how many bytes the runtime may use; 0 leaves its own setting. What the
// environment says, by the name that every Go program knows, wins. limit returns how many
// bytes the container, or the service manager, allows.
func heapFor(lookup func(string) (string, bool), limit func() (uint64, error)) int64 {
	if _, set := lookup("GOMEMLIMIT"); set {
		return 0
	}
	allowed, err := limit()
	if err != nil { // there is no limit, and nothing to keep to
		return 0
	}
	return int64(heapShare * float64(allowed))
}

// tuneMemory sets the limit of this process. It must come before anything large.
func tuneMemory() {
	if heap := heapFor(os.LookupEnv, memlimit.FromCgroup); heap > 0 {
		debug.SetMemoryLimit(heap)
	}
}

// memoryLimit is what the runtime keeps to, in bytes.
func memoryLimit() int64 { return debug.SetMemoryLimit(-1) }
