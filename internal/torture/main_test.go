//go:build torture && linux

package torture_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// roleVariable makes this binary run as another process of a scenario.
const roleVariable = "TILL_TORTURE_ROLE"

var (
	form      = flag.String("form", "short", "short or full")
	seed      = flag.Uint64("seed", 0, "seed of every random choice; 0 takes a new one")
	owners    = flag.Int("owners", 0, "owners of a race (100, full 1000)")
	kills     = flag.Int("kills", 0, "kills of a race (20, full 200)")
	perPoint  = flag.Int("per-point", 0, "kills at each crash point (10, full 100; a thousand take two hours)")
	rollings  = flag.Int("rollings", 0, "rolling restarts of all replicas (3, full 20)")
	copies    = flag.Int("copies", 0, "copies of a database being written (50, full 1000)")
	prebuilt  = flag.String("till", "", "a till to use in place of one built now")
	raceBuild = flag.Bool("race-build", false, "build till with the race detector")
)

// roles are what this binary can be besides a test.
var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if *form != "short" && *form != "full" {
		fmt.Fprintf(os.Stderr, "-form=%s is neither short nor full\n", *form)
		os.Exit(2)
	}
	// The scenarios that run at once wait more than they work.
	if err := flag.Set("test.parallel", "7"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	code := m.Run()
	program.remove()
	report.write(os.Stdout)
	if report.failed() && code == 0 {
		code = 1
	}
	os.Exit(code)
}

func full() bool { return *form == "full" }

// sized is a number in its short and its full form, unless a flag gives another.
func sized(flagged *int, short, long int) int {
	switch {
	case *flagged > 0:
		return *flagged
	case full():
		return long
	default:
		return short
	}
}

// lasting is a time in its short and its full form.
func lasting(short, long time.Duration) time.Duration {
	if full() {
		return long
	}
	return short
}

// dice returns a source of randomness of its own for each name, all from the one seed.
func dice(name string) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(*seed, h))
}
