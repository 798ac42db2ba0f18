//go:build bench && linux

package bench_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"till/internal/store"
	"till/internal/store/pgtest"
)

const (
	issuer   = "https://id.example.com/"
	audience = "till"
)

// world is what stands around the measured program: an issuer's key, callers, Stripe and
// Postgres.
type world struct {
	t       *testing.T
	dir     string
	env     []string // of every process
	api     string   // Stripe's base URL
	control string   // of the upstream
	account string
	stripe  *child
	cluster *pgtest.Cluster
	signer  *rsa.PrivateKey
	callers []caller
	client  *http.Client
}

// caller is somebody who buys, with what each contestant must know of him.
type caller struct{ subject, token, customer, plan string }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld starts Stripe and Postgres and makes so many callers; the database is empty.
func newWorld(t *testing.T, callers int) *world {
	t.Helper()
	if why := pgtest.Missing(); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	w := &world{t: t, dir: t.TempDir(), client: &http.Client{Timeout: patience}}
	w.writeCertificate()
	w.writeKeys()
	w.env = []string{"HOME=" + w.dir, "TMPDIR=" + w.dir, "PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + w.path("tls.pem")}
	var err error
	w.stripe, err = w.role("stripe", machine.rest,
		certificateVariable+"="+w.path("tls.pem"), privateKeyVariable+"="+w.path("tls.key"), publicKeysVariable+"="+w.path("keys.json"))
	must(t, err)
	t.Cleanup(func() { must(t, w.stripe.stop()) })
	addresses, err := w.stripe.await()
	must(t, err)
	w.api, w.control = "https://"+addresses[1], "http://"+addresses[2]
	w.account, err = w.accountID()
	must(t, err)
	// The pools of several programs, one after the other, and what they leave open.
	w.cluster = pgtest.Start(t, pgtest.Options{Settings: map[string]string{
		"autovacuum": "off", "shared_buffers": "256MB", "max_wal_size": "4GB", "log_checkpoints": "off",
	}})
	w.hire(callers)
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// writeCertificate makes a certificate that signs itself, for the loopback address.
func (w *world) writeCertificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stripe"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(w.t, err)
	w.writePEM("tls.pem", "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	must(w.t, err)
	w.writePEM("tls.key", "PRIVATE KEY", der)
}

// writeKeys makes the issuer's key and publishes its public half, twice.
func (w *world) writeKeys() {
	var err error
	w.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	must(w.t, err)
	der, err := x509.MarshalPKIXPublicKey(&w.signer.PublicKey)
	must(w.t, err)
	w.writePEM("issuer.pem", "PUBLIC KEY", der)
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "kid": "bench", "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(w.signer.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(w.signer.E)).Bytes()),
	}}})
	must(w.t, err)
	must(w.t, os.WriteFile(w.path("keys.json"), set, 0o600))
}

func (w *world) writePEM(name, kind string, der []byte) {
	must(w.t, os.WriteFile(w.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// role starts this binary in a role.
func (w *world) role(name, processors string, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env = append(env, roleVariable+"="+name, stripeVariable+"="+w.api, issuerKeyVariable+"="+w.path("issuer.pem"))
	return launch(w.dir, name, processors, append(env, w.env...), self)
}

const settings = `public_url: https://billing.example.com
auth:
  issuers:
    - {issuer: "` + issuer + `", audience: [` + audience + `], algorithms: [RS256], jwks_url: "%s/keys"}
limits: {owner_writes_per_minute: 0, address_per_minute: 0, stripe_rps_per_endpoint: 0, connections: 0}
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/billing"}
plans:
`

// plans is so many plans that differ in their names only.
func plans(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `  %s:
    mode: subscription
    line_items: [{price: {lookup_key: pro_monthly}, quantity: {default: 1, min: 1, max: 50}}]
    params: {success_url: %q, cancel_url: %q}
`, planName(i), pageAfter, pageBefore)
	}
	return b.String()
}

func planName(n int) string {
	if n == 0 {
		return "pro"
	}
	return "pro-" + strconv.Itoa(n)
}

// serve starts `till serve` with the given plans.
func (w *world) serve(plans string, env ...string) (*child, error) {
	binary, err := program.get(w.t.Context())
	if err != nil {
		return nil, err
	}
	file := w.path("till-" + rand.Text() + ".yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(settings, w.control)+plans), 0o600); err != nil {
		return nil, err
	}
	env = append(env, "TILL_ADDR=127.0.0.1:0", "TILL_OPS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY="+stripeKey, "STRIPE_API_BASE="+w.api)
	return launch(w.dir, "till", machine.measured, append(env, w.env...), binary, "serve", "--config", file, "--drain-pause", "0s")
}

// contest waits until a program serves.
func (w *world) contest(c *child, err error) (*running, error) {
	if err != nil {
		return nil, err
	}
	addresses, err := c.await()
	if err != nil {
		return nil, err
	}
	r := &running{child: c, host: addresses[1]}
	err = c.until(func() bool { return w.ready(r) == nil })
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return r, nil
}

func (w *world) ready(r *running) error {
	res, err := w.client.Get("http://" + r.host + "/readyz")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errNotReady
	}
	return nil
}

