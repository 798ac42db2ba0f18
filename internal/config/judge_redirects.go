package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"till/internal/catalog"
	"till/internal/redirect"
)

func (l *loader) judgeRedirects(publicURL string) redirect.Options {
	in := l.doc.Redirects
	o := redirect.Options{Allow: in.Allow, Default: in.Default, Apps: in.Apps, PublicURL: publicURL, AllowLoopback: l.Dev}
	for _, f := range o.Check() {
		l.rule(join("redirects", f.Path), f.Text, f.Fix)
	}
	return o
}

// judgeURLs holds the templates' own URLs to the policy, and replaces them by
// their cleaned form: only that may go to Stripe.
func (l *loader) judgeURLs(cfg *Config, defaults catalog.Defaults) {
	// What is wrong with the options is reported already; the rest of the list counts.
	good := redirect.Options{
		AllowLoopback: cfg.Redirects.AllowLoopback, PublicURL: cfg.Redirects.PublicURL, Apps: map[string]string{},
	}
	for name, link := range cfg.Redirects.Apps {
		if one := (redirect.Options{Apps: map[string]string{name: link}}); len(one.Check()) == 0 {
			good.Apps[name] = link
		}
	}
	for _, entry := range cfg.Redirects.Allow {
		if one := (redirect.Options{Allow: []string{entry}}); len(one.Check()) == 0 {
			good.Allow = append(good.Allow, entry)
		}
	}
	policy, err := redirect.New(good)
	if err != nil {
		return
	}
	complete := true
	for _, plan := range cfg.Plans {
		l.judgeTemplateURLs(policy, l.below("plans."+plan.Name), plan.Params)
		complete = complete && hasURL(plan)
	}
	for _, portal := range cfg.Portals {
		l.judgeTemplateURLs(policy, l.below("portals."+portal.Name), portal.Params)
	}
	for section, params := range map[string]catalog.Params{"defaults.checkout": defaults.Checkout, "defaults.portal": defaults.Portal} {
		l.judgeTemplateURLs(policy, func(name string) string { return join(section, name) }, maps.Clone(params))
	}
	if cfg.Redirects.Default == "" && !complete && !cfg.Dev {
		l.rule("redirects.default", "is required: a plan has no URL of its own for callers that give none",
			"write a URL below redirects.allow, or give each plan its params.success_url")
	}
}

// below says where a parameter of the template at path is written.
func (l *loader) below(path string) func(name string) string {
	return func(name string) string { return l.written(path, "params."+name) }
}

func (l *loader) judgeTemplateURLs(policy *redirect.Policy, place func(name string) string, params catalog.Params) {
	for _, name := range []string{"success_url", "cancel_url", "return_url"} {
		value, given := params[name]
		if !given {
			continue
		}
		text, isText := value.(string)
		if !isText {
			l.rule(place(name), "must be a text", "write an absolute URL below one of redirects.allow")
			continue
		}
		cleaned, err := policy.Check(text)
		if refused, ok := errors.AsType[*redirect.Refused](err); ok {
			l.rule(place(name), fmt.Sprintf("redirects.allow does not allow it (%s)", refused.Reason), "write an absolute URL below one of redirects.allow")
			continue
		}
		params[name] = cleaned
	}
}

// hasURL reports whether Stripe would have somewhere to go after each page of plan.
func hasURL(plan catalog.Plan) bool {
	return !slices.ContainsFunc(plan.Pages(), func(page string) bool {
		params, name := plan.In(page).Params, "return_url"
		if page == "hosted" {
			name = "success_url"
		}
		_, given := params[name]
		return !given && params["redirect_on_completion"] != "never"
	})
}
