//go:build bench && linux

package bench_test

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver for Postgres
	"github.com/labstack/echo/v4"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/checkout/session"
)

// stripeKey is what every program calls Stripe with.
const stripeKey = "sk_test_canary00000000000000"

// pageAfter and pageBefore are where every program lets Stripe send a buyer back to.
const (
	pageAfter  = "https://app.example.com/billing/done?session_id={CHECKOUT_SESSION_ID}"
	pageBefore = "https://app.example.com/billing/cancel"
)

// listen says where a role listens, as the service does.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Fprintf(os.Stdout, `{"addr":%q}`+"\n", l.Addr())
	}
	return l, err
}

// playProxy is the standard library's reverse proxy and nothing else. Its pool is as large
// as the load needs: with the default one it would be a measurement of handshakes.
func playProxy() error {
	to, err := url.Parse(os.Getenv(stripeVariable))
	if err != nil {
		return err
	}
	pool := &http.Transport{
		MaxIdleConnsPerHost: 2048,
		TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(64)},
	}
	proxy := &httputil.ReverseProxy{
		Transport: pool, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/v1/", proxy)
	l, err := listen()
	if err != nil {
		return err
	}
	return (&http.Server{Handler: mux}).Serve(l)
}

// playPlain is the handler of the samples: echo, stripe-go as it comes, golang-jwt with a
// key that it has already, and a look-up in Postgres for each request.
func playPlain() error {
	pem, err := os.ReadFile(os.Getenv(issuerKeyVariable))
	if err != nil {
		return err
	}
	key, err := jwt.ParseRSAPublicKeyFromPEM(pem)
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", os.Getenv(databaseVariable))
	if err != nil {
		return err
	}
	// Without a bound it would open more connections than Postgres has.
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	stripe.Key = stripeKey
	stripe.SetBackend(stripe.APIBackend, stripe.GetBackendWithConfig(stripe.APIBackend,
		&stripe.BackendConfig{URL: stripe.String(os.Getenv(stripeVariable))}))
	p := &plain{
		db: db, key: func(*jwt.Token) (any, error) { return key, nil },
		tokens: jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired()),
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/readyz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.POST("/checkout", p.checkout)
	if e.Listener, err = listen(); err != nil {
		return err
	}
	return e.Start("")
}

type plain struct {
	db     *sql.DB
	tokens *jwt.Parser
	key    jwt.Keyfunc
}

func (p *plain) checkout(c echo.Context) error {
	bearer, ok := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
	if !ok {
		return echo.ErrUnauthorized
	}
	var claims jwt.RegisteredClaims
	if _, err := p.tokens.ParseWithClaims(bearer, &claims, p.key); err != nil {
		return echo.ErrUnauthorized
	}
	var in struct {
		Price    string `json:"price"`
		Quantity int64  `json:"quantity"`
	}
	if err := c.Bind(&in); err != nil { //nolint:forbidigo // as the samples do
		return err
	}
	ctx := c.Request().Context()
	var customer string
	if err := p.db.QueryRowContext(ctx, "SELECT customer FROM plain_customers WHERE subject = $1", claims.Subject).Scan(&customer); err != nil {
		return err
	}
	params := &stripe.CheckoutSessionParams{
		Mode: stripe.String("subscription"), Customer: stripe.String(customer), ClientReferenceID: stripe.String(claims.Subject),
		SuccessURL: stripe.String(pageAfter), CancelURL: stripe.String(pageBefore),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{Price: stripe.String(in.Price), Quantity: stripe.Int64(in.Quantity)}},
	}
	params.Context = ctx
	s, err := session.New(params)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, map[string]string{"id": s.ID, "url": s.URL})
}

// contestant is a program that is measured.
type contestant struct {
	name string
	// start returns it when it is ready; env names the database.
	start func(w *world, env ...string) (*running, error)
	// request is what a caller sends, as it goes over the wire.
	request func(host string, c caller) []byte
}

// running is a contestant that serves.
type running struct {
	*child
	host string
}

var errNotReady = errors.New("it serves, and is not ready")

// role starts this binary as a contestant.
func role(name string) func(*world, ...string) (*running, error) {
	return func(w *world, env ...string) (*running, error) {
		return w.contest(w.role(name, machine.measured, env...))
	}
}

var proxy = &contestant{
	name: "bare proxy", start: role("proxy"),
	request: func(host string, c caller) []byte {
		body := url.Values{
			"mode": {"subscription"}, "customer": {c.customer}, "client_reference_id": {c.subject},
			"success_url": {pageAfter}, "cancel_url": {pageBefore}, "line_items[0][price]": {"price_pro_monthly"}, "line_items[0][quantity]": {"1"},
		}.Encode()
		return post(host, "/v1/checkout/sessions", stripeKey, "application/x-www-form-urlencoded", body)
	},
}

var plainHandler = &contestant{
	name: "plain handler", start: role("plain"),
	request: func(host string, c caller) []byte {
		return post(host, "/checkout", c.token, "application/json", `{"price":"price_pro_monthly","quantity":1}`)
	},
}

// service is `till serve` with so many plans; more is added to its environment.
func service(name string, ofPlans int, more ...string) *contestant {
	return &contestant{
		name: name,
		start: func(w *world, env ...string) (*running, error) {
			return w.contest(w.serve(plans(ofPlans), append(env, more...)...))
		},
		request: func(host string, c caller) []byte {
			return post(host, "/checkout", c.token, "application/json", `{"plan":"`+c.plan+`"}`)
		},
	}
}

// post writes a request once, for all the times that it is sent.
func post(host, path, bearer, mediaType, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, host, bearer, mediaType, len(body), body)
}
