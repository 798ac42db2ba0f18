package catalog

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// checkChoices judges the members of a plan that are not Stripe's.
func (p Plan) checkChoices(j *judge) {
	trial := p.has("subscription_data.trial_period_days") || p.has("subscription_data.trial_end")
	switch {
	case p.Once && p.Mode != ModeSubscription:
		j.add("once", "only subscriptions are live: it needs mode subscription")
	case p.TrialOnce && p.Mode != ModeSubscription:
		j.add("trial_once", "only subscriptions have trials: it needs mode subscription")
	case p.TrialOnce && !trial:
		j.add("trial_once", "there is no trial: give params.subscription_data trial_period_days or trial_end")
	}
	p.checkCurrencies(j)
	p.checkUIModes(j)
	p.checkShippingOptions(j)
	if p.ExpiresAfter != 0 && (p.ExpiresAfter < minExpiry || p.ExpiresAfter > maxExpiry) {
		j.add("expires_after", "must be between %v and %v: Stripe takes 30 minutes to 24 hours, by its own clock", minExpiry, maxExpiry)
	}
}

// Stripe takes 30 minutes to 24 hours from the moment in which it creates the session.
// Its clock is not ours, so a minute is kept off both ends.
const (
	minExpiry = 31 * time.Minute
	maxExpiry = 24*time.Hour - time.Minute
)

func (p Plan) checkCurrencies(j *judge) {
	if len(p.Currencies) > 0 && !p.AcceptsField(FieldCurrency) {
		j.add("currencies", "nobody can choose: add currency to accepts")
	}
	for i, code := range p.Currencies {
		at := fmt.Sprintf("currencies.%d", i)
		switch {
		case !isCurrency(code):
			j.add(at, "must be three lower-case letters (ISO 4217)")
		case slices.Index(p.Currencies, code) != i:
			j.add(at, "%q is listed twice", code)
		}
	}
	own, fixed := p.Params["currency"].(string)
	if fixed && len(p.Currencies) > 0 && !slices.Contains(p.Currencies, own) {
		j.add("currencies", "the plan's own params.currency, %q, is not among them", own)
	}
}

func (p Plan) checkUIModes(j *judge) {
	if len(p.UIModes) > 0 && !p.AcceptsField(FieldUIMode) {
		j.add("ui_modes", "nobody can choose: add ui_mode to accepts")
		return
	}
	var seen []string
	for i, mode := range p.UIModes {
		at, page := fmt.Sprintf("ui_modes.%d", i), PageOf(mode)
		switch {
		case mode == "" || !slices.Contains(allUIModes, page):
			j.add(at, "must be hosted, embedded or custom")
		case slices.Contains(seen, page):
			j.add(at, "%q is listed twice", page)
		case page == uiCustom:
			j.customAged(at)
		}
		seen = append(seen, page)
	}
	if len(seen) > 0 && !slices.Contains(seen, p.UIMode()) {
		j.add("ui_modes", "%s, which callers get who do not choose, is not among them: set params.ui_mode", p.UIMode())
	}
}

func (p Plan) checkShippingOptions(j *judge) {
	takes := checkoutShape().at("shipping_options").elem
	if len(p.ShippingOptions) > 0 {
		switch {
		case p.Mode == ModeSetup:
			j.add("shipping_options", "a setup plan ships nothing")
		case !slices.ContainsFunc(p.Pages(), func(page string) bool { return page != uiHosted }):
			j.add("shipping_options", "they are chosen while the page is open, which needs ui_mode embedded or custom")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.ShippingOptions)) {
		at, option := "shipping_options."+name, p.ShippingOptions[name]
		if !validAlias(name) {
			j.add(at, "is no name: use 1 to 64 letters, digits, and . _ : -")
		}
		j.members(at, takes, option, nil)
		j.kinds(at, option, "", map[string]string{"shipping_rate": "", "shipping_rate_data": ""})
	}
}

// redirectParams go through the allow-list, and with what is not known they could not.
var redirectParams = []string{"success_url", "cancel_url", "return_url"}

// unchecked judges parameters that are sent as they are: none may be one of ours, or
// bring in what is judged elsewhere.
func (j *judge) unchecked(at string, s *shape, params Params, ours map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		path := at + "." + name
		why, isOurs := ours[name]
		switch {
		case isOurs:
			j.add(path, "cannot be set here: %s", why)
		case slices.Contains(redirectParams, name) || name == "ui_mode" || bringsMetadata(name, params[name]):
			j.add(path, "is always checked: write it under params")
		case s.members[name] != nil && j.agrees(path, s.members[name], params[name]):
			j.warn(path, "is known: write it under params, where it is checked")
		}
	}
}

// agrees reports whether nothing is wrong with a value.
func (j *judge) agrees(at string, s *shape, v any) bool {
	alone := &judge{rules: j.rules, root: j.root}
	alone.value(at, s, v)
	return len(alone.findings) == 0
}

func bringsMetadata(name string, v any) bool {
	if name == "metadata" {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for inner, value := range v {
			if bringsMetadata(inner, value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(one any) bool { return bringsMetadata("", one) })
	}
	return false
}
