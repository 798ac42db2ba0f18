package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/auth"
	"till/internal/problem"
)

const idp = "id.example.com"

func remote() auth.Issuer {
	return auth.Issuer{
		Issuer: "https://id.example.com/", Audience: []string{"till"}, JWKSURL: "https://id.example.com/jwks",
		MaxLifetime: 24 * 365 * time.Hour,
	}
}

// longLived is a good token that outlives the stories below.
func longLived(headerEdit, by string) string {
	return genuine(headerEdit, `"exp":1777225600`, by)
}

func (s *service) reason(t testing.TB, token string) string {
	t.Helper()
	_, err := s.Verify(t.Context(), token)
	return reasonOf(err)
}

func expect(t testing.TB, s *service, token, want string) {
	t.Helper()
	if got := s.reason(t, token); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func expectFetches(t testing.TB, s *service, want int64) {
	t.Helper()
	if got := s.network.calls.Load(); got != want {
		t.Errorf("got %d fetches, want %d", got, want)
	}
}

func oneKey() []byte { return jwks(rsaJWK("rsa", &keys().rsa.PublicKey, "")) }
func rotatedKeys() []byte {
	return jwks(rsaJWK("rsa", &keys().rsa.PublicKey, ""), rsaJWK("new", &keys().otherRSA.PublicKey, ""))
}

func TestRotation(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	rotated := longLived(`"kid":"new"`, "other-rsa")
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		time.Sleep(coolDown)
		n.host(idp, serving(rotatedKeys()))
		begin := time.Now()
		expect(t, s, rotated, "ok") // the caller waits for the fetch
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the caller waited %v, and the fetch took no time", waited)
		}
		expectFetches(t, s, 2)
		expect(t, s, longLived("", "rsa"), "ok")
		n.host(idp, serving(jwks(rsaJWK("new", &keys().otherRSA.PublicKey, ""))))
		time.Sleep(15*time.Minute + time.Second)
		expect(t, s, longLived("", "rsa"), "unknown_key") // the old key is gone with the set
		expect(t, s, rotated, "ok")
	})
}

const coolDown = 30 * time.Second

// A73, A76: 2,000 a second for a minute cause one fetch in 30 s, and a rotation under
// them is seen within 30 s.
func TestStormOfUnknownKids(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	rotated := longLived(`"kid":"new"`, "other-rsa")
	sign := signers()["nothing"]
	storm := func(id int) string {
		return forge(edited(baseHeader, fmt.Sprintf(`"kid":"%d"`, id)), edited(baseClaims, `"exp":1777225600`), sign) + "AAAA"
	}
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		begin := time.Now()
		for id := range 2000 {
			expect(t, s, storm(id), "unknown_key")
		}
		expectFetches(t, s, 1) // the one at the start; all of the storm is within its cool-down
		n.host(idp, serving(rotatedKeys()))
		seen := time.Duration(0)
		for id := range 6000 {
			time.Sleep(10 * time.Millisecond)
			expect(t, s, storm(id), "unknown_key")
			if seen == 0 && s.reason(t, rotated) == "ok" {
				seen = time.Since(begin)
			}
		}
		if seen == 0 || seen > coolDown+100*time.Millisecond {
			t.Errorf("the rotation was seen after %v", seen)
		}
		if got := n.calls.Load(); got > 3 {
			t.Errorf("%d fetches in a minute", got)
		}
		for i, at := range n.attempts(begin)[1:] {
			if gap := at - n.attempts(begin)[i]; gap < coolDown {
				t.Errorf("two fetches within %v", gap)
			}
		}
	})
}

// A74: what a known key refuses is no reason to ask for keys.
func TestBrokenSignaturesCauseNoFetch(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		time.Sleep(coolDown)
		forged := longLived("", "other-rsa")
		for range 500 {
			expect(t, s, forged, "signature")
		}
		synctest.Wait()
		expectFetches(t, s, 1)
	})
}

