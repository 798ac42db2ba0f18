package storetest_test

import (
	"context"
	"sync"
	"testing"

	"till/internal/idempotency"
	"till/internal/store/storetest"
)

func TestKeysInMemoryKeepTheSuite(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.RunKeys(t, func(t *testing.T) idempotency.Store {
		s, _ := stores.LoadOrStore(t.Name(), storetest.NewKeys())
		return s.(*storetest.Keys)
	})
}

// A store that never fails is no other store.
func TestFaultyKeysWithoutFaultsKeepTheSuite(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.RunKeys(t, func(t *testing.T) idempotency.Store {
		s, _ := stores.LoadOrStore(t.Name(), storetest.NewKeys())
		return storetest.FaultyKeys{
			Store: s.(*storetest.Keys),
			Next:  func(context.Context, storetest.Operation) storetest.Fault { return storetest.None },
		}
	})
}
