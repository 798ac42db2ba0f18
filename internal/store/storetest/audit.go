package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"till/internal/audit"
)

// Audit is an audit.Store in memory.
type Audit struct {
	mu     sync.Mutex
	events []audit.Event // in their order
}

// AppendEvents implements audit.Store.
func (m *Audit) AppendEvents(ctx context.Context, events []audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		if e.ID == "" || e.Action == "" || e.Outcome == "" {
			return errors.New("an event without a name")
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range events {
		e.At = millis(e.At)
		if i, found := slices.BinarySearchFunc(m.events, e.Position(), after); !found {
			m.events = slices.Insert(m.events, i, e)
		}
	}
	return nil
}

// Events implements audit.Reader.
func (m *Audit) Events(ctx context.Context, from audit.Position, before time.Time, limit int) ([]audit.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []audit.Event
	for _, e := range m.events {
		if after(e, from) > 0 && e.At.Before(millis(before)) && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, ctx.Err()
}

// DeleteEvents implements audit.Store.
func (m *Audit) DeleteEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for n < min(max(limit, 0), len(m.events)) && m.events[n].At.Before(millis(before)) {
		n++
	}
	m.events = slices.Delete(m.events, 0, n)
	return n, nil
}

func after(e audit.Event, p audit.Position) int {
	return cmp.Or(e.At.Compare(millis(p.At)), strings.Compare(e.ID, p.ID))
}

// RunAudit is the conformance suite of audit.Store, as Run is that of customers.Ledger.
func RunAudit(t *testing.T, open func(t *testing.T) audit.Store) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) audit.Store){
		"events come back as they were written":          keepsEvents,
		"an event that is written again is there once":   appendsOnce,
		"a batch is written whole or not at all":         appendsWhole,
		"pages hold every event once and in order":       pagesEvents,
		"a page begins and ends where it is told":        boundsEvents,
		"of concurrent writers every event is there":     appendsTogether,
		"the oldest go first and as many as are asked":   deletesOldest,
		"a cancelled context leaves the events":          keepsEventsWhenCancelled,
		"events are there after closing and opening":     keepsEventsClosed,
		"a batch of the largest events is no difficulty": appendsMuch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// Event returns an event of alice's at a time after Base.
func Event(id string, at time.Duration) audit.Event {
	return audit.Event{
		At: Base.Add(at), ID: id,
		Actor:  audit.Actor{Account: "acct_1", Livemode: true, Issuer: "https://id.example.com/", Kind: "user", Subject: "alice"},
		Action: audit.CheckoutCreate, Object: "cs_test_" + id, Customer: "cus_1", Outcome: audit.OK,
		RequestID: "req-" + id, Client: "192.0.2.1/32", KeyHash: audit.HashKey(id),
	}
}

// end is after every event of the suite.
var end = Base.Add(24 * time.Hour)

func appendEvents(t *testing.T, s audit.Store, events ...audit.Event) {
	t.Helper()
	if err := s.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// has holds all events of the store against want.
func has(t *testing.T, s audit.Store, want ...audit.Event) {
	t.Helper()
	got := must(s.Events(t.Context(), audit.Position{}, end, 100_000))(t)
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func keepsEvents(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	has(t, s)
	var want []audit.Event
	for i, text := range []string{
		"", "x", "o'hara", `"`, `\`, `\0`, "a\nb", "a\r\nb", "\x1b[31m", "\u009b31m", "\u202e", "\u2028", "=1+1", "'; DROP TABLE audit_events; --",
		"日本", "\U0001f600", "\U0010ffff", "$1", "?", "%s", strings.Repeat("é", 256),
	} {
		want = append(want, audit.Event{
			At: Base.Add(time.Duration(i) * time.Millisecond), ID: fmt.Sprint("id", text),
			Actor:  audit.Actor{Account: text, Livemode: i%2 == 0, Issuer: text + "1", Kind: text + "2", Subject: text + "3", Member: text + "4"},
			Action: audit.Action("a" + text), Object: text + "5", Customer: text + "6", Outcome: audit.OK,
			RequestID: text + "7", Client: text + "8", KeyHash: text + "9",
		})
	}
	appendEvents(t, s, want...)
	has(t, s, want...)
	has(t, open(t), want...)
}

func appendsOnce(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	a, b, c := Event("a", 0), Event("b", 0), Event("a", time.Millisecond)
	appendEvents(t, s, a, b)
	other := a
	other.Subject = "mallory"
	appendEvents(t, s, b, other, c) // the first stays as it is
	appendEvents(t, s)
	has(t, s, a, b, c)
}

func appendsWhole(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	nameless := Event("", 0)
	if err := s.AppendEvents(t.Context(), []audit.Event{Event("a", 0), nameless, Event("b", 0)}); err == nil {
		t.Error("an event without an id was written")
	}
	has(t, s)
}

func pagesEvents(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	var want, reversed []audit.Event
	for i := range 57 {
		// Several share a time.
		want = append(want, Event(fmt.Sprintf("%02d", i%10), time.Duration(i/10)*time.Millisecond))
	}
	for _, e := range slices.Backward(want) {
		reversed = append(reversed, e)
	}
	appendEvents(t, s, reversed...)
	for _, limit := range []int{1, 7, 19, 57, 100} {
		var got []audit.Event
		for from := (audit.Position{}); ; {
			page := must(s.Events(t.Context(), from, end, limit))(t)
			if len(page) > limit {
				t.Fatalf("%d events on a page of %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			from = page[len(page)-1].Position()
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	if page := must(s.Events(t.Context(), audit.Position{}, end, 0))(t); len(page) != 0 {
		t.Errorf("a page of none has %d", len(page))
	}
}

func boundsEvents(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	a, b, c, d := Event("a", 0), Event("b", 0), Event("c", time.Millisecond), Event("d", 2*time.Millisecond)
	appendEvents(t, s, a, b, c, d)
	for name, tc := range map[string]struct {
		from   audit.Position
		before time.Time
		want   []audit.Event
	}{
		"from the time of the first":     {audit.Position{At: a.At}, end, []audit.Event{a, b, c, d}},
		"after one of that time":         {a.Position(), end, []audit.Event{b, c, d}},
		"from a later time":              {audit.Position{At: c.At}, end, []audit.Event{c, d}},
		"until the time of the last":     {audit.Position{}, d.At, []audit.Event{a, b, c}},
		"until a part of a millisecond":  {audit.Position{}, d.At.Add(999 * time.Microsecond), []audit.Event{a, b, c}},
		"nothing between":                {c.Position(), d.At, nil},
		"nothing after":                  {d.Position(), end, nil},
		"nothing before the first":       {audit.Position{}, a.At, nil},
		"the end before the beginning":   {audit.Position{At: d.At}, a.At, nil},
		"from a part of a millisecond":   {audit.Position{At: d.At.Add(time.Microsecond)}, end, []audit.Event{d}},
		"after all of one and a half ms": {audit.Position{At: c.At, ID: "zzz"}, end, []audit.Event{d}},
	} {
		got := must(s.Events(t.Context(), tc.from, tc.before, 100))(t)
		if diff := gocmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func appendsTogether(t *testing.T, open func(*testing.T) audit.Store) {
	handles := []audit.Store{open(t), open(t)}
	var want []audit.Event
	for i := range 64 {
		want = append(want, Event(fmt.Sprintf("%02d", i), 0))
	}
	together(t, func(i int) (struct{}, error) {
		// Each is sent twice, by both.
		return struct{}{}, handles[i%2].AppendEvents(t.Context(), []audit.Event{want[i], want[(i+1)%len(want)]})
	})
	has(t, handles[0], want...)
}

func deletesOldest(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	var all []audit.Event
	for i := range 10 {
		all = append(all, Event(fmt.Sprint(i), time.Duration(i/2)*time.Millisecond))
	}
	appendEvents(t, s, all...)
	left := 0
	for _, step := range []struct {
		before time.Duration
		limit  int
		want   int
	}{
		{0, 100, 0},
		{time.Millisecond, 0, 0},
		{time.Hour, 1, 1},
		{2 * time.Millisecond, 2, 2},
		{2*time.Millisecond + 999*time.Microsecond, 100, 1},
		{2 * time.Millisecond, 100, 0},
		{4 * time.Millisecond, 4, 4},
		{time.Hour, 100, 2},
		{time.Hour, 100, 0},
	} {
		if got := must(s.DeleteEvents(t.Context(), Base.Add(step.before), step.limit))(t); got != step.want {
			t.Errorf("before %v, at most %d: %d were deleted, want %d", step.before, step.limit, got, step.want)
		}
		left += step.want
		has(t, s, all[left:]...)
	}
}

func keepsEventsWhenCancelled(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	appendEvents(t, s, Event("a", 0))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"append": s.AppendEvents(gone, []audit.Event{Event("b", 0)}),
		"delete": errorOf(s.DeleteEvents(gone, end, 100)),
		"read":   errorOf(s.Events(gone, audit.Position{}, end, 100)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	has(t, s, Event("a", 0))
}

func keepsEventsClosed(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	appendEvents(t, s, Event("a", 0), Event("b", time.Second))
	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	has(t, open(t), Event("a", 0), Event("b", time.Second))
}

func appendsMuch(t *testing.T, open func(*testing.T) audit.Store) {
	s := open(t)
	var want []audit.Event
	for i := range 200 {
		e := Event(fmt.Sprintf("%03d", i), 0)
		long := strings.Repeat("\U0001f600", 128)
		e.Account, e.Issuer, e.Kind, e.Subject, e.Member = long, long, long, long, long
		e.Object, e.Customer, e.RequestID, e.Client, e.KeyHash = long, long, long, long, long
		want = append(want, e)
	}
	appendEvents(t, s, want...)
	has(t, s, want...)
}
