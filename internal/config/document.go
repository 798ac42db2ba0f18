package config

import (
	"time"

	"till/internal/catalog"
	"till/internal/secret"
)

// document is till.yaml as it is written. Its tags are the only list of settings:
// the decoder, the environment, the defaults and Describe all come from them.
//
//	yaml     the key; a field without it cannot stand in the file
//	env      the variable, where its name is not TILL_ and the path
//	outside  the key that people would look for, of a field that is not in the file
//	default  the value when neither the file nor the environment has one
//	help     one line for people
type document struct {
	Addr       string                `env:"TILL_ADDR" outside:"addr" default:":8080" help:"address of the public listener"`
	OpsAddr    string                `env:"TILL_OPS_ADDR" outside:"ops_addr" default:"127.0.0.1:8081" help:"address of the listener for operators"`
	ConfigFile string                `env:"TILL_CONFIG" help:"the YAML file; --config wins"`
	PublicURL  string                `yaml:"public_url" help:"origin under which callers reach the service"`
	Proxies    []string              `yaml:"trusted_proxies" help:"networks of the proxies in front"`
	Auth       authSection           `yaml:"auth" help:"who may call"`
	Stripe     stripeSection         `yaml:"stripe" help:"how to reach Stripe"`
	Database   databaseSection       `yaml:"database" help:"where customers are kept"`
	Limits     limitsSection         `yaml:"limits" help:"how much at most"`
	Audit      auditSection          `yaml:"audit" help:"the rows that say who changed what"`
	Defaults   defaultsSection       `yaml:"defaults" help:"Stripe's parameters for every plan and portal"`
	Plans      map[string]planBody   `yaml:"plans" help:"named Checkout templates"`
	Portals    map[string]portalBody `yaml:"portals" help:"named Billing Portal templates"`
	Redirects  redirectSection       `yaml:"redirects" help:"where Stripe may send a browser back to"`
}

type authSection struct {
	Origins []string      `yaml:"origins" help:"exact origins for CORS and CSRF"`
	Cookie  cookieSection `yaml:"cookie" help:"the cookie that may carry a token"`
	Issuers []issuerBody  `yaml:"issuers" help:"trusted issuers of tokens"`
}

type cookieSection struct {
	Name string `yaml:"name" help:"name of the cookie that may carry a token; __Host-… or __Secure-…"`
}

type issuerBody struct {
	Issuer            string              `yaml:"issuer"`
	Audience          []string            `yaml:"audience"`
	AuthorizedParties []string            `yaml:"authorized_parties"`
	Require           map[string][]string `yaml:"require"`
	Scopes            []string            `yaml:"scopes"`
	Header            string              `yaml:"header"`
	JWKSURL           string              `yaml:"jwks_url"`
	JWKSFile          string              `yaml:"jwks_file"`
	SecretEnv         string              `yaml:"secret_env"`
	Introspection     introspectionBody   `yaml:"introspection"`
	PrivateNetworks   []string            `yaml:"private_networks"`
	Algorithms        []string            `yaml:"algorithms"`
	Types             []string            `yaml:"types"`
	MaxLifetime       time.Duration       `yaml:"max_lifetime"`
	Machines          struct {
		Allow bool   `yaml:"allow"`
		Claim string `yaml:"claim"`
	} `yaml:"machines"`
	Org struct {
		Claim        string   `yaml:"claim"`
		RoleClaim    string   `yaml:"role_claim"`
		BillingRoles []string `yaml:"billing_roles"`
	} `yaml:"org"`
	Profile struct {
		Email         string `yaml:"email"`
		EmailVerified string `yaml:"email_verified"`
		Name          string `yaml:"name"`
	} `yaml:"profile"`
}

type introspectionBody struct {
	URL       string `yaml:"url"`
	ClientID  string `yaml:"client_id"`
	SecretEnv string `yaml:"secret_env"`
}

