package config

import (
	"regexp"

	"till/internal/catalog"
)

// templateName: names are parts of metrics, metadata and JSON.
var templateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (l *loader) judgePlans() []catalog.Plan {
	var all []catalog.Plan
	for _, name := range sortedKeys(l.doc.Plans) {
		plan := l.doc.Plans[name].catalog(name)
		findings := plan.Check()
		if l.spoiled("plans." + name + ".mode") {
			findings = nil // nearly all of them depend on the mode
		}
		l.judgeTemplate("plans."+name, name, findings)
		all = append(all, plan)
	}
	return all
}

func (l *loader) judgePortals() []catalog.Portal {
	var all []catalog.Portal
	for _, name := range sortedKeys(l.doc.Portals) {
		body := l.doc.Portals[name]
		portal := catalog.Portal{
			Name: name, Params: body.Params, Flows: body.Flows, Coupons: body.Coupons,
			MissingCustomer: body.MissingCustomer, DeletedCustomer: body.DeletedCustomer,
		}
		l.judgeTemplate("portals."+name, name, portal.Check())
		all = append(all, portal)
	}
	return all
}

// judgeTemplate reports what the catalogue finds, below path. Its findings say how
// to put them right in their own text.
func (l *loader) judgeTemplate(path, name string, findings []catalog.Finding) {
	if !templateName.MatchString(name) {
		l.rule(path, "is not a name for a template", "use 1 to 64 lower-case letters, digits, - and _, beginning with a letter or digit")
	}
	for _, f := range findings {
		l.rule(join(path, f.Path), f.Text, "")
	}
}

func (b planBody) catalog(name string) catalog.Plan {
	plan := catalog.Plan{
		Name: name, Mode: catalog.Mode(b.Mode), Params: b.Params, Once: b.Once, TrialOnce: b.TrialOnce,
		Currencies: b.Currencies, UIModes: b.UIModes, ShippingOptions: b.ShippingOptions,
	}
	for _, item := range b.LineItems {
		plan.LineItems = append(plan.LineItems, catalog.LineItem{
			Price:    catalog.PriceRef{ID: item.Price.ID, LookupKey: item.Price.LookupKey},
			Name:     item.Name,
			Quantity: item.Quantity.catalog(),
			Params:   item.Params,
		})
	}
	for _, field := range b.Accepts {
		plan.Accepts = append(plan.Accepts, catalog.Field(field))
	}
	return plan
}
