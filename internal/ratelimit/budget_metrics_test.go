package ratelimit

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Every series is there from the start, and says what happens.
func TestBudgetMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b, err := NewBudget(BudgetOptions{PerEndpoint: 10, Account: 10, Endpoints: []string{"a"}, Replicas: 1, Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		series := func() (names []string, values map[string]float64) {
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			values = map[string]float64{}
			for _, family := range families {
				for _, m := range family.GetMetric() {
					name := family.GetName()
					for _, l := range m.GetLabel() {
						name += " " + l.GetValue()
					}
					names = append(names, name)
					values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
			return names, values
		}
		before, values := series()
		if len(before) != 10 || values["till_stripe_budget_state own_share"] != 1 || values["till_stripe_budget_state shared"] != 0 || values["till_stripe_budget_ratio"] != 1 {
			t.Errorf("at the start: %v", values)
		}
		e := b.Endpoint("a")
		if err := e.Wait(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		_ = e.Wait(t.Context(), 0)
		for i := range 18 {
			go func() { _ = e.Wait(For(t.Context(), fmt.Sprint(i/17)), 6*time.Second) }()
		}
		synctest.Wait()
		if _, values = series(); values["till_stripe_queue_waiting"] != 17 {
			t.Errorf("while some wait: %v", values)
		}
		time.Sleep(5 * time.Second)
		e.Limited(true)
		after, values := series()
		for name, want := range map[string]float64{
			"till_stripe_queue_waiting": 0, "till_stripe_queue_wait_seconds": 18, "till_stripe_queue_refused_total too_late": 1,
			"till_stripe_queue_refused_total owner_full": 1, "till_stripe_queue_refused_total full": 0,
			"till_stripe_budget_ratio": 0.5, "till_stripe_budget_redis_failures_total": 0,
		} {
			if values[name] != want {
				t.Errorf("%s is %v, want %v", name, values[name], want)
			}
		}
		if !slices.Equal(before, after) {
			t.Errorf("series come and go: %v", after)
		}
	})
}
