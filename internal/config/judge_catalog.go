package config

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"till/internal/catalog"
)

// The operations that templates are for, by the names that stripe.versions knows.
const (
	createCheckout = "checkout.sessions.create"
	createPortal   = "billing_portal.sessions.create"
)

// templateName: names are parts of metrics, metadata and JSON.
var templateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// rules are what templates are judged by: the version their sessions are created with.
func (l *loader) rules(operation string) catalog.Rules {
	version := cmp.Or(l.doc.Stripe.Versions[operation], l.doc.Stripe.Version)
	if !versionShape.MatchString(version) {
		version = "" // it has a problem of its own
	}
	return catalog.Rules{Version: version, Now: time.Now()}
}

func (l *loader) judgeDefaults() catalog.Defaults {
	defaults := catalog.Defaults(l.doc.Defaults)
	l.findings(defaults.Check(l.rules(createCheckout)), func(path string) string { return join("defaults", path) })
	return defaults
}

func (l *loader) judgePlans(defaults catalog.Defaults) []catalog.Plan {
	var all []catalog.Plan
	for _, name := range sortedKeys(l.doc.Plans) {
		plan := defaults.Plan(l.doc.Plans[name].catalog(name))
		findings := plan.Check(l.rules(createCheckout))
		if l.spoiled("plans." + name + ".mode") {
			findings = nil // nearly all of them depend on the mode
		}
		l.judgeTemplate("plans."+name, name, findings)
		if l.touched("plans." + name + ".params_unchecked") {
			plan.Unchecked = nil // it would only be found once more
		}
		all = append(all, plan.Settled(l.rules(createCheckout)))
	}
	return all
}

func (l *loader) judgePortals(defaults catalog.Defaults) []catalog.Portal {
	bodies := map[string]portalBody{}
	if len(defaults.Portal) > 0 {
		bodies["default"] = portalBody{} // it exists without being written
	}
	maps.Copy(bodies, l.doc.Portals)
	var all []catalog.Portal
	for _, name := range sortedKeys(bodies) {
		body := bodies[name]
		portal := defaults.OfPortal(catalog.Portal{
			Name: name, Params: body.Params, Unchecked: body.Unchecked, Flows: body.Flows, Coupons: body.Coupons,
			MissingCustomer: body.MissingCustomer, DeletedCustomer: body.DeletedCustomer,
		})
		l.judgeTemplate("portals."+name, name, portal.Check(l.rules(createPortal)))
		all = append(all, portal.Settled())
	}
	return all
}

// judgeNames wants a portal's flows to find one price by each name.
func (l *loader) judgeNames(plans []catalog.Plan, portals []catalog.Portal) {
	flows := func(p catalog.Portal) bool { return slices.Contains(p.Flows, "subscription_update_confirm") }
	if slices.ContainsFunc(portals, flows) {
		l.findings(catalog.Ambiguous(plans), func(path string) string { return path })
	}
}

// judgeTemplate reports what the catalogue finds, below path, and then the name: the
// findings do not follow from it.
func (l *loader) judgeTemplate(path, name string, findings []catalog.Finding) {
	l.findings(findings, func(below string) string { return l.written(path, below) })
	if !templateName.MatchString(name) && !l.spoiled(path) {
		l.note(path, "is not a name for a template", "use 1 to 64 lower-case letters, digits, - and _, beginning with a letter or digit")
	}
}

// findings reports what the catalogue finds, which says in its own text how to put it
// right. One finding does not follow from another, but all may from what was refused
// before; of several at one place the first counts.
func (l *loader) findings(all []catalog.Finding, place func(path string) string) {
	spoiled := map[string]bool{}
	for _, f := range all {
		path := place(f.Path)
		spoiled[path] = l.spoiled(path)
	}
	for _, f := range all {
		switch path := place(f.Path); {
		case spoiled[path]:
		case f.Warning:
			l.warn(path, f.Text)
		default:
			l.refuse(path, f.Text, "")
			spoiled[path] = true
		}
	}
}

// written is where a member of the template at path stands: a parameter that the
// template does not have itself is a default.
func (l *loader) written(path, below string) string {
	name, isParam := strings.CutPrefix(below, "params.")
	name, deeper, _ := strings.Cut(name, ".")
	section := map[bool]string{true: "defaults.checkout", false: "defaults.portal"}[strings.HasPrefix(path, "plans.")]
	if isParam && !l.known(join(path, "params."+name)) && l.known(join(section, name)) {
		return strings.TrimSuffix(join(join(section, name), deeper), ".")
	}
	return join(path, below)
}

func (b planBody) catalog(name string) catalog.Plan {
	plan := catalog.Plan{
		Name: name, Mode: catalog.Mode(b.Mode), Params: b.Params, Once: b.Once, TrialOnce: b.TrialOnce,
		Currencies: b.Currencies, UIModes: b.UIModes, ShippingOptions: b.ShippingOptions,
		ExpiresAfter: b.ExpiresAfter, Unchecked: b.Unchecked,
	}
	for _, item := range b.LineItems {
		plan.LineItems = append(plan.LineItems, catalog.LineItem{
			Price:    catalog.PriceRef{ID: item.Price.ID, LookupKey: item.Price.LookupKey},
			Name:     item.Name,
			Quantity: item.Quantity.catalog(),
			Params:   item.Params, Unchecked: item.Unchecked,
		})
	}
	for _, field := range b.Accepts {
		plan.Accepts = append(plan.Accepts, catalog.Field(field))
	}
	return plan
}
