package auth_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/problem"
	"till/internal/secret"
)

//go:embed testdata/introspection.txt
var introspectionLines string

const (
	asker      = "ask.example.com"
	goodAnswer = `"active":true,"iss":"https://ask.example.com","sub":"alice","aud":"till","iat":1767225600,"exp":1767229200`
	opaqueOne  = "2YotnFZFEjr1zCsicMWpAA"
)

func opaqueIssuer() auth.Issuer {
	return auth.Issuer{
		Issuer: "https://ask.example.com", Audience: []string{"till"},
		Introspection: auth.Introspection{
			URL: "https://ask.example.com/introspect", ClientID: "till:1", Secret: secret.New("s e+cret/%"),
		},
	}
}

// answering is an issuer that says the same of every token.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func asking(t *testing.T, serve http.HandlerFunc, story func(t *testing.T, s *service)) {
	t.Helper()
	n := &network{}
	n.host(asker, serve)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, opaqueIssuer())
		defer s.end(t)
		story(t, s)
	})
}

// The answers of RFC 7662, held to the rules of a JWT.
func TestCatalogueOfIntrospections(t *testing.T) {
	all := rows(t, introspectionLines, 3)
	for _, row := range all {
		t.Run(row[0], func(t *testing.T) {
			status := http.StatusOK
			body := row[2]
			if strings.HasPrefix(body, "=") {
				_, _ = fmt.Sscanf(body, "=%d", &status)
				_, body, _ = strings.Cut(body, " ")
				body = unescape(body)
			} else {
				body = edited(goodAnswer, body)
			}
			asking(t, answering(status, body), func(t *testing.T, s *service) {
				p, err := s.Verify(t.Context(), opaqueOne)
				if got := shortOf(err); got != row[1] {
					t.Errorf("got %s, want %s (%v)", got, row[1], err)
				}
				if err == nil && (p.Subject != "alice" || p.Issuer != "https://ask.example.com" || p.ExpiresAt.IsZero()) {
					t.Errorf("got %+v", p)
				}
				if err != nil && (strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), opaqueOne)) {
					t.Errorf("the error quotes the answer or the token: %v", err)
				}
				expectFetches(t, s, 1)
			})
		})
	}
	t.Logf("%d answers", len(all))
}

// shortOf returns the reason, or the code of what is no rejection.
func shortOf(err error) string {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Code.Status() >= 500 {
		return string(p.Code)
	}
	return reasonOf(err)
}

// What is asked, and how we say who we are (RFC 6749 section 2.3.1).
func TestTheQuestion(t *testing.T) {
	asking(t, func(w http.ResponseWriter, r *http.Request) {
		id, password, _ := r.BasicAuth()
		if r.Method != http.MethodPost || r.URL.Path != "/introspect" || id != "till%3A1" || password != "s+e%2Bcret%2F%25" {
			t.Errorf("%s %s as %s:%s", r.Method, r.URL, id, password)
		}
		if r.URL.RawQuery != "" || r.FormValue("token") != opaqueOne || r.FormValue("token_type_hint") != "access_token" {
			t.Errorf("asked %s %v", r.URL, r.Form)
		}
		answering(http.StatusOK, "{"+goodAnswer+"}")(w, r)
	}, func(t *testing.T, s *service) { expect(t, s, opaqueOne, "ok") })
}

// What is no opaque token is asked of nobody.
func TestNothingElseIsAsked(t *testing.T) {
	asking(t, answering(http.StatusOK, "{"+goodAnswer+"}"), func(t *testing.T, s *service) {
		for _, token := range []string{
			"", "x", "fifteen-letters", "=" + opaqueOne, opaqueOne + "\n", opaqueOne + " ", opaqueOne + "=x", opaqueOne + ",", `"` + opaqueOne + `"`,
			"a.b.c", "aaaaaaaaaaaa.bbbbbbbbbbbbb.ccccccccccccc", strings.Repeat("a", 8193), "{" + goodAnswer + "}",
			genuine("", "", "rsa"), genuine("", `"iss":"https://ask.example.com"`, "rsa"),
		} {
			if got := s.reason(t, token); got != "malformed" && got != "too_large" && got != "issuer" && got != "unknown_key" {
				t.Errorf("%s: got %s", token, got)
			}
		}
		expectFetches(t, s, 0)
		if !s.Ready() {
			t.Error("not ready, though it can ask")
		}
		for _, token := range []string{"sixteen-letters.", "ya29.abc-DEF_0123~+/456789==", strings.Repeat("a", 8192)} {
			expect(t, s, token, "ok")
		}
		expectFetches(t, s, 3)
	})
}

