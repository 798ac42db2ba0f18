package catalog_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"till/internal/catalog"
)

var update = flag.Bool("update", false, "write the parameters into README.md")

const readme = "../../README.md"

var parametersBlock = regexp.MustCompile(`(?s)(<!-- parameters: [^\n]*-->\n).*(<!-- end -->)`)

// TestTheReadmeListsTheParameters keeps README.md to what the catalogue knows; -update
// writes it.
func TestTheReadmeListsTheParameters(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\n| | all | in a template's `params` | elsewhere |\n|---|---|---|---|\n")
	supported(&b, "Checkout", catalog.CheckoutParameters(), len(catalog.CheckoutLocales()))
	supported(&b, "Billing Portal", catalog.PortalParameters(), len(catalog.PortalLocales()))
	b.WriteString("\n")
	want := parametersBlock.ReplaceAllString(string(have), "${1}"+strings.ReplaceAll(b.String(), "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(have) || !strings.Contains(want, "adaptive_pricing") {
		t.Error("README.md differs from the parameters: run go test ./internal/catalog -run Readme -update")
	}
}

// supported writes one row.
func supported(b *strings.Builder, page string, all []catalog.Parameter, locales int) {
	var own, ours []string
	values, ownValues := 0, 0
	for _, p := range all {
		values += p.Values
		name := "`" + p.Name + "`"
		if p.Added {
			name += "⁺"
		}
		if p.Ours != "" {
			ours = append(ours, name+": "+p.Ours)
			continue
		}
		own = append(own, name)
		ownValues += p.Values
	}
	fmt.Fprintf(b, "| %s | %d parameters, %d values, %d locales | %d parameters, %d values: %s | %s |\n",
		page, len(all), values, locales, len(own), ownValues, strings.Join(own, " "), strings.Join(ours, "; "))
}
