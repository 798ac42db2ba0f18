package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Price is what the catalogue needs to know of a Stripe price.
type Price struct {
	ID         string
	LookupKey  string
	Active     bool
	Livemode   bool
	Currency   string
	UnitAmount int64
	// HasUnitAmount tells nothing to pay from a price that has no unit_amount: tiers,
	// parts of the minor unit, what the customer wants to give.
	HasUnitAmount bool
	// Recurring and Metered follow Stripe's type and recurring.usage_type.
	Recurring bool
	Metered   bool
	// Interval and IntervalCount say how often a recurring price is charged.
	Interval      string
	IntervalCount int64
}

// PriceSource reads prices from Stripe.
type PriceSource interface {
	// PricesByLookupKey returns the active prices that carry one of keys; keys
	// without a price are left out. An error says nothing about any key.
	PricesByLookupKey(ctx context.Context, keys []string) ([]Price, error)
	// PriceByID returns one price, or an error that satisfies IsMissing.
	PriceByID(ctx context.Context, id string) (Price, error)
}

// Missing is implemented by errors that say an object does not exist at Stripe,
// as opposed to a look-up that failed.
type Missing interface {
	error
	Missing() bool
}

// IsMissing reports whether err says that the object does not exist.
func IsMissing(err error) bool {
	m, ok := errors.AsType[Missing](err)
	return ok && m.Missing()
}

// Catalog is the set of plans and portals, and what is known of their prices.
// It is safe for concurrent use.
type Catalog struct {
	plans   map[string]Plan
	pages   map[page]Plan
	portals map[string]Portal
	prices  atomic.Pointer[map[PriceRef]Price]
}

// page is one of the Pages of the named plan.
type page struct{ plan, mode string }

// New returns a catalogue whose prices are not known yet.
func New(plans []Plan, portals []Portal) *Catalog {
	c := &Catalog{plans: map[string]Plan{}, pages: map[page]Plan{}, portals: map[string]Portal{}}
	for _, p := range plans {
		c.plans[p.Name] = p
		for _, mode := range append(p.Pages(), p.UIMode()) {
			c.pages[page{p.Name, mode}] = p.In(mode)
		}
	}
	for _, p := range portals {
		c.portals[p.Name] = p
	}
	return c
}

// Resolved reports whether Stripe has been asked for the prices yet.
func (c *Catalog) Resolved() bool { return c.prices.Load() != nil }

// Portal returns the named portal template. The name "default" always exists.
func (c *Catalog) Portal(name string) (Portal, bool) {
	p, ok := c.portals[name]
	if !ok && name == "default" {
		return Portal{Name: "default"}, true
	}
	return p, ok
}

// Plan returns the named plan.
func (c *Catalog) Plan(name string) (Plan, bool) {
	p, ok := c.plans[name]
	return p, ok
}

// PlanIn returns the named plan In one of its Pages, or in its own UIMode. Its Params are
// everybody's, and not to be changed.
func (c *Catalog) PlanIn(name, mode string) Plan { return c.pages[page{name, mode}] }

// Price returns what is known of ref; false when Stripe has not been asked yet
// or has no active price for it.
func (c *Catalog) Price(ref PriceRef) (Price, bool) {
	known := c.prices.Load()
	if known == nil {
		return Price{}, false
	}
	p, ok := (*known)[ref]
	return p, ok && p.Active
}

