package catalog

import (
	"maps"
	"slices"
)

// Defaults are Stripe's parameters for every plan and for every portal. A template's own
// parameter of the same name replaces the whole of it.
type Defaults struct {
	Checkout, Portal Params
}

// Check returns what is wrong with the defaults whatever the templates are. The paths
// begin with checkout or portal.
func (d Defaults) Check(r Rules) []Finding {
	var all findings
	for _, part := range []struct {
		name   string
		shape  *shape
		params Params
	}{{"checkout", checkoutShape(), d.Checkout}, {"portal", portalShape(), d.Portal}} {
		j := &judge{rules: r, root: part.shape}
		j.members("params", part.shape, part.params, sessionOurs)
		for _, f := range j.findings {
			f.Path = part.name + f.Path[len("params"):]
			all = append(all, f)
		}
	}
	return all
}

// Plan returns p with the defaults that it has not replaced. Those that its mode or none
// of its pages can have are left out, and so are those that Stripe refuses beside one of
// the plan's own.
func (d Defaults) Plan(p Plan) Plan {
	own := p.Params
	p.Params = maps.Clone(own)
	for _, name := range slices.Sorted(maps.Keys(d.Checkout)) {
		if _, replaced := own[name]; replaced || !p.canHave(name) || clashes(own, name) {
			continue
		}
		if p.Params == nil {
			p.Params = Params{}
		}
		p.Params[name] = d.Checkout[name]
	}
	return p
}

func (p Plan) canHave(name string) bool {
	if modes, gated := modeGates[name]; gated && !slices.Contains(modes, p.Mode) {
		return false
	}
	if name == "automatic_tax" && p.Mode == ModeSetup {
		return false
	}
	return slices.ContainsFunc(p.Pages(), func(page string) bool { return allowedOn(name, page) })
}

func clashes(own Params, name string) bool {
	for _, pair := range pairs {
		for i := range pair {
			if _, there := own[pair[1-i]]; there && pair[i] == name {
				return true
			}
		}
	}
	return false
}

// OfPortal returns p with the defaults that it has not replaced.
func (d Defaults) OfPortal(p Portal) Portal {
	if len(d.Portal) > 0 {
		own := p.Params
		p.Params = maps.Clone(d.Portal)
		maps.Copy(p.Params, own)
	}
	return p
}
