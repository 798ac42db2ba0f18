//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestTortureZombies stops processes in the middle of the protocol, lets others bring their owners
// to a customer, and lets them go on with what they believed.
func TestTortureZombies(t *testing.T) {
	for _, row := range []struct {
		name string
		from situation
		// passes is what goes by on Stripe's clock meanwhile.
		passes time.Duration
		points []string
	}{
		{"at once", fresh, 0, []string{
			"before reserve", "after reserve", "before attempt", "after attempt", "request written", "answer arrived", "before record",
		}},
		{"after the key's life", fresh, 25 * time.Hour, []string{
			"before reserve", "after reserve", "before attempt", "after attempt", "request written", "answer arrived", "before record",
		}},
		{"while it looks", fruitless, 61 * time.Second, []string{"before supersede", "after supersede", "after attempt"}},
		{"while it heals", deleted, 0, []string{"before heal", "after heal", "after attempt", "before record"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			zombies(t, row.from, row.passes, row.points)
		})
	}
}

func zombies(t *testing.T, from situation, passes time.Duration, points []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	s := &scene{stripe: st, database: newPostgres(t, startCluster(t))(t), dice: dice(t.Name())}
	var stopped []*exec.Cmd
	var all []owner
	for i, point := range points {
		crowd := crowdOf(fmt.Sprintf("z%d-", i), sized(perPoint, 3, 10))
		must(t, s.arrange(ctx, from, crowd))
		for _, o := range crowd {
			cmd, err := s.stopAt(ctx, point, o)
			must(t, err)
			stopped = append(stopped, cmd)
		}
		all = append(all, crowd...)
	}
	must(t, st.advance(ctx, passes))
	unserved, err := s.recover(ctx, all)
	must(t, err)
	report.none(t, "owners unserved while a process stands still", unserved)
	// Longer than any deadline of the service's: whoever is not over them may go on, and
	// rightly, since no key grows old as fast as here.
	wait(ctx, lasting(13*time.Second, 30*time.Second))
	for _, cmd := range stopped {
		must(t, cmd.Process.Signal(syscall.SIGCONT))
	}
	for _, cmd := range stopped {
		must(t, cmd.Wait())
	}
	report.fact(t, "processes stopped", fmt.Sprintf("%d at %v", len(stopped), points))
	unserved, err = s.recover(ctx, all)
	must(t, err)
	report.none(t, "owners unserved in the end", unserved)
	w, err := learn(ctx, st, s.database, all)
	must(t, err)
	report.none(t, "owners without exactly one customer", w.unlike(all))
}

// stopAt starts a visit that stops at a point, and waits until it has.
func (s *scene) stopAt(ctx context.Context, point string, o owner) (*exec.Cmd, error) {
	cmd, err := actorCommand(ctx, "visit", append(s.environ(point, 0), stopVariable+"=1"), []owner{o})
	if err != nil {
		return nil, err
	}
	said := &transcript{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := starter(cmd.Start); err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); !hasStopped(cmd.Process.Pid); pause(ctx) {
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return nil, fmt.Errorf("a visit does not come to the point %q: %s", point, said)
		}
	}
	return cmd, nil
}