// Refresh asks source for every price of every plan. The findings are what
// Stripe contradicts (a price that is missing, inactive or of the wrong mode)
// and, as warnings, what it will probably refuse to sell together; their paths
// begin with "plans". On an error nothing is changed and nothing is known to be
// wrong.
func (c *Catalog) Refresh(ctx context.Context, source PriceSource, livemode bool) ([]Finding, error) {
	found := prices{known: map[PriceRef]Price{}}
	var ids, keys []string
	for ref := range c.refs() {
		if ref.LookupKey != "" {
			keys = append(keys, ref.LookupKey)
		} else {
			ids = append(ids, ref.ID)
		}
	}
	err := each(ctx, slices.Values(ids), func(ctx context.Context, id string) error {
		price, err := source.PriceByID(ctx, id)
		switch {
		case IsMissing(err):
			return nil
		case err != nil:
			return fmt.Errorf("reading price %s: %w", id, err)
		}
		found.add(PriceRef{ID: id}, price)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := found.resolve(ctx, source, keys); err != nil {
		return nil, fmt.Errorf("resolving lookup keys: %w", err)
	}
	c.prices.Store(&found.known)
	return c.contradictions(found.known, livemode), nil
}

// Stripe takes at most ten lookup keys at a time.
const lookupKeysPerCall = 10

// prices are those that were found so far.
type prices struct {
	mu    sync.Mutex
	known map[PriceRef]Price
}

func (p *prices) add(ref PriceRef, price Price) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[ref] = price
}

// resolve looks keys up in as few calls as possible. What is missing from a
// shared answer is asked for once more on its own before it counts as missing.
func (p *prices) resolve(ctx context.Context, source PriceSource, keys []string) error {
	slices.Sort(keys)
	for _, size := range []int{lookupKeysPerCall, 1} {
		err := each(ctx, slices.Chunk(keys, size), func(ctx context.Context, chunk []string) error {
			found, err := source.PricesByLookupKey(ctx, chunk)
			for _, price := range found {
				p.add(PriceRef{LookupKey: price.LookupKey}, price)
			}
			return err
		})
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, func(key string) bool {
			_, found := p.known[PriceRef{LookupKey: key}]
			return found
		})
	}
	return nil
}

// askedAtOnce is how many questions a start asks together: enough that hundreds of prices
// are no wait, and too few for anybody else to wait behind them.
const askedAtOnce = 4

func each[T any](ctx context.Context, all iter.Seq[T], ask func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(askedAtOnce)
	for one := range all {
		g.Go(func() error { return ask(ctx, one) })
	}
	return g.Wait()
}

func (c *Catalog) refs() map[PriceRef]bool {
	refs := map[PriceRef]bool{}
	for _, p := range c.plans {
		for _, item := range p.LineItems {
			refs[item.Price] = true
		}
	}
	return refs
}

// maxOfAKind is how many recurring and how many one-time prices Stripe takes in a
// subscription.
const maxOfAKind = 20

func (c *Catalog) contradictions(known map[PriceRef]Price, livemode bool) []Finding {
	var f findings
	for _, name := range slices.Sorted(maps.Keys(c.plans)) {
		plan, recurring, once, before := c.plans[name], 0, 0, len(f)
		for i, item := range plan.LineItems {
			price, ok := known[item.Price]
			if price.Recurring {
				recurring++
			} else {
				once++
			}
			at := fmt.Sprintf("plans.%s.line_items.%d.price", name, i)
			switch {
			case !ok:
				f.add(at, "Stripe has no price %q in this account and mode", item.Price)
			case !price.Active:
				f.add(at, "price %q is not active", item.Price)
			case price.Livemode != livemode:
				f.add(at, "price %q belongs to the other mode (live or test) than the key", item.Price)
			case price.Recurring && plan.Mode == ModePayment:
				f.warn(at, "price %q is recurring, and the plan's mode is payment", item.Price)
			case price.Metered && item.Quantity != nil:
				f.warn(at, "price %q is metered: Stripe refuses a quantity", item.Price)
			}
		}
		if plan.Mode != ModeSubscription || len(f) > before {
			continue
		}
		switch at := "plans." + name + ".line_items"; {
		case recurring == 0:
			f.warn(at, "a subscription plan needs at least one recurring price")
		case recurring > maxOfAKind || once > maxOfAKind:
			f.warn(at, "Stripe takes at most %d recurring and %[1]d one-time ones; these are %d and %d", maxOfAKind, recurring, once)
		}
	}
	return f
}
