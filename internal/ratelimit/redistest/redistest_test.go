package redistest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"till/internal/ratelimit/redistest"
)

const roleVariable = "TILL_REDISTEST_ROLE"

// As a child, this starts a server, freezes it and waits for its own end.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := redistest.New(redistest.Options{})
	if err == nil {
		err = s.Freeze()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, s.Folder, s.Process())
	select {}
}

func TestNothingIsLeftOfAProcessThatEndsBadly(t *testing.T) {
	t.Parallel()
	redistest.Start(t, redistest.Options{}) // or there is nothing to test with
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=frozen")
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
	folder, id, _ := strings.Cut(line.Text(), " ")
	pid, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(folder)
		if os.IsNotExist(err) && syscall.Kill(pid, 0) != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left are %s (%v) or the process %d", folder, err, pid)
		}
	}
}
