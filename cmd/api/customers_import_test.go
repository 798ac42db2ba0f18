package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Who was a customer before, or has an account instead, buys as that from then on.
func TestImportedCustomersAndAccounts(t *testing.T) {
	t.Parallel()
	var issuer string
	config, token := files(t, func(text string) string {
		_, rest, _ := strings.Cut(text, `issuer: "`)
		issuer, _, _ = strings.Cut(rest, `"`)
		return text + "portals: {default: {flows: [subscription_cancel]}}\nstripe: {version: 2025-12-15.clover}\n"
	})
	stripe := newStripe(t)
	environ := stripeAt(stripe.URL)
	p := &program{t: t}
	account := p.call("POST", stripe.URL+"/sandbox/v1/customer_accounts", "", `{"id":"acct_alice"}`).text("id")
	p = start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, environ...).ready()
	old := p.call("POST", p.public+"/portal", token("ghost"), "").text("customer")

	lines := "issuer,kind,subject,customer,customer_account\n" +
		issuer + ",user,alice,," + account + "\n" +
		issuer + ",user,bob,cus_nobody,\n" +
		issuer + ",user,carol," + old + ",\n"
	file := written(t, "customers.csv", lines)
	for _, step := range []struct {
		args []string
		says []string
	}{
		{[]string{"--dry-run"}, []string{"     2  were written down", "     1  were left out", "line 3: Stripe has no cus_nobody", "Nothing was changed"}},
		{nil, []string{"     1  were written down", "     2  were left out", "line 4: " + old + " belongs to another owner"}},
		{nil, []string{"     0  were written down", "     1  stood there already", "     2  were left out"}},
	} {
		code, out, errs := runs(t, environ, append([]string{"customers", "import", "--config", config, file}, step.args...)...)
		for _, want := range step.says {
			if code != 1 || !strings.Contains(out, want) {
				t.Errorf("%v: %d, want %q in\n%s%s", step.args, code, want, out, errs)
			}
		}
	}
	if code, out, errs := runs(t, environ, "customers", "show", "--config", config, "alice"); code != 0 ||
		!strings.Contains(out, "customer_account") || !strings.Contains(out, account) || strings.Contains(out, "none of this") {
		t.Errorf("show: %d %s%s", code, out, errs)
	}

	session := p.call("POST", p.public+"/checkout", token("alice"), `{"plan":"pro"}`)
	if session.status != http.StatusCreated || session.text("customer_account") != account || session.text("customer") != "" {
		t.Fatalf("checkout: %d %s\n%s", session.status, session.body, p.stderr)
	}
	id := session.text("id")
	p.call("POST", stripe.URL+"/sandbox/v1/checkout/"+id+"/complete", "", "{}")
	if got := p.call("GET", p.public+"/checkout/"+id, token("alice"), ""); got.status != http.StatusOK || got.text("status") != "complete" {
		t.Errorf("its own session: %d %s", got.status, got.body)
	}
	if got := p.call("GET", p.public+"/checkout/"+id, token("ghost"), ""); got.status != http.StatusNotFound {
		t.Errorf("another's session: %d %s", got.status, got.body)
	}
	if got := p.call("POST", p.public+"/portal", token("alice"), `{"flow":{"type":"subscription_cancel"}}`); got.status != http.StatusCreated ||
		got.text("customer_account") != account || !strings.Contains(got.body, "sub_") {
		t.Errorf("portal: %d %s\n%s", got.status, got.body, p.stderr)
	}
}

func TestWhatCannotBeImportedIsSaidBeforeAnythingIs(t *testing.T) {
	t.Parallel()
	config, _ := files(t, same)
	environ := stripeAt("http://127.0.0.1:1")
	for name, row := range map[string]struct{ text, says string }{
		"an unknown name":      {"issuer,kind,subject,cust\n", `"cust" is not one of`},
		"a name twice":         {"issuer,issuer\n", "each once"},
		"nothing":              {"", "reading the line of names"},
		"a short line":         {"issuer,kind,subject,customer\na,user\n", "wrong number of fields"},
		"no kind":              {"issuer,subject,customer\na,b,cus_1\n", `kind "" is neither user nor org`},
		"both":                 {"issuer,kind,subject,customer,customer_account\na,user,b,cus_1,acct_1\n", "give either customer or customer_account"},
		"neither":              {"issuer,kind,subject,customer\na,user,b,\n", "give either customer or customer_account"},
		"no subject":           {"issuer,kind,subject,customer\na,user,,cus_1\n", "subject is missing"},
		"no id":                {"issuer,kind,subject,customer\na,user,b,../x\n", "is not an id of Stripe's"},
		"all of it":            {"issuer,kind,subject,customer\na,x,b,cus_1\na,user,b,\n", ":3: give either"},
		"an unknown member":    {`{"issuer":"a","kind":"user","subject":"b","customer":"cus_1","email":"x"}`, "unknown field"},
		"no object":            {"{\n", "line 1"},
		"two objects":          {`{"issuer":"a"}{"issuer":"b"}`, "something follows"},
		"nobody's issuer":      {`{"issuer":"https://other.example.com/","kind":"org","subject":"b","customer_account":"acct_1"}`, "no issuer of auth.issuers"},
		"nobody's issuer, CSV": {"issuer,kind,subject,customer\nhttps://other.example.com/,user,b,cus_1\n", "line 2: no issuer"},
	} {
		code, out, errs := runs(t, environ, "customers", "import", "--config", config, written(t, "x", row.text))
		if code != 1 || !strings.Contains(errs, row.says) {
			t.Errorf("%s: %d, want %q in\n%s%s", name, code, row.says, out, errs)
		}
	}
	if code, _, errs := runs(t, environ, "customers", "import", "--config", config, "/nowhere"); code != 1 || !strings.Contains(errs, "nowhere") {
		t.Errorf("no file: %d %s", code, errs)
	}
}
