package billing

import (
	"context"
	"fmt"

	"till/internal/catalog"
)

// checkPortals returns what Stripe says against the portal templates. A configuration
// that a template names must be there, as a price must; without a default one only
// that portal stays shut, so the service starts all the same. What cannot be read is
// not known to be wrong: nothing else waits for it.
func (g *Gate) checkPortals(ctx context.Context) []catalog.Finding {
	var findings []catalog.Finding
	add := func(path, format string, args ...any) {
		findings = append(findings, catalog.Finding{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	for _, portal := range g.o.Catalog.Portals() {
		id, at := portal.Configuration(), "portals."+portal.Name+".params.configuration"
		if id != "" && !catalog.ValidID(id) {
			add(at, "%q is not the id of a portal configuration", id)
			continue
		}
		config, err := g.o.Stripe.PortalConfiguration(ctx, id)
		missing := catalog.IsMissing(err)
		switch {
		case isPermissionDenied(err):
			g.noteUnreadable(ctx)
			return findings
		case err != nil && !missing:
			g.o.Logger.WarnContext(ctx, "a portal configuration could not be read", "portal", portal.Name, "error", err)
		case id == "" && (missing || !config.Active):
			findings = append(findings, catalog.Finding{Path: "portals." + portal.Name, Text: noDefault(portal), Warning: true})
		case missing:
			add(at, "Stripe has no portal configuration %q in this account and mode", id)
		case !config.Active:
			add(at, "portal configuration %q is not active", id)
		default:
			findings = append(findings, flowsOff(portal, config)...)
		}
	}
	return findings
}

// flowsOff warns of flows that Stripe will refuse to open.
func flowsOff(portal catalog.Portal, config PortalConfiguration) []catalog.Finding {
	var findings []catalog.Finding
	for i, flow := range portal.Flows {
		if feature := catalog.FlowFeature(flow); !config.Features[feature] {
			findings = append(findings, catalog.Finding{
				Path: fmt.Sprintf("portals.%s.flows.%d", portal.Name, i), Warning: true,
				Text: fmt.Sprintf("Stripe will refuse %s: portal configuration %q does not enable %s", flow, config.ID, feature),
			})
		}
	}
	return findings
}

// noteUnreadable: the check is a help, and a key that may only do what is needed is a
// greater one.
func (g *Gate) noteUnreadable(ctx context.Context) {
	if !g.noted {
		g.o.Logger.InfoContext(ctx, "the key may not read portal configurations, so they are not checked")
	}
	g.noted = true
}
