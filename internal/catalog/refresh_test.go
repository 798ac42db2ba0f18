package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
)

// source has prices as Stripe does: a shared look-up leaves out what hide says.
type source struct {
	mu     sync.Mutex
	byKey  map[string]catalog.Price
	byID   map[string]catalog.Price
	hide   map[string]bool // left out of answers about several keys
	fail   error
	asked  [][]string
	askedI []string
	takes  time.Duration
}

type missing struct{}

func (missing) Error() string { return "resource_missing" }
func (missing) Missing() bool { return true }

func (s *source) PricesByLookupKey(_ context.Context, keys []string) ([]catalog.Price, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, slices.Clone(keys))
	if len(keys) > 10 {
		return nil, errors.New("Stripe takes ten lookup keys")
	}
	if s.fail != nil {
		return nil, s.fail
	}
	var found []catalog.Price
	for _, key := range keys {
		if p, ok := s.byKey[key]; ok && (len(keys) == 1 || !s.hide[key]) {
			found = append(found, p)
		}
	}
	slices.Reverse(found)
	return found, nil
}

func (s *source) PriceByID(_ context.Context, id string) (catalog.Price, error) {
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.askedI = append(s.askedI, id)
	p, ok := s.byID[id]
	switch {
	case s.fail != nil:
		return p, s.fail
	case !ok:
		return p, fmt.Errorf("reading: %w", missing{})
	default:
		return p, nil
	}
}

func keyed(key string) catalog.Price {
	return catalog.Price{ID: "price_" + key, LookupKey: key, Active: true, Livemode: true, Currency: "eur", UnitAmount: 100, Recurring: true}
}

func plan(name string, mode catalog.Mode, refs ...catalog.PriceRef) catalog.Plan {
	p := catalog.Plan{Name: name, Mode: mode}
	for _, ref := range refs {
		p.LineItems = append(p.LineItems, catalog.LineItem{Price: ref})
	}
	return p
}

func byKey(key string) catalog.PriceRef { return catalog.PriceRef{LookupKey: key} }
func byID(id string) catalog.PriceRef   { return catalog.PriceRef{ID: id} }

