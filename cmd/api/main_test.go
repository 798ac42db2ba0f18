package main

import (
	"io"
	"log"
	"os"
	"testing"
)

// asProgram makes this binary the program itself, so that a test has it as a process of
// its own: with a real end, real standard output, and everything that main does.
const asProgram = "THIS_TEST_IS_TILL"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	log.SetOutput(io.Discard) // as main does
	os.Exit(m.Run())
}
