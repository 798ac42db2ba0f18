package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/config"
)

func TestVersionsOfOperations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tc := range map[string]struct{ versions, problem string }{
		"one":            {"{prices.list: 2025-03-31.basil}", ""},
		"another":        {"{checkout.sessions.update: 2025-03-31.basil, prices.list: 2023-10-16}", ""},
		"none":           {"{}", ""},
		"misspelled":     {"{prices.lst: 2025-03-31.basil}", "stripe.versions.prices.lst: names no operation"},
		"empty":          {`{prices.list: ""}`, "stripe.versions.prices.list: is not a Stripe version"},
		"no version":     {"{prices.list: basil}", "stripe.versions.prices.list: is not a Stripe version"},
		"a header":       {`{prices.list: "2025-03-31\nX: y"}`, "stripe.versions.prices.list: is not a Stripe version"},
		"too old":        {"{checkout.sessions.update: 2023-10-16}", "stripe.versions.checkout.sessions.update: is older than the operation"},
		"the oldest":     {"{checkout.sessions.update: 2024-09-30.acacia}", ""},
		"a list":         {"[2025-03-31.basil]", "stripe.versions"},
		"a single value": {"2025-03-31.basil", "stripe.versions"},
	} {
		text := strings.Replace(minimal+portal, "\n", "\nstripe: {versions: "+tc.versions+"}\n", 1)
		cfg, _, err := config.Load(config.Source{
			Path: "till.yaml", ReadFile: reader(map[string]string{"till.yaml": text}),
			Environ:    []string{"STRIPE_SECRET_KEY=rk_test_canary0123", "TILL_DATABASE_URL=sqlite://" + dir + "/till.db"},
			Operations: map[string]string{"prices.list": "", "checkout.sessions.update": "2024-09-30.acacia"},
		})
		if (err == nil) != (tc.problem == "") || err != nil && !strings.Contains(err.Error(), tc.problem) {
			t.Errorf("%s: got %v, want %q", name, err, tc.problem)
		}
		if name == "one" && err == nil {
			if diff := cmp.Diff(map[string]string{"prices.list": "2025-03-31.basil"}, cfg.Stripe.Versions); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// A template is held against the version that its sessions are created with.
func TestTemplatesAreJudgedByTheVersionOfTheirOperation(t *testing.T) {
	t.Parallel()
	const plan = "plans: {save: {mode: setup, params: {currency: eur, ui_mode: custom}}}\n"
	for versions, refused := range map[string]bool{
		"{}": true, "{prices.list: 2025-03-31.basil}": true, "{checkout.sessions.create: 2025-03-31.basil}": false,
	} {
		_, _, problems := loadSource(t, config.Source{
			Path:       "till.yaml",
			ReadFile:   reader(map[string]string{"till.yaml": minimal + plan + "stripe: {versions: " + versions + "}\n"}),
			Operations: map[string]string{"prices.list": "", "checkout.sessions.create": ""},
		})
		if (len(problems) > 0) != refused {
			t.Errorf("%s: got %v, want a refusal: %v", versions, problems, refused)
		}
	}
}
