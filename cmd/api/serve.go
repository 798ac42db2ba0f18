package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"till/internal/config"
	"till/internal/stripeclient"
	"till/internal/telemetry"
)

func serveCommand(p process) *cobra.Command {
	source := config.Source{Operations: stripeclient.Operations()}
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API",
		Long: `Serve the API.

--dev needs nothing: it runs on a sandbox that stands in for Stripe, gives tokens
to anybody, and forgets everything at exit. It is not safe for production.

Every single value of the file can also be given in the environment:

` + environmentHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source.Environ = p.environ
			return serve(cmd.Context(), p, source, o)
		},
	}
	cmd.Flags().BoolVar(&source.Dev, "dev", false, "run on the built-in sandbox with the built-in configuration")
	cmd.Flags().StringVar(&source.Path, "config", "", "the configuration `file` (or TILL_CONFIG)")
	cmd.Flags().BoolVar(&o.profiler, "pprof", false, "serve /debug/pprof/ on the operations listener")
	cmd.Flags().DurationVar(&o.drainPause, "drain-pause", 5*time.Second, "how long to stay open after readiness is off, at the end")
	return cmd
}

// environmentHelp is made from the settings themselves, so that it cannot say
// anything else than they do.
func environmentHelp() string {
	var b strings.Builder
	for _, s := range config.Describe() {
		fmt.Fprintf(&b, "  %-38s %s\n", s.Env, s.Help)
	}
	return b.String()
}

// lastWords is how long whoever reads the log has for its end.
const lastWords = time.Second

func serve(ctx context.Context, p process, source config.Source, o serveOptions) error {
	o.log = telemetry.NewLog(p.stderr)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		_ = o.log.Close(ctx) // nobody is left to be told
	}()
	logger := telemetry.NewLogger(o.log)
	cfg, warnings, err := config.Load(source)
	for _, w := range warnings {
		logger.Warn("configuration", "key", w.Key, "warning", w.Text)
	}
	if err != nil {
		return err
	}
	s, err := newService(ctx, cfg, logger, o)
	if err != nil {
		return err
	}
	if cfg.Dev {
		go announce(ctx, p.stdout, s)
	}
	return s.run(ctx)
}

// announce says what to open, once it works.
func announce(ctx context.Context, out interface{ Write([]byte) (int, error) }, s *service) {
	for s.ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	token, _, err := s.dev.mint("alice")
	if err != nil {
		s.logger.Error("making a token", slog.Any("error", err))
		return
	}
	fmt.Fprintf(out, `
  Till %s — DEVELOPMENT MODE, NOT SAFE FOR PRODUCTION
  Anybody who reaches this port can be anybody. Stripe is a sandbox; no real money moves.

  Open      %s/
  Metrics   http://%s/metrics
  Or try    curl -s -X POST %s/checkout -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"plan":"pro"}'

`, version, s.cfg.PublicURL, s.opsListener.Addr(), s.cfg.PublicURL, token)
}
