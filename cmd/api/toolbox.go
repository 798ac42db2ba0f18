package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"till/internal/billing"
	"till/internal/config"
	"till/internal/customers"
	"till/internal/ratelimit"
	"till/internal/store"
	"till/internal/stripeclient"
	"till/internal/telemetry"
)

// toolbox is what a command works with that is run by hand: the configuration of
// the service, its database and its Stripe.
type toolbox struct {
	cfg    *config.Config
	store  *store.Store
	stripe *stripeclient.Client
	redis  *ratelimit.Redis // nil without limits.redis_url
	budget *ratelimit.Budget
}

// configFlag gives cmd the flag that names the configuration.
func configFlag(cmd *cobra.Command, p process) *config.Source {
	source := &config.Source{Environ: p.environ, Operations: stripeclient.Operations()}
	cmd.Flags().StringVar(&source.Path, "config", "", "the configuration `file` (or TILL_CONFIG)")
	return source
}

// openToolbox loads the configuration and opens the database as it is; nothing is
// asked of Stripe yet.
func openToolbox(ctx context.Context, p process, source config.Source) (_ *toolbox, err error) {
	cfg, warnings, err := config.Load(source)
	for _, w := range warnings {
		fmt.Fprintf(p.stderr, "warning: %s: %s\n", w.Key, w.Text)
	}
	if err != nil {
		return nil, err
	}
	t := &toolbox{cfg: cfg}
	if t.store, err = store.Open(ctx, cfg.Database.URL.Reveal(), nil); err != nil {
		return nil, err
	}
	registry := telemetry.NewRegistry(version)
	if t.redis, err = openRedis(cfg.Limits); err == nil {
		t.budget, err = newBudget(cfg, t.redis, registry, nil)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.stripe, err = stripeclient.New(stripeclient.Options{
		Key: cfg.Stripe.Key, BaseURL: cfg.Stripe.APIBase, Version: cfg.Stripe.Version, Versions: cfg.Stripe.Versions, Connected: cfg.Stripe.Connected,
		Budget: t.budget, Metrics: registry,
	})
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *toolbox) close() error {
	if t.stripe != nil {
		t.stripe.Close()
	}
	t.budget.Close()
	if t.redis != nil {
		return errors.Join(t.redis.Close(), t.store.Close())
	}
	return t.store.Close()
}

// account asks Stripe whose key it is.
func (t *toolbox) account(ctx context.Context) (customers.Account, error) {
	id, err := billing.AccountOf(ctx, t.stripe, t.cfg.Stripe.WorkedFor())
	return customers.Account{ID: id, Livemode: t.stripe.Livemode()}, err
}

func (t *toolbox) subjectForm() customers.SubjectForm {
	return customers.SubjectForm(t.cfg.Stripe.MetadataSubject)
}
