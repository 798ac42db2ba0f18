package sandbox_test

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"till/internal/sandbox"
)

// dateOf reads an answer's Date.
func dateOf(t *testing.T, h http.Header) time.Time {
	t.Helper()
	date, err := time.Parse(http.TimeFormat, h.Get("Date"))
	if err != nil || len(h.Values("Date")) != 1 {
		t.Errorf("Date is %q", h.Values("Date"))
	}
	return date
}

// A client that goes by Stripe's clock must find it in whatever it gets.
func TestEveryAnswerHasTheDateOfTheSandboxsClock(t *testing.T) {
	t.Parallel()
	start := time.Date(2031, 5, 6, 7, 8, 9, 999_999_999, time.FixedZone("", 7200))
	s := startWith(t, sandbox.Options{Now: func() time.Time { return start }})
	faulty := func(kind string) func() reply {
		return func() reply {
			s.fault(`{"operation":"customers.create","kind":"` + kind + `","status":503,"count":1}`)
			return s.post("/v1/customers")
		}
	}
	calls := map[string]func() reply{
		"good":         func() reply { return s.post("/v1/customers") },
		"replayed":     func() reply { return s.call("POST", "/v1/customers", nil, key("k")) },
		"refused":      func() reply { return s.post("/v1/customers", "colour=red") },
		"missing":      func() reply { return s.get("/v1/customers/cus_x") },
		"unrecognized": func() reply { return s.get("/v1/nothing") },
		"no key":       func() reply { return s.call("GET", "/v1/customers", nil, "Authorization: ") },
		"mounted":      func() reply { return s.get("/sandbox/v1/account") },
		"control":      func() reply { return s.control("GET", "/sandbox/v1/clock", "") },
		"control, bad": func() reply { return s.control("POST", "/sandbox/v1/clock", "") },
		"page":         func() reply { return s.get("/checkout/nowhere") },
	}
	for _, kind := range []string{
		"status", "rate_limit", "lock_timeout", "key_in_use", "idempotency_error", "missing", "html_502", "failed_500",
		"created_then_500", "garbage_200", "empty_200", "wrong_customer", "flip_livemode", "foreign_url", "delay",
	} {
		calls[kind] = faulty(kind)
	}
	for _, advanced := range []time.Duration{0, 25 * time.Hour, 26 * time.Hour} {
		for name, call := range calls {
			if got, want := dateOf(t, call().header), start.Add(advanced).UTC().Truncate(time.Second); !got.Equal(want) {
				t.Errorf("%s: Date is %v, want %v", name, got, want)
			}
		}
		s.advance("25h")
		if advanced > 0 {
			s.control("POST", "/sandbox/v1/reset", "")
			s.advance("26h")
		}
	}
	s.control("POST", "/sandbox/v1/reset", "")
	if got := dateOf(t, s.get("/v1/account").header); !got.Equal(start.UTC().Truncate(time.Second)) {
		t.Errorf("after a reset, Date is %v", got)
	}
}

// What is created carries the time of its creation, so a Date of the time when the
// request came would be too early.
func TestTheDateIsThatOfTheAnswerNotOfTheRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fault(`{"operation":"customers.create","kind":"delay","delay":"300ms","count":1}`)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		got := s.post("/v1/customers")
		created, _ := got.at("created").(float64)
		if date := dateOf(t, got.header).Unix(); date < int64(created) || date > int64(created)+2 {
			t.Errorf("created %v, answered %v", created, date)
		}
	})
	eventually(t, "the request is waiting", func() bool {
		return len(s.control("GET", "/sandbox/v1/faults", "").at("data").([]any)) == 0
	})
	s.advance("25h")
	waiting.Wait()
}

// Also an answer that breaks off has told the time by then.
func TestAnAnswerThatBreaksOffHasADate(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.advance("25h")
	for _, kind := range []string{"truncated", "created_then_reset"} {
		s.fault(`{"operation":"customers.create","kind":"` + kind + `","count":1}`)
		res, err := s.Client().Do(s.request("POST", "/v1/customers", nil))
		if err != nil {
			if kind == "created_then_reset" {
				continue // the reset may overtake what was sent
			}
			t.Fatal(err)
		}
		if got := time.Until(dateOf(t, res.Header)); got < 24*time.Hour {
			t.Errorf("%s: Date is in %v", kind, got)
		}
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: the answer is whole", kind)
		}
		res.Body.Close()
	}
	if got := s.count("customers"); got != 2 {
		t.Errorf("%d customers", got)
	}
}