type stripeSection struct {
	SecretKey       secret.Secret     `env:"STRIPE_SECRET_KEY" outside:"secret_key" help:"secret or, better, restricted key"`
	APIBase         string            `env:"STRIPE_API_BASE" outside:"api_base" default:"https://api.stripe.com" help:"where Stripe is; anything else is for test keys only"`
	Account         string            `yaml:"account" help:"account the key must belong to, acct_…"`
	Connected       string            `yaml:"connected_account" help:"connected account, acct_…, that every call is made for (Connect)"`
	Version         string            `yaml:"version" help:"Stripe-Version to send, such as 2023-10-16"`
	Versions        map[string]string `yaml:"versions" help:"Stripe-Versions of single operations"`
	MetadataSubject string            `yaml:"metadata_subject" default:"plain" help:"how subjects are written into Stripe's metadata: plain or sha256"`
}

type databaseSection struct {
	URL secret.Secret `yaml:"url" default:"sqlite://till.db" help:"sqlite:// and a path, or postgres://user:password@host/database"`
}

type limitsSection struct {
	OwnerWritesPerMinute int           `yaml:"owner_writes_per_minute" default:"60" help:"writes per owner and minute, over all replicas; 0: off"`
	AddressPerMinute     int           `yaml:"address_per_minute" default:"600" help:"requests per client address and minute, over all replicas; 0: off"`
	Connections          int           `yaml:"connections" default:"1000" help:"connections at a time, of the public listener; 0: as many as there are files"`
	StripeRPSPerEndpoint int           `yaml:"stripe_rps_per_endpoint" default:"25" help:"calls to Stripe per endpoint and second, over all replicas; 0: off"`
	Replicas             int           `yaml:"replicas" default:"1" help:"processes that share the limits evenly"`
	RedisURL             secret.Secret `yaml:"redis_url" help:"where replicas count together, redis:// or rediss:// (TLS) user:password@host:port/database"`
}

type auditSection struct {
	Mode      string        `yaml:"mode" default:"async" help:"when a row is written: async, up to 0.2 s after the answer; sync, before it; off"`
	Retention time.Duration `yaml:"retention" default:"400d" help:"how long rows are kept, 0: for ever"`
}

type defaultsSection struct {
	Checkout catalog.Params `yaml:"checkout"`
	Portal   catalog.Params `yaml:"portal"`
}

type planBody struct {
	Mode            string                    `yaml:"mode"`
	LineItems       []lineItem                `yaml:"line_items"`
	Accepts         []string                  `yaml:"accepts"`
	Params          catalog.Params            `yaml:"params"`
	Once            bool                      `yaml:"once"`
	TrialOnce       bool                      `yaml:"trial_once"`
	Currencies      []string                  `yaml:"currencies"`
	UIModes         []string                  `yaml:"ui_modes"`
	ShippingOptions map[string]catalog.Params `yaml:"shipping_options"`
	ExpiresAfter    time.Duration             `yaml:"expires_after"`
	Unchecked       catalog.Params            `yaml:"params_unchecked"`
}

type lineItem struct {
	Price struct {
		ID        string `yaml:"id"`
		LookupKey string `yaml:"lookup_key"`
	} `yaml:"price"`
	Name      string         `yaml:"name"`
	Quantity  *quantity      `yaml:"quantity"`
	Unchecked catalog.Params `yaml:"params_unchecked"`
	Params    catalog.Params `yaml:",rest"` // Stripe's other line item parameters
}

type portalBody struct {
	Params          catalog.Params `yaml:"params"`
	Unchecked       catalog.Params `yaml:"params_unchecked"`
	Flows           []string       `yaml:"flows"`
	Coupons         []string       `yaml:"coupons"`
	MissingCustomer string         `yaml:"missing_customer"`
	DeletedCustomer string         `yaml:"deleted_customer"`
}

type redirectSection struct {
	Allow   []string          `yaml:"allow" help:"exact origins, each with an optional path prefix"`
	Default string            `yaml:"default" help:"URL for callers that give none"`
	Apps    map[string]string `yaml:"apps" help:"links of applications, by the name that callers use"`
}