// An issuer may hand out both kinds: what is a JWT is judged by its keys, and only the rest
// is asked about.
func TestIssuerOfBothKinds(t *testing.T) {
	n := &network{}
	n.host(asker, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			serving(oneKey())(w, r)
			return
		}
		answering(http.StatusOK, "{"+goodAnswer+"}")(w, r)
	})
	synctest.Test(t, func(t *testing.T) {
		i := opaqueIssuer()
		i.JWKSURL = "https://ask.example.com/jwks"
		s := start(t, n, i)
		defer s.end(t)
		expect(t, s, genuine("", `"iss":"https://ask.example.com"`, "rsa"), "ok")
		expectFetches(t, s, 1)
		expect(t, s, opaqueOne, "ok")
		expectFetches(t, s, 2)
	})
}

// A proxy that adds opaque tokens, and one who puts his own into Authorization.
func TestOpaqueTokensOfOneHeader(t *testing.T) {
	n := &network{}
	n.host(asker, answering(http.StatusOK, "{"+goodAnswer+"}"))
	synctest.Test(t, func(t *testing.T) {
		i := opaqueIssuer()
		i.Header = "X-Forwarded-Access-Token"
		s := start(t, n, i)
		defer s.end(t)
		expect(t, s, opaqueOne, "malformed")
		expectFetches(t, s, 0)
		p, err := s.Authenticate(requestWith(t, http.Header{"X-Forwarded-Access-Token": {opaqueOne}}))
		if err != nil || !p.Ambient {
			t.Errorf("got %v, %v", p, err)
		}
	})
}

// An answer is taken for true for a minute, a no for ten seconds; exp ends both.
func TestAnswersAreKept(t *testing.T) {
	var active atomic.Bool
	active.Store(true)
	serve := func(w http.ResponseWriter, r *http.Request) {
		answering(http.StatusOK, edited(goodAnswer, fmt.Sprintf(`"active":%t`, active.Load())))(w, r)
	}
	asking(t, serve, func(t *testing.T, s *service) {
		for range 1000 {
			expect(t, s, opaqueOne, "ok")
		}
		active.Store(false) // logged out
		time.Sleep(time.Minute - time.Second)
		expect(t, s, opaqueOne, "ok")
		expectFetches(t, s, 1)
		time.Sleep(time.Second)
		for range 1000 {
			expect(t, s, opaqueOne, "inactive")
		}
		expectFetches(t, s, 2)
		active.Store(true)
		time.Sleep(10 * time.Second)
		expect(t, s, opaqueOne, "ok")
		expectFetches(t, s, 3)
	})
	asking(t, answering(http.StatusOK, edited(goodAnswer, `"exp":1767225630`)), func(t *testing.T, s *service) {
		time.Sleep(50 * time.Second) // within the leeway
		expect(t, s, opaqueOne, "ok")
		time.Sleep(10 * time.Second)
		expect(t, s, opaqueOne, "expired")
		expectFetches(t, s, 1)
	})
}

// Callers with one token share a question, which outlives those who leave.
func TestOneQuestionForMany(t *testing.T) {
	n := &network{}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n.host(asker, func(w http.ResponseWriter, r *http.Request) {
			<-release
			answering(http.StatusOK, "{"+goodAnswer+"}")(w, r)
		})
		s := start(t, n, opaqueIssuer())
		defer s.end(t)
		first, leave := context.WithCancel(t.Context())
		left := make(chan string)
		go func() {
			_, err := s.Verify(first, opaqueOne)
			left <- shortOf(err)
		}()
		synctest.Wait()
		var callers sync.WaitGroup
		var accepted atomic.Int64
		for range 500 {
			callers.Go(func() {
				if s.reason(t, opaqueOne) == "ok" {
					accepted.Add(1)
				}
			})
		}
		synctest.Wait()
		leave()
		if got := <-left; got != string(problem.DependencyUnavailable) {
			t.Errorf("who left got %s", got)
		}
		close(release)
		callers.Wait()
		if accepted.Load() != 500 {
			t.Errorf("%d of 500 were accepted", accepted.Load())
		}
		expectFetches(t, s, 1)
	})
}

