package main

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"till/internal/secret"

	"till/internal/auth"
	"till/internal/auth/devissuer"
	"till/internal/config"
	"till/internal/handlers"
	"till/internal/sandbox"
	"till/web"
)

// development is what --dev adds: an issuer that vouches for anybody, a sandbox
// in Stripe's place, a database that is gone at exit. A nil one adds nothing.
type development struct {
	issuer  *devissuer.Issuer
	sandbox http.Handler
	folder  string
	// host is the public URL's.
	host string
}

const devAudience = "till"

// develop completes the built-in configuration with what depends on the
// listener, and makes the parts that stand in for the outside world.
func develop(cfg *config.Config, addr net.Addr) (*development, error) {
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + hostOf(cfg.Addr, addr, "localhost")
	}
	if cfg.Stripe.APIBase == "" {
		cfg.Stripe.APIBase = "http://" + hostOf(cfg.Addr, addr, "127.0.0.1") + "/sandbox"
	}
	cfg.Redirects.PublicURL = cfg.PublicURL
	cfg.Redirects.Allow = append(cfg.Redirects.Allow, cfg.PublicURL)
	if cfg.Redirects.Default == "" {
		cfg.Redirects.Default = cfg.PublicURL + "/"
	}
	cfg.Auth.Origins = append(cfg.Auth.Origins, cfg.PublicURL)
	if cfg.Auth.CookieName == "" {
		cfg.Auth.CookieName = devCookie
	}

	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	d := &development{host: public.Host}
	if d.issuer, err = devissuer.New(cfg.PublicURL, devAudience, time.Now); err != nil {
		return nil, err
	}
	cfg.Auth.Issuers = append(cfg.Auth.Issuers, auth.Issuer{
		Issuer: cfg.PublicURL, Audience: []string{devAudience}, StaticJWKS: d.issuer.JWKS(),
		Org:     auth.Org{Claim: "org_id", RoleClaim: "org_role", BillingRoles: []string{"owner", "admin", "billing"}},
		Profile: auth.Profile{Email: "email", EmailVerified: "email_verified"},
	})
	fake, err := sandbox.New(sandbox.Options{PublicURL: cfg.PublicURL + "/sandbox"})
	if err != nil {
		return nil, err
	}
	d.sandbox = fake.Handler()
	if cfg.Database.URL.IsZero() {
		if d.folder, err = os.MkdirTemp("", "till-dev-"); err != nil {
			return nil, err
		}
		cfg.Database.URL = secret.New("sqlite://" + filepath.Join(d.folder, "till.db"))
	}
	return d, nil
}

// hostOf is the host and port to reach the listener by; everywhere stands for
// an address that means every interface.
func hostOf(configured string, addr net.Addr, everywhere string) string {
	_, port, _ := net.SplitHostPort(addr.String())
	host, _, _ := net.SplitHostPort(configured)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = everywhere
	}
	return (&url.URL{Host: net.JoinHostPort(host, port)}).Host
}

func (d *development) mint(subject string) (string, time.Time, error) {
	return d.issuer.Mint(devissuer.Claims{Subject: subject, ExpiresIn: 24 * time.Hour})
}

// devCookie carries a token to a page without script. Nothing of ours sets it: whoever
// wants it, as the browser test does, writes it with a token of /dev/token.
const devCookie = "till-session"

// routes are the development routes of the public surface.
func (d *development) routes() *handlers.Dev {
	if d == nil {
		return nil
	}
	return &handlers.Dev{
		Mint: func(r handlers.DevTokenRequest) (string, time.Time, error) {
			return d.issuer.Mint(devissuer.Claims{
				Subject: r.Subject, Email: r.Email, Org: r.Org, Role: r.Role, ExpiresIn: r.Lifetime(),
			})
		},
		Host:      d.host,
		WellKnown: d.issuer.Handler(),
		Demo:      web.Handler(),
	}
}

// mount puts the sandbox beside the surface: it is Stripe, not Till, and has its
// own rules for errors, limits and metrics.
func (d *development) mount(surface http.Handler) http.Handler {
	if d == nil {
		return surface
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/sandbox/") {
			d.sandbox.ServeHTTP(w, r)
			return
		}
		surface.ServeHTTP(w, r)
	})
}

// close forgets everything.
func (d *development) close() error {
	if d == nil || d.folder == "" {
		return nil
	}
	return os.RemoveAll(d.folder)
}