func TestRefreshResolvesWhatThePlansName(t *testing.T) {
	t.Parallel()
	s := &source{
		byKey: map[string]catalog.Price{"pro": keyed("pro")},
		byID:  map[string]catalog.Price{"price_1": {ID: "price_1", Active: true, Livemode: true}},
	}
	c := catalog.New([]catalog.Plan{
		plan("pro", catalog.ModeSubscription, byKey("pro")),
		plan("again", catalog.ModeSubscription, byKey("pro"), byID("price_1")),
		plan("shirt", catalog.ModePayment, byID("price_1")),
		plan("card", catalog.ModeSetup),
	}, nil)
	if _, known := c.Price(byKey("pro")); known {
		t.Error("a price is known before Stripe was asked")
	}
	findings, err := c.Refresh(t.Context(), s, true)
	if err != nil || len(findings) != 0 {
		t.Fatalf("got %+v, %v", findings, err)
	}
	if got, known := c.Price(byKey("pro")); !known || got != keyed("pro") {
		t.Errorf("got %+v, %t", got, known)
	}
	if got, known := c.Price(byID("price_1")); !known || got.ID != "price_1" {
		t.Errorf("got %+v, %t", got, known)
	}
	if _, known := c.Price(byID("price_2")); known {
		t.Error("a price of no plan is known")
	}
	if diff := cmp.Diff([][]string{{"pro"}}, s.asked); diff != "" {
		t.Errorf("look-ups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"price_1"}, s.askedI); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

func TestWithoutPricesStripeIsNotAsked(t *testing.T) {
	t.Parallel()
	s := &source{fail: errors.New("down")}
	if findings, err := catalog.New([]catalog.Plan{plan("card", catalog.ModeSetup)}, nil).Refresh(t.Context(), s, true); err != nil || findings != nil {
		t.Errorf("got %+v, %v", findings, err)
	}
	if len(s.asked)+len(s.askedI) != 0 {
		t.Error("Stripe was asked")
	}
}

func TestContradictions(t *testing.T) {
	t.Parallel()
	with := func(edit func(*catalog.Price)) catalog.Price { p := keyed("p"); edit(&p); return p }
	counted := plan("x", catalog.ModeSubscription, byKey("p"))
	counted.LineItems[0].Quantity = &catalog.Quantity{Default: 1, Min: 1, Max: 2}
	metered := with(func(p *catalog.Price) { p.Metered = true })
	const at = "plans.x.line_items.0.price"
	for name, tc := range map[string]struct {
		plan  catalog.Plan
		price *catalog.Price
		want  []catalog.Finding
	}{
		"a good one": {plan("x", catalog.ModeSubscription, byKey("p")), new(keyed("p")), nil},
		"missing":    {plan("x", catalog.ModeSubscription, byKey("p")), nil, []catalog.Finding{{Path: at, Text: `Stripe has no price "p" in this account and mode`}}},
		"missing by id": {plan("x", catalog.ModePayment, byID("price_9")), nil, []catalog.Finding{
			{Path: at, Text: `Stripe has no price "price_9" in this account and mode`},
		}},
		"inactive": {plan("x", catalog.ModeSubscription, byKey("p")), new(with(func(p *catalog.Price) { p.Active = false })), []catalog.Finding{
			{Path: at, Text: `price "p" is not active`},
		}},
		"of the other mode": {plan("x", catalog.ModeSubscription, byKey("p")), new(with(func(p *catalog.Price) { p.Livemode = false })), []catalog.Finding{
			{Path: at, Text: `price "p" belongs to the other mode (live or test) than the key`},
		}},
		"recurring in payment": {plan("x", catalog.ModePayment, byKey("p")), new(keyed("p")), []catalog.Finding{
			{Path: at, Text: `price "p" is recurring, and the plan's mode is payment`, Warning: true},
		}},
		"metered with a quantity": {counted, &metered, []catalog.Finding{
			{Path: at, Text: `price "p" is metered: Stripe refuses a quantity`, Warning: true},
		}},
		"metered without": {plan("x", catalog.ModeSubscription, byKey("p")), &metered, nil},
		"nothing recurring": {plan("x", catalog.ModeSubscription, byKey("p")), new(with(func(p *catalog.Price) { p.Recurring = false })), []catalog.Finding{
			{Path: "plans.x.line_items", Text: "a subscription plan needs at least one recurring price", Warning: true},
		}},
	} {
		s := &source{byKey: map[string]catalog.Price{}}
		if tc.price != nil {
			s.byKey["p"] = *tc.price
		}
		c := catalog.New([]catalog.Plan{tc.plan}, nil)
		got, err := c.Refresh(t.Context(), s, true)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		sellable := tc.price != nil && tc.price.Active
		if _, known := c.Price(tc.plan.LineItems[0].Price); known != sellable {
			t.Errorf("%s: known %t, want %t", name, known, sellable)
		}
	}
}

func TestASubscriptionHasTwentyPricesOfAKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		recurring, once int
		want            string
	}{
		{20, 20, ""},
		{21, 0, "these are 21 and 0"},
		{1, 21, "these are 1 and 21"},
	} {
		var refs []catalog.PriceRef
		s := &source{byKey: map[string]catalog.Price{}}
		for i := range tc.recurring + tc.once {
			p := keyed(fmt.Sprint("p", i))
			p.Recurring = i < tc.recurring
			s.byKey[p.LookupKey] = p
			refs = append(refs, byKey(p.LookupKey))
		}
		got, err := catalog.New([]catalog.Plan{plan("x", catalog.ModeSubscription, refs...)}, nil).Refresh(t.Context(), s, true)
		switch {
		case err != nil:
			t.Fatal(err)
		case tc.want == "" && len(got) > 0, tc.want != "" && (len(got) != 1 || !got[0].Warning || !strings.Contains(got[0].Text, tc.want)):
			t.Errorf("%d and %d: got %+v, want %q", tc.recurring, tc.once, got, tc.want)
		}
	}
}

// What is wrong with one plan does not hide what is wrong with the next.
func TestEachPlanIsJudgedByItself(t *testing.T) {
	t.Parallel()
	once := keyed("once")
	once.Recurring = false
	s := &source{byKey: map[string]catalog.Price{"once": once}}
	c := catalog.New([]catalog.Plan{
		plan("b", catalog.ModeSubscription, byKey("once")), plan("a", catalog.ModePayment, byKey("gone")),
	}, nil)
	got, err := c.Refresh(t.Context(), s, true)
	want := []catalog.Finding{
		{Path: "plans.a.line_items.0.price", Text: `Stripe has no price "gone" in this account and mode`},
		{Path: "plans.b.line_items", Text: "a subscription plan needs at least one recurring price", Warning: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A start does not wait for one price after the other, and leaves the endpoint to others.
func TestPricesAreAskedForAFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{byID: map[string]catalog.Price{}, takes: time.Second}
		var plans []catalog.Plan
		for i := range 40 {
			id := fmt.Sprintf("price_%d", i)
			s.byID[id] = catalog.Price{ID: id, Active: true, Livemode: true, Recurring: true}
			plans = append(plans, plan(id, catalog.ModeSubscription, byID(id)))
		}
		start := time.Now()
		if findings, err := catalog.New(plans, nil).Refresh(t.Context(), s, true); err != nil || len(findings) != 0 {
			t.Fatalf("%+v, %v", findings, err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("40 prices of a second each took %v, want four at a time", took)
		}
	})
}

func TestManyLookupKeysAreAskedForInTens(t *testing.T) {
	t.Parallel()
	s := &source{byKey: map[string]catalog.Price{}, hide: map[string]bool{"k07": true, "k13": true}}
	var plans []catalog.Plan
	for i := range 24 {
		key := fmt.Sprintf("k%02d", i)
		plans = append(plans, plan(key, catalog.ModeSubscription, byKey(key)))
		if i != 20 {
			s.byKey[key] = keyed(key)
		}
	}
	c := catalog.New(plans, nil)
	findings, err := c.Refresh(t.Context(), s, true)
	if err != nil {
		t.Fatal(err)
	}
	// Two were only left out of the shared answer, and found one by one; one is missing.
	if len(findings) != 1 || findings[0].Path != "plans.k20.line_items.0.price" {
		t.Errorf("got %+v, want k20 alone", findings)
	}
	// Each size is asked for together, so in any order.
	slices.SortFunc(s.asked, func(a, b []string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return slices.Compare(a, b)
	})
	var sizes []int
	for _, keys := range s.asked {
		sizes = append(sizes, len(keys))
	}
	if diff := cmp.Diff([]int{10, 10, 4, 1, 1, 1}, sizes); diff != "" {
		t.Errorf("keys in each call (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"k07"}, {"k13"}, {"k20"}}, s.asked[3:]); diff != "" {
		t.Errorf("second looks (-want +got):\n%s", diff)
	}
	for i := range 24 {
		if _, known := c.Price(byKey(fmt.Sprintf("k%02d", i))); known != (i != 20) {
			t.Errorf("k%02d: known %t", i, known)
		}
	}
}

func TestAnErrorChangesNothing(t *testing.T) {
	t.Parallel()
	for name, ref := range map[string]catalog.PriceRef{"by key": byKey("p"), "by id": byID("price_1")} {
		s := &source{
			byKey: map[string]catalog.Price{"p": keyed("p")},
			byID:  map[string]catalog.Price{"price_1": {ID: "price_1", Active: true, Livemode: true, Recurring: true}},
		}
		c := catalog.New([]catalog.Plan{plan("x", catalog.ModeSubscription, ref)}, nil)
		if _, err := c.Refresh(t.Context(), s, true); err != nil {
			t.Fatal(err)
		}
		before, _ := c.Price(ref)
		s.fail = errors.New("500")
		findings, err := c.Refresh(t.Context(), s, true)
		if err == nil || findings != nil || !errors.Is(err, s.fail) || !strings.Contains(err.Error(), "p") {
			t.Errorf("%s: got %+v, %v", name, findings, err)
		}
		if got, known := c.Price(ref); !known || got != before {
			t.Errorf("%s: got %+v, %t, want %+v", name, got, known, before)
		}
		// Stripe's word is taken again, and what is gone is gone.
		s.fail, s.byKey, s.byID = nil, nil, nil
		if findings, err := c.Refresh(t.Context(), s, true); err != nil || len(findings) != 1 {
			t.Errorf("%s: got %+v, %v", name, findings, err)
		}
		if _, known := c.Price(ref); known {
			t.Errorf("%s: a price that is gone is still known", name)
		}
	}
}

func TestPricesAreReadWhileTheyAreRefreshed(t *testing.T) {
	t.Parallel()
	s := &source{byKey: map[string]catalog.Price{"p": keyed("p")}}
	c := catalog.New([]catalog.Plan{plan("x", catalog.ModeSubscription, byKey("p"))}, nil)
	if _, err := c.Refresh(t.Context(), s, true); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, known := c.Price(byKey("p")); !known {
					t.Error("a known price was unknown for a moment")
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				if _, err := c.Refresh(t.Context(), s, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPlansAndPortalsByName(t *testing.T) {
	t.Parallel()
	c := catalog.New([]catalog.Plan{setup()}, []catalog.Portal{{Name: "team", Params: params{"locale": "de"}}})
	if p, ok := c.Plan("save-card"); !ok || p.Mode != catalog.ModeSetup {
		t.Errorf("got %+v, %t", p, ok)
	}
	for _, name := range []string{"", "Save-Card", "default"} {
		if p, ok := c.Plan(name); ok {
			t.Errorf("%q: got %+v", name, p)
		}
	}
	if p, ok := c.Portal("team"); !ok || p.Params["locale"] != "de" {
		t.Errorf("got %+v, %t", p, ok)
	}
	if p, ok := c.Portal("default"); !ok || p.Name != "default" {
		t.Errorf("got %+v, %t, want one that nobody configured", p, ok)
	}
	if p, ok := c.Portal("other"); ok {
		t.Errorf("got %+v", p)
	}
	own := catalog.New(nil, []catalog.Portal{{Name: "default", Params: params{"locale": "fr"}}})
	if p, _ := own.Portal("default"); p.Params["locale"] != "fr" {
		t.Errorf("got %+v, want the configured default", p)
	}
}

func TestIsMissing(t *testing.T) {
	t.Parallel()
	if !catalog.IsMissing(fmt.Errorf("reading: %w", missing{})) {
		t.Error("a wrapped answer is not seen")
	}
	for _, err := range []error{nil, errors.New("missing"), context.DeadlineExceeded} {
		if catalog.IsMissing(err) {
			t.Errorf("%v counts as missing", err)
		}
	}
}
