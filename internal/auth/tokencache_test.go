package auth_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
)

func (s *service) remembers(t *testing.T, want float64) {
	t.Helper()
	if got := s.metric(t, "till_tokens_total", "how", "remembered"); got != want {
		t.Errorf("%v tokens were remembered, want %v", got, want)
	}
}

func TestARememberedTokenEndsWithItsTime(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		token := genuine("", fmt.Sprintf(`"exp":%d`, now+600), "rsa")
		expect(t, s, token, "ok")
		time.Sleep(10*time.Minute + 30*time.Second - time.Nanosecond) // the leeway is 30 s
		expect(t, s, token, "ok")
		s.remembers(t, 1)
		time.Sleep(time.Nanosecond)
		expect(t, s, token, "expired")
	})
}

func TestARememberedTokenEndsWithItsKey(t *testing.T) {
	other := rsaJWK("new", &keys().otherRSA.PublicKey, "")
	for name, set := range map[string][]byte{
		"key gone":                 jwks(other),
		"kid of another key":       jwks(rsaJWK("rsa", &keys().otherRSA.PublicKey, "")),
		"key of another algorithm": jwks(rsaJWK("rsa", &keys().rsa.PublicKey, `,"alg":"RS512"`), other),
		"two keys of the kid":      jwks(rsaJWK("rsa", &keys().otherRSA.PublicKey, ""), rsaJWK("rsa", &keys().rsa.PublicKey, ""), other),
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{}
			n.host(idp, serving(oneKey()))
			synctest.Test(t, func(t *testing.T) {
				s := start(t, n, remote())
				defer s.end(t)
				token := longLived("", "rsa")
				expect(t, s, token, "ok")
				expect(t, s, token, "ok")
				s.remembers(t, 1)
				n.host(idp, serving(set))
				time.Sleep(15*time.Minute + time.Second)
				if got := s.reason(t, token); got == "ok" {
					t.Error("the token is good without its key")
				}
				s.remembers(t, 1)
			})
		})
	}
}

// A set that has come anew and holds the key costs no signature.
func TestARefreshIsNoReasonToForget(t *testing.T) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, remote())
		defer s.end(t)
		token := longLived("", "rsa")
		expect(t, s, token, "ok")
		n.host(idp, serving(rotatedKeys()))
		time.Sleep(15*time.Minute + time.Second)
		expect(t, s, token, "ok")
		expect(t, s, token, "ok")
		s.remembers(t, 2)
	})
}

func TestATokenIsRememberedForOnePlace(t *testing.T) {
	proxied := remote()
	proxied.Header = proxyHeader
	n := &network{}
	n.host(idp, serving(oneKey()))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, proxied)
		defer s.end(t)
		token := longLived("", "rsa")
		asked := func(h http.Header) string {
			_, err := s.Authenticate(requestWith(t, h))
			return reasonOf(err)
		}
		through := http.Header{}
		through.Set(proxyHeader, token)
		for range 2 {
			if got := asked(through); got != "ok" {
				t.Errorf("in the proxy's header: %s", got)
			}
			if got := asked(http.Header{"Authorization": {"Bearer " + token}}); got != "issuer" {
				t.Errorf("in Authorization: got %s, want issuer", got)
			}
			if got := asked(http.Header{"Cookie": {cookieName + "=" + token}}); got != "issuer" {
				t.Errorf("in the cookie: got %s, want issuer", got)
			}
		}
	})
}

// Tokens that nobody has signed take no room, and one caller's many do not take that of
// those who come often.
func TestNobodyPushesOutTheOthers(t *testing.T) {
	v, registry := staticOf(t, auth.Issuer{}, auth.Options{TokenCache: 100})
	often := make([]string, 50)
	for n := range often {
		often[n] = genuine(`"alg":"EdDSA","kid":"ed"`, fmt.Sprintf(`"sub":"honest-%d"`, n), "ed")
	}
	for range 10 {
		for _, token := range often {
			_, _ = v.Verify(t.Context(), token)
		}
	}
	for n := range 500 {
		edit := fmt.Sprintf(`"sub":"greedy","jti":"%d"`, n)
		for _, by := range []string{"ed", "zero"} {
			_, _ = v.Verify(t.Context(), genuine(`"alg":"EdDSA","kid":"ed"`, edit, by))
		}
		if n%100 == 0 {
			for _, token := range often {
				_, _ = v.Verify(t.Context(), token)
			}
		}
	}
	before := counted(t, registry, "remembered")
	for _, token := range often {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if got := counted(t, registry, "remembered") - before; got < 40 {
		t.Errorf("%v of 50 are remembered", got)
	}
}

func counted(t *testing.T, registry *prometheus.Registry, how string) float64 {
	t.Helper()
	return (&service{registry: registry}).metric(t, "till_tokens_total", "how", how)
}

func TestWithoutACacheNothingIsRemembered(t *testing.T) {
	v, registry := staticOf(t, auth.Issuer{}, auth.Options{})
	for range 3 {
		if _, err := v.Verify(t.Context(), genuine("", "", "rsa")); err != nil {
			t.Fatal(err)
		}
	}
	if got := counted(t, registry, "verified"); got != 3 {
		t.Errorf("%v tokens were verified, want 3", got)
	}
}

// TestTheCacheChangesNoAnswer holds a Verifier with a cache that is too small against one
// without, over stories made by chance: time passes, keys come and go, the issuer is away.
func TestTheCacheChangesNoAnswer(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { cachedLikeUncached(t, rand.New(rand.NewPCG(seed, 6))) })
		})
	}
}

