package auth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute
)

// Options is what a Verifier needs besides its issuers.
type Options struct {
	// Cookie is the name of the cookie that may carry a token. "": none may.
	Cookie string
	// Client fetches keys and asks about opaque tokens. Nil: one of our own for each
	// issuer, which connects to public addresses, to the issuer's PrivateNetworks and to
	// the loopback hosts in its configuration only. Limits of time and size hold and
	// redirects are refused with any client.
	Client *http.Client
	// Now is the clock that tokens are judged by. Nil: time.Now.
	Now func() time.Time
	// Metrics is required.
	Metrics prometheus.Registerer
	// Logger is told how key sets fare. Nil: nobody is.
	Logger *slog.Logger
	// TokenCache is how many tokens are remembered that were good, so that they need not be
	// judged whole again; at most MaxTokenCache. 0: none.
	TokenCache int
	// Leeway is how far an issuer's clock may be from ours. 0: 30 s; at most 5 min.
	Leeway time.Duration
}

func (o Options) check() error {
	var problems []error
	if o.Metrics == nil {
		problems = append(problems, errors.New("auth: a metrics registerer is required"))
	}
	if o.Leeway < 0 || o.Leeway > maxLeeway {
		problems = append(problems, errors.New("auth: the leeway is not between 0 and 5 min"))
	}
	if o.TokenCache < 0 || o.TokenCache > MaxTokenCache {
		problems = append(problems, errors.New("auth: the token cache is not between 0 and 1,000,000 tokens"))
	}
	return errors.Join(problems...)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Leeway == 0 {
		o.Leeway = defaultLeeway
	}
	return o
}

// client returns what to fetch with for an issuer; see newClient for idle.
func (o Options) client(r reach, idle time.Duration) *http.Client {
	if o.Client == nil {
		return withoutRedirects(newClient(r, idle))
	}
	return withoutRedirects(o.Client)
}
