package till_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "till"

// layer is how high a package stands. A package imports only what stands lower, so
// packages of one layer do not see each other.
type layer int

const (
	// anyone may import the ground, and it knows nothing of ours.
	ground layer = iota
	caller
	domain
	useCases
	adapters
	command
	// testSupport sees everything, and only tests (and other test support) see it.
	testSupport
)

// place says where a package stands; the zero value of a field adds no rule.
type place struct {
	layer layer
	// pure packages import nothing of ours, whatever stands below them.
	pure bool
	// stdlib packages import nothing but the standard library.
	stdlib bool
}

// places holds every package of the module, as a path below it. A package that is not
// here fails the test: where it stands is decided when it arrives, not found out later.
var places = map[string]place{
	"cmd/api": {layer: command},

	"internal/handlers":     {layer: adapters},
	"internal/stripeclient": {layer: adapters},
	"internal/store":        {layer: adapters},
	// Not adapters, but as high: only the command builds with them.
	"internal/config":    {layer: adapters},
	"internal/doctor":    {layer: adapters},
	"internal/telemetry": {layer: adapters},
	// A fake that shares the client's code shares its mistakes.
	"internal/sandbox": {layer: adapters, pure: true},

	"internal/billing": {layer: useCases},

	"internal/audit":       {layer: domain},
	"internal/catalog":     {layer: domain},
	"internal/customers":   {layer: domain},
	"internal/idempotency": {layer: domain},
	"internal/overload":    {layer: domain},
	"internal/ratelimit":   {layer: domain},

	"internal/auth": {layer: caller},
	// Vouches for anyone: only `--dev` and tests may have it, and no code that judges tokens.
	"internal/auth/devissuer": {layer: adapters, pure: true},
	"internal/redirect":       {layer: caller},

	"internal/problem": {layer: ground, stdlib: true},
	"internal/secret":  {layer: ground, stdlib: true},
	// Embedded files.
	"":    {layer: ground, stdlib: true},
	"web": {layer: ground, stdlib: true},

	"internal/attack":              {layer: testSupport},
	"internal/bench":               {layer: testSupport},
	"internal/contract":            {layer: testSupport},
	"internal/openloop":            {layer: testSupport},
	"internal/sandbox/sandboxtest": {layer: testSupport},
	"internal/ratelimit/redistest": {layer: testSupport},
	"internal/secret/secrettest":   {layer: testSupport},
	"internal/store/pgtest":        {layer: testSupport},
	"internal/store/storetest":     {layer: testSupport},
	"internal/torture":             {layer: testSupport},
}

// owner names the one package that may know a module, so that replacing the module
// means reading one package.
type owner struct {
	// modules are import path prefixes; a major version suffix need not be written.
	modules []string
	// by is the package that may import them, with what lies below it; none if empty.
	by string
}

var owners = []owner{
	{by: "cmd/api", modules: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/KimMachineGun/automemlimit"}},
	{by: "internal/auth", modules: []string{
		"github.com/MicahParks/jwkset", "github.com/MicahParks/keyfunc",
		"github.com/go-jose/go-jose", "github.com/golang-jwt/jwt",
	}},
	{by: "internal/config", modules: []string{
		"github.com/goccy/go-yaml", "go.yaml.in/yaml", "gopkg.in/yaml.v2", "gopkg.in/yaml.v3",
	}},
	{by: "internal/handlers", modules: []string{"github.com/labstack/echo"}},
	{by: "internal/ratelimit", modules: []string{"github.com/redis/go-redis"}},
	{by: "internal/store", modules: []string{
		"database/sql", "github.com/jackc/pgx", "github.com/pressly/goose", "modernc.org/sqlite",
	}},
	{by: "internal/stripeclient", modules: []string{"github.com/stripe/stripe-go"}},
	{by: "internal/telemetry", modules: []string{"go.opentelemetry.io"}},
}

// names are single identifiers with one owner, for modules that more than one may import.
var names = []owner{
	{by: "internal/telemetry", modules: []string{
		"github.com/prometheus/client_golang/prometheus.NewPedanticRegistry",
		"github.com/prometheus/client_golang/prometheus.NewRegistry",
	}},
	{modules: []string{
		"github.com/prometheus/client_golang/prometheus.DefaultGatherer",
		"github.com/prometheus/client_golang/prometheus.DefaultRegisterer",
		"github.com/prometheus/client_golang/prometheus.MustRegister",
		"github.com/prometheus/client_golang/prometheus.Register",
	}},
}

// pkg is what the rules need to know of a package. Test files are left out: a test may
// reach wherever it must, and import cycles are the compiler's business.
type pkg struct {
	path    string   // below the module; "" is its root
	imports []string // full import paths, sorted
	uses    []string // "import/path.Name" for each selector on an import, sorted
}

func TestImports(t *testing.T) {
	t.Parallel()
	pkgs, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) == 0 {
		t.Fatal("no package was read: the rules would hold for anything")
	}
	for _, violation := range judge(pkgs) {
		t.Error(violation)
	}
}

