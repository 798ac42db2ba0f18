package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// GateOptions are the collaborators of a Gate.
type GateOptions struct {
	Stripe   Stripe
	Accounts Accounts
	Catalog  *catalog.Catalog
	// Account is the configured account id, that of the connected account if there is
	// one; "" asks Stripe for it. It is required when the key may not read the account.
	Account  string
	Livemode bool
	// Fingerprint stands for the key, so that a database can know it again.
	Fingerprint string
	Logger      *slog.Logger
	// Refresh is how often prices are read again; 5 minutes by default.
	Refresh time.Duration
}

// Gate knows which Stripe account the key belongs to. It is shut until Stripe,
// or the database from an earlier start, has said so.
type Gate struct {
	o       GateOptions
	account atomic.Pointer[customers.Account]
	// asked is whether Stripe has been asked once, whatever it said, or has had the time.
	asked atomic.Bool
	// said are the findings that were last reported, and noted that the key may not
	// read portal configurations; both are Run's own.
	said  []catalog.Finding
	noted bool
}

// NewGate returns a shut gate.
func NewGate(o GateOptions) *Gate {
	if o.Refresh == 0 {
		o.Refresh = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Gate{o: o}
}

// Account returns the account, or dependency_unavailable while it is unknown.
func (g *Gate) Account() (customers.Account, error) {
	if a := g.account.Load(); a != nil {
		return *a, nil
	}
	return customers.Account{}, &problem.Error{
		Code: problem.DependencyUnavailable, RetryAfter: time.Second,
		Err: errors.New("the Stripe account is not known yet"),
	}
}

// Ready reports whether the account is known, and Stripe was asked for the prices: who
// knows the account from an earlier start does not know those, and could sell nothing in
// the moment until they are there. A Stripe that is away keeps nobody from being ready.
func (g *Gate) Ready() bool { return g.asked.Load() && g.account.Load() != nil }

// askedWithin is how long a start waits for Stripe when it could go without.
const askedWithin = 3 * time.Second

// Confirm asks Stripe once more whose key it is. It fails when that is another
// account than the gate knows, and no customer may then be taken for gone: in test
// mode the gate follows, for a sandbox that was started anew; in live mode it is shut.
func (g *Gate) Confirm(ctx context.Context) error {
	known := g.account.Load()
	if known == nil {
		_, err := g.Account()
		return err
	}
	id, err := g.o.Stripe.AccountID(ctx)
	switch {
	case isAccountRefused(err):
		return err
	case isPermissionDenied(err), err == nil && id == known.ID:
		return nil
	case err != nil:
		return err
	}
	g.o.Logger.ErrorContext(ctx, "the key belongs to another account than before", "before", known.ID, "now", id)
	now := customers.Account{ID: id, Livemode: g.o.Livemode}
	if now.Livemode || g.o.Account != "" {
		g.account.CompareAndSwap(known, nil)
	} else {
		g.account.CompareAndSwap(known, &now)
	}
	return &problem.Error{
		Code: problem.DependencyUnavailable, RetryAfter: time.Second,
		Err: fmt.Errorf("the key belongs to %s, and the customers are those of %s", id, known.ID),
	}
}

// Contradiction is what Stripe says against the configuration. The service must
// not start with it.
type Contradiction struct{ Findings []catalog.Finding }

// Error lists every finding on a line of its own.
func (c *Contradiction) Error() string {
	text := "Stripe contradicts the configuration:"
	for _, f := range c.Findings {
		text += "\n  " + f.Path + ": " + f.Text
	}
	return text
}

// Run opens the gate and keeps the catalogue's prices fresh until ctx ends. It
// returns a *Contradiction when Stripe's first answer is against the
// configuration; while Stripe gives no answer it goes on trying.
func (g *Gate) Run(ctx context.Context) error {
	g.openFromMemory(ctx)
	enough := time.AfterFunc(askedWithin, func() { g.asked.Store(true) })
	defer enough.Stop()
	const soon, atMost = 250 * time.Millisecond, 30 * time.Second
	for first, retry := true, soon; ; {
		findings, err := g.ask(ctx)
		g.asked.Store(true)
		wait := g.o.Refresh
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			g.o.Logger.WarnContext(ctx, "stripe has not confirmed the configuration", "error", err, "ready", g.Ready())
			wait, retry = retry, min(2*retry, atMost)
		case first && wrong(findings):
			return &Contradiction{findings}
		default:
			first, retry = false, soon
			g.report(ctx, findings)
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// AccountOf returns the id of the account that the key belongs to. Where the key
// may not read it, the configured id counts; where it may, both must agree. What
// Stripe says against key or configuration is a *Contradiction.
func AccountOf(ctx context.Context, stripe AccountSource, configured string) (string, error) {
	contradiction := func(path, format string, args ...any) error {
		return &Contradiction{[]catalog.Finding{{Path: path, Text: fmt.Sprintf(format, args...)}}}
	}
	id, err := stripe.AccountID(ctx)
	switch {
	case isKeyRefused(err):
		return "", contradiction("STRIPE_SECRET_KEY", "Stripe does not accept this key")
	case isAccountRefused(err):
		return "", contradiction("stripe.connected_account", "the key has no access to %s, or there is no such account", configured)
	case isPermissionDenied(err) && configured != "":
		return configured, nil
	case isPermissionDenied(err):
		return "", contradiction("stripe.account", "required, because the key may not read the account itself")
	case err != nil:
		return "", fmt.Errorf("reading the account: %w", err)
	case configured != "" && configured != id:
		return "", contradiction("stripe.account", "is %s, and the key belongs to %s", configured, id)
	}
	return id, nil
}

func (g *Gate) openFromMemory(ctx context.Context) {
	seen, ok, err := g.o.Accounts.SeenAccount(ctx, g.o.Fingerprint)
	if err != nil {
		g.o.Logger.WarnContext(ctx, "the database does not answer", "error", err)
		return
	}
	if ok && seen.Livemode == g.o.Livemode && (g.o.Account == "" || g.o.Account == seen.ID) {
		g.account.Store(&seen)
	}
}

// ask returns what Stripe says against the configuration. On an error nothing
// is known. It asks everything at once: a start waits for one answer and not for three
// in turn, and the first callers find as many connections open.
func (g *Gate) ask(ctx context.Context) ([]catalog.Finding, error) {
	var (
		id                  string
		account, refresh    error
		findings, ofPortals []catalog.Finding
		all                 sync.WaitGroup
	)
	all.Go(func() { id, account = AccountOf(ctx, g.o.Stripe, g.o.Account) })
	all.Go(func() { findings, refresh = g.o.Catalog.Refresh(ctx, g.o.Stripe, g.o.Livemode) })
	all.Go(func() { ofPortals = g.checkPortals(ctx) })
	all.Wait()
	against, contradicted := errors.AsType[*Contradiction](account)
	switch {
	case contradicted:
		return against.Findings, nil
	case account != nil:
		return nil, account
	case isPermissionDenied(refresh):
		return []catalog.Finding{{Path: "STRIPE_SECRET_KEY", Text: "may not read prices; let the key read Prices"}}, nil
	case refresh != nil:
		return nil, refresh
	}
	return g.judge(ctx, customers.Account{ID: id, Livemode: g.o.Livemode}, append(findings, ofPortals...))
}

// judge opens the gate to the account, unless something is against it.
func (g *Gate) judge(ctx context.Context, account customers.Account, findings []catalog.Finding) ([]catalog.Finding, error) {
	if moved, err := g.moved(ctx, account); moved != nil || err != nil {
		return moved, err
	}
	if err := g.o.Accounts.RememberAccount(ctx, g.o.Fingerprint, account); err != nil {
		return nil, err
	}
	if !wrong(findings) {
		g.account.Store(&account)
	}
	return findings, nil
}

// moved finds out whether the key belonged to another account when this database
// saw it last. A key does not move, so something between here and Stripe is not
// what it was: in live mode that is the end. In test mode it is a sandbox that
// was started anew.
func (g *Gate) moved(ctx context.Context, now customers.Account) ([]catalog.Finding, error) {
	seen, ok, err := g.o.Accounts.SeenAccount(ctx, g.o.Fingerprint)
	if err != nil || !ok || seen == now {
		return nil, err
	}
	if now.Livemode {
		return []catalog.Finding{{
			Path: "STRIPE_SECRET_KEY",
			Text: fmt.Sprintf("belonged to %s when this database saw it last, and Stripe now says %s", seen.ID, now.ID),
		}}, nil
	}
	g.o.Logger.WarnContext(ctx, "the key belongs to another account than before; its owners get new customers",
		"before", seen.ID, "now", now.ID)
	return nil, nil
}

func wrong(findings []catalog.Finding) bool {
	return slices.ContainsFunc(findings, func(f catalog.Finding) bool { return !f.Warning })
}

// report says what Stripe has against the configuration since the start. Plans
// whose price has gone are refused as plan_unavailable; the others are sold on.
// Warnings are not said again for as long as they hold.
func (g *Gate) report(ctx context.Context, findings []catalog.Finding) {
	said := g.said
	g.said = findings
	for _, f := range findings {
		level := slog.LevelError
		if f.Warning {
			level = slog.LevelWarn
		}
		if f.Warning && slices.Contains(said, f) {
			continue
		}
		g.o.Logger.Log(ctx, level, "stripe contradicts the configuration", "at", f.Path, "finding", f.Text)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
