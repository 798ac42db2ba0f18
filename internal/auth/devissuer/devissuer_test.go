package devissuer_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/auth/devissuer"
)

const (
	issuer   = "http://localhost:8080"
	audience = "till"
)

func at() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC) }

func verifier(t *testing.T, i *devissuer.Issuer) *auth.Verifier {
	t.Helper()
	v, err := auth.New([]auth.Issuer{{
		Issuer: issuer, Audience: []string{audience}, StaticJWKS: i.JWKS(),
		Org:     auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner"}},
		Profile: auth.Profile{Email: "email", EmailVerified: "email_verified"},
	}}, auth.Options{Metrics: prometheus.NewRegistry(), Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func fresh(t *testing.T) *devissuer.Issuer {
	t.Helper()
	i, err := devissuer.New(issuer, audience, at)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestMintedTokensSayWhatWasAsked(t *testing.T) {
	i := fresh(t)
	v := verifier(t, i)
	second := at().Truncate(time.Second)
	rows := []struct {
		name   string
		claims devissuer.Claims
		want   auth.Principal
	}{
		{
			"person",
			devissuer.Claims{Subject: "alice"},
			auth.Principal{Subject: "alice", ExpiresAt: second.Add(time.Hour)},
		},
		{
			"everything",
			devissuer.Claims{Subject: "alice", Email: "a@example.com", Org: "acme", Role: "owner", ExpiresIn: 24 * time.Hour},
			auth.Principal{
				Subject: "alice", Email: "a@example.com", ExpiresAt: second.Add(24 * time.Hour),
				Org: &auth.Membership{ID: "acme", Role: "owner", MayBill: true},
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			token, expires, err := i.Mint(row.claims)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			row.want.Issuer = issuer
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !expires.Equal(got.ExpiresAt) {
				t.Errorf("expires %v, the token says %v", expires, got.ExpiresAt)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	i := fresh(t)
	for name, c := range map[string]devissuer.Claims{
		"nobody": {}, "too long": {Subject: "alice", ExpiresIn: 24*time.Hour + 1}, "negative": {Subject: "alice", ExpiresIn: -1},
	} {
		if token, _, err := i.Mint(c); err == nil || token != "" {
			t.Errorf("%s: a token", name)
		}
	}
	if _, err := devissuer.New("", audience, at); err == nil {
		t.Error("an issuer without a name")
	}
}

func TestEachIssuerHasItsOwnKey(t *testing.T) {
	token, _, err := fresh(t).Mint(devissuer.Claims{Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier(t, fresh(t)).Verify(t.Context(), token); err == nil {
		t.Error("one issuer's token opens another's door")
	}
}

func TestHandler(t *testing.T) {
	i := fresh(t)
	for path, want := range map[string]string{
		"/.well-known/openid-configuration": `{"issuer":"http://localhost:8080","jwks_uri":"http://localhost:8080/.well-known/jwks.json","id_token_signing_alg_values_supported":["ES256"]}`,
		"/.well-known/jwks.json":            string(i.JWKS()),
	} {
		w := httptest.NewRecorder()
		i.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
	w := httptest.NewRecorder()
	i.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/.well-known/jwks.json", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
}
