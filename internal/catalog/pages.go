package catalog

import (
	"cmp"
	"maps"
	"slices"
)

// allUIModes are Stripe's pages in the spelling of before 2026-03-25.
var allUIModes = []string{uiHosted, uiEmbedded, uiCustom}

// renamed are the pages by their spelling from 2026-03-25 on.
var renamed = map[string]string{"hosted_page": uiHosted, "embedded_page": uiEmbedded, "elements": uiCustom}

// spellings are all that ui_mode can be.
func spellings() []string {
	return slices.Concat(allUIModes, slices.Sorted(maps.Keys(renamed)))
}

// PageOf returns the page that a ui_mode of either spelling names; "" is hosted.
func PageOf(spelling string) string {
	return cmp.Or(renamed[spelling], spelling, uiHosted)
}

// UIMode returns the plan's own ui_mode in the spelling of before 2026-03-25: hosted,
// embedded or custom; "hosted" when none is given. It is what a caller gets who does not
// choose.
func (p Plan) UIMode() string {
	mode, _ := p.Params["ui_mode"].(string)
	return PageOf(mode)
}

// Pages returns the ui_modes that a session of the plan can have, in the same spelling:
// the plan's own, or all that a caller may choose from.
func (p Plan) Pages() []string {
	switch {
	case !p.AcceptsField(FieldUIMode):
		return []string{p.UIMode()}
	case len(p.UIModes) == 0:
		return slices.Clone(allUIModes)
	}
	pages := make([]string, len(p.UIModes))
	for i, mode := range p.UIModes {
		pages[i] = PageOf(mode)
	}
	return pages
}

// In returns the plan as it is used for one of its Pages: with that ui_mode, and without
// the parameters that Stripe refuses there.
func (p Plan) In(page string) Plan {
	params := Params{}
	for name, value := range p.Params {
		if allowedOn(name, page) {
			params[name] = value
		}
	}
	if page != p.UIMode() {
		params["ui_mode"] = page
	}
	p.Params = params
	return p
}

// Settled returns the plan as it is sold: with what was not checked, and with the pages
// that a Stripe-Version has spelled out.
func (p Plan) Settled(r Rules) Plan {
	p.Params = over(p.Params, p.Unchecked)
	p.LineItems = slices.Clone(p.LineItems)
	for i, item := range p.LineItems {
		p.LineItems[i].Params, p.LineItems[i].Unchecked = over(item.Params, item.Unchecked), nil
	}
	p.UIModes, p.Unchecked = p.choosable(r), nil
	for i, mode := range p.UIModes {
		p.UIModes[i] = PageOf(mode)
	}
	return p
}

// choosable are the ui_modes a caller may choose from, as they are written: all that the
// version has if the plan names none.
func (p Plan) choosable(r Rules) []string {
	if !p.AcceptsField(FieldUIMode) || len(p.UIModes) > 0 {
		return slices.Clone(p.UIModes)
	}
	return slices.DeleteFunc(p.Pages(), func(page string) bool {
		return page == uiCustom && r.version() < firstCustom
	})
}

// Settled returns the portal with what was not checked.
func (p Portal) Settled() Portal {
	p.Params, p.Unchecked = over(p.Params, p.Unchecked), nil
	return p
}

// over lays more over base: mappings are merged, anything else is replaced.
func over(base, more Params) Params {
	if len(more) == 0 {
		return base
	}
	out := maps.Clone(base)
	if out == nil {
		out = Params{}
	}
	for name, value := range more {
		below, isMap := out[name].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			value = over(below, above)
		}
		out[name] = value
	}
	return out
}
