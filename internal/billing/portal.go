package billing

import (
	"context"
	"crypto/rand"
	"maps"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// OpenPortal opens a Billing Portal session for the caller.
func (s *Service) OpenPortal(ctx context.Context, c Caller, req PortalRequest) (PortalSession, error) {
	params, policy, err := s.judgePortal(req)
	if err != nil {
		return PortalSession{}, err
	}
	session, err := withCustomer(ctx, s, c, policy, func(customer customers.Customer) (PortalSession, error) {
		params["customer"] = customer.ID
		// A fresh key for each visit: Stripe would replay an earlier URL for a day,
		// and a portal URL is only good for minutes.
		return s.o.Stripe.CreatePortalSession(ctx, NewSession{
			IdempotencyKey: rand.Text(), Params: params, Customer: customer.ID, Livemode: c.owner.Livemode,
		})
	})
	if err != nil {
		return PortalSession{}, err
	}
	s.metrics.sessions.WithLabelValues("portal", "none").Inc()
	return session, nil
}

func (s *Service) judgePortal(req PortalRequest) (catalog.Params, policy, error) {
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
	return params, policy{
		refuseMissing: portal.MissingCustomer == catalog.Refuse, refuseDeleted: portal.DeletedCustomer == catalog.Refuse,
	}, v.err()
}
