package billing

import (
	"context"
	"crypto/rand"
	"maps"

	"till/internal/catalog"
	"till/internal/problem"
)

// OpenPortal opens a Billing Portal session for the caller.
func (s *Service) OpenPortal(ctx context.Context, c Caller, req PortalRequest) (PortalSession, error) {
	params, err := s.judgePortal(req)
	if err != nil {
		return PortalSession{}, err
	}
	customer, err := s.o.Customers.Ensure(ctx, c.owner)
	if err != nil {
		return PortalSession{}, err
	}
	params["customer"] = customer.ID
	// A fresh key for each visit: Stripe would replay an earlier URL for a day,
	// and a portal URL is only good for minutes.
	session, err := s.o.Stripe.CreatePortalSession(ctx, NewSession{
		IdempotencyKey: rand.Text(), Params: params, Customer: customer.ID, Livemode: c.owner.Livemode,
	})
	if err != nil {
		return PortalSession{}, err
	}
	s.metrics.sessions.WithLabelValues("portal", "none").Inc()
	return session, nil
}

func (s *Service) judgePortal(req PortalRequest) (catalog.Params, error) {
	var v verdict
	name := "default"
	if req.Portal != nil {
		name = *req.Portal
	}
	portal, ok := s.o.Catalog.Portal(name)
	if !ok {
		v.refuse(problem.CatalogNotAllowed, "/portal", "is not a portal of this service")
	}
	if req.Flow != nil {
		v.refuse(problem.CatalogNotAllowed, "/flow", "is not accepted by this portal")
	}
	params := maps.Clone(portal.Params)
	if params == nil {
		params = catalog.Params{}
	}
	judgeLocale(&v, req.Locale, catalog.IsPortalLocale)
	if req.Locale != nil {
		params["locale"] = *req.Locale
	}
	s.judgeURL(&v, "return_url", req.ReturnURL, portal.Params, params)
	return params, v.err()
}