// judge returns a sentence for each rule that pkgs break.
func judge(pkgs []pkg) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	for _, p := range pkgs {
		self, placed := places[p.path]
		if !placed {
			report("%s stands nowhere: place it in the table of architecture_test.go", p)
			continue
		}
		for _, imported := range p.imports {
			below, ours := within(imported)
			switch {
			case ours && self.layer != testSupport:
				checkDirection(p, self, below, report)
			case !ours && self.stdlib && !standard(imported):
				report("%s imports %s: it may import the standard library only", p, imported)
			}
			checkOwner(p, self, owners, imported, report)
		}
		for _, used := range p.uses {
			checkOwner(p, self, names, used, report)
		}
	}
	return found
}

// checkDirection reports an import of ours that does not point downwards.
func checkDirection(p pkg, self place, imported string, report func(string, ...any)) {
	other, placed := places[imported]
	switch {
	case !placed: // reported where it is defined
	case other.layer == testSupport:
		report("%s imports %s: that is for tests only", p, pkg{path: imported})
	case self.pure:
		report("%s imports %s: it may import nothing of ours", p, pkg{path: imported})
	case other.layer >= self.layer:
		report("%s imports %s: imports go downwards only, and that stands as high or higher", p, pkg{path: imported})
	}
}

// checkOwner reports a name that belongs to another package. Test support is free: it
// stands in for owners.
func checkOwner(p pkg, self place, rules []owner, name string, report func(string, ...any)) {
	if self.layer == testSupport {
		return
	}
	for _, o := range rules {
		owned := o.by != "" && atOrBelow(p.path, o.by)
		if owned || !slices.ContainsFunc(o.modules, func(m string) bool { return atOrBelow(name, m) }) {
			continue
		}
		by := "nobody's here"
		if o.by != "" {
			by = o.by + "'s alone"
		}
		report("%s uses %s: that is %s", p, name, by)
	}
}

// String is the import path.
func (p pkg) String() string { return path.Join(module, p.path) }

// atOrBelow reports whether a slash-separated path is dir or lies below it.
func atOrBelow(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}

// within returns an import path as one below the module, if it is one.
func within(imported string) (below string, ours bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard reports whether an import path is the standard library's: those have no dot
// in their first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// load reads the packages below root from their source: that sees the files of every
// platform and build tag, and the go command knows to run the test again when one changes.
func load(root string) ([]pkg, error) {
	byPath := map[string]*pkg{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(filepath.ToSlash(dir), ".")
		p := byPath[below]
		if p == nil {
			p = &pkg{path: below}
			byPath[below] = p
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil // its package has a place all the same
		}
		return p.read(name)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}

	pkgs := make([]pkg, 0, len(byPath))
	for _, p := range byPath {
		slices.Sort(p.imports)
		p.imports = slices.Compact(p.imports)
		slices.Sort(p.uses)
		p.uses = slices.Compact(p.uses)
		pkgs = append(pkgs, *p)
	}
	slices.SortFunc(pkgs, func(a, b pkg) int { return cmp.Compare(a.path, b.path) })
	return pkgs, nil
}

// skip leaves out the directories that the go command does not take as packages of this
// module, and other people's in node_modules.
func skip(root, dir string) error {
	if dir == root {
		return nil
	}
	base := filepath.Base(dir)
	if base == "testdata" || base == "vendor" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// read adds the imports of one file, and what it names of them.
func (p *pkg) read(name string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	byName := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		p.imports = append(p.imports, imported)
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		byName[local] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && byName[x.Name] != "" {
			p.uses = append(p.uses, byName[x.Name]+"."+selector.Sel.Name)
		}
		return true
	})
	return nil
}