// accountID asks Stripe whose key it is, which is part of every row.
func (w *world) accountID() (string, error) {
	text, err := os.ReadFile(w.path("tls.pem"))
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, w.api+"/v1/account", http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var account struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&account); err != nil || account.ID == "" {
		return "", fmt.Errorf("%d, no account: %w", res.StatusCode, err)
	}
	return account.ID, nil
}

// spread is how far apart the callers are among many customers.
func (w *world) spread() int { return max(1, *crowd / *users) }

// hire signs a token for each caller. The nth has the number n*spread, so that he finds
// his row in a database of all and of callers alone.
func (w *world) hire(n int) {
	w.callers = make([]caller, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Go(func() {
			for i := range next {
				w.callers[i] = w.newCaller(i)
			}
		})
	}
	for i := range w.callers {
		next <- i
	}
	close(next)
	wg.Wait()
}

func subject(number int) string { return fmt.Sprintf("user-%07d", number) }

func (w *world) newCaller(i int) caller {
	number, now := i*w.spread(), time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": issuer, "aud": []string{audience}, "sub": subject(number), "iat": now.Unix(), "exp": now.Add(12 * time.Hour).Unix(),
		"email": subject(number) + "@example.com", "email_verified": true, "name": "Ada Example",
	})
	token.Header["kid"] = "bench"
	signed, err := token.SignedString(w.signer)
	if err != nil {
		w.t.Error(err)
	}
	return caller{subject(number), signed, customerID(number), planName(0)}
}

// newDatabase makes a database with so many customers, step numbers apart, for the service
// and for the plain handler.
func (w *world) newDatabase(customers, step int) string {
	w.t.Helper()
	ctx := w.t.Context()
	name, err := w.cluster.NewDatabase()
	must(w.t, err)
	s, err := store.Open(ctx, w.cluster.URL(name), nil)
	must(w.t, err)
	must(w.t, s.Migrate(ctx))
	must(w.t, s.Close())
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO customers (account, livemode, issuer, kind, subject, generation, state, customer,
			idempotency_key, params, stripe_version, reserved_at, first_attempt_at, last_attempt_at, activated_at)
			SELECT '%s', false, '%s', 'user', 'user-' || lpad(n::text, 7, '0'), 1, 'active', '%s' || lpad(n::text, 7, '0'),
			'bench-' || n, '', '2023-10-16', 1763700000000, 1763700000000, 1763700000000, 1763700000000
			FROM generate_series(0, %d, %d) AS n`, w.account, issuer, customerBegins, (customers-1)*step, step),
		`CREATE TABLE plain_customers AS SELECT subject, customer FROM customers`,
		`ALTER TABLE plain_customers ADD PRIMARY KEY (subject)`,
		`VACUUM ANALYZE`,
		`CHECKPOINT`,
	} {
		must(w.t, w.cluster.Exec(ctx, name, statement))
	}
	return name
}

// in has a process use a database.
func (w *world) in(database string) []string {
	return []string{"TILL_DATABASE_URL=" + w.cluster.URL(database), databaseVariable + "=" + w.cluster.URL(database)}
}

func (w *world) setLatency(l latency) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	res, err := w.client.Post(w.control+"/latency", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (w *world) counts() (c counts, err error) {
	res, err := w.client.Get(w.control + "/counts")
	if err != nil {
		return c, err
	}
	defer res.Body.Close()
	return c, json.NewDecoder(res.Body).Decode(&c)
}

// postmaster is the process of Postgres that has the others.
func (w *world) postmaster() int {
	text, err := os.ReadFile(filepath.Join(w.cluster.Folder, "data", "postmaster.pid"))
	must(w.t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	must(w.t, err)
	return pid
}

// query reads the one row of a query.
func (w *world) query(database, text string, to ...any) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.cluster.QueryRow(ctx, database, text, to...)
}
