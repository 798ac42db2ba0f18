package billing

import (
	"context"
	"maps"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/problem"
)

// keepPortal is how long a key stands for its session: its URL is for one visit, and
// only good for minutes.
const keepPortal = 5 * time.Minute

// portalAsk is what a caller asked for, after it was judged.
type portalAsk struct {
	portal catalog.Portal
	policy policy
	// set are Stripe parameters that replace the template's.
	set  catalog.Params
	flow flowAsk
}

// OpenPortal opens a Billing Portal session for the caller.
func (s *Service) OpenPortal(ctx context.Context, c Caller, req PortalRequest) (PortalSession, error) {
	var asked *portalAsk
	session, err := open(ctx, s, c, opening[PortalSession]{
		route: idempotency.Portal, keep: keepPortal, version: s.o.Stripe.PortalVersion,
		judge: func(context.Context) (order, error) {
			ask, err := s.judgePortal(req)
			asked = &ask
			return order{ask.policy, func(ctx context.Context, customer customers.Customer) (filled, error) {
				flow, err := s.flowData(ctx, customer, ask.flow)
				return filled{params: portalParams(customer, ask, flow)}, err
			}}, err
		},
		send: s.sendPortal,
	})
	if err == nil {
		return session, nil
	}
	if asked == nil {
		// A repeat was not judged again; what it asks for is only named.
		ask, _ := s.judgePortal(req)
		asked = &ask
	}
	return PortalSession{}, s.explainPortal(ctx, err, *asked)
}

func (s *Service) sendPortal(ctx context.Context, n NewSession, repeated bool) (PortalSession, error) {
	session, err := s.o.Stripe.CreatePortalSession(ctx, n)
	if err != nil {
		return PortalSession{}, err
	}
	session.Replayed = session.Replayed && repeated
	if !session.Replayed {
		s.metrics.sessions.WithLabelValues("portal", "none").Inc()
	}
	return session, nil
}

// portalParams fills the portal's template, which is never written to.
func portalParams(customer customers.Customer, ask portalAsk, flow catalog.Params) catalog.Params {
	p := maps.Clone(ask.portal.Params)
	if p == nil {
		p = catalog.Params{}
	}
	maps.Copy(p, ask.set)
	p[customer.Param()] = customer.ID
	if flow != nil {
		p["flow_data"] = flow
	}
	return p
}

func (s *Service) judgePortal(req PortalRequest) (portalAsk, error) {
	var v verdict
	name := "default"
	if req.Portal != nil {
		name = *req.Portal
	}
	portal, ok := s.o.Catalog.Portal(name)
	if !ok {
		v.refuse(problem.CatalogNotAllowed, "/portal", "is not a portal of this service")
	}
	ask := portalAsk{portal: portal, set: catalog.Params{}}
	ask.flow = s.judgeFlow(&v, portal, req.Flow)
	judgeLocale(&v, req.Locale, catalog.IsPortalLocale)
	if req.Locale != nil {
		ask.set["locale"] = *req.Locale
	}
	if url := s.judgeURL(&v, "return_url", req.ReturnURL, portal.Params); url != "" {
		ask.set["return_url"] = url
	}
	// Who has no customer, or one that is gone, has no subscription either, and a new
	// customer would not have it.
	none := ask.flow.needsSubscription()
	ask.policy = policy{
		refuseMissing: none || portal.MissingCustomer == catalog.Refuse,
		refuseDeleted: none || portal.DeletedCustomer == catalog.Refuse,
	}
	return ask, v.err()
}
