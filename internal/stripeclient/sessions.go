package stripeclient

import (
	"cmp"
	"context"
	_ "embed"
	"maps"
	"net/http"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// CreateCheckoutSession implements billing.Stripe.
func (c *Client) CreateCheckoutSession(ctx context.Context, s billing.NewSession) (billing.CheckoutSession, error) {
	s.Version = cmp.Or(s.Version, c.versionFor(opCheckoutCreate, s.IsAccount))
	s.Params = spelled(s.Params, s.Version)
	body, err := sessionForm(s)
	if err != nil {
		return billing.CheckoutSession{}, problem.New(problem.Internal, err)
	}
	a, err := do(ctx, c, call{
		op: opCheckoutCreate, method: http.MethodPost, path: "/v1/checkout/sessions", form: body,
		key: s.IdempotencyKey, version: s.Version,
	}, func(a billing.CheckoutSession) error { return c.checkNewCheckout(a, s) })
	if err != nil {
		return billing.CheckoutSession{}, err
	}
	a.body.Replayed = a.replayed
	return a.body, nil
}

// sessionForm refuses a session of nobody: Stripe would create it, and an absent
// customer in the answer would be the one expected.
func sessionForm(s billing.NewSession) (string, error) {
	if !catalog.ValidID(s.Customer) {
		return "", errCustomer
	}
	return encode(s.Params)
}

// belongs reports whether the session is the one's for whom it was created.
func belongs(customer, account billing.ID, s billing.NewSession) bool {
	return customers.Customer{ID: s.Customer, IsAccount: s.IsAccount}.Has(string(customer), string(account))
}

// renamedUIModes is the version from which ui_mode has other values: the old ones
// are refused from then on, and the new ones before.
const renamedUIModes = "2026-03-25"

// spelled returns params with ui_mode as the Stripe-Version wants it.
func spelled(params catalog.Params, version string) catalog.Params {
	mode, ok := params["ui_mode"].(string)
	if !ok {
		return params
	}
	spelling := map[string]string{"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}
	if version >= renamedUIModes {
		spelling = map[string]string{"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}
	}
	if other, ok := spelling[mode]; ok {
		params = maps.Clone(params)
		params["ui_mode"] = other
	}
	return params
}

func (c *Client) checkNewCheckout(a billing.CheckoutSession, s billing.NewSession) error {
	if err := object(string(a.ID), a.Object, "checkout.session", a.Livemode, s.Livemode); err != nil {
		return err
	}
	switch {
	case !belongs(a.Customer, a.CustomerAccount, s):
		return errCustomer
	case a.Mode != s.Params["mode"]:
		return errMode
	case a.Status != nil && *a.Status != "open":
		return errStatus
	case a.URL != nil:
		return c.hosts.check(*a.URL)
	case a.ClientSecret == nil || *a.ClientSecret == "":
		return errNoSecret
	default:
		return nil
	}
}

// CheckoutSession implements billing.Stripe.
func (c *Client) CheckoutSession(ctx context.Context, id string, livemode bool) (billing.CheckoutSession, error) {
	if !catalog.ValidID(id) {
		return billing.CheckoutSession{}, problem.New(problem.NotFound, errID)
	}
	a, err := do(ctx, c, call{
		op: opCheckoutGet, method: http.MethodGet, path: "/v1/checkout/sessions/" + id,
	}, func(a billing.CheckoutSession) error {
		if err := object(string(a.ID), a.Object, "checkout.session", a.Livemode, livemode); err != nil {
			return err
		}
		switch {
		case string(a.ID) != id:
			return errID
		case a.URL != nil:
			return c.hosts.check(*a.URL)
		default:
			return nil
		}
	})
	if catalog.IsMissing(err) {
		// Reading nothing takes less time than reading a session of somebody else's, and
		// the caller, who is told the same, has a clock.
		_ = decode(anySession, new(billing.CheckoutSession))
	}
	return a.body, err
}

// anySession is as long as they usually are.
//
//go:embed session.json
var anySession []byte

// CreatePortalSession implements billing.Stripe.
func (c *Client) CreatePortalSession(ctx context.Context, s billing.NewSession) (billing.PortalSession, error) {
	body, err := sessionForm(s)
	if err != nil {
		return billing.PortalSession{}, problem.New(problem.Internal, err)
	}
	a, err := do(ctx, c, call{
		op: opPortalCreate, method: http.MethodPost, path: "/v1/billing_portal/sessions", form: body,
		key: s.IdempotencyKey, version: cmp.Or(s.Version, c.versionFor(opPortalCreate, s.IsAccount)),
	}, func(a billing.PortalSession) error {
		if err := object(string(a.ID), a.Object, "billing_portal.session", a.Livemode, s.Livemode); err != nil {
			return err
		}
		if !belongs(a.Customer, a.CustomerAccount, s) {
			return errCustomer
		}
		if err := checkFlow(a.Flow, s.Params); err != nil {
			return err
		}
		return c.hosts.check(a.URL)
	})
	if err != nil {
		return billing.PortalSession{}, err
	}
	if _, asked := s.Params["flow_data"]; !asked {
		// Nobody asked for one, so nothing of one is passed on.
		a.body.Flow = nil
	}
	a.body.Replayed = a.replayed
	return a.body, nil
}

// CheckoutVersion implements billing.Stripe.
func (c *Client) CheckoutVersion(isAccount bool) string {
	return c.versionFor(opCheckoutCreate, isAccount)
}

// PortalVersion implements billing.Stripe.
func (c *Client) PortalVersion(isAccount bool) string {
	return c.versionFor(opPortalCreate, isAccount)
}
