// Command api is the service and its tools in one binary, installed as till.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // only to silence it
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"till/internal/billing"
	"till/internal/config"
)

// version is set by the build.
var version = "dev"

// Exit codes: 2 says that starting again will not help until the configuration,
// or what it says of Stripe, is put right.
const (
	exitFailed        = 1
	exitMisconfigured = 2
)

func main() {
	tuneMemory()
	// net/http writes to the standard logger what an upstream sends beyond its
	// Content-Length, and that may be a session's URL.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, process{args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}))
}

// process is what a program gets from the system.
type process struct {
	args, environ  []string
	stdout, stderr io.Writer
}

// run executes one command and returns the exit code.
func run(ctx context.Context, p process) int {
	root := &cobra.Command{
		Use:           "till",
		Short:         "A backend-for-frontend for Stripe Checkout and the Billing Portal",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(p), migrateCommand(p), customersCommand(p), auditCommand(p), sandboxCommand(p), versionCommand(p))
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(p.stderr, "till: "+err.Error())
	return exitCode(err)
}

func exitCode(err error) int {
	_, misconfigured := errors.AsType[config.Problems](err)
	_, contradicted := errors.AsType[*billing.Contradiction](err)
	if misconfigured || contradicted {
		return exitMisconfigured
	}
	return exitFailed
}

func versionCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(p.stdout, "till "+version) },
	}
}
