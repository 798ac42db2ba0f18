//go:build torture && linux

package torture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"till/internal/auth/devissuer"
)

// fleet is a number of `till serve` processes on one database and one Stripe.
type fleet struct {
	program, config string

	env    []string
	args   []string
	issuer *devissuer.Issuer
	// databaseURL is the one that all share.
	databaseURL string
	slots       []*slot

	mu     sync.Mutex
	alarms []string
	// starts are how long processes took to be ready.
	starts []time.Duration
}

// slot is the place of one process: when that dies, another takes it.
type slot struct {
	fleet *fleet
	name  string
	base  atomic.Pointer[string] // nil while nobody serves here

	mu    sync.Mutex
	child *child
}

const settings = `public_url: https://billing.example.com
auth:
  issuers:
    - issuer: %q
      audience: [till]
      jwks_file: %q
      org: {claim: org_id, role_claim: org_role, billing_roles: [billing]}
limits: {owner_writes_per_minute: 0, address_per_minute: 0, stripe_rps_per_endpoint: 0}
plans:
  pro:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}}]
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/"}
`

// newFleet writes the configuration to dir; nothing runs yet.
func newFleet(ctx context.Context, dir, databaseURL, stripeURL string, size int) (*fleet, error) {
	issuer, err := devissuer.New(issuerName, "till", time.Now)
	if err != nil {
		return nil, err
	}
	keys, config := filepath.Join(dir, "keys.json"), filepath.Join(dir, "till.yaml")
	if err := errors.Join(
		os.WriteFile(keys, issuer.JWKS(), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, settings, issuerName, keys), 0o600),
	); err != nil {
		return nil, err
	}
	path, err := program.get(ctx)
	if err != nil {
		return nil, err
	}
	f := &fleet{issuer: issuer, databaseURL: databaseURL, program: path, config: config, args: []string{"serve", "--config", config, "--drain-pause", "0s"}, env: []string{
		"TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0", "TILL_DATABASE_URL=" + databaseURL,
		"STRIPE_SECRET_KEY=" + stripeKey, "STRIPE_API_BASE=" + stripeURL,
	}}
	for i := range size {
		f.slots = append(f.slots, &slot{fleet: f, name: "serve " + strconv.Itoa(i)})
	}
	return f, nil
}

// start starts every process and waits until all are ready.
func (f *fleet) start(ctx context.Context) error {
	errs := make([]error, len(f.slots))
	var wg sync.WaitGroup
	for i, s := range f.slots {
		wg.Go(func() { errs[i] = s.start(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stop kills every process.
func (f *fleet) stop() error {
	var errs []error
	for _, s := range f.slots {
		errs = append(errs, s.kill())
	}
	return errors.Join(errs...)
}

// any returns the address of one that serves, or "" when none does.
func (f *fleet) any(r *rand.Rand) string {
	for _, i := range r.Perm(len(f.slots)) {
		if base := f.slots[i].base.Load(); base != nil {
			return *base
		}
	}
	return ""
}

// explain logs what went wrong in the eyes of the processes, in the end.
func (f *fleet) explain(t *testing.T) {
	const enough = 20
	for _, s := range f.slots {
		s.mu.Lock()
		c := s.child
		s.mu.Unlock()
		if c == nil {
			continue
		}
		var wrong []string
		for line := range strings.Lines(c.said.String()) {
			if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) {
				wrong = append(wrong, line)
			}
		}
		t.Logf("%s:\n%s", c.name, strings.Join(wrong[max(0, len(wrong)-enough):], ""))
	}
}

// panicked returns what processes said that must not happen.
func (f *fleet) panicked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alarms
}

// run runs another command of the program to its end and returns what it says.
func (f *fleet) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, f.program, append(args, "--config", f.config)...)
	cmd.Env = f.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := starter(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("till %v: %w: %s", args, err, said.String())
	}
	return said.String(), err
}

var servingLine = regexp.MustCompile(`"msg":"serving".*"addr":"([^"]+)"`)

// startTimes says how long a process takes until it is ready.
func (f *fleet) startTimes() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Sorted(slices.Values(f.starts))
	if len(all) == 0 {
		return "none"
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("%d, median %v, slowest %v", len(all), round(all[len(all)/2]), round(all[len(all)-1]))
}

func (s *slot) start(ctx context.Context) error {
	began := time.Now()
	c, err := launch(s.name, s.fleet.env, s.fleet.program, s.fleet.args...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	said, err := c.await(servingLine)
	if err != nil {
		return err
	}
	base := "http://" + said[1]
	if err := c.until(func() bool { return isReady(ctx, base) }); err != nil {
		return fmt.Errorf("%s does not become ready: %w\n%s", s.name, err, c.said)
	}
	s.base.Store(&base)
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.fleet.starts = append(s.fleet.starts, time.Since(began))
	return nil
}

func isReady(ctx context.Context, base string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	res, err := control.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// kill ends the process at once. Callers still come to it while it dies.
func (s *slot) kill() error {
	s.mu.Lock()
	c := s.child
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	err := c.kill()
	s.base.Store(nil)
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.fleet.alarms = append(s.fleet.alarms, c.said.alarms()...)
	return err
}

// restart kills the process and starts another in its place.
func (s *slot) restart(ctx context.Context) error {
	if err := s.kill(); err != nil {
		return err
	}
	return s.start(ctx)
}
