package audit_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/audit"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// once holds what was found to exactly one of each of n events.
func once(t *testing.T, where string, found map[string]int, n int) {
	t.Helper()
	want := map[string]int{}
	for i := range n {
		want[fmt.Sprint("cs_", i)] = 1
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("%s (-want +got):\n%s", where, diff)
	}
}

func record(d *desk, n int) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			// The caller has hung up: what he has changed is remembered all the same.
			gone, cancel := context.WithCancel(context.Background())
			cancel()
			d.Record(gone, event(fmt.Sprint("cs_", i), audit.OK))
		})
	}
	wg.Wait()
}

func TestEveryWriteLeavesOneRow(t *testing.T) {
	for _, mode := range []audit.Mode{audit.Async, audit.Sync} {
		t.Run(string(mode), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDesk(t, audit.Options{Mode: mode}, true)
				record(d, 1000)
				if mode == audit.Async {
					time.Sleep(time.Second)
				}
				synctest.Wait()
				once(t, "rows", d.rows(), 1000)
				d.end()
				if got := d.metric("till_audit_rows_total", ""); got != 1000 {
					t.Errorf("%v rows are counted", got)
				}
				if log := d.lines.String(); log != "" {
					t.Errorf("logged: %s", log)
				}
			})
		})
	}
}

func TestAsyncCollectsAndAsksTheDatabaseFewTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{}, true)
		for i := range 50 {
			d.Record(t.Context(), event(fmt.Sprint("cs_", i), audit.OK))
		}
		synctest.Wait()
		if len(d.store.batches()) > 0 {
			t.Error("the database was asked at once")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if diff := cmp.Diff([]int{50}, d.store.batches()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		// As many as fill a batch do not wait.
		start := time.Now()
		for i := range 500 {
			d.Record(t.Context(), event(fmt.Sprint("cs_", i), audit.OK))
		}
		synctest.Wait()
		if len(d.store.batches()) != 2 || d.store.batches()[1] != 500 || !time.Now().Equal(start) {
			t.Errorf("batches %v after %v", d.store.batches(), time.Since(start))
		}
		d.end()
	})
}

func TestSyncReturnsWhenTheRowIsThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{Mode: audit.Sync}, true)
		d.Record(t.Context(), event("cs_0", audit.OK))
		once(t, "rows", d.rows(), 1)
		// Nobody who is refused waits for the database.
		d.store.set(hang)
		start := time.Now()
		d.Record(t.Context(), event("cs_1", problem.NotFound))
		if took := time.Since(start); took > 0 {
			t.Errorf("a refusal waited %v", took)
		}
		d.store.set(storetest.None)
		d.end()
	})
}

func TestSyncWaitsForADeadDatabaseNotForLongAndLeavesATrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{Mode: audit.Sync}, true)
		d.store.set(hang)
		start := time.Now()
		d.Record(t.Context(), event("cs_0", audit.OK))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("waited %v", took)
		}
		once(t, "the log", d.logged("WARN"), 1)
		d.store.set(storetest.None)
		time.Sleep(time.Minute)
		once(t, "rows", d.rows(), 1)
		d.end()
		once(t, "the log", d.logged("WARN"), 1)
	})
}

// Whether the database does nothing, or does it and says nothing, or says no until
// the end: every event is in the database once, or in the log.
func TestAnOutageLosesNothing(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"nothing is done": storetest.Before, "the answer is lost": storetest.After} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDesk(t, audit.Options{}, true)
				d.store.set(fault)
				record(d, 1000)
				time.Sleep(10 * time.Second)
				once(t, "the log during the outage", d.logged("WARN"), 1000)
				if got := d.metric("till_audit_queued_events", ""); fault == storetest.Before && got != 1000 {
					t.Errorf("%v are queued", got)
				}
				d.store.set(storetest.None)
				time.Sleep(2 * time.Second)
				once(t, "rows after the outage", d.rows(), 1000)
				d.end()
				once(t, "the log after the outage", d.logged("WARN"), 1000)
				if late, lost := d.metric("till_audit_write_failures_total", "late"), d.metric("till_audit_write_failures_total", "log_only"); late != 1000 || lost != 0 {
					t.Errorf("counted: %v late, %v lost", late, lost)
				}
				if got := d.metric("till_audit_queued_events", ""); got != 0 {
					t.Errorf("%v are queued", got)
				}
			})
		})
	}
}

func TestAQueueThatIsFullGoesToTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{}, true)
		d.store.set(storetest.Before)
		const n = 5000
		record(d, n)
		time.Sleep(5 * time.Second)
		lost := len(d.logged("ERROR"))
		if lost != n-4096 || d.metric("till_audit_write_failures_total", "log_only") != float64(lost) {
			t.Errorf("%d stand in the log only", lost)
		}
		d.store.set(storetest.None)
		time.Sleep(5 * time.Second)
		all := d.rows()
		for object, lines := range d.logged("ERROR") {
			all[object] += lines
		}
		once(t, "the database and the log", all, n)
		d.end()
	})
}

func TestTheEndWritesWhatIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{}, true)
		synctest.Wait()
		start := time.Now()
		record(d, 250)
		d.end()
		once(t, "rows", d.rows(), 250)
		if !time.Now().Equal(start) {
			t.Errorf("the end took %v", time.Since(start))
		}
		d.Record(t.Context(), event("late", audit.OK))
		if diff := cmp.Diff(map[string]int{"late": 1}, d.logged("ERROR")); diff != "" {
			t.Errorf("after the end (-want +got):\n%s", diff)
		}
	})
}

