//go:build torture && linux

package torture_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/secret"
	"till/internal/store"
	"till/internal/stripeclient"
)

// What a process of a scenario is told in its environment.
const (
	pointVariable    = "TILL_TORTURE_POINT"
	afterVariable    = "TILL_TORTURE_AFTER"
	stopVariable     = "TILL_TORTURE_STOP"
	databaseVariable = "TILL_TORTURE_DATABASE"
	stripeVariable   = "TILL_TORTURE_STRIPE"
	accountVariable  = "TILL_TORTURE_ACCOUNT"
)

func init() {
	roles["visit"] = func() error { return play(visitAll) }
	roles["sweep"] = func() error { return play(sweepAll) }
	roles["open"] = openOnly
}

// actor is what is inside `till serve`, with a place to die.
type actor struct {
	service *customers.Service
	stripe  *stripeclient.Client
	store   *store.Store
	account string
}

func play(part func(context.Context, *actor) error) error {
	ctx := context.Background()
	after, err := time.ParseDuration(os.Getenv(afterVariable))
	if err != nil {
		return err
	}
	d := &doom{point: os.Getenv(pointVariable), after: after, stops: os.Getenv(stopVariable) != ""}
	w := &wire{d: d}
	a := &actor{account: os.Getenv(accountVariable)}
	if a.store, err = openStore(ctx, os.Getenv(databaseVariable)); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	if a.stripe, err = stripeclient.New(stripeclient.Options{
		Key: secret.New(stripeKey), BaseURL: os.Getenv(stripeVariable), DialContext: w.dial, Metrics: reg,
	}); err != nil {
		return err
	}
	a.service, err = customers.New(&doomedStore{a.store, d}, &doomedStripe{a.stripe, d, w}, reg,
		customers.Options{Version: a.stripe.CustomerVersion()})
	if err != nil {
		return err
	}
	err = part(ctx, a)
	d.await()
	return errors.Join(err, a.store.Close())
}

// visitAll lets the owners that stand in the input come, one after the other, and says
// how each fared.
func visitAll(ctx context.Context, a *actor) error {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		kind, subject, _ := strings.Cut(input.Text(), " ")
		c, err := a.visit(ctx, owner{customers.Kind(kind), subject})
		if err != nil {
			fmt.Fprintf(os.Stdout, "failed %v\n", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Fprintln(os.Stdout, "served", c.ID)
	}
	return input.Err()
}

// visit is what a request does: it finds the customer, and heals what Stripe says is gone.
func (a *actor) visit(ctx context.Context, o owner) (customers.Customer, error) {
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	key := o.key(a.account)
	c, err := a.service.Ensure(ctx, key)
	if err != nil {
		return c, err
	}
	if life, err := a.stripe.CustomerLife(ctx, c.ID); life == customers.Alive || err != nil {
		return c, err
	}
	return a.service.Heal(ctx, key, c)
}

// sweepAll looks after what others left, once.
func sweepAll(ctx context.Context, a *actor) error {
	_, _ = io.Copy(io.Discard, os.Stdin)
	return a.service.Sweep(ctx, customers.Account{ID: a.account})
}

// openOnly opens the database, and dies while it is brought up to date.
func openOnly() error {
	after, err := time.ParseDuration(os.Getenv(afterVariable))
	if err != nil {
		return err
	}
	(&doom{point: "in " + os.Getenv(pointVariable), after: after}).during("in open")
	s, err := openStore(context.Background(), os.Getenv(databaseVariable))
	if err != nil {
		return err
	}
	return s.Close()
}

// openStore opens a database as a start of the service does.
func openStore(ctx context.Context, databaseURL string) (*store.Store, error) {
	s, err := store.Open(ctx, databaseURL, nil)
	if err != nil {
		return nil, err
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
