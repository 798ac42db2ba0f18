package pgtest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"till/internal/store/pgtest"
)

const roleVariable = "TILL_PGTEST_ROLE"

// As a child, this starts a server and waits for its own end.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "" {
		os.Exit(m.Run())
	}
	c, err := pgtest.New(pgtest.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, c.Folder)
	if os.Getenv(roleVariable) == "panic" {
		panic("as a test might")
	}
	select {}
}

func TestNothingIsLeftOfAProcessThatEndsBadly(t *testing.T) {
	t.Parallel()
	if why := pgtest.Missing(); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	for _, role := range []string{"panic", "killed"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"="+role)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := bufio.NewScanner(out)
		if !line.Scan() {
			t.Fatal("the child started nothing")
		}
		folder := line.Text()
		if role == "killed" {
			if len(processesOf(folder)) == 0 && isLinux() {
				t.Error("no process of the server was found")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Wait()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			_, err := os.Stat(folder)
			left := processesOf(folder)
			if os.IsNotExist(err) && len(left) == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: left are %s (%v) and %q", role, folder, err, left)
			}
		}
	}
}

func isLinux() bool {
	_, err := os.Stat("/proc/self/cmdline")
	return err == nil
}

// processesOf returns the command lines that have the folder in them.
func processesOf(folder string) (lines []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), folder) {
			lines = append(lines, string(text))
		}
	}
	return lines
}

func TestWhatADetachedStandbyMissesIsLostByItsPromotion(t *testing.T) {
	t.Parallel()
	first := pgtest.Start(t, pgtest.Options{})
	if err := first.Exec(t.Context(), "postgres", "CREATE TABLE kept ()"); err != nil {
		t.Fatal(err)
	}
	second := first.StartStandby(t)
	if err := second.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := first.Exec(t.Context(), "postgres", "CREATE TABLE lost ()"); err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := second.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := second.Exec(t.Context(), "postgres", "INSERT INTO kept DEFAULT VALUES"); err != nil {
		t.Error(err)
	}
	if err := second.Exec(t.Context(), "postgres", "SELECT FROM lost"); err == nil {
		t.Error("nothing was lost")
	}
}
