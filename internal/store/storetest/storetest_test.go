package storetest_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/store/storetest"
)

func TestMemoryKeepsTheSuite(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.Run(t, func(t *testing.T) customers.Ledger {
		s, _ := stores.LoadOrStore(t.Name(), storetest.NewMemory())
		return s.(*storetest.Memory)
	})
}

// A ledger that never fails is no other ledger.
func TestFaultyWithoutFaultsKeepsTheSuite(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.Run(t, func(t *testing.T) customers.Ledger {
		s, _ := stores.LoadOrStore(t.Name(), storetest.NewMemory())
		return storetest.Faulty{
			Store: s.(*storetest.Memory),
			Next:  func(context.Context, storetest.Operation) storetest.Fault { return storetest.None },
		}
	})
}

func TestFaultyFailsBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	memory, fault := storetest.NewMemory(), storetest.Before
	faulty := storetest.Faulty{Store: memory, Next: func(context.Context, storetest.Operation) storetest.Fault { return fault }}
	r := storetest.Reservation(storetest.Owner("alice"), 1, "k1")
	for _, step := range []struct {
		fault storetest.Fault
		err   error
		rows  int
	}{{storetest.Before, storetest.ErrFault, 0}, {storetest.After, storetest.ErrFault, 1}, {storetest.None, nil, 1}} {
		fault = step.fault
		if _, err := faulty.Reserve(t.Context(), r); !errors.Is(err, step.err) {
			t.Errorf("fault %d: got %v, want %v", step.fault, err, step.err)
		}
		if got := len(memory.Records()); got != step.rows {
			t.Errorf("fault %d: got %d rows, want %d", step.fault, got, step.rows)
		}
	}
}

func TestFaultyAsksForEveryOperationByItsName(t *testing.T) {
	t.Parallel()
	var (
		fault          storetest.Fault
		asked, reached []storetest.Operation
	)
	// The inner one only says what has come through.
	faulty := storetest.Faulty{
		Store: storetest.Faulty{
			Store: storetest.NewMemory(),
			Next: func(_ context.Context, op storetest.Operation) storetest.Fault {
				reached = append(reached, op)
				return storetest.None
			},
		},
		Next: func(_ context.Context, op storetest.Operation) storetest.Fault {
			asked = append(asked, op)
			return fault
		},
	}
	ctx, owner := t.Context(), storetest.Owner("alice")
	r, c := storetest.Reservation(owner, 1, "k1"), storetest.Customer("cus_1", 1)
	calls := map[storetest.Operation]func() error{
		storetest.Find:          func() error { return errorOf(faulty.Find(ctx, owner)) },
		storetest.Reserve:       func() error { return errorOf(faulty.Reserve(ctx, r)) },
		storetest.Attempt:       func() error { return errorOf(faulty.Attempt(ctx, r, customers.At(storetest.Base))) },
		storetest.Activate:      func() error { return errorOf(faulty.Activate(ctx, r, c)) },
		storetest.SpendKey:      func() error { return errorOf(faulty.SpendKey(ctx, r)) },
		storetest.Supersede:     func() error { return errorOf(faulty.Supersede(ctx, r, r)) },
		storetest.Heal:          func() error { return errorOf(faulty.Heal(ctx, r, r)) },
		storetest.Replace:       func() error { return errorOf(faulty.Replace(ctx, r, c)) },
		storetest.Import:        func() error { return errorOf(faulty.Import(ctx, r, c)) },
		storetest.NoteSent:      func() error { return faulty.NoteSent(ctx, owner, c.ID, c.Sent) },
		storetest.Found:         func() error { return errorOf(faulty.Found(ctx, owner, owner.Subject)) },
		storetest.NoteFound:     func() error { return faulty.NoteFound(ctx, customers.Found{}) },
		storetest.Due:           func() error { return errorOf(faulty.Due(ctx, owner.Account, storetest.Base, 1)) },
		storetest.CountReserved: func() error { return errorOf(faulty.CountReserved(ctx, owner.Account, storetest.Base)) },
		storetest.CountActive:   func() error { return errorOf(faulty.CountActive(ctx, owner.Account)) },
		storetest.Page:          func() error { return errorOf(faulty.Page(ctx, owner.Account, customers.Owner{}, 1)) },
	}
	if got, want := len(calls), reflect.TypeFor[customers.Ledger]().NumMethod(); got != want {
		t.Errorf("%d operations are tried, and there are %d", got, want)
	}
	for op, call := range calls {
		for _, f := range []storetest.Fault{storetest.Before, storetest.After, storetest.None} {
			fault, asked, reached = f, nil, nil
			err := call()
			if failed := errors.Is(err, storetest.ErrFault); failed != (f != storetest.None) {
				t.Errorf("%s, fault %d: got %v", op, f, err)
			}
			through := []storetest.Operation{op}
			if diff := cmp.Diff(through, asked); diff != "" {
				t.Errorf("%s, fault %d, asked (-want +got):\n%s", op, f, diff)
			}
			if f == storetest.Before {
				through = nil
			}
			if diff := cmp.Diff(through, reached); diff != "" {
				t.Errorf("%s, fault %d, reached (-want +got):\n%s", op, f, diff)
			}
		}
	}
}

func TestPutWritesAnyRecordAsItIs(t *testing.T) {
	t.Parallel()
	m := storetest.NewMemory()
	odd := customers.Record{
		Owner: storetest.Owner("alice"), Generation: -3, State: "paused", CustomerID: "not an id",
		ReservedAt: storetest.Base.Add(1), Sent: customers.Sent{Name: "n"},
	}
	for range 2 {
		m.Put(odd)
		got, err := m.Find(t.Context(), odd.Owner)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(odd, got); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		odd.CustomerID, odd.State = "", customers.Active
	}
	if got := len(m.Records()); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

func errorOf[T any](_ T, err error) error { return err }
