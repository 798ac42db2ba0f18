package redirect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options is the configured policy.
type Options struct {
	// Allow lists exact origins, each with an optional path prefix:
	// "https://app.example.com", "https://shop.example.com/pay/". http only for
	// loopback hosts. A host in Unicode means its A-label (xn--…).
	Allow []string
	// Default is used when a caller gives no URL. "" means there is none.
	Default string
	// Apps maps names to links of applications, "myapp://billing", which callers
	// reach as "app:name".
	Apps map[string]string
	// PublicURL is the origin under which browsers reach the pages that lead to
	// applications; without it there are none.
	PublicURL string
	// AllowLoopback adds http and https on localhost, 127.0.0.1 and [::1], on any
	// port. It is for development only.
	AllowLoopback bool
}

// Finding is something wrong with Options. Path is the place: "allow.0",
// "default", "apps.ios". As an error it prints all three.
type Finding struct {
	Path, Text, Fix string
}

// Error implements error.
func (f Finding) Error() string { return f.Path + ": " + f.Text + ". Fix: " + f.Fix }

// Check returns everything wrong with o, in the order of the fields.
func (o Options) Check() []Finding {
	var all []Finding
	for i, entry := range o.Allow {
		if _, _, bad := parseEntry(entry); bad != nil {
			all = append(all, Finding{fmt.Sprintf("allow.%d", i), bad.text, bad.fix})
		}
	}
	if o.Default != "" {
		if _, err := o.policy().Check(o.Default); err != nil {
			refused, _ := errors.AsType[*Refused](err)
			all = append(all, Finding{"default", fmt.Sprintf("redirects.allow does not allow it (%s)", refused.Reason), "write an absolute URL below one of redirects.allow"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Apps)) {
		if bad := checkApp(name, o.Apps[name]); bad != nil {
			all = append(all, Finding{"apps." + name, bad.text, bad.fix})
		}
	}
	return all
}

// policy builds what can be built: entries that Check refuses are left out.
func (o Options) policy() *Policy {
	p := &Policy{
		prefixes: map[string][]string{}, loopback: o.AllowLoopback, apps: map[string]string{}, publicURL: o.PublicURL,
	}
	for name, link := range o.Apps {
		if checkApp(name, link) == nil {
			p.apps[name] = strings.ToLower(link[:strings.Index(link, "://")]) + link[strings.Index(link, "://"):]
		}
	}
	for _, entry := range o.Allow {
		if origin, prefix, bad := parseEntry(entry); bad == nil {
			p.prefixes[origin] = append(p.prefixes[origin], prefix)
		}
	}
	return p
}
