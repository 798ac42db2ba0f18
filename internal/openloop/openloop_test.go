package openloop_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/openloop"
)

// answerer answers in the process, so that a fake clock holds.
type answerer func(*http.Request) (*http.Response, error)

func (a answerer) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("body"))}
}

func get(ctx context.Context, _ int) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodGet, "http://stripe.test/", http.NoBody)
}

func TestASlowAnswerDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := openloop.Run(t.Context(), openloop.Load{
			Rate: 10, For: time.Second, MaxInFlight: 10, Request: get,
			Client: &http.Client{Transport: answerer(func(*http.Request) (*http.Response, error) {
				time.Sleep(5 * time.Second)
				return answer(http.StatusOK), nil
			})},
		})
		if len(outcomes) != 10 {
			t.Fatalf("%d sent", len(outcomes))
		}
		for n, o := range outcomes {
			if !o.OK() || o.Took != 5*time.Second || o.At != time.Duration(n)*100*time.Millisecond {
				t.Errorf("%d: %+v", n, o)
			}
		}
	})
}

func TestWhatIsTooMuchIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := openloop.Run(t.Context(), openloop.Load{
			Rate: 10, For: time.Second, MaxInFlight: 3, Request: get,
			Client: &http.Client{Transport: answerer(func(*http.Request) (*http.Response, error) {
				time.Sleep(time.Minute)
				return answer(http.StatusCreated), nil
			})},
			Timeout: time.Hour,
		})
		dropped := openloop.Count(outcomes, func(o openloop.Outcome) bool { return errors.Is(o.Err, openloop.ErrDropped) })
		if dropped != 7 || openloop.Count(outcomes, openloop.Outcome.OK) != 3 {
			t.Errorf("%+v", outcomes)
		}
	})
}

func TestWhoTakesTooLongHasFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := openloop.Run(t.Context(), openloop.Load{
			Rate: 1, For: time.Second, MaxInFlight: 1, Request: get, Timeout: time.Second,
			Client: &http.Client{Transport: answerer(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		if len(outcomes) != 1 || !errors.Is(outcomes[0].Err, context.DeadlineExceeded) || outcomes[0].Took != time.Second {
			t.Errorf("%+v", outcomes)
		}
	})
}

func TestAnObjectionIsAFailure(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "wrong") }))
	defer server.Close()
	wrong := errors.New("not what was asked for")
	outcomes := openloop.Run(t.Context(), openloop.Load{
		Rate: 1000, For: 3 * time.Millisecond, MaxInFlight: 3, Client: server.Client(),
		Request: func(ctx context.Context, _ int) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
		},
		Answered: func(_ int, _ *http.Response, body []byte) error {
			if string(body) == "wrong" {
				return wrong
			}
			return nil
		},
	})
	for _, o := range outcomes {
		if o.OK() || !errors.Is(o.Err, wrong) || o.Status != http.StatusOK {
			t.Errorf("%+v", o)
		}
	}
	if len(outcomes) != 3 {
		t.Errorf("%d sent", len(outcomes))
	}
}

func TestASenderOfOnesOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := openloop.Run(t.Context(), openloop.Load{
			Rate: 10, For: 300 * time.Millisecond, MaxInFlight: 3, Timeout: 4 * time.Second,
			Send: func(ctx context.Context, n int) (int, error) {
				deadline, _ := ctx.Deadline()
				if wait := time.Until(deadline); wait != 4*time.Second {
					t.Errorf("it has %v", wait)
				}
				time.Sleep(time.Duration(n) * time.Second)
				return http.StatusOK + n, nil
			},
		})
		if len(outcomes) != 3 {
			t.Fatalf("%d sent", len(outcomes))
		}
		for n, o := range outcomes {
			if !o.OK() || o.Status != http.StatusOK+n || o.Took != time.Duration(n)*time.Second {
				t.Errorf("%d: %+v", n, o)
			}
		}
	})
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var outcomes []openloop.Outcome
	for n := range 100 {
		outcomes = append(outcomes, openloop.Outcome{Took: time.Duration(100 - n), Status: 200})
	}
	all := func(openloop.Outcome) bool { return true }
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := openloop.Percentile(outcomes, share, all); got != want {
			t.Errorf("%v: %d, not %d", share, got, want)
		}
	}
	if got := openloop.Percentile(outcomes, 1, func(o openloop.Outcome) bool { return !o.OK() }); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
