package config_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/auth"
	"till/internal/catalog"
	"till/internal/config"
	"till/internal/redirect"
	"till/internal/secret"
)

const key = "rk_test_0123456789canary"

var update = flag.Bool("update", false, "write the expected problems into testdata/hostile")

// minimal is the shortest file that starts; tests append to it.
const minimal = `public_url: https://billing.example.com
auth: {issuers: [{issuer: https://id.example.com/, audience: [till]}]}
redirects: {allow: ["https://app.example.com"], default: https://app.example.com/account}
`

const portal = "portals: {default: {}}\n"

// load reads text as till.yaml, with a key and a database in a folder of its own
// unless env says otherwise.
func load(t *testing.T, text string, env ...string) (*config.Config, []config.Warning, config.Problems) {
	t.Helper()
	files := map[string]string{"till.yaml": text}
	return loadSource(t, config.Source{Path: "till.yaml", ReadFile: reader(files)}, env...)
}

func loadSource(t *testing.T, s config.Source, env ...string) (*config.Config, []config.Warning, config.Problems) {
	t.Helper()
	s.Environ = append(env, "STRIPE_SECRET_KEY="+key, "TILL_DATABASE_URL=sqlite://"+t.TempDir()+"/till.db")
	cfg, warnings, err := config.Load(s)
	problems, ok := errors.AsType[config.Problems](err)
	if err != nil && (!ok || cfg != nil) {
		t.Fatalf("got %v and %T", cfg, err)
	}
	return cfg, warnings, problems
}

