package handlers_test

import (
	"io"
	"syscall"
	"testing"
	"time"
)

// TestWhoseRequestIsThereIsNotClosed: what has come counts before whoever waits for it has
// got to it.
func TestWhoseRequestIsThereIsNotClosed(t *testing.T) {
	t.Parallel()
	var w watch
	visit := acceptor(t, 2, &w)
	prompt, silent := visit(), visit()
	raw, err := prompt.server.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// Other readers have to wait for this one, as they do for a turn on the processor.
	holding, release, released := make(chan bool), make(chan bool), make(chan error, 1)
	go func() {
		released <- raw.Read(func(uintptr) bool {
			holding <- true
			<-release
			return true
		})
	}()
	<-holding
	served := prompt.reads(&w)
	w.advance(time.Second)
	cut := silent.reads(&w)
	w.advance(time.Second)
	if _, err := io.WriteString(prompt.client, "GET"); err != nil {
		t.Fatal(err)
	}
	visit()
	if err := <-cut; err == nil {
		t.Error("who is silent was read from")
	}
	close(release)
	if err := <-released; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("whose request was there: %v", err)
	}
}
