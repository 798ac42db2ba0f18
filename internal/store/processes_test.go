package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/storetest"
)

// The test binary runs itself as other processes; these say as what.
const (
	roleVariable = "TILL_STORE_TEST_ROLE"
	urlVariable  = "TILL_STORE_TEST_URL"
	idVariable   = "TILL_STORE_TEST_ID"
)

func TestMain(m *testing.M) {
	role, ok := map[string]func(context.Context, *store.Store, string) error{
		"migrate": migrate, "reserve": reserveOwners, "write": writeUntilKilled,
	}[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(role func(context.Context, *store.Store, string) error) error {
	ctx := context.Background()
	s, err := store.Open(ctx, os.Getenv(urlVariable), nil)
	if err != nil {
		return err
	}
	defer s.Close()
	if name := os.Getenv(roleVariable); name != "migrate" {
		if err := s.Migrate(ctx); err != nil {
			return err
		}
	}
	say("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	return role(ctx, s, os.Getenv(idVariable))
}

// say tells the parent, which reads the other end.
func say(words ...any) { fmt.Fprintln(os.Stdout, words...) }

// migrate does what the other roles do before they are ready.
func migrate(ctx context.Context, s *store.Store, _ string) error { return s.Migrate(ctx) }

const racedOwners = 200

// reserveOwners reserves every owner under a key of its own and says which key stands.
func reserveOwners(ctx context.Context, s *store.Store, id string) error {
	for i := range racedOwners {
		subject := strconv.Itoa(i)
		r, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner(subject), 1, subject+"-by-"+id))
		if err != nil {
			return err
		}
		say(r.IdempotencyKey)
	}
	return nil
}

// writeUntilKilled says each step once it is committed, and never ends.
func writeUntilKilled(ctx context.Context, s *store.Store, id string) error {
	for i := 0; ; i++ {
		subject := id + "-" + strconv.Itoa(i)
		r, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner(subject), 1, "key-"+subject))
		if err != nil {
			return err
		}
		say("reserved", subject)
		if r, err = s.Attempt(ctx, r, customers.At(storetest.Base.Add(time.Second))); err != nil {
			return err
		}
		say("attempted", subject)
		if _, err = s.Activate(ctx, r, storetest.Customer("cus_"+subject, 1)); err != nil {
			return err
		}
		say("active", subject)
	}
}

type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, role, url, id string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, urlVariable+"="+url, idVariable+"="+id)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, in, bufio.NewScanner(out)}
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the process said nothing: %v", p.out.Err())
	}
	return p.out.Text()
}

func (p *process) ready(t *testing.T) {
	t.Helper()
	if got := p.line(t); got != "ready" {
		t.Fatalf("got %q, want ready", got)
	}
}

func TestThreeProcessesReserveEachOwnerOnce(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	raceForOwners(t, "sqlite://"+path)
	if got := rows(t, open(t, path).DB(), "customers"); got != racedOwners {
		t.Errorf("got %d rows, want %d", got, racedOwners)
	}
}

// raceForOwners has three processes reserve the same owners, in a database that
// all of them find new.
func raceForOwners(t *testing.T, url string) {
	t.Helper()
	var all []*process
	for i := range 3 {
		all = append(all, start(t, "reserve", url, strconv.Itoa(i)))
	}
	for _, p := range all {
		p.ready(t)
	}
	for _, p := range all {
		fmt.Fprintln(p.in, "go")
	}
	winners := map[string]int{}
	for range racedOwners {
		key := all[0].line(t)
		for _, p := range all[1:] {
			if got := p.line(t); got != key {
				t.Errorf("two processes see %s and %s", key, got)
			}
		}
		winners[key[strings.LastIndex(key, "-"):]]++
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Log("won by process:", winners)
}

func TestWhatWasCommittedOutlivesKill(t *testing.T) {
	t.Parallel()
	kills := 20
	if testing.Short() {
		kills = 4
	}
	path := newFile(t)
	states := map[string]string{} // of a subject, as last said
	for kill := range kills {
		p := start(t, "write", "sqlite://"+path, strconv.Itoa(kill))
		p.ready(t)
		fmt.Fprintln(p.in, "go")
		// It goes on while these lines are read: the kill falls between any two
		// operations, or within one.
		for range 7 + 5*kill {
			step, subject, _ := strings.Cut(p.line(t), " ")
			states[subject] = step
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for p.out.Scan() { // said, and not yet read
			if step, subject, whole := strings.Cut(p.out.Text(), " "); whole {
				states[subject] = step
			}
		}
		p.Wait()
		survey(t, path, states)
	}
	t.Logf("%d kills, %d subjects", kills, len(states))
}

// survey opens the file as the next process would. What was said is the least
// that must be there: the step after it may have been committed unsaid.
func survey(t *testing.T, path string, states map[string]string) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %q, %v", verdict, err)
	}
	for subject, said := range states {
		r, err := s.Find(t.Context(), storetest.Owner(subject))
		if err != nil {
			t.Errorf("%s was %s and is lost: %v", subject, said, err)
			continue
		}
		if r.IdempotencyKey != "key-"+subject ||
			said != "reserved" && r.FirstAttemptAt.IsZero() ||
			said == "active" && (r.State != customers.Active || r.CustomerID != "cus_"+subject) {
			t.Errorf("%s was %s and is %+v", subject, said, r)
		}
	}
}
