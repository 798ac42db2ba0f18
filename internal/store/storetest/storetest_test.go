package storetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"till/internal/customers"
	"till/internal/store/storetest"
)

func TestMemoryKeepsTheSuite(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.Run(t, func(t *testing.T) customers.Store {
		s, _ := stores.LoadOrStore(t.Name(), storetest.NewMemory())
		return s.(*storetest.Memory)
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
