//go:build contract

package contract_test

import (
	"os"
	"testing"
)

// build is one of Stripe's two: a stripe-mock and the specification inside it.
type build struct {
	version          string // of the API
	mockEnv, specEnv string
	// hosted and embedded are how the version spells these ui_modes.
	hosted, embedded string
}

func builds() []build {
	return []build{
		{
			version: "2023-10-16", mockEnv: "TILL_STRIPE_MOCK_2023", specEnv: "TILL_STRIPE_SPEC_2023",
			hosted: "hosted", embedded: "embedded",
		},
		{
			version: "2026-08-26.dahlia", mockEnv: "TILL_STRIPE_MOCK_2026", specEnv: "TILL_STRIPE_SPEC_2026",
			hosted: "hosted_page", embedded: "embedded_page",
		},
	}
}

// fromEnv returns the file that a variable names. A contract that is skipped is a
// contract that nobody keeps, so its absence is a failure.
func fromEnv(t *testing.T, name string) string {
	t.Helper()
	file := os.Getenv(name)
	if file == "" {
		t.Fatalf("%s is not set: run these tests with `make contract`, which builds both stripe-mocks and sets it.", name)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%s names a file that cannot be read; `make contract` sets it to one that can: %v", name, err)
	}
	return file
}