func reader(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

func lines(problems config.Problems) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

// TestTheDesign reads the example of the design as it is printed there.
func TestTheDesign(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, warnings, problems := load(t, string(text), "TILL_DATABASE_URL=sqlite://till.db")
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(design(), got, cmp.Comparer(func(a, b secret.Secret) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	var keys []string
	for _, w := range warnings {
		if w.Key != "database.url" { // the file system of the test
			keys = append(keys, w.Key)
		}
	}
	if keys != nil {
		t.Errorf("warnings about %q", keys)
	}
}

func design() *config.Config {
	flows := []string{"payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm"}
	return &config.Config{
		Addr: ":8080", OpsAddr: "127.0.0.1:8081", PublicURL: "https://billing.example.com",
		Auth: config.Auth{
			Origins: []string{"https://app.example.com"}, CookieName: "__Host-session",
			Issuers: []auth.Issuer{{
				Issuer: "https://id.example.com/", Audience: []string{"till"}, JWKSURL: "https://id.example.com/jwks",
				Algorithms: []string{"RS256", "ES256"}, MaxLifetime: 24 * time.Hour,
				Org:     auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner", "admin", "billing"}},
				Profile: auth.Profile{Email: "email", EmailVerified: "email_verified", Name: "name"},
			}},
		},
		Stripe:   config.Stripe{Key: secret.New(key), APIBase: "https://api.stripe.com", MetadataSubject: "plain"},
		Audit:    config.Audit{Mode: "async", Retention: 400 * 24 * time.Hour},
		Database: config.Database{URL: secret.New("sqlite://till.db")},
		Limits:   config.Limits{OwnerWritesPerMinute: 60, AddressPerMinute: 600, Connections: 1000, StripeRPSPerEndpoint: 25, Replicas: 1},
		Plans: []catalog.Plan{{
			Name: "pro", Mode: "subscription",
			LineItems: []catalog.LineItem{{
				Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Quantity: &catalog.Quantity{Default: 1, Min: 1, Max: 50},
			}},
			Once:    true,
			Accepts: []catalog.Field{"quantity", "success_url", "cancel_url", "locale", "promotion_code", "metadata"},
			Params: catalog.Params{
				"automatic_tax":     map[string]any{"enabled": true},
				"customer_update":   map[string]any{"address": "auto"},
				"subscription_data": map[string]any{"trial_period_days": int64(14)},
			},
		}},
		Portals: []catalog.Portal{{Name: "default", Params: catalog.Params{"configuration": "bpc_123", "locale": "auto"}, Flows: flows}},
		Redirects: redirect.Options{
			Allow: []string{"https://app.example.com"}, Default: "https://app.example.com/account",
			Apps: map[string]string{"ios": "myapp://billing"}, PublicURL: "https://billing.example.com",
		},
	}
}

func TestTheShortestFileStarts(t *testing.T) {
	t.Parallel()
	cfg, warnings, problems := load(t, minimal+portal)
	if problems != nil || cfg.Limits.Replicas != 1 || cfg.Stripe.MetadataSubject != "plain" || len(warnings) > 1 {
		t.Errorf("got %+v, %v, %v", cfg, warnings, problems)
	}
}

func TestThePoliciesOfAPortal(t *testing.T) {
	t.Parallel()
	cfg, warnings, problems := load(t, minimal+`portals:
  default: {}
  shop: {missing_customer: refuse}
  strict: {missing_customer: refuse, deleted_customer: refuse, params: {locale: de}}
  usual: {missing_customer: create, deleted_customer: recreate}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []catalog.Portal{
		{Name: "default"},
		{Name: "shop", MissingCustomer: catalog.Refuse},
		{Name: "strict", MissingCustomer: catalog.Refuse, DeletedCustomer: catalog.Refuse, Params: catalog.Params{"locale": "de"}},
		{Name: "usual", MissingCustomer: "create", DeletedCustomer: "recreate"},
	}
	if diff := cmp.Diff(want, cfg.Portals); diff != "" {
		t.Error(diff)
	}
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "portals.") {
			t.Errorf("got the warning %v", w)
		}
	}
}

func TestParametersOfEveryShape(t *testing.T) {
	t.Parallel()
	cfg, _, problems := load(t, minimal+`plans:
  b: &x
    mode: payment
`)
	if !strings.Contains(lines(problems), "till.yaml:5:3: plans.b: anchors and aliases are not supported") || cfg != nil {
		t.Errorf("got %v", problems)
	}
	cfg, _, problems = load(t, minimal+`plans:
  b:
    mode: payment
    line_items:
      - price: {id: price_1}
        quantity: none
        adjustable_quantity: {enabled: true, maximum: 10}
        tax_rates: [txr_1, "txr_2"]
      - price: {id: price_2}
    params:
      locale: de
      cancel_url: HTTPS://app.example.com:443/<x>
      payment_intent_data: {description: 2024-01-02, application_fee_amount: 123, statement_descriptor: "0123"}
      shipping_options: [{shipping_rate: shr_1}, {shipping_rate_data: {display_name: 48 h, delivery_estimate: {maximum: {unit: day, value: 2}}}}]
      metadata: {"2024": "yes", empty: ""}
      tax_id_collection: {enabled: false}
  a: {mode: setup, params: {currency: usd}}
  c: {mode: subscription, line_items: [{price: {id: price_1}}], params: {subscription_data: {application_fee_percent: 1.5}}}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []catalog.Plan{
		{Name: "a", Mode: "setup", Params: catalog.Params{"currency": "usd"}},
		{
			Name: "b", Mode: "payment",
			LineItems: []catalog.LineItem{
				{Price: catalog.PriceRef{ID: "price_1"}, Params: catalog.Params{
					"adjustable_quantity": map[string]any{"enabled": true, "maximum": int64(10)}, "tax_rates": []any{"txr_1", "txr_2"},
				}},
				{Price: catalog.PriceRef{ID: "price_2"}},
			},
			Params: catalog.Params{
				"locale": "de", "cancel_url": "https://app.example.com/%3Cx%3E",
				"payment_intent_data": map[string]any{
					"description": "2024-01-02", "application_fee_amount": int64(123), "statement_descriptor": "0123",
				},
				"shipping_options": []any{
					map[string]any{"shipping_rate": "shr_1"},
					map[string]any{"shipping_rate_data": map[string]any{
						"display_name":      "48 h",
						"delivery_estimate": map[string]any{"maximum": map[string]any{"unit": "day", "value": int64(2)}},
					}},
				},
				"metadata":          map[string]any{"2024": "yes", "empty": ""},
				"tax_id_collection": map[string]any{"enabled": false},
			},
		},
		{
			Name: "c", Mode: "subscription", LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_1"}, Quantity: nil}},
			Params: catalog.Params{"subscription_data": map[string]any{"application_fee_percent": 1.5}},
		},
	}
	if diff := cmp.Diff(want, cfg.Plans); diff != "" {
		t.Error(diff)
	}
}

// TestHostileFiles loads each file of testdata/hostile and compares every problem
// with the file's own last lines, which begin with "#! " (written by -update).
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/hostile/*.yaml")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, _, problems := load(t, string(text))
			body, want, _ := strings.Cut(string(text), "#! ")
			got := strings.ReplaceAll(lines(problems), "\n", "\n#! ") + "\n"
			if *update {
				if err := os.WriteFile(name, []byte(body+"#! "+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			t.Logf("%d mistakes in a file", len(problems))
		})
	}
}

func TestFilesThatAreNoFiles(t *testing.T) {
	t.Parallel()
	deep := minimal + "plans: {a: {mode: setup, params: {currency: usd, metadata: " + strings.Repeat("{a: ", 60) + "b" + strings.Repeat("}", 63) + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"larger than a megabyte", minimal + portal + strings.Repeat("# padding\n", 110000), "till.yaml: is larger than 1 MiB"},
		{"two documents", minimal + portal + "---\nplans: {}\n", "till.yaml:5:1: holds several YAML documents"},
		{"a second document that is broken", minimal + portal + "---\n\t{", "till.yaml:6:1: is not YAML"},
		{"a tab", "auth:\n\torigins: []\n", "till.yaml:2:1: is not YAML"},
		{"a list", "- a\n- b\n", "till.yaml: must be a mapping"},
		{"a word", "hello\n", "till.yaml: must be a mapping"},
		{"control characters", "auth: \x00\n", "till.yaml: is not YAML"},
		{"not UTF-8", "auth: \xff\xff\n", "is not YAML"},
		{"deep", deep, "is nested too deeply"},
		{"very deep", strings.Repeat("[", 20000), "is not YAML"},
		{"laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "unknown key"},
		{"an unknown alias", "plans: *a\n", "is not YAML"},
	} {
		_, _, problems := load(t, tc.text)
		if !strings.Contains(lines(problems), tc.want) {
			t.Errorf("%s: got %v", tc.name, problems)
		}
	}
}

func TestAnEmptyFileLacksEverything(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "{}"} {
		_, _, problems := load(t, text)
		var keys []string
		for _, p := range problems {
			keys = append(keys, p.Key)
		}
		if diff := cmp.Diff([]string{"public_url", "auth.issuers", "plans"}, keys); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestTheFileItself(t *testing.T) {
	t.Parallel()
	_, _, problems := loadSource(t, config.Source{ReadFile: reader(nil)})
	if len(problems) != 1 || !strings.Contains(lines(problems), "no configuration file is named") {
		t.Errorf("none named: %v", problems)
	}
	_, _, problems = loadSource(t, config.Source{Path: "gone.yaml", ReadFile: reader(nil)})
	if len(problems) != 1 || !strings.Contains(lines(problems), "gone.yaml: cannot be read: file does not exist. Fix: ") {
		t.Errorf("missing: %v", problems)
	}
	files := reader(map[string]string{"a.yaml": minimal + portal, "b.yaml": "nonsense"})
	if _, _, problems = loadSource(t, config.Source{ReadFile: files}, "TILL_CONFIG=a.yaml"); problems != nil {
		t.Errorf("TILL_CONFIG: %v", problems)
	}
	if _, _, problems = loadSource(t, config.Source{Path: "a.yaml", ReadFile: files}, "TILL_CONFIG=b.yaml"); problems != nil {
		t.Errorf("both: %v", problems)
	}
	path := filepath.Join(t.TempDir(), "till.yaml")
	if err := os.WriteFile(path, []byte(minimal+portal), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, problems = loadSource(t, config.Source{Path: path}); problems != nil {
		t.Errorf("a real file: %v", problems)
	}
}

func TestProblemsPrintAsOneText(t *testing.T) {
	t.Parallel()
	_, _, problems := load(t, minimal+"portals: {default: {flows: [nap]}}\nplan: {}\n")
	want := `configuration: 2 problems
till.yaml:4:29: portals.default.flows.0: unknown flow "nap"
till.yaml:5:1: plan: unknown key. Fix: did you mean "plans"?`
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Error(diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal + portal)
	names, _ := filepath.Glob("testdata/hostile/*.yaml")
	for _, name := range append(names, "testdata/design.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := config.Load(config.Source{
			Path: "till.yaml", ReadFile: reader(map[string]string{"till.yaml": text}),
			Environ: []string{"STRIPE_SECRET_KEY=" + key, "TILL_DATABASE_URL=postgres://x"},
		})
		problems, ok := errors.AsType[config.Problems](err)
		if !ok || len(problems) == 0 || strings.Count(err.Error(), "\n") != len(problems) {
			t.Errorf("got %v", err)
		}
	})
}
