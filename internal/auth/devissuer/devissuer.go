// Package devissuer is an issuer of tokens for one machine: for `till serve --dev` and for
// tests. It vouches for whoever asks, so nothing that matters may ever trust it; it knows
// nothing of how tokens are judged.
package devissuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

const (
	defaultExpiresIn = time.Hour
	maxExpiresIn     = 24 * time.Hour
	coordinate       = 32 // bytes, on P-256
)

// Issuer signs tokens with a key that lives as long as it does.
type Issuer struct {
	issuer, audience string
	now              func() time.Time
	keyID            string
	key              *ecdsa.PrivateKey
	jwks             []byte
}

// Claims is whom to mint a token for.
type Claims struct {
	Subject string // required
	Email   string // "": none; else it counts as verified
	Org     string // "": a personal token
	Role    string // within Org
	// ExpiresIn is how long the token is good. 0: 1 h; at most 24 h.
	ExpiresIn time.Duration
}

// New returns an issuer with a fresh ES256 key.
func New(issuer, audience string, now func() time.Time) (*Issuer, error) {
	if issuer == "" || audience == "" || now == nil {
		return nil, errors.New("devissuer: issuer, audience and a clock are required")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("devissuer: making a key: %w", err)
	}
	i := &Issuer{issuer: issuer, audience: audience, now: now, keyID: rand.Text(), key: key}
	if i.jwks, err = i.keySet(); err != nil {
		return nil, fmt.Errorf("devissuer: encoding the key: %w", err)
	}
	return i, nil
}

// jwk is the public key as RFC 7518 section 6.2.1 writes it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

func (i *Issuer) keySet() ([]byte, error) {
	point, err := i.key.PublicKey.Bytes() // 4, x, y (SEC 1 section 2.3.3)
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return json.Marshal(map[string][]jwk{"keys": {{
		KeyType: "EC", Curve: "P-256", X: encode(point[1 : 1+coordinate]), Y: encode(point[1+coordinate:]),
		Use: "sig", Algorithm: "ES256", KeyID: i.keyID,
	}}})
}

// JWKS returns the public key as a JWK set.
func (i *Issuer) JWKS() []byte { return i.jwks }

// Mint returns a token for c and when it ends.
func (i *Issuer) Mint(c Claims) (token string, expires time.Time, err error) {
	if c.Subject == "" {
		return "", time.Time{}, errors.New("devissuer: a token needs a subject")
	}
	if c.ExpiresIn == 0 {
		c.ExpiresIn = defaultExpiresIn
	}
	if c.ExpiresIn < time.Second || c.ExpiresIn > maxExpiresIn {
		return "", time.Time{}, errors.New("devissuer: a token lives between 1 s and 24 h")
	}
	issued := i.now().Truncate(time.Second)
	expires = issued.Add(c.ExpiresIn).Truncate(time.Second)
	t := jwt.NewWithClaims(jwt.SigningMethodES256, i.claims(c, issued, expires))
	t.Header["kid"] = i.keyID
	if token, err = t.SignedString(i.key); err != nil {
		return "", time.Time{}, fmt.Errorf("devissuer: signing: %w", err)
	}
	return token, expires, nil
}

func (i *Issuer) claims(c Claims, issued, expires time.Time) jwt.MapClaims {
	m := jwt.MapClaims{
		"iss": i.issuer, "sub": c.Subject, "aud": i.audience,
		"iat": issued.Unix(), "exp": expires.Unix(), "jti": rand.Text(),
	}
	if c.Email != "" {
		m["email"], m["email_verified"] = c.Email, true
	}
	if c.Org != "" {
		m["org_id"] = c.Org
	}
	if c.Role != "" {
		m["org_role"] = c.Role
	}
	return m
}

// metadata is what verifiers read of OpenID discovery; there is no login to discover.
type metadata struct {
	Issuer     string   `json:"issuer"`
	JWKSURI    string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

// Handler serves the two well-known documents.
func (i *Issuer) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		// An error here is a client that went away.
		_ = json.MarshalWrite(w, metadata{
			Issuer:     i.issuer,
			JWKSURI:    strings.TrimSuffix(i.issuer, "/") + "/.well-known/jwks.json",
			Algorithms: []string{jwt.SigningMethodES256.Alg()},
		})
	})
	m.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(i.jwks)
	})
	return m
}
