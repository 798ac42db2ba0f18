package billing

import (
	"context"
	"crypto/rand"
	"maps"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

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
	ask, err := s.judgePortal(req)
	if err != nil {
		return PortalSession{}, err
	}
	session, err := withCustomer(ctx, s, c, ask.policy, func(customer customers.Customer) (PortalSession, error) {
		flow, err := s.flowData(ctx, customer, ask.flow)
		if err != nil {
			return PortalSession{}, err
		}
		// A fresh key for each visit: Stripe would replay an earlier URL for a day,
		// and a portal URL is only good for minutes.
		return s.o.Stripe.CreatePortalSession(ctx, NewSession{
			IdempotencyKey: rand.Text(), Params: portalParams(customer, ask, flow),
			Customer: customer.ID, IsAccount: customer.IsAccount, Livemode: c.owner.Livemode,
		})
	})
	if err != nil {
		return PortalSession{}, s.explainPortal(ctx, err, ask)
	}
	s.metrics.sessions.WithLabelValues("portal", "none").Inc()
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
	s.judgeURL(&v, "return_url", req.ReturnURL, portal.Params, ask.set)
	// Who has no customer, or one that is gone, has no subscription either, and a new
	// customer would not have it.
	none := ask.flow.needsSubscription()
	ask.policy = policy{
		refuseMissing: none || portal.MissingCustomer == catalog.Refuse,
		refuseDeleted: none || portal.DeletedCustomer == catalog.Refuse,
	}
	return ask, v.err()
}
