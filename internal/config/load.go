package config

import (
	"cmp"
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Source is where a configuration comes from.
type Source struct {
	// Path is the file that --config names. "": the one of TILL_CONFIG.
	Path string
	// Dev asks for the built-in configuration instead of a file.
	Dev bool
	// Environ has the form of os.Environ.
	Environ []string
	// Operations are those that stripe.versions may name, each with the oldest version
	// that knows it ("" for any); nil takes every name.
	Operations map[string]string
	// ReadFile is os.ReadFile when nil.
	ReadFile func(string) ([]byte, error)
}

//go:embed dev.yaml
var devFile []byte

// Load reads the file and the environment, which wins, and judges the whole. The
// error is of type Problems and holds everything that is wrong; the warnings are
// valid beside an error too.
func Load(s Source) (*Config, []Warning, error) {
	l := &loader{Source: s, report: newReport(), doc: defaults(), environ: lookup(s.Environ)}
	if l.ReadFile == nil {
		l.ReadFile = os.ReadFile
	}
	cfg := l.load()
	if problems := l.sorted(); len(problems) > 0 {
		return nil, l.warnings, problems
	}
	return cfg, l.warnings, nil
}

// loader carries one Load.
type loader struct {
	Source
	*report
	doc     document
	environ map[string]string
}

func (l *loader) load() *Config {
	l.prepareDev()
	readable := l.readDocument()
	l.applyEnvironment()
	if !readable {
		// Every rule would complain about what could not be read.
		return nil
	}
	return l.judge()
}

// readDocument fills l.doc from the file; false when there is nothing to go on with.
func (l *loader) readDocument() bool {
	if l.Dev {
		l.file = "dev.yaml (built in)"
		return l.decode(devFile)
	}
	l.file = cmp.Or(l.Path, l.environ["TILL_CONFIG"])
	if l.file == "" {
		l.refuse("", "no configuration file is named", "give --config till.yaml or set TILL_CONFIG, or try --dev")
		return false
	}
	data, err := l.ReadFile(l.file)
	if err != nil {
		l.refuse("", "cannot be read: "+reason(err), "name a file that exists and that this user may read")
		return false
	}
	return l.decode(data)
}

func (l *loader) decode(data []byte) bool {
	root, p := parse(data)
	if p != nil {
		p.File = l.file
		l.problems = append(l.problems, *p)
		return false
	}
	if root == nil || root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return true
	}
	d := &decoder{report: l.report}
	before := len(l.problems)
	d.value("", root, reflect.ValueOf(&l.doc).Elem())
	// A root that is no mapping says nothing about any setting.
	return len(l.problems) == before || root.Kind == yaml.MappingNode
}

// reason leaves the path out of an error: it is said beside it already.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}