func TestTheEndOfADeadDatabaseIsLogged(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"it refuses": storetest.Before, "it hangs": hang} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDesk(t, audit.Options{}, true)
				d.store.set(fault)
				record(d, 300)
				start := time.Now()
				d.end()
				if took := time.Since(start); took > 11*time.Second {
					t.Errorf("the end took %v", took)
				}
				all := d.logged("WARN")
				for object, n := range d.logged("ERROR") {
					all[object] += n
				}
				once(t, "the log", all, 300)
				if got := d.metric("till_audit_write_failures_total", "log_only"); got != 300 {
					t.Errorf("%v are counted", got)
				}
			})
		})
	}
}

// What every code comes to is decided here, one by one: a new one fails until it is.
func TestEveryOutcomeHasItsPlace(t *testing.T) {
	places := map[string][]problem.Code{
		"kept": {audit.OK, problem.Internal, problem.UpstreamError, problem.UpstreamTimeout},
		"bounded": {
			problem.Forbidden, problem.CSRFRejected, problem.NotFound, problem.IdempotencyInProgress, problem.SessionNotOpen,
			problem.AlreadySubscribed, problem.NoCustomer, problem.ValidationFailed, problem.RedirectNotAllowed,
			problem.CatalogNotAllowed, problem.IdempotencyKeyReused, problem.DependencyUnavailable, problem.PlanUnavailable,
		},
		"dropped": {
			problem.MalformedRequest, problem.IdempotencyKeyInvalid, problem.Unauthenticated, problem.MethodNotAllowed,
			problem.RequestTimeout, problem.PayloadTooLarge, problem.URITooLong, problem.UnsupportedMediaType,
			problem.RateLimited, problem.Overloaded,
		},
	}
	all := append(problem.Codes(), audit.OK)
	placed := slices.Concat(slices.Collect(maps.Values(places))...)
	slices.Sort(all)
	slices.Sort(placed)
	if diff := cmp.Diff(all, placed); diff != "" {
		t.Errorf("codes (-all +placed):\n%s", diff)
	}
	const repeats = 400 // within a moment
	want := map[string]int{"kept": repeats, "bounded": 100, "dropped": 0}
	for place, codes := range places {
		for _, code := range codes {
			t.Run(string(code), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					d := newDesk(t, audit.Options{}, true)
					for range repeats {
						d.Record(t.Context(), event("cs_1", code))
					}
					d.end()
					if got := d.rows()["cs_1"]; got != want[place] {
						t.Errorf("%d of %d left a row", got, repeats)
					}
					skipped := d.metric("till_audit_skipped_total", "")
					if (place == "bounded") != (skipped == repeats-100) {
						t.Errorf("%v are counted as skipped", skipped)
					}
				})
			})
		}
	}
}

func TestRefusalsLeaveRowsAtARateAndNeverTakeTheRoomOfWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{}, true)
		d.store.set(storetest.Before)
		for range 300 { // five minutes of a flood
			for range 100 {
				d.Record(t.Context(), event("refused", problem.NotFound))
			}
			time.Sleep(time.Second)
		}
		if got := d.metric("till_audit_queued_events", ""); got != 2048 {
			t.Errorf("%v refusals wait", got)
		}
		record(d, 1000)
		d.store.set(storetest.None)
		time.Sleep(5 * time.Second)
		rows := d.rows()
		if n := rows["refused"]; n != 2048 {
			t.Errorf("%d refusals", n)
		}
		delete(rows, "refused")
		once(t, "writes", rows, 1000)
		d.end()
	})
}

func TestOffWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{Mode: audit.Off}, true)
		record(d, 10)
		d.end()
		if rows, log := d.rows(), d.lines.String(); len(rows) > 0 || log != "" {
			t.Errorf("got %v and %s", rows, log)
		}
	})
}

func TestOldRowsGoAndOthersStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := func(d *desk) {
			var events []audit.Event
			for i := range 1700 {
				events = append(events, storetest.Event(fmt.Sprint(i), 0))
				events[i].At = time.Now().Add(-400*24*time.Hour - time.Second)
			}
			if err := d.store.AppendEvents(t.Context(), events); err != nil {
				t.Fatal(err)
			}
		}
		d := newDesk(t, audit.Options{Retention: 400 * 24 * time.Hour}, false)
		old(d)
		ctx, stop := context.WithCancel(t.Context())
		go d.Run(ctx)
		d.Record(t.Context(), event("cs_0", audit.OK))
		time.Sleep(time.Second)
		once(t, "rows", d.rows(), 1)
		time.Sleep(399 * 24 * time.Hour)
		once(t, "rows a day before", d.rows(), 1)
		time.Sleep(2 * 24 * time.Hour)
		once(t, "rows in the end", d.rows(), 0)
		stop()
		synctest.Wait()

		forever := newDesk(t, audit.Options{}, true)
		old(forever)
		time.Sleep(1000 * 24 * time.Hour)
		if n := len(forever.rows()); n != 1700 {
			t.Errorf("%d are left of those that are kept for ever", n)
		}
		forever.end()
	})
}

func TestWhatIsRecordedCanBeStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDesk(t, audit.Options{}, true)
		long := strings.Repeat("x", 10_000)
		e := event("cs_\x00\xff", audit.OK)
		e.Subject, e.Member, e.RequestID = long, long+"y", "a\r\nb\x1b[31m"
		d.Record(t.Context(), e)
		d.end()
		got, err := d.store.Events(t.Context(), audit.Position{}, time.Now().Add(time.Hour), 10)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if g := got[0]; g.Object != "cs_\ufffd\ufffd" || len(g.Subject) > 100 || !strings.HasPrefix(g.Subject, "sha256:") || g.Subject == g.Member ||
			g.RequestID != e.RequestID || g.ID == "" || !g.At.Equal(time.Now().Truncate(time.Millisecond)) {
			t.Errorf("got %+v", g)
		}
	})
}