// A token without kid that does not match could be the first of a new key.
func TestRotationWithoutKids(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		n.host(idp, serving(jwks(rsaJWK("rsa", &keys().otherRSA.PublicKey, ""))))
		rotated := longLived("-kid", "other-rsa")
		expect(t, s, rotated, "signature")
		time.Sleep(coolDown)
		synctest.Wait()
		expect(t, s, rotated, "ok")
		expectFetches(t, s, 2)
	})
}

// A154
func TestDownAtStart(t *testing.T) {
	n := &network{}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := start(t, n, remote())
		defer s.end(t)
		good := longLived("", "rsa")
		time.Sleep(70 * time.Second)
		_, err := s.Verify(t.Context(), good)
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Code != problem.DependencyUnavailable || p.RetryAfter <= 0 {
			t.Errorf("got %v, want dependency_unavailable with Retry-After", err)
		}
		expect(t, s, genuine("", `"aud":"other"`, "rsa"), "audience") // this one can be judged
		if s.Ready() {
			t.Error("ready without keys")
		}
		var seconds []float64
		for _, at := range n.attempts(begin) {
			seconds = append(seconds, at.Seconds())
		}
		if want := []float64{0, 1, 3, 7, 15, 31, 61}; !slices.Equal(seconds, want) {
			t.Errorf("attempts at %v, want %v", seconds, want)
		}
		n.host(idp, serving(oneKey()))
		time.Sleep(30 * time.Second)
		expect(t, s, good, "ok")
		if !s.Ready() {
			t.Error("not ready with keys")
		}
		if got := s.metric(t, "till_jwks_refresh_total", "outcome", "unreachable"); got != 7 {
			t.Errorf("counted %v failures, want 7", got)
		}
	})
}

// One issuer that can judge is enough to be ready: the service must not stay away from all
// callers because the others' issuer is down. Theirs are told to come back.
func TestOneIssuerIsEnoughToBeReady(t *testing.T) {
	n := &network{}
	down := remote()
	down.Issuer, down.JWKSURL = "https://down.example.com/", "https://down.example.com/jwks"
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, down, remote())
		defer s.end(t)
		if s.Ready() {
			t.Error("ready, and no issuer has keys")
		}
		n.host(idp, serving(oneKey()))
		time.Sleep(coolDown)
		if !s.Ready() {
			t.Error("not ready, and one issuer has keys")
		}
		expect(t, s, longLived("", "rsa"), "ok")
		_, err := s.Verify(t.Context(), genuine("", `"iss":"https://down.example.com/","exp":1777225600`, "rsa"))
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != problem.DependencyUnavailable {
			t.Errorf("of the issuer without keys: %v", err)
		}
	})
}

// A155: keys of an issuer that went away serve for a day.
func TestStaleKeys(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		n.host(idp, nil)
		good := longLived("", "rsa")
		time.Sleep(24*time.Hour - time.Second)
		expect(t, s, good, "ok")
		if got := s.metric(t, "till_jwks_age_seconds", "issuer", "https://id.example.com/"); got != 86399 {
			t.Errorf("the keys' age is %v", got)
		}
		time.Sleep(time.Second)
		expect(t, s, good, "ok") // a day and no longer
		time.Sleep(time.Second)
		if _, err := s.Verify(t.Context(), good); !strings.HasPrefix(reasonOf(err), "dependency_unavailable") || s.Ready() {
			t.Errorf("keys of yesterday: %v, ready %t", err, s.Ready())
		}
		n.host(idp, serving(oneKey()))
		time.Sleep(coolDown)
		expect(t, s, good, "ok")
	})
}

