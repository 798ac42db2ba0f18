//go:build attack

package attack

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"text/tabwriter"
)

var form = flag.String("form", "full", "short or full")

// amount is how much of something the chosen form asks for.
func amount(short, full int) int {
	if *form == "short" {
		return short
	}
	return full
}

var table [][4]string

// report adds a line to the table and fails the test when it was not kept.
func report(t *testing.T, what, asked, seen string, kept bool) {
	t.Helper()
	verdict := "kept"
	if !kept {
		verdict = "BROKEN"
		t.Errorf("%s: asked for %s, seen %s", what, asked, seen)
	}
	table = append(table, [4]string{what, asked, seen, verdict})
}

// reportTimed is report for what a machine cannot keep that has no room left for it: where
// everything takes more than twice as long as alone, what is not kept says nothing.
func reportTimed(t *testing.T, stretch float64, what, asked, seen string, kept bool) {
	t.Helper()
	const room = 2
	if kept || stretch <= room {
		report(t, what, asked, seen, kept)
		return
	}
	table = append(table, [4]string{what, asked, seen, "not judged: the machine is busy"})
}

// leftOut notes what could not be tried; CI may not go without.
func leftOut(t *testing.T, what, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %s, and CI may not go without", what, why)
	}
	table = append(table, [4]string{what, "", why, "left out"})
	t.Skip(why)
}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "till-attack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programFile = filepath.Join(dir, "till")
	code := m.Run()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tasked\tseen\tverdict")
	for _, row := range table {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", row[0], row[1], row[2], row[3])
	}
	if err := w.Flush(); err != nil {
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		code = 1
	}
	os.Exit(code)
}
