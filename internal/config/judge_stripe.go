package config

import (
	"net/url"
	"regexp"
	"strings"

	"till/internal/secret"
)

var (
	keyShape     = regexp.MustCompile(`^(sk|rk)_(test|live)_[A-Za-z0-9_]{1,240}$`)
	accountShape = regexp.MustCompile(`^acct_[A-Za-z0-9]{1,250}$`)
	versionShape = regexp.MustCompile(`^20[0-9]{2}-[01][0-9]-[0-3][0-9](\.[a-z]{1,40})?$`)
)

const (
	keyVariable  = "STRIPE_SECRET_KEY"
	baseVariable = "STRIPE_API_BASE"
	stripeBase   = "https://api.stripe.com"
)

func (l *loader) judgeStripe() Stripe {
	in := l.doc.Stripe
	out := Stripe{
		Key: in.SecretKey, Account: in.Account, Connected: in.Connected, Version: in.Version, Versions: in.Versions,
		MetadataSubject: in.MetadataSubject,
	}
	if l.Dev {
		out.Key = l.judgeDevKey(in.SecretKey)
	} else {
		l.judgeKey(in.SecretKey.Reveal())
	}
	out.APIBase = l.judgeBase(in.APIBase, isLive(in.SecretKey))
	if in.Account != "" && !accountShape.MatchString(in.Account) {
		l.rule("stripe.account", "is not an account id", "write acct_ and what follows it in the Dashboard, or leave it out")
	}
	if in.Connected != "" && !accountShape.MatchString(in.Connected) {
		l.rule("stripe.connected_account", "is not an account id", "write acct_ and what follows it, or leave it out to work for the key's own account")
	}
	if in.Connected != "" && in.Account != "" && in.Account != in.Connected {
		l.rule("stripe.account", "is not stripe.connected_account, and that is the account that is worked for", "leave stripe.account out")
	}
	l.judgeVersions()
	if in.Version != "" && !versionShape.MatchString(in.Version) {
		l.rule("stripe.version", "is not a Stripe version", "write such as 2023-10-16 or 2025-03-31.basil, or leave it out")
	}
	l.isOneOf("stripe.metadata_subject", in.MetadataSubject, "plain", "sha256")
	return out
}

// judgeVersions looks at the versions of single operations: one of a misspelled name
// would never be sent, and one that does not know its operation is refused by Stripe.
func (l *loader) judgeVersions() {
	for _, name := range sortedKeys(l.doc.Stripe.Versions) {
		path, version := "stripe.versions."+name, l.doc.Stripe.Versions[name]
		oldest, known := l.Operations[name]
		switch {
		case !versionShape.MatchString(version):
			l.rule(path, "is not a Stripe version", "write such as 2025-03-31.basil")
		case !known && l.Operations != nil:
			l.rule(path, "names no operation of Stripe's that this service uses", "write one of "+strings.Join(sortedKeys(l.Operations), ", "))
		case version < oldest:
			l.rule(path, "is older than the operation", "write "+oldest+" or a later one")
		}
	}
}

// isLive is generous: a live key with a stray space or quote is one too.
func isLive(key secret.Secret) bool { return strings.Contains(key.Reveal(), "_live_") }

// judgeKey looks at the shape only; whether Stripe takes the key is asked later.
func (l *loader) judgeKey(key string) {
	const fix = "set STRIPE_SECRET_KEY, or STRIPE_SECRET_KEY_FILE, to a restricted key of this account (rk_test_… or rk_live_…)"
	switch {
	case key == "":
		l.rule(keyVariable, "is required", fix)
	case strings.HasPrefix(key, "pk_"):
		l.rule(keyVariable, "is a publishable key, which cannot create sessions", fix)
	case strings.HasPrefix(key, "whsec_"):
		l.rule(keyVariable, "is the secret of a webhook endpoint", fix)
	case !keyShape.MatchString(key):
		l.rule(keyVariable, "does not look like a Stripe key (surrounding spaces and quotes count)", fix)
	case strings.HasPrefix(key, "sk_"):
		l.warn(keyVariable, "is a secret key, which may do everything; a restricted key (rk_…) is enough")
	}
}

// judgeBase keeps live keys at Stripe: any other host would be handed the key.
func (l *loader) judgeBase(base string, live bool) string {
	base = strings.TrimSuffix(base, "/")
	u, err := url.Parse(base)
	host := ""
	if err == nil {
		host = u.Hostname()
	}
	loopback := host == "localhost" || host == "127.0.0.1" || host == "::1"
	switch {
	case l.Dev && base == "":
	case err != nil || host == "" || u.User != nil || strings.ContainsAny(base, "?#"):
		l.rule(baseVariable, "is not an absolute URL without user, query and fragment", "leave it out for "+stripeBase)
	case live && base != stripeBase:
		l.rule(baseVariable, "sends a live key elsewhere than to Stripe", "leave it out with live keys")
	case l.Dev && !loopback:
		l.rule(baseVariable, "is not on this machine, and --dev speaks to a sandbox only", "leave it out: --dev brings its own")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback):
		l.rule(baseVariable, "is not https; plain http is for loopback hosts only", "write https://, or leave it out for "+stripeBase)
	}
	return base
}

// sandboxKey is what the program's own sandbox takes.
var sandboxKey = secret.New("sk_test_sandbox")

// judgeDevKey keeps real keys out of development.
func (l *loader) judgeDevKey(given secret.Secret) secret.Secret {
	switch {
	case given.IsZero():
	case isLive(given):
		l.rule(keyVariable, "is a live key, and --dev refuses to start beside one", "unset it, or start without --dev")
	default:
		l.warn(keyVariable, "is ignored: --dev uses its own sandbox")
	}
	return sandboxKey
}