// A storm of made-up tokens is no storm of questions, and locks nobody out who was in.
func TestStormOfOpaqueTokens(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		answering(http.StatusOK, edited(goodAnswer, fmt.Sprintf(`"active":%t`, r.FormValue("token") == opaqueOne)))(w, r)
	}
	asking(t, serve, func(t *testing.T, s *service) {
		expect(t, s, opaqueOne, "ok")
		counts := map[string]int{}
		const seconds, rate = 120, 500
		for n := range seconds * rate {
			time.Sleep(time.Second / rate)
			_, err := s.Verify(t.Context(), fmt.Sprintf("made-up-token-%010d", n))
			counts[shortOf(err)]++
			if n%rate == 0 {
				expect(t, s, opaqueOne, "ok") // also when its answer has grown old
			}
		}
		if len(counts) != 2 || counts["inactive"]+counts["overloaded"] != seconds*rate {
			t.Errorf("answers: %v", counts)
		}
		if got := s.network.calls.Load(); got > 50*seconds+100+3 {
			t.Errorf("%d questions in %d s", got, seconds)
		}
		if got := s.metric(t, "till_introspections_total", "outcome", "limited"); got != float64(counts["overloaded"]) {
			t.Errorf("counted %v, want %d", got, counts["overloaded"])
		}
	})
}

// An issuer that fails is left alone for a second; what cannot be judged is 503.
func TestIssuerThatCannotBeAsked(t *testing.T) {
	n := &network{}
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, opaqueIssuer())
		defer s.end(t)
		for n := range 1000 {
			_, err := s.Verify(t.Context(), fmt.Sprintf("some-opaque-token-%d", n))
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Code != problem.DependencyUnavailable || p.RetryAfter <= 0 {
				t.Fatalf("got %v, want dependency_unavailable with Retry-After", err)
			}
		}
		expectFetches(t, s, 1)
		n.host(asker, answering(http.StatusOK, "{"+goodAnswer+"}"))
		time.Sleep(time.Second)
		expect(t, s, opaqueOne, "ok")
		if got := s.metric(t, "till_introspections_total", "outcome", "unreachable"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// A token that the issuer chokes on is one token.
func TestTokenThatTheIssuerChokesOn(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("token") != opaqueOne {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answering(http.StatusOK, "{"+goodAnswer+"}")(w, r)
	}
	asking(t, serve, func(t *testing.T, s *service) {
		if _, err := s.Verify(t.Context(), "what-chokes-the-issuer"); shortOf(err) != "dependency_unavailable" {
			t.Errorf("got %v", err)
		}
		expect(t, s, opaqueOne, "ok")
		if got := s.metric(t, "till_introspections_total", "outcome", "invalid"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// A redirect is an answer, and a slow one ends after five seconds.
func TestAnswersThatAreNone(t *testing.T) {
	n := &network{}
	n.host("evil.example.com", answering(http.StatusOK, "{"+goodAnswer+"}"))
	n.host(asker, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example.com/introspect", http.StatusTemporaryRedirect)
	})
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, opaqueIssuer())
		defer s.end(t)
		if _, err := s.Verify(t.Context(), opaqueOne); shortOf(err) != "dependency_unavailable" {
			t.Errorf("redirected: %v", err)
		}
		expectFetches(t, s, 1)
		n.host(asker, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		time.Sleep(time.Second)
		begin := time.Now()
		_, err := s.Verify(t.Context(), opaqueOne)
		if waited := time.Since(begin); shortOf(err) != "dependency_unavailable" || waited != 5*time.Second {
			t.Errorf("%v after %v", err, waited)
		}
	})
}

// FuzzIntrospection: any answer is a principal, a refusal on the list, or none; and what is
// accepted was said to be active.
func FuzzIntrospection(f *testing.F) {
	for _, row := range rows(f, introspectionLines, 3) {
		if !strings.HasPrefix(row[2], "=") {
			f.Add([]byte(edited(goodAnswer, row[2])))
		}
	}
	var body atomic.Pointer[[]byte]
	n := &network{}
	n.host(asker, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*body.Load()) })
	f.Fuzz(func(t *testing.T, answer []byte) {
		body.Store(&answer)
		v := staticAsk(t, n)
		p, err := v.Verify(t.Context(), opaqueOne)
		switch {
		case err == nil && (p.Subject == "" || p.ExpiresAt.IsZero() || !strings.Contains(string(answer), "true")):
			t.Errorf("accepted %+v", p)
		case err != nil && !onTheList(err) && shortOf(err) != "dependency_unavailable":
			t.Errorf("not a refusal on the list: %v", err)
		}
	})
}

// staticAsk returns a Verifier of the opaque issuer on n.
func staticAsk(t testing.TB, n *network) *auth.Verifier {
	t.Helper()
	v, err := auth.New([]auth.Issuer{opaqueIssuer()}, auth.Options{
		Client: &http.Client{Transport: n}, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
