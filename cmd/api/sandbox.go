package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"till/internal/handlers"
	"till/internal/sandbox"
	"till/internal/telemetry"
)

func sandboxCommand(p process) *cobra.Command {
	var addr, publicURL string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve the sandbox alone: a stateful stand-in for Stripe, for tests",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveSandbox(cmd.Context(), p, addr, publicURL)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:12111", "where to listen")
	cmd.Flags().StringVar(&publicURL, "public-url", "", "the `base` of the hosted pages (by default, whatever host is asked)")
	return cmd
}

func serveSandbox(ctx context.Context, p process, addr, publicURL string) error {
	fake, err := sandbox.New(sandbox.Options{PublicURL: publicURL})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("opening the listener (--addr): %w", err)
	}
	server := handlers.NewServer(fake.Handler(), telemetry.NewLogger(p.stderr))
	// Faults may hold an answer back for longer than a client should wait.
	server.WriteTimeout = 0
	fmt.Fprintf(p.stdout, "SANDBOX, no real money moves: STRIPE_API_BASE=http://%s STRIPE_SECRET_KEY=sk_test_sandbox\n", listener.Addr())
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return served(server.Serve(listener)) })
	g.Go(func() error {
		<-running.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(end) != nil {
			return server.Close()
		}
		return nil
	})
	return g.Wait()
}
