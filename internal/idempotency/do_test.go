package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/idempotency"
	"till/internal/problem"
	"till/internal/store/storetest"
)

func TestARepeatIsNotDecidedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	id := w.replica(t).opens(t, "b")
	w.plan, w.refusal = "another price", errors.New("the plan is gone")
	for range 3 {
		if again := w.replica(t).opens(t, "b"); again != id {
			t.Errorf("got %s, want %s", again, id)
		}
	}
	w.expect(t, 4, 1, 1)
	for i, c := range w.stripe.sent {
		if c.Repeated != (i > 0) || c.Params != "pro" || c.Customer != "cus_1" || c.Version != "2023-10-16" {
			t.Errorf("call %d: %+v", i, c)
		}
	}
}

func TestAnotherBodyIsRefusedWithoutACall(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.replica(t)
	r.opens(t, "b")
	r.fails(t, "c", problem.IdempotencyKeyReused)
	w.expect(t, 1, 1, 1)
}

func TestWhatIsRefusedBeforeStripeLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.replica(t)
	w.refusal = problem.New(problem.CatalogNotAllowed, nil)
	r.fails(t, "b", problem.CatalogNotAllowed)
	if rows := w.store.Records(); len(rows) != 0 {
		t.Errorf("it was stored: %+v", rows)
	}
	w.refusal = nil
	r.opens(t, "c")
	w.expect(t, 1, 1, 2)
}

func TestWhileOneRunsOthersAreToldSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.does(answersLate)
		ended := make(chan string)
		go func() { ended <- w.replica(t).opens(t, "b") }()
		synctest.Wait()
		if p := w.replica(t).fails(t, "b", problem.IdempotencyInProgress); p.RetryAfter != time.Second {
			t.Errorf("Retry-After: got %v", p.RetryAfter)
		}
		w.replica(t).fails(t, "c", problem.IdempotencyKeyReused)
		id := <-ended
		if again := w.replica(t).opens(t, "b"); again != id {
			t.Errorf("got %s, want %s", again, id)
		}
		w.expect(t, 2, 1, 1)
	})
}

// Both were decided before either was written: one of them is sent.
func TestOfTwoThatComeTogetherOneIsSent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want problem.Code
	}{"the same": {"b", problem.IdempotencyInProgress}, "another body": {"c", problem.IdempotencyKeyReused}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			r := w.replica(t)
			_, err := idempotency.Do(t.Context(), r.Service, keyed("b"), func(ctx context.Context) (idempotency.Frozen, error) {
				quicker := w.replicaOn(t, storetest.FaultyKeys{Store: w.store, Next: dyingAt(3, storetest.Before)})
				quicker.opens(t, tc.body)
				return w.freeze(ctx)
			}, w.stripe.open)
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			w.expect(t, 1, 1, 2)
		})
	}
}

func TestAnUnknownEndIsTriedAgainUnderTheSameKey(t *testing.T) {
	t.Parallel()
	for _, what := range []accident{neverArrives, silence, arrivesLate, failsFirst} {
		t.Run(fmt.Sprint(int(what)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.stripe.does(what)
				_, err := w.replica(t).do(t.Context(), keyed("b"))
				if err == nil {
					t.Fatal("it went well")
				}
				w.plan = "another price"
				id := w.replica(t).opens(t, "b")
				time.Sleep(time.Minute)
				w.stripe.late.Wait()
				if again := w.replica(t).opens(t, "b"); again != id {
					t.Errorf("got %s, want %s", again, id)
				}
				if _, made := w.stripe.counts(); made != 1 || w.decided != 1 {
					t.Errorf("%d sessions, decided %d times", made, w.decided)
				}
				if keys := w.stripe.keysSent(); what != failsFirst && len(keys) != 1 {
					t.Errorf("sent under %d keys", len(keys))
				}
			})
		})
	}
}

func TestWhatSurelyDidNothingLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	for _, what := range []accident{refuses, busy} {
		w := newWorld()
		r := w.replica(t)
		w.stripe.does(what)
		if _, err := r.do(t.Context(), keyed("b")); err == nil {
			t.Fatal("it went well")
		}
		if rows := w.store.Records(); len(rows) != 0 {
			t.Errorf("it was stored: %+v", rows)
		}
		w.plan = "another price"
		r.opens(t, "c")
		w.expect(t, 2, 1, 2)
	}
}

// What was sent before may still arrive, so a refusal of the second says nothing.
func TestAfterAnUnknownEndARefusalKeepsTheRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := w.replica(t)
		w.stripe.does(arrivesLate, busy, refuses)
		r.fails(t, "b", problem.UpstreamTimeout)
		r.fails(t, "b", problem.Overloaded)
		r.fails(t, "b", problem.UpstreamError)
		r.fails(t, "c", problem.IdempotencyKeyReused)
		w.stripe.late.Wait()
		r.opens(t, "b")
		w.expect(t, 4, 1, 1)
	})
}

func TestWhatWasFrozenForACustomerWhoIsGoneIsDecidedAnew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first accident
		gone  string
		anew  bool
	}{
		"no session, and he is gone":   {neverArrives, "cus_1", true},
		"no session, and another is":   {neverArrives, "cus_2", false},
		"no session, and nobody is":    {neverArrives, "", false},
		"a session, and he is gone":    {allWell, "cus_1", false},
		"an unknown end, then another": {silence, "cus_2", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			r := w.replica(t)
			w.stripe.does(tc.first)
			_, _ = r.do(t.Context(), keyed("b"))
			w.plan = "with another customer"
			req := keyed("b")
			req.Gone = tc.gone
			if _, err := r.do(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			first, last := w.stripe.sent[0], w.stripe.sent[1]
			if anew := last.StripeKey != first.StripeKey && last.Params == w.plan && !last.Repeated; anew != tc.anew {
				t.Errorf("got %+v after %+v", last, first)
			}
			req.Body = "c"
			if _, err := r.do(t.Context(), req); err == nil {
				t.Error("another body was let through")
			}
		})
	}
}

// While it runs, nobody takes its row away.
func TestARunningRequestOfACustomerWhoIsGoneIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.does(answersLate)
		ended := make(chan string)
		go func() { ended <- w.replica(t).opens(t, "b") }()
		synctest.Wait()
		req := keyed("b")
		req.Gone = "cus_1"
		if _, err := w.replica(t).do(t.Context(), req); err == nil {
			t.Error("it was decided anew")
		}
		<-ended
		w.expect(t, 1, 1, 1)
	})
}

func TestAReplayedFailureGetsAnotherKeyOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := w.replica(t)
		w.stripe.does(failsFirst, allWell, failsFirst) // the second meets the replay
		r.fails(t, "b", problem.UpstreamError)
		r.fails(t, "b", problem.UpstreamError) // replayed, and then fails anew
		if keys := w.stripe.keysSent(); len(keys) != 2 {
			t.Fatalf("sent under %d keys, want 2", len(keys))
		}
		for range 3 {
			r.fails(t, "b", problem.UpstreamError) // replayed, and too soon
		}
		if keys := w.stripe.keysSent(); len(keys) != 2 {
			t.Errorf("sent under %d keys within a minute", len(keys))
		}
		time.Sleep(time.Minute)
		r.opens(t, "b")
		if keys := w.stripe.keysSent(); len(keys) != 3 {
			t.Errorf("sent under %d keys, want 3", len(keys))
		}
		w.plan = "another price"
		r.opens(t, "b")
		w.expect(t, 9, 1, 1)
	})
}

func TestAKeyInUseAtStripeIsInProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stripe.delay = time.Minute
		w.stripe.does(answersLate)
		// This process dies while Stripe is busy; its lease runs out.
		go func() {
			_, _ = w.replicaOn(t, storetest.FaultyKeys{Store: w.store, Next: dyingAt(3, storetest.Before)}).do(t.Context(), keyed("b"))
		}()
		time.Sleep(20 * time.Second)
		w.replica(t).fails(t, "b", problem.IdempotencyInProgress)
		time.Sleep(time.Minute)
		w.replica(t).opens(t, "b")
		w.expect(t, 3, 1, 1)
	})
}

func TestTheLeaseOfTheDeadIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		dying := w.replicaOn(t, storetest.FaultyKeys{Store: w.store, Next: dyingAt(3, storetest.Before)})
		id := dying.opens(t, "b") // and nobody noted that
		w.plan = "another price"
		w.replica(t).fails(t, "b", problem.IdempotencyInProgress)
		time.Sleep(15 * time.Second)
		if again := w.replica(t).opens(t, "b"); again != id {
			t.Errorf("got %s, want %s", again, id)
		}
		w.expect(t, 2, 1, 1)
	})
}

func TestAfterItsTimeAKeyIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := w.replica(t)
		first := r.opens(t, "b")
		time.Sleep(day - time.Second)
		if again := r.opens(t, "b"); again != first {
			t.Errorf("just before: got %s, want %s", again, first)
		}
		time.Sleep(time.Second)
		if next := r.opens(t, "c"); next == first {
			t.Error("the session of the day before")
		}
	})
}

func TestTheEndIsWrittenWhenTheCallerHasGone(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]accident{"well": allWell, "unknown": silence, "nothing": refuses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			r := w.replica(t)
			ctx, hangUp := context.WithCancel(t.Context())
			w.stripe.next = func() accident { hangUp(); return what }
			_, _ = r.do(ctx, keyed("b"))
			w.stripe.next = nil
			r.opens(t, "b")
		})
	}
}

func TestWithoutTheDatabaseNothingIsSent(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 2; n++ {
		w := newWorld()
		broken := w.replicaOn(t, storetest.FaultyKeys{Store: w.store, Next: dyingAt(n, storetest.Before)})
		broken.fails(t, "b", problem.DependencyUnavailable)
		w.expect(t, 0, 0, n-1)
	}
}

func TestOldRowsAreRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := w.replica(t)
		for i := range 500 {
			req := keyed("b")
			req.ID = fmt.Sprint(i)
			if _, err := r.do(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = r.Run(ctx) }()
		time.Sleep(day - time.Minute)
		if got := len(w.store.Records()); got != 500 {
			t.Errorf("%d rows are left before their time", got)
		}
		time.Sleep(3 * time.Minute)
		if got := len(w.store.Records()); got != 0 {
			t.Errorf("%d rows are left", got)
		}
		stop()
		synctest.Wait()
	})
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.replica(t)
	r.opens(t, "b")
	r.opens(t, "b")
	r.fails(t, "c", problem.IdempotencyKeyReused)
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "till_idempotency_requests_total" {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	for result, want := range map[string]float64{"first": 1, "repeated": 1, "reused": 1, "in_progress": 0, "refused": 0, "failed": 0} {
		if got[result] != want {
			t.Errorf("%s: got %v, want %v", result, got[result], want)
		}
	}
}

// The first of its own tries may have done what Stripe then calls a failure, so the
// refusal of the next key is not taken for nothing at all.
func TestAfterARenewalARefusalKeepsTheRow(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := w.replica(t)
	answers := []error{
		failed(problem.UpstreamError, stripeError{text: "500, replayed", spent: true}),
		failed(problem.UpstreamError, stripeError{text: "400", nothing: true}),
	}
	_, err := idempotency.Do(t.Context(), r.Service, keyed("b"), w.freeze, func(context.Context, idempotency.Call) (string, error) {
		err := answers[0]
		answers = answers[1:]
		return "", err
	})
	if err == nil || len(answers) != 0 {
		t.Fatalf("got %v, %d answers left", err, len(answers))
	}
	r.fails(t, "c", problem.IdempotencyKeyReused)
	r.opens(t, "b")
}
