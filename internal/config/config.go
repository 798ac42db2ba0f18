// Package config reads till.yaml and the environment, and judges them whole: it
// gives either a configuration that can be right or every problem with its fix.
// It opens no connection, asks Stripe nothing and starts nothing; the only thing
// it touches is the folder of the database, to see that it can be written.
package config

import (
	"cmp"
	"net/netip"
	"time"

	"till/internal/audit"
	"till/internal/auth"
	"till/internal/catalog"
	"till/internal/redirect"
	"till/internal/secret"
)

// Config is a configuration that has passed every check.
type Config struct {
	// Addr is the public listener, OpsAddr the one for operators.
	Addr, OpsAddr string
	// PublicURL is the origin under which callers reach the public listener, without
	// a final slash. In development it may be "": the program fills it in.
	PublicURL string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Dev says that this is the built-in configuration of --dev.
	Dev       bool
	Auth      Auth
	Stripe    Stripe
	Database  Database
	Limits    Limits
	Audit     Audit
	Plans     []catalog.Plan   // sorted by name
	Portals   []catalog.Portal // sorted by name
	Redirects redirect.Options
}

// Auth is who may call, and from where.
type Auth struct {
	// Origins are the exact origins for CORS and CSRF, as browsers send them.
	Origins []string
	// CookieName is the cookie that may carry a token; "" means none.
	CookieName string
	// Issuers is empty in development only: the program adds its own.
	Issuers []auth.Issuer
}

// Stripe is how to reach Stripe, and as whom.
type Stripe struct {
	Key secret.Secret
	// APIBase has no final slash. In development "" stands for the program's sandbox.
	APIBase string
	// Account, when given, must be the key's account. Connected, when given, is the
	// account that every call is made for. Version, when given, is the Stripe-Version
	// to send.
	Account, Connected, Version string
	// Versions are the Stripe-Versions of single operations.
	Versions map[string]string
	// MetadataSubject is "plain" or "sha256": how till_subject is written.
	MetadataSubject string
}

// WorkedFor is the configured account whose customers, prices and sessions these are;
// "" leaves it to Stripe to say.
func (s Stripe) WorkedFor() string { return cmp.Or(s.Connected, s.Account) }

// Database is where customers and idempotency keys are kept.
type Database struct {
	// URL is "sqlite://" and a path, or that of a Postgres database, which may hold a
	// password. In development "" stands for a private temporary database.
	URL secret.Secret
}

// Limits bound how much is done. 0 is off.
type Limits struct {
	// OwnerWritesPerMinute bounds the writes of one owner, AddressPerMinute the requests
	// of one client network.
	OwnerWritesPerMinute, AddressPerMinute int
	// Connections is the most that the public listener has at a time.
	Connections int
	// StripeRPSPerEndpoint, as every limit but Connections, is shared evenly by Replicas
	// processes.
	StripeRPSPerEndpoint, Replicas int
	// RedisURL is where replicas count together; it may hold a password.
	RedisURL secret.Secret
}

// Audit is how writes are remembered.
type Audit struct {
	Mode audit.Mode
	// Retention is how long; 0 is for ever.
	Retention time.Duration
}
