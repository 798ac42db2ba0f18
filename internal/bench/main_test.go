//go:build bench && linux

package bench_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// roleVariable makes this binary run as another process of the measurement.
const roleVariable = "BENCH_ROLE"

var (
	rounds   = flag.Int("rounds", 5, "rounds of each scenario; an odd number has a median of its own")
	window   = flag.Duration("window", 8*time.Second, "how long a round is measured")
	warmUp   = flag.Duration("warm-up", 4*time.Second, "how long a program gets its load before it is measured")
	users    = flag.Int("users", 10000, "callers, with a token and a row each")
	crowd    = flag.Int("crowd", 1000000, "customers that the database has when it has many")
	retries  = flag.Int("retries", 2, "how often a noisy round is done again")
	quiet    = flag.Float64("quiet", 0.12, "processors that others may use before a round is noisy")
	strict   = flag.Bool("strict", false, "fail when a bound is missed")
	prebuilt = flag.String("till", "", "a till to use in place of one built now")
	record   = flag.Bool("record", false, "write what the check measures into the baseline")
)

// roles are what this binary can be besides a test.
var roles = map[string]func() error{"stripe": playStripe, "proxy": playProxy, "plain": playPlain}

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	// Before anything is started: all that is started without a processor of its own
	// inherits this one.
	if err := machine.settle(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	program.remove()
	report.write(os.Stdout)
	if report.missed() > 0 && *strict && code == 0 {
		code = 1
	}
	os.Exit(code)
}