// A149 to A153: what cannot be used leaves the old keys where they are.
func TestUnusableAnswerKeepsTheOldKeys(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com/jwks", http.StatusFound)
		},
		"error with keys": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(jwks(rsaJWK("rsa", &keys().otherRSA.PublicKey, "")))
		},
	}
	for name, set := range unusableSets() {
		answers[name] = serving(set)
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			n := &network{}
			n.host("evil.example.com", serving(rotatedKeys()))
			n.host(idp, serving(oneKey()))
			synctest.Test(t, func(t *testing.T) {
				s := start(t, n, remote())
				defer s.end(t)
				n.host(idp, answer)
				time.Sleep(15*time.Minute + time.Second)
				expectFetches(t, s, 2)
				expect(t, s, longLived("", "rsa"), "ok")
				if got := s.metric(t, "till_jwks_refresh_total", "outcome", "invalid"); got != 1 {
					t.Errorf("counted %v invalid answers, want 1", got)
				}
			})
		})
	}
}

// A key that contradicts another, or that should be nobody's to read, is a fault at the
// issuer that the operator must hear of.
func TestDangerousKeysAreReported(t *testing.T) {
	k := keys()
	good := rsaJWK("rsa", &k.rsa.PublicKey, "")
	for name, row := range map[string]struct {
		set  []byte
		want string // part of the log
	}{
		"good":      {jwks(good), ""},
		"useless":   {jwks(good, `{"kty":"x"}`), ""},
		"duplicate": {jwks(good, ecJWK("k", &k.p256.PublicKey, ""), ecJWK("k", &k.other.PublicKey, "")), "duplicate=2 private=0"},
		"private":   {jwks(good, `{"kty":"oct","k":"AAAA"}`), "duplicate=0 private=1"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{}
			n.host(idp, serving(row.set))
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				s := startWith(t, n, auth.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, remote())
				s.end(t)
				if got := log.String(); strings.Contains(got, "jwks_keys_ignored") != (row.want != "") || !strings.Contains(got, row.want) {
					t.Errorf("got %q, want %q", got, row.want)
				}
			})
		})
	}
}

// The limit of A153 is the largest document that is taken.
func TestKeySetOfOneMiB(t *testing.T) {
	n := &network{}
	n.host(idp, serving(append(oneKey(), bytes.Repeat([]byte(" "), 1<<20-len(oneKey()))...)))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		expect(t, s, longLived("", "rsa"), "ok")
	})
}

// A151: a server that never finishes costs five seconds of nobody's time but its own.
func TestSlowIssuer(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		n.host(idp, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		time.Sleep(coolDown)
		begin := time.Now()
		expect(t, s, longLived(`"kid":"new"`, "other-rsa"), "unknown_key")
		if waited := time.Since(begin); waited != 3*time.Second {
			t.Errorf("an unknown kid waited %v", waited)
		}
		expect(t, s, longLived("", "rsa"), "ok")
		if waited := time.Since(begin); waited != 3*time.Second {
			t.Errorf("a known kid waited %v", waited-3*time.Second)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.metric(t, "till_jwks_refresh_total", "outcome", "unreachable"); got != 1 {
			t.Errorf("the fetch goes on after five seconds")
		}
	})
}

// The end of the service is not the issuer's failure.
func TestStopDuringFetch(t *testing.T) {
	n := &network{}
	n.host(idp, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		s.end(t)
		if got := s.metric(t, "till_jwks_refresh_total", "outcome", "unreachable"); got != 0 {
			t.Error("counted as a failure")
		}
	})
}

// Callers share one fetch, which outlives those who leave; too many do not wait at all.
func TestManyWaitForOneFetch(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	rotated := longLived(`"kid":"new"`, "other-rsa")
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		answer := make(chan struct{})
		n.host(idp, func(w http.ResponseWriter, _ *http.Request) { <-answer; _, _ = w.Write(rotatedKeys()) })
		time.Sleep(coolDown)

		impatient, leave := context.WithCancel(t.Context())
		left := make(chan string)
		go func() {
			_, err := s.Verify(impatient, rotated)
			left <- reasonOf(err)
		}()
		synctest.Wait()
		leave()
		if got := <-left; got != "unknown_key" {
			t.Errorf("who left got %s", got)
		}

		var callers sync.WaitGroup
		var accepted atomic.Int64
		for range 1000 {
			callers.Go(func() {
				if s.reason(t, rotated) == "ok" {
					accepted.Add(1)
				}
			})
		}
		synctest.Wait()
		close(answer)
		callers.Wait()
		if got := accepted.Load(); got != 256 {
			t.Errorf("%d callers waited, want 256", got)
		}
		expect(t, s, rotated, "ok")
		expectFetches(t, s, 2)
	})
}

