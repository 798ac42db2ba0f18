package storetest_test

import (
	"sync"
	"testing"

	"till/internal/audit"
	"till/internal/store/storetest"
)

func TestMemoryKeepsTheSuiteOfAudit(t *testing.T) {
	t.Parallel()
	var stores sync.Map // by test
	storetest.RunAudit(t, func(t *testing.T) audit.Store {
		s, _ := stores.LoadOrStore(t.Name(), &storetest.Audit{})
		return s.(*storetest.Audit)
	})
}