// A check that cannot fail is no check.
func TestImportsFindsPlantedViolations(t *testing.T) {
	t.Parallel()
	const prometheus = "github.com/prometheus/client_golang/prometheus"
	tests := map[string]struct {
		in   pkg
		want string // part of the one violation; none if empty
	}{
		"downwards":                     {in: pkg{path: "internal/billing", imports: []string{"till/internal/customers", "till/internal/secret", "net/http"}}},
		"command sees all":              {in: pkg{path: "cmd/api", imports: []string{"till", "till/internal/sandbox", "till/internal/store", "till/web"}}},
		"upwards":                       {in: pkg{path: "internal/billing", imports: []string{"till/internal/store"}}, want: "imports till/internal/store: imports go downwards only"},
		"adapter sees adapter":          {in: pkg{path: "internal/handlers", imports: []string{"till/internal/stripeclient"}}, want: "downwards only"},
		"domain sees domain":            {in: pkg{path: "internal/customers", imports: []string{"till/internal/catalog"}}, want: "downwards only"},
		"adapter sees telemetry":        {in: pkg{path: "internal/store", imports: []string{"till/internal/telemetry"}}, want: "downwards only"},
		"command is imported":           {in: pkg{path: "internal/doctor", imports: []string{"till/cmd/api"}}, want: "downwards only"},
		"sandbox sees ours":             {in: pkg{path: "internal/sandbox", imports: []string{"till/internal/secret"}}, want: "nothing of ours"},
		"sandbox sees the SDK":          {in: pkg{path: "internal/sandbox", imports: []string{"github.com/stripe/stripe-go/v76/form"}}, want: "internal/stripeclient's alone"},
		"web sees ours":                 {in: pkg{path: "web", imports: []string{"till"}}, want: "downwards only"},
		"ground sees a module":          {in: pkg{path: "internal/problem", imports: []string{"golang.org/x/text/language"}}, want: "standard library only"},
		"test support outside tests":    {in: pkg{path: "cmd/api", imports: []string{"till/internal/sandbox/sandboxtest"}}, want: "tests only"},
		"test support sees all":         {in: pkg{path: "internal/store/storetest", imports: []string{"till/internal/store", "database/sql"}}},
		"unplaced":                      {in: pkg{path: "internal/util"}, want: "till/internal/util stands nowhere: place it"},
		"owner":                         {in: pkg{path: "internal/handlers", imports: []string{"github.com/labstack/echo/v4/middleware"}}},
		"part of the owner":             {in: pkg{path: "internal/auth/devissuer", imports: []string{"github.com/golang-jwt/jwt/v5"}}},
		"dev issuer outside dev":        {in: pkg{path: "internal/auth", imports: []string{"till/internal/auth/devissuer"}}, want: "downwards only"},
		"not the owner":                 {in: pkg{path: "internal/auth", imports: []string{"github.com/labstack/echo/v4"}}, want: "till/internal/auth uses github.com/labstack/echo/v4: that is internal/handlers's alone"},
		"not the owner, in the command": {in: pkg{path: "cmd/api", imports: []string{"database/sql"}}, want: "internal/store's alone"},
		"same beginning, other module":  {in: pkg{path: "internal/auth", imports: []string{"github.com/labstack/echo-jwt/v4"}}},
		"registry":                      {in: pkg{path: "internal/telemetry", uses: []string{prometheus + ".NewRegistry"}}},
		"second registry":               {in: pkg{path: "cmd/api", uses: []string{prometheus + ".NewRegistry"}}, want: "internal/telemetry's alone"},
		"default registry":              {in: pkg{path: "internal/telemetry", uses: []string{prometheus + ".MustRegister"}}, want: "nobody's here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge([]pkg{test.in})
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("got %q, want none", got)
			case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("got %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestImportsAreReadFromSource(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/a.go":                 "package a\nimport p \"example.com/prometheus\"\nvar _ = p.NewRegistry()",
		"a/a_windows.go":         "package a\nimport \"example.com/windows\"",
		"a/tagged.go":            "//go:build tagged\n\npackage a\nimport _ \"example.com/tagged\"",
		"a/a_test.go":            "package a_test\nimport \"example.com/test\"",
		"b/c/only_test.go":       "package c",
		"b/testdata/x.go":        "not even Go",
		"node_modules/d/d.go":    "package d",
		"tools/other/go.mod":     "module other",
		"tools/other/main.go":    "package main",
		"tools/other/sub/sub.go": "package sub",
		"root.go":                "package till",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pkgs, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(len(pkgs))
	for _, p := range pkgs {
		got += fmt.Sprintf("\n%q %v %v", p.path, p.imports, p.uses)
	}
	want := `3
"" [] []
"a" [example.com/prometheus example.com/tagged example.com/windows] [example.com/prometheus.NewRegistry]
"b/c" [] []`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
