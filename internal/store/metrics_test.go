package store_test

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/store"
)

func TestTheUseOfConnectionsIsShown(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "till.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	reg := prometheus.NewRegistry()
	if err := db.Register(reg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	waits, counted := got["till_db_connection_waits_total"]
	if idle := got["till_db_connections idle"]; idle < 1 || got["till_db_connections in_use"] != 0 || !counted || waits < 0 {
		t.Errorf("got %v", got)
	}
	if err := db.Register(reg); err == nil {
		t.Error("registered twice")
	}
}
