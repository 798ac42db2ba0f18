package config

import (
	"errors"
	"fmt"
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
func (l *loader) judgeURLs(cfg *Config) {
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
		l.judgeTemplateURLs(policy, "plans."+plan.Name, plan.Params, "success_url", "cancel_url", "return_url")
		complete = complete && hasURL(plan)
	}
	for _, portal := range cfg.Portals {
		l.judgeTemplateURLs(policy, "portals."+portal.Name, portal.Params, "return_url")
	}
	if cfg.Redirects.Default == "" && !complete && !cfg.Dev {
		l.rule("redirects.default", "is required: a plan has no URL of its own for callers that give none",
			"write a URL below redirects.allow, or give each plan its params.success_url")
	}
}

func (l *loader) judgeTemplateURLs(policy *redirect.Policy, path string, params catalog.Params, names ...string) {
	for _, name := range names {
		value, given := params[name]
		if !given {
			continue
		}
		text, isText := value.(string)
		if !isText {
			l.rule(l.written(path, "params."+name), "must be a text", "write an absolute URL below one of redirects.allow")
			continue
		}
		cleaned, err := policy.Check(text)
		if refused, ok := errors.AsType[*redirect.Refused](err); ok {
			l.rule(l.written(path, "params."+name), fmt.Sprintf("redirects.allow does not allow it (%s)", refused.Reason), "write an absolute URL below one of redirects.allow")
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
