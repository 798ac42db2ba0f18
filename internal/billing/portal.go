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

// OpenPortal opens a Billing Portal session for the caller.
func (s *Service) OpenPortal(ctx context.Context, c Caller, req PortalRequest) (PortalSession, error) {
	return open(ctx, s, c, opening[PortalSession]{
		route: idempotency.Portal, keep: keepPortal, version: s.o.Stripe.PortalVersion(),
		judge: func(context.Context) (order, error) {
			params, policy, err := s.judgePortal(req)
			return order{policy, func(_ context.Context, customer customers.Customer) (filled, error) {
				params["customer"] = customer.ID
				return filled{params: params}, nil
			}}, err
		},
		send: s.sendPortal,
	})
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
