package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// mount is the prefix below which everything is served a second time.
const mount = "/sandbox"

// Options say how a sandbox differs from the usual one; the zero value is
// ready to use.
type Options struct {
	// PublicURL is the base of the hosted pages including the mount prefix,
	// such as "http://localhost:8080/sandbox". Empty: made of each request's
	// Host and the prefix "/sandbox".
	PublicURL string
	// Now is the clock that "advance" adds to. Nil: time.Now.
	Now func() time.Time
	// Keys are the secret keys accepted. Empty: any test key, sk_test_... or
	// rk_test_.... Live keys are refused by New.
	Keys []string
	// Seed is the catalogue at start and after a reset. Nil: DefaultSeed.
	Seed []Price
}

// Sandbox is a Stripe of its own. Its methods may be called concurrently.
type Sandbox struct {
	publicURL string
	clock     func() time.Time
	keys      []string
	prices    []Price
	templates map[string]object
	shapes    map[string]*shape
	secret    []byte // signs the forms of the hosted pages

	mu    sync.Mutex
	state *state
}

// New returns a seeded sandbox. It refuses live keys, a PublicURL that is no
// http(s) base, and a seed that cannot be loaded.
func New(opts Options) (*Sandbox, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	templates, err1 := loadTemplates()
	shapes, err2 := loadShapes()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Sandbox{
		publicURL: strings.TrimRight(opts.PublicURL, "/"),
		clock:     opts.Now, keys: opts.Keys, prices: opts.Seed,
		templates: templates, shapes: shapes, secret: make([]byte, 32),
	}
	rand.Read(s.secret)
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.prices == nil {
		s.prices = DefaultSeed()
	}
	if err := s.reset(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return s, nil
}

func (o Options) check() error {
	for _, key := range o.Keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("keys: %s", err.Message)
		}
	}
	if o.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("public URL: must be an http or https base without query or fragment")
	}
	return nil
}

// reset forgets everything but the seed. The clock goes back to the present.
func (s *Sandbox) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := newState(s.templates)
	if err := s.seed(fresh); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	s.state = fresh
	return nil
}

// now is the sandbox's time in unix seconds. The caller holds mu.
func (s *Sandbox) now() int64 { return s.clock().Add(s.state.advanced).Unix() }

// base is where the hosted pages of this request's sandbox live.
func (s *Sandbox) base(r *http.Request) string {
	if s.publicURL != "" {
		return s.publicURL
	}
	return "http://" + r.Host + mount
}
