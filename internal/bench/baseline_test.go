package bench_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"till/internal/bench"
)

func baseline() bench.Baseline {
	return bench.Baseline{Allocations: map[string]float64{"audited": 200, "bare": 100}, CPURatio: 1.6}
}

func TestTheCheckCanFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		worsen func(*bench.Baseline)
		broken int
	}{
		"the same":                    {worsen: func(*bench.Baseline) {}},
		"better":                      {worsen: func(b *bench.Baseline) { b.Allocations["audited"], b.CPURatio = 150, 1.1 }},
		"as much as may be":           {worsen: func(b *bench.Baseline) { b.Allocations["audited"], b.CPURatio = 206, 2 }},
		"one allocation too many":     {worsen: func(b *bench.Baseline) { b.Allocations["audited"] = 207 }, broken: 1},
		"too much CPU":                {worsen: func(b *bench.Baseline) { b.CPURatio = 2.01 }, broken: 1},
		"all of it":                   {worsen: func(b *bench.Baseline) { b.Allocations["audited"], b.Allocations["bare"], b.CPURatio = 300, 300, 3 }, broken: 3},
		"a benchmark is gone":         {worsen: func(b *bench.Baseline) { delete(b.Allocations, "audited") }, broken: 1},
		"a benchmark has no baseline": {worsen: func(b *bench.Baseline) { b.Allocations["new"] = 1 }, broken: 1},
		"no ratio":                    {worsen: func(b *bench.Baseline) { b.CPURatio = math.NaN() }, broken: 1},
		"a ratio of nothing":          {worsen: func(b *bench.Baseline) { b.CPURatio = 0 }, broken: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := baseline()
			test.worsen(&is)
			broken := 0
			for _, v := range baseline().Judge(is) {
				if !v.Kept {
					broken++
				}
			}
			if broken != test.broken {
				t.Errorf("%d figures are broken, not %d: %+v", broken, test.broken, baseline().Judge(is))
			}
		})
	}
}

func TestBaselineFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baseline.json")
	if err := baseline().Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := bench.ReadBaseline(path)
	if err != nil || !maps.Equal(b.Allocations, baseline().Allocations) || b.CPURatio != baseline().CPURatio {
		t.Errorf("%+v %v", b, err)
	}
}

func TestABaselineWithoutFiguresIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baseline.json")
	for _, text := range []string{"", "{}", `{"cpu_ratio":1.6}`, `{"allocations":{"a":1}}`, `{"allocations":{"a":0},"cpu_ratio":1.6}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := bench.ReadBaseline(path); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if err := (bench.Baseline{}).Write(path); err == nil {
		t.Error("nothing was written down")
	}
}
