package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// strikes says which of n requests a fault strikes, as in "x..x".
func (s *server) strikes(n int) string {
	s.t.Helper()
	var out strings.Builder
	for range n {
		if got := s.post("/v1/customers"); got.status == http.StatusOK {
			out.WriteByte('.')
		} else {
			out.WriteByte('x')
		}
	}
	return out.String()
}

func chancy(probability string, more ...string) string {
	return `{"operation":"customers.create","kind":"html_502","probability":` + probability + strings.Join(more, "") + `}`
}

func TestTheSameSeedStrikesTheSameRequests(t *testing.T) {
	t.Parallel()
	patterns := map[string]bool{}
	for _, seed := range []string{"0", "1", "18446744073709551615"} {
		var first string
		for range 2 {
			s := start(t)
			s.fault(chancy("0.3", `,"seed":`+seed))
			got := s.strikes(200)
			if first != "" && got != first {
				t.Errorf("seed %s:\n%s\n%s", seed, first, got)
			}
			first = got
		}
		// 60 are expected; fewer than 30 or more than 95 are once in a million.
		if n := strings.Count(first, "x"); n < 30 || n > 95 {
			t.Errorf("seed %s strikes %d of 200", seed, n)
		}
		patterns[first] = true
	}
	if len(patterns) != 3 {
		t.Error("different seeds strike alike")
	}
}

// A run that went wrong can be played again, also by those who named no seed.
func TestASeedThatWasNotGivenIsShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	shown := s.control("POST", "/sandbox/v1/faults", chancy("0.5"))
	var seed uint64
	if _, err := fmt.Sscanf(shown.raw[strings.Index(shown.raw, `"seed":`):], `"seed":%d`, &seed); err != nil {
		t.Fatalf("%v: %s", err, shown.raw)
	}
	first := s.strikes(100)
	s.control("DELETE", "/sandbox/v1/faults", "")
	s.fault(chancy("0.5", fmt.Sprintf(`,"seed":%d`, seed)))
	if again := s.strikes(100); again != first {
		t.Errorf("with seed %d:\n%s\n%s", seed, first, again)
	}
	if got := s.control("POST", "/sandbox/v1/faults", `{"operation":"*","kind":"drop"}`); got.at("data", "0", "seed") != nil {
		t.Errorf("a fault that leaves nothing to chance has a seed: %s", got.raw)
	}
}

func TestCertaintyStrikesEveryRequest(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{chancy("1"), chancy("1.0", `,"seed":7`), `{"operation":"customers.create","kind":"html_502"}`} {
		s := start(t)
		s.fault(fault)
		if got := s.strikes(50); strings.Contains(got, ".") {
			t.Errorf("%s: %s", fault, got)
		}
	}
}

// The count is of strikes, and what one fault spares is the next one's.
func TestWhatAFaultSparesGoesOnToTheNext(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fault(`[` + chancy("0.2", `,"seed":1,"count":10`) + `,{"operation":"customers.create","kind":"status","status":503}]`)
	seen := map[int]int{}
	for range 200 {
		seen[s.post("/v1/customers").status]++
	}
	if seen[502] != 10 || seen[503] != 190 {
		t.Errorf("answers by status: %v", seen)
	}
	if left := s.control("GET", "/sandbox/v1/faults", "").at("data").([]any); len(left) != 1 {
		t.Errorf("%d faults are left", len(left))
	}
	struck := s.control("GET", "/sandbox/v1/state", "").at("faults_struck")
	if dig(struck, "html_502") != 10.0 || dig(struck, "status") != 190.0 || dig(struck, "drop") != 0.0 {
		t.Errorf("struck: %v", struck)
	}
}

// A request for another operation takes no decision away.
func TestOtherOperationsDoNotMoveTheSequence(t *testing.T) {
	t.Parallel()
	s, quiet := start(t), start(t)
	for _, server := range []*server{s, quiet} {
		server.fault(chancy("0.5", `,"seed":3`))
	}
	var got, want strings.Builder
	for range 50 {
		s.get("/v1/account")
		got.WriteString(s.strikes(1))
		want.WriteString(quiet.strikes(1))
	}
	if got.String() != want.String() {
		t.Errorf("\n%s\n%s", got.String(), want.String())
	}
}

func TestImpossibleChancesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, bad := range []string{
		chancy("0"), chancy("-0.1"), chancy("1.01"), chancy(`"0.5"`), chancy("0.5", `,"seed":-1`), chancy("0.5", `,"seed":1.5`),
		chancy("0.5", `,"seed":18446744073709551616`),
	} {
		if got := s.control("POST", "/sandbox/v1/faults", bad); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
}

// What a fault could not spoil is not counted: a test that says which faults it
// survived must not count those that were none.
func TestOnlyWhatMadeADifferenceHasStruck(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]float64{
		"drop": 2, "html_502": 2, "rate_limit": 2, "lock_timeout": 2, "key_in_use": 2, "idempotency_error": 2, "missing": 2, "status": 2,
		"failed_500": 1, "created_then_500": 1, // the replay is a 500 of its own
		"created_then_silence": 2, "created_then_reset": 2, "truncated": 2, "garbage_200": 2, "empty_200": 2,
		"wrong_customer": 2, "flip_livemode": 2, "foreign_url": 2, "delay": 1, // a replay waits for nothing
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.fault(`{"operation":"customers.create","kind":"` + kind + `","status":400,"delay":"1ms"}`)
			for range 2 {
				_, _ = s.try("POST", "/v1/customers", []string{"name=Ann"}, key("k"))
			}
			struck := s.control("GET", "/sandbox/v1/state", "").at("faults_struck").(object)
			for other, n := range struck {
				if other == kind && n != want || other != kind && n != 0.0 {
					t.Errorf("%s: %v, want %v for %s", other, n, want, kind)
				}
			}
			if len(struck) != 19 {
				t.Errorf("%d kinds are counted", len(struck))
			}
		})
	}
	s := start(t)
	s.fault(`{"operation":"customers.create","kind":"wrong_customer"}`)
	s.post("/v1/customers", "colour=red")
	s.fault(`{"operation":"customers.list","kind":"flip_livemode"}`)
	s.get("/v1/customers")
	struck := s.control("GET", "/sandbox/v1/state", "").at("faults_struck")
	if dig(struck, "wrong_customer") != 0.0 || dig(struck, "flip_livemode") != 0.0 {
		t.Errorf("struck: %v", struck)
	}
}
