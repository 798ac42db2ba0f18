package config

import (
	"maps"
	"slices"

	"till/internal/redirect"
)

// judge turns the document into a Config and holds it to every rule. It goes on
// after a problem; the result counts only when there is none.
func (l *loader) judge() *Config {
	cfg := &Config{Dev: l.Dev, Addr: l.doc.Addr, OpsAddr: l.doc.OpsAddr}
	l.judgeAddresses()
	cfg.PublicURL = l.judgePublicURL()
	cfg.TrustedProxies = l.judgeProxies()
	cfg.Auth = l.judgeAuth()
	cfg.Stripe = l.judgeStripe()
	cfg.Database = l.judgeDatabase()
	cfg.Limits = l.judgeLimits()
	cfg.Audit = l.judgeAudit()
	cfg.Redirects = l.judgeRedirects(cfg.PublicURL)
	defaults := l.judgeDefaults()
	cfg.Plans = l.judgePlans(defaults)
	cfg.Portals = l.judgePortals(defaults)
	l.judgeNames(cfg.Plans, cfg.Portals)
	if len(l.doc.Plans)+len(l.doc.Portals) == 0 {
		l.rule("plans", "nothing is for sale: there are neither plans nor portals", "add a plan or a portal")
	}
	l.judgeURLs(cfg, defaults)
	return cfg
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// isOneOf reports a value outside a closed list.
func (l *loader) isOneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		l.rule(path, "is not one of the values it can have", "write "+quoteAll(allowed))
	}
}

func quoteAll(words []string) string {
	text := words[0]
	for _, w := range words[1:] {
		text += " or " + w
	}
	return text
}

// originRule holds one configured origin to redirect.Origin, and returns it as
// browsers write it.
func (l *loader) originRule(path, text, example string) string {
	origin, err := redirect.Origin(text)
	if err != nil {
		l.rule(path, err.Error(), "write an exact origin such as "+example)
	}
	return origin
}
