//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestTortureCrashPoints kills a process at each point of the protocol, once for each of many
// owners; then another process must bring every one of them to exactly one customer.
func TestTortureCrashPoints(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { crash(t, newFile) })
	t.Run("postgres", func(t *testing.T) { crash(t, newPostgres(t, startCluster(t))) })
}

func crash(t *testing.T, newDatabase func(*testing.T) string) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	s := &scene{stripe: st, database: newDatabase(t), dice: dice(t.Name())}
	n := sized(perPoint, 10, 100)
	var all []owner
	began := time.Now()
	for i, p := range crashPoints {
		crowd := crowdOf(fmt.Sprintf("p%d-", i), n)
		s.point(ctx, t, p, crowd)
		all = append(all, crowd...)
	}
	report.fact(t, "the three numbers", "owners who are not where the kill should leave them; unserved afterwards; without exactly one customer")
	report.fact(t, "duration", time.Since(began).Round(time.Second))
	w, err := learn(ctx, st, s.database, all)
	must(t, err)
	w.hold(t, all, newSeen())
	migrations(ctx, t, newDatabase, n)
}

// outcome is what came of a point.
type outcome struct {
	killed                       int
	elsewhere, unserved, several []string
}

// point kills at one point, some owners at a time: those whose customers have to be looked
// for are looked for in short lists.
func (s *scene) point(ctx context.Context, t *testing.T, p crashPoint, crowd []owner) {
	name := p.at + ", " + string(p.from)
	if p.role != "visit" {
		name += ", " + p.role
	}
	var all outcome
	for batch := range slices.Chunk(crowd, 100) {
		o, err := s.batch(ctx, p, batch)
		if err != nil {
			must(t, fmt.Errorf("%s: %w (seed %d)", name, err, *seed))
		}
		all.killed += o.killed
		all.elsewhere = append(all.elsewhere, o.elsewhere...)
		all.unserved = append(all.unserved, o.unserved...)
		all.several = append(all.several, o.several...)
	}
	bad := slices.Concat(all.elsewhere, all.unserved, all.several)
	for _, one := range bad[:min(10, len(bad))] {
		t.Errorf("%s: %s (seed %d)", name, one, *seed)
	}
	report.judge(t, name, fmt.Sprintf("%d kills: 0, 0, 0", len(crowd)),
		fmt.Sprintf("%d kills: %d, %d, %d", all.killed, len(all.elsewhere), len(all.unserved), len(all.several)),
		all.killed == len(crowd) && len(bad) == 0)
}

// batch kills, looks, and lets everybody come again.
func (s *scene) batch(ctx context.Context, p crashPoint, crowd []owner) (o outcome, err error) {
	if err := s.arrange(ctx, p.from, crowd); err != nil {
		return o, fmt.Errorf("arranging: %w", err)
	}
	if o.killed, err = s.kills(ctx, p, crowd); err != nil {
		return o, fmt.Errorf("killing: %w", err)
	}
	if _, err := s.stripe.heal(ctx); err != nil {
		return o, err
	}
	w, err := learn(ctx, s.stripe, s.database, crowd)
	if err != nil {
		return o, err
	}
	o.elsewhere = w.compare(p, crowd)
	if o.unserved, err = s.recover(ctx, crowd); err != nil {
		return o, fmt.Errorf("recovering: %w", err)
	}
	if w, err = learn(ctx, s.stripe, s.database, crowd); err != nil {
		return o, err
	}
	o.several = w.unlike(crowd)
	return o, nil
}

// compare tells whose row and customers are not as the point leaves them: then the kill
// was not where it was meant to be, or something committed is lost.
func (w *truth) compare(p crashPoint, crowd []owner) []string {
	var odd []string
	for _, o := range crowd {
		row := none
		if rec, ok := w.records[o]; ok {
			row = string(rec.State)
		}
		n := len(w.byOwner[o.String()])
		if p.row != "" && row != p.row || p.customers >= 0 && n != p.customers {
			odd = append(odd, fmt.Sprintf("%s after the kill: row %s, %d customers", o, row, n))
		}
	}
	return odd
}

// unlike tells who does not have exactly one customer, the one of his row.
func (w *truth) unlike(crowd []owner) []string {
	var odd []string
	for _, o := range crowd {
		rec, ids := w.records[o], w.byOwner[o.String()]
		if len(ids) != 1 || string(rec.State) != active || rec.CustomerID != ids[0] {
			odd = append(odd, fmt.Sprintf("%s in the end: row %s %s, customers %v", o, rec.State, rec.CustomerID, ids))
		}
	}
	return odd
}

// migrations kills a process that brings a new database up to date; the next must succeed.
func migrations(ctx context.Context, t *testing.T, newDatabase func(*testing.T) string, n int) {
	r := dice(t.Name() + " migrations")
	killed, bad := 0, []string{}
	for range n {
		url := newDatabase(t)
		cmd, err := actorCommand(ctx, "open", []string{
			databaseVariable + "=" + url, pointVariable + "=open",
			afterVariable + "=" + time.Duration(r.Int64N(int64(40*time.Millisecond))).String(),
		}, nil)
		must(t, err)
		if err := runActor(cmd); wasKilled(err) {
			killed++
		}
		again, err := actorCommand(ctx, "open", []string{databaseVariable + "=" + url, pointVariable + "=", afterVariable + "=0s"}, nil)
		must(t, err)
		if err := runActor(again); err != nil {
			bad = append(bad, err.Error())
		}
	}
	report.fact(t, "migrations", fmt.Sprintf("%d started, %d killed, the others were faster", n, killed))
	report.none(t, "databases that cannot be opened after a killed migration", bad)
}