func cachedLikeUncached(t *testing.T, chance *rand.Rand) {
	n := &network{}
	n.host(idp, serving(oneKey()))
	proxied := remote()
	proxied.Issuer, proxied.Header = "https://proxied.example.com", proxyHeader
	short := remote()
	short.Issuer, short.MaxLifetime = "https://short.example.com", time.Hour
	issuers := []auth.Issuer{remote(), proxied, short}
	with := startWith(t, n, auth.Options{Cookie: cookieName, TokenCache: 10}, issuers...)
	defer with.end(t)
	without := startWith(t, n, auth.Options{Cookie: cookieName}, issuers...)
	defer without.end(t)
	tokens, sets, answers := chanceTokens(chance), keySets(), map[string]int{}
	for range 600 {
		switch k := chance.IntN(1000); {
		case k < 20:
			n.host(idp, serving(sets[chance.IntN(len(sets))]))
		case k < 30:
			n.host(idp, nil)
		case k < 34:
			time.Sleep(25 * time.Hour)
		case k < 100:
			time.Sleep(time.Duration(chance.Int64N(int64([]time.Duration{time.Second, time.Minute, 20 * time.Minute, time.Hour}[chance.IntN(4)]))))
		default:
			r := requestWith(t, anyCarrier(chance, tokens[chance.IntN(len(tokens))]))
			p, err := with.Authenticate(r)
			q, wantErr := without.Authenticate(r)
			got, want := answerOf(p, err), answerOf(q, wantErr)
			if got != want || !reflect.DeepEqual(p, q) {
				t.Fatalf("with a cache %s %+v, without %s %+v", got, p, want, q)
			}
			answers[want]++
		}
	}
	t.Log(answers, "remembered:", with.metric(t, "till_tokens_total", "how", "remembered"))
}

// keySets are what the issuer may publish.
func keySets() [][]byte {
	k := keys()
	return [][]byte{
		oneKey(), rotatedKeys(), jwks(rsaJWK("new", &k.otherRSA.PublicKey, "")), jwks(rsaJWK("rsa", &k.otherRSA.PublicKey, "")),
		jwks(rsaJWK("rsa", &k.rsa.PublicKey, `,"alg":"RS512"`), edJWK("ed", k.ed)), jwks(ecJWK("rsa", &k.p256.PublicKey, "")),
		jwks(rsaJWK("rsa", &k.rsa.PublicKey, ""), rsaJWK("rsa", &k.otherRSA.PublicKey, ""), edJWK("ed", k.ed)), []byte("{}"),
	}
}

// chanceTokens are good now, later, for long, or never.
func chanceTokens(chance *rand.Rand) []string {
	hours := func(n int) int { return chance.IntN(n * 3600) }
	tokens := make([]string, 20)
	for n := range tokens {
		iss := []string{"https://id.example.com/", "https://id.example.com/", "https://proxied.example.com", "https://short.example.com"}[chance.IntN(4)]
		claims := fmt.Sprintf(`"sub":"user-%d","iss":%q,"exp":%d,"org_id":"acme"`, n, iss, now+hours(72))
		switch chance.IntN(4) {
		case 0:
			from := now + hours(24) - 3600
			claims = fmt.Sprintf(`"sub":"user-%d","iss":%q,"iat":%d,"exp":%d`, n, iss, from, from+hours(2))
		case 1:
			claims += fmt.Sprintf(`,"nbf":%d`, now+hours(12))
		}
		signed := [][2]string{
			{"", "rsa"}, {"", "rsa"}, {"", "rsa"}, {"-kid", "rsa"}, {`"kid":"new"`, "other-rsa"}, {"-kid", "other-rsa"}, {`"kid":"ed"`, "rsa"},
		}[chance.IntN(7)]
		tokens[n] = genuine(signed[0], claims, signed[1])
	}
	return tokens
}

func anyCarrier(chance *rand.Rand, token string) http.Header {
	h := http.Header{}
	switch chance.IntN(8) {
	case 0:
		h.Set("Cookie", cookieName+"="+token)
	case 1, 2:
		h.Set(proxyHeader, token)
	default:
		h.Set("Authorization", "Bearer "+token)
	}
	return h
}
