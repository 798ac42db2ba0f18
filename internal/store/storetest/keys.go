package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/idempotency"
)

// RunKeys is the conformance suite of idempotency.Store, on the terms of Run. It does
// not wait: what has no length is over at once.
func RunKeys(t *testing.T, open func(t *testing.T) idempotency.Store) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) idempotency.Store){
		"a row is what was written":                       putsKeys,
		"of concurrent rows one is written":               putsKeysOnce,
		"ids are compared byte for byte":                  comparesKeys,
		"a row without a name is refused":                 refusesNamelessKeys,
		"a row whose time is over is none":                forgetsKeys,
		"another takes the place of a row of before":      putsKeysAgain,
		"a lease that is over is taken":                   takesLeases,
		"no other lease is taken":                         refusesLeases,
		"of concurrent takers one has the lease":          takesLeasesOnce,
		"a row that is done stays so":                     finishesKeys,
		"a released row can be taken":                     releasesKeys,
		"a dropped row is free":                           dropsKeys,
		"only the holder writes how it ended":             heedsHolders,
		"a key is renewed by its holder, and not often":   renewsKeys,
		"of concurrent renewals one is written":           renewsKeysOnce,
		"a purge removes what is over, and so many":       purgesKeys,
		"a cancelled context changes no key":              heedsCancellationOfKeys,
		"another handle sees the same clock and the same": sharesKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

const (
	never  = time.Duration(0)
	always = time.Hour
)

// keyRecord returns a row that tells itself from others by id.
func keyRecord(id string) idempotency.Record {
	return idempotency.Record{
		ID: id, Body: "body of " + id, StripeKey: "stripe key of " + id, Holder: "first holder of " + id,
		Frozen: idempotency.Frozen{
			Params: `{"metadata":{"a":"'; DROP TABLE idempotency_keys; --"},"n":"zo\u00eb"}`, Version: "2023-10-16",
			Customer: "cus_" + id, Session: "cs_" + id,
		},
	}
}

func putKey(t *testing.T, s idempotency.Store, r idempotency.Record, lease, keep time.Duration) {
	t.Helper()
	if err := s.Put(t.Context(), r, lease, keep); err != nil {
		t.Fatal(err)
	}
}

// keyStands holds what the store has of want's id against want.
func keyStands(t *testing.T, s idempotency.Store, want idempotency.Record) {
	t.Helper()
	if diff := cmp.Diff(want, must(s.Find(t.Context(), want.ID))(t)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

func noKey(t *testing.T, s idempotency.Store, id string) {
	t.Helper()
	if r, err := s.Find(t.Context(), id); !errors.Is(err, idempotency.ErrNoRecord) {
		t.Errorf("got %+v, %v, want ErrNoRecord", r, err)
	}
}

func unchanged(t *testing.T, why string, err error) {
	t.Helper()
	if !errors.Is(err, idempotency.ErrChanged) {
		t.Errorf("%s: got %v, want ErrChanged", why, err)
	}
}

// once runs the call 64 times at once and holds that one of them succeeded; the
// others must have been too late.
func once(t *testing.T, call func(i int) error) (winner int) {
	t.Helper()
	winner = -1
	type end struct{ err error }
	for i, end := range together(t, func(i int) (end, error) { return end{call(i)}, nil }) {
		switch {
		case end.err == nil && winner >= 0:
			t.Errorf("both %d and %d succeeded", winner, i)
		case end.err == nil:
			winner = i
		default:
			unchanged(t, "a loser", end.err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody succeeded")
	}
	return winner
}

func putsKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	noKey(t, s, "a")
	putKey(t, s, want, always, always)
	want.Running = true
	keyStands(t, s, want)
	other := keyRecord("a")
	other.Body = "another"
	unchanged(t, "a second row", s.Put(t.Context(), other, always, always))
	keyStands(t, s, want)

	bare := keyRecord("b")
	bare.Frozen = idempotency.Frozen{}
	bare.Done, bare.Running = true, true // no row begins so
	putKey(t, s, bare, never, always)
	bare.Done, bare.Running = false, false
	keyStands(t, s, bare)
}

func putsKeysOnce(t *testing.T, open func(*testing.T) idempotency.Store) {
	handles := []idempotency.Store{open(t), open(t)}
	rows := func(i int) idempotency.Record {
		r := keyRecord("a")
		r.StripeKey = strconv.Itoa(i)
		return r
	}
	want := rows(once(t, func(i int) error { return handles[i%2].Put(t.Context(), rows(i), always, always) }))
	want.Running = true
	keyStands(t, handles[0], want)
	keyStands(t, handles[1], want)
}

func comparesKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s := open(t)
	ids := []string{"a", "A", "a ", " a", "a%", "_", "zo\u00eb", "zoe\u0308", "1", "01", "'; DROP TABLE idempotency_keys; --"}
	for _, id := range ids {
		putKey(t, s, keyRecord(id), never, always)
	}
	for _, id := range ids {
		keyStands(t, s, keyRecord(id))
	}
}

func refusesNamelessKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s := open(t)
	for name, edit := range map[string]func(*idempotency.Record){
		"id":         func(r *idempotency.Record) { r.ID = "" },
		"body":       func(r *idempotency.Record) { r.Body = "" },
		"Stripe key": func(r *idempotency.Record) { r.StripeKey = "" },
		"holder":     func(r *idempotency.Record) { r.Holder = "" },
	} {
		r := keyRecord("a")
		edit(&r)
		if err := s.Put(t.Context(), r, always, always); err == nil || errors.Is(err, idempotency.ErrChanged) {
			t.Errorf("without %s: got %v, want an error", name, err)
		}
		noKey(t, s, r.ID)
	}
}

func forgetsKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, r := open(t), keyRecord("a")
	putKey(t, s, r, never, never)
	noKey(t, s, "a")
	unchanged(t, "taken", s.Take(t.Context(), r, "second", always))
	noKey(t, s, "a")
}

func putsKeysAgain(t *testing.T, open func(*testing.T) idempotency.Store) {
	handles := []idempotency.Store{open(t), open(t)}
	old := keyRecord("a")
	putKey(t, handles[0], old, always, never)
	if err := handles[0].Renew(t.Context(), old, "renewed", never); err != nil && !errors.Is(err, idempotency.ErrChanged) {
		t.Fatal(err)
	}
	if err := handles[0].Finish(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	rows := func(i int) idempotency.Record {
		r := keyRecord("a")
		r.Body, r.Params, r.Version, r.Customer, r.Session = "2", "3", "4", "5", "6"
		r.StripeKey, r.Holder = "7", strconv.Itoa(i)
		return r
	}
	want := rows(once(t, func(i int) error { return handles[i%2].Put(t.Context(), rows(i), never, always) }))
	keyStands(t, handles[1], want)
	if err := handles[0].Renew(t.Context(), want, "8", always); err != nil {
		t.Errorf("it was never renewed: %v", err)
	}
}

func takesLeases(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, never, always)
	keyStands(t, s, want)
	if err := s.Take(t.Context(), want, "second", never); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), want, "third", always); err != nil {
		t.Fatal(err)
	}
	want.Holder, want.Running = "third", true
	keyStands(t, s, want)
}