// A157
func TestFreshness(t *testing.T) {
	rows := map[string]time.Duration{
		"":                                   15 * time.Minute,
		"public":                             15 * time.Minute,
		"max-age=600":                        10 * time.Minute,
		"public, MAX-AGE=600":                10 * time.Minute,
		`max-age="600"`:                      10 * time.Minute,
		"max-age=31536000":                   time.Hour,
		"max-age=99999999999999999999999999": 15 * time.Minute,
		"max-age=0":                          time.Minute,
		"max-age=-1":                         15 * time.Minute,
		"max-age=ten":                        15 * time.Minute,
		"no-store":                           time.Minute,
		"no-cache, max-age=600":              time.Minute,
	}
	for header, want := range rows {
		t.Run(header, func(t *testing.T) {
			n := &network{}
			n.host(idp, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", header)
				_, _ = w.Write(oneKey())
			})
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := start(t, n, remote())
				defer s.end(t)
				time.Sleep(want + time.Second)
				if got := n.attempts(begin); len(got) != 2 || got[1] != want {
					t.Errorf("fetches at %v, want the second at %v", got, want)
				}
			})
		})
	}
}

// A158 to A160, without a network.
func TestDiscovery(t *testing.T) {
	const keysAt = `"jwks_uri":"https://keys.example.com/jwks"`
	rows := []struct{ name, document, outcome string }{
		{"right", `{"issuer":"https://id.example.com/",` + keysAt + `,"x":1}`, "ok"},
		{"A158 no slash", `{"issuer":"https://id.example.com",` + keysAt + `}`, "invalid"},
		{"case", `{"issuer":"https://ID.example.com/",` + keysAt + `}`, "invalid"},
		{"no issuer", `{` + keysAt + `}`, "invalid"},
		{"two issuers", `{"issuer":"https://id.example.com/","issuer":"https://id.example.com/",` + keysAt + `}`, "invalid"},
		{"no keys", `{"issuer":"https://id.example.com/"}`, "invalid"},
		{"plain http", `{"issuer":"https://id.example.com/","jwks_uri":"http://keys.example.com/jwks"}`, "invalid"},
		{"file", `{"issuer":"https://id.example.com/","jwks_uri":"file:///etc/passwd"}`, "invalid"},
		{"userinfo", `{"issuer":"https://id.example.com/","jwks_uri":"https://a@keys.example.com/jwks"}`, "invalid"},
		{"relative", `{"issuer":"https://id.example.com/","jwks_uri":"/jwks"}`, "invalid"},
		{"not text", `{"issuer":"https://id.example.com/","jwks_uri":["https://keys.example.com/jwks"]}`, "invalid"},
		{"loopback", `{"issuer":"https://id.example.com/","jwks_uri":"http://localhost/jwks"}`, "blocked"},
		{"loopback address", `{"issuer":"https://id.example.com/","jwks_uri":"https://[::1]/jwks"}`, "blocked"},
		{"HTML", `<html>`, "invalid"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			n := &network{}
			n.host("keys.example.com", serving(oneKey()))
			n.host(idp, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/.well-known/openid-configuration" {
					t.Errorf("asked for %s", r.URL)
				}
				_, _ = w.Write([]byte(row.document))
			})
			synctest.Test(t, func(t *testing.T) {
				issuer := remote()
				issuer.JWKSURL = ""
				s := start(t, n, issuer)
				defer s.end(t)
				if got := s.metric(t, "till_jwks_refresh_total", "outcome", row.outcome); got != 1 {
					t.Errorf("outcome is not %s: %v", row.outcome, s.series(t))
				}
				if got, want := s.Ready(), row.outcome == "ok"; got != want {
					t.Errorf("ready is %t", got)
				}
			})
		})
	}
}