func refusesLeases(t *testing.T, open func(*testing.T) idempotency.Store) {
	s := open(t)
	unchanged(t, "no row", s.Take(t.Context(), keyRecord("nobody"), "second", always))
	held := keyRecord("held")
	putKey(t, s, held, always, always)
	unchanged(t, "a lease that is not over", s.Take(t.Context(), held, "second", always))
	held.Running = true
	keyStands(t, s, held)

	free := keyRecord("free")
	putKey(t, s, free, never, always)
	for name, edit := range map[string]func(*idempotency.Record){
		"another body":       func(r *idempotency.Record) { r.Body = "another" },
		"another Stripe key": func(r *idempotency.Record) { r.StripeKey = "another" },
	} {
		other := free
		edit(&other)
		unchanged(t, name, s.Take(t.Context(), other, "second", always))
	}
	keyStands(t, s, free)
}

func takesLeasesOnce(t *testing.T, open func(*testing.T) idempotency.Store) {
	handles := []idempotency.Store{open(t), open(t)}
	want := keyRecord("a")
	putKey(t, handles[0], want, never, always)
	winner := once(t, func(i int) error { return handles[i%2].Take(t.Context(), want, strconv.Itoa(i), always) })
	want.Holder, want.Running = strconv.Itoa(winner), true
	keyStands(t, handles[1], want)
}

func finishesKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, always, always)
	if err := s.Finish(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	want.Done = true
	keyStands(t, s, want)
	unchanged(t, "taken when done", s.Take(t.Context(), want, "second", always))
	if err := s.Release(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	keyStands(t, s, want)
}

func releasesKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, always, always)
	if err := s.Release(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	keyStands(t, s, want)
	if err := s.Take(t.Context(), want, "second", always); err != nil {
		t.Fatal(err)
	}
}

func dropsKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, r := open(t), keyRecord("a")
	putKey(t, s, r, always, always)
	putKey(t, s, keyRecord("b"), never, always)
	if err := s.Drop(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	noKey(t, s, "a")
	keyStands(t, s, keyRecord("b"))
	putKey(t, s, r, never, always)
	keyStands(t, s, r)
}

func heedsHolders(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, late := open(t), keyRecord("a")
	putKey(t, s, late, never, always)
	if err := s.Take(t.Context(), late, "second", always); err != nil {
		t.Fatal(err)
	}
	want := late
	want.Holder, want.Running = "second", true
	for name, call := range map[string]func(context.Context, idempotency.Record) error{
		"release": s.Release, "finish": s.Finish, "drop": s.Drop,
	} {
		if err := call(t.Context(), late); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		keyStands(t, s, want)
	}
	unchanged(t, "renew", s.Renew(t.Context(), late, "another", never))
	keyStands(t, s, want)
}

func renewsKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, always, always)
	renew := func(r idempotency.Record, key string, every time.Duration) error {
		return s.Renew(t.Context(), r, key, every)
	}
	if err := renew(want, "second", always); err != nil {
		t.Fatalf("the first time: %v", err)
	}
	unchanged(t, "from a key of before", renew(want, "third", never))
	want.StripeKey, want.Running = "second", true
	keyStands(t, s, want)
	unchanged(t, "too soon", renew(want, "third", always))
	keyStands(t, s, want)
	if err := renew(want, "third", never); err != nil {
		t.Errorf("late enough: %v", err)
	}
	want.StripeKey = "third"
	keyStands(t, s, want)
	if err := s.Release(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), want, "second holder", always); err != nil {
		t.Fatal(err)
	}
	want.Holder = "second holder"
	unchanged(t, "too soon, by another holder", renew(want, "fourth", always))
}

func renewsKeysOnce(t *testing.T, open func(*testing.T) idempotency.Store) {
	handles := []idempotency.Store{open(t), open(t)}
	want := keyRecord("a")
	putKey(t, handles[0], want, always, always)
	winner := once(t, func(i int) error { return handles[i%2].Renew(t.Context(), want, strconv.Itoa(i), always) })
	want.StripeKey, want.Running = strconv.Itoa(winner), true
	keyStands(t, handles[1], want)
}

func purgesKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s := open(t)
	putKey(t, s, keyRecord("kept"), never, always)
	// The longest over first: a purge that cannot keep up must not leave them for ever.
	for i, keep := range []time.Duration{-time.Second, -time.Hour, -time.Minute} {
		putKey(t, s, keyRecord(strconv.Itoa(i)), always, keep)
	}
	for _, step := range []struct{ limit, want int }{{0, 0}, {-1, 0}, {2, 2}, {2, 1}, {2, 0}} {
		if got := must(s.Purge(t.Context(), step.limit))(t); got != step.want {
			t.Errorf("of %d: got %d, want %d", step.limit, got, step.want)
		}
	}
	keyStands(t, s, keyRecord("kept"))
	putKey(t, s, keyRecord("1"), never, always)
}

func heedsCancellationOfKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, never, always)
	over := keyRecord("over")
	putKey(t, s, over, never, -time.Hour)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"find":    func() error { return errorOf(s.Find(gone, "a")) },
		"put":     func() error { return s.Put(gone, keyRecord("b"), always, always) },
		"take":    func() error { return s.Take(gone, want, "second", always) },
		"renew":   func() error { return s.Renew(gone, want, "second", never) },
		"release": func() error { return s.Release(gone, want) },
		"finish":  func() error { return s.Finish(gone, want) },
		"drop":    func() error { return s.Drop(gone, want) },
		"purge":   func() error { return errorOf(s.Purge(gone, 10)) },
	} {
		if err := call(); err == nil || errors.Is(err, idempotency.ErrNoRecord) || errors.Is(err, idempotency.ErrChanged) {
			t.Errorf("%s: got %v, want an error that says nothing of the row", name, err)
		}
	}
	keyStands(t, s, want)
	noKey(t, s, "b")
	if n := must(s.Purge(t.Context(), 10))(t); n != 1 {
		t.Errorf("%d rows were left to purge, want 1", n)
	}
}

func sharesKeys(t *testing.T, open func(*testing.T) idempotency.Store) {
	s, want := open(t), keyRecord("a")
	putKey(t, s, want, always, always)
	want.Running = true
	keyStands(t, open(t), want)
	if err := open(t).Finish(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	want.Running, want.Done = false, true
	keyStands(t, s, want)
}
