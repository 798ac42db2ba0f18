package stripeclient

import (
	"context"
	"errors"
	"net/http"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

type subscription struct {
	ID              string                 `json:"id"`
	Object          string                 `json:"object"`
	Livemode        bool                   `json:"livemode"`
	Status          string                 `json:"status"`
	Customer        billing.ID             `json:"customer"`
	CustomerAccount billing.ID             `json:"customer_account"`
	Items           list[subscriptionItem] `json:"items"`
}

type subscriptionItem struct {
	ID    string `json:"id"`
	Price struct {
		ID string `json:"id"`
	} `json:"price"`
	Quantity *int64 `json:"quantity"`
}

func (a subscription) check(livemode bool) error {
	if err := object(a.ID, a.Object, "subscription", a.Livemode, livemode); err != nil {
		return err
	}
	if a.Status == "" {
		return errStatus
	}
	return a.Items.check(func(i subscriptionItem) error {
		if !catalog.ValidID(i.ID) || !catalog.ValidPriceID(i.Price.ID) {
			return errID
		}
		return nil
	})
}

func (a subscription) target() billing.FlowTarget {
	t := billing.FlowTarget{
		ID: billing.ID(a.ID), Customer: a.Customer, CustomerAccount: a.CustomerAccount,
		Status: a.Status, MoreItems: *a.Items.HasMore,
	}
	for _, i := range a.Items.Data {
		t.Items = append(t.Items, billing.FlowTargetItem{ID: billing.ID(i.ID), Price: billing.ID(i.Price.ID), Quantity: i.Quantity})
	}
	return t
}

// FlowTarget implements billing.FlowTargets.
func (c *Client) FlowTarget(ctx context.Context, id string) (billing.FlowTarget, error) {
	if !catalog.ValidID(id) {
		return billing.FlowTarget{}, problem.New(problem.Internal, errID)
	}
	a, err := do(ctx, c, call{op: opSubscriptionGet, method: http.MethodGet, path: "/v1/subscriptions/" + id},
		func(a subscription) error {
			if a.ID != id {
				return errID
			}
			return a.check(c.Livemode())
		})
	if err != nil {
		return billing.FlowTarget{}, err
	}
	return a.body.target(), nil
}

// FlowTargetsOf implements billing.FlowTargets.
func (c *Client) FlowTargetsOf(ctx context.Context, customer customers.Customer) ([]billing.FlowTarget, bool, error) {
	if !catalog.ValidID(customer.ID) {
		return nil, false, problem.New(problem.Internal, errCustomer)
	}
	a, err := c.subscriptionsOf(ctx, customer, "100")
	if err != nil {
		return nil, false, err
	}
	targets := make([]billing.FlowTarget, 0, len(a.body.Data))
	for _, one := range a.body.Data {
		targets = append(targets, one.target())
	}
	return targets, *a.body.HasMore, nil
}

func (c *Client) subscriptionsOf(ctx context.Context, customer customers.Customer, limit string) (answer[list[subscription]], error) {
	query := &form.Values{}
	query.Add(customer.Param(), customer.ID)
	query.Add("limit", limit)
	return do(ctx, c, call{
		op: opSubscriptionList, method: http.MethodGet, path: "/v1/subscriptions", form: query.Encode(),
		version: c.versionFor(opSubscriptionList, customer.IsAccount),
	}, func(a list[subscription]) error {
		return a.check(func(one subscription) error {
			if !customer.Has(string(one.Customer), string(one.CustomerAccount)) {
				return errCustomer
			}
			return one.check(c.Livemode())
		})
	})
}

// AccountLife implements customers.ImportStripe, by a read that names the account: what
// reads accounts themselves belongs to another API, and to a key that may do more.
func (c *Client) AccountLife(ctx context.Context, id string) (customers.Life, error) {
	if !catalog.ValidID(id) {
		return customers.Alive, problem.New(problem.Internal, errID)
	}
	_, err := c.subscriptionsOf(ctx, customers.Customer{ID: id, IsAccount: true}, "1")
	if failure, failed := errors.AsType[*Error](err); failed && failure.Missing() && failure.param == "customer_account" {
		return customers.Missing, nil
	}
	return customers.Alive, err
}

type portalConfiguration struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Livemode  bool   `json:"livemode"`
	Active    bool   `json:"active"`
	IsDefault bool   `json:"is_default"`
	Features  map[string]struct {
		Enabled bool `json:"enabled"`
	} `json:"features"`
}

func (a portalConfiguration) check(livemode bool) error {
	return object(a.ID, a.Object, "billing_portal.configuration", a.Livemode, livemode)
}

func (a portalConfiguration) known() billing.PortalConfiguration {
	out := billing.PortalConfiguration{ID: a.ID, Active: a.Active, Features: map[string]bool{}}
	for name, f := range a.Features {
		out.Features[name] = f.Enabled
	}
	return out
}

// noConfiguration says that the account has no default portal configuration.
type noConfiguration struct{}

// Error implements error.
func (noConfiguration) Error() string { return "no default portal configuration" }

// Missing implements catalog.Missing.
func (noConfiguration) Missing() bool { return true }

// PortalConfiguration implements billing.PortalConfigurations.
func (c *Client) PortalConfiguration(ctx context.Context, id string) (billing.PortalConfiguration, error) {
	if id == "" {
		return c.defaultConfiguration(ctx)
	}
	if !catalog.ValidID(id) {
		return billing.PortalConfiguration{}, problem.New(problem.Internal, errID)
	}
	a, err := do(ctx, c, call{op: opConfigurationGet, method: http.MethodGet, path: "/v1/billing_portal/configurations/" + id},
		func(a portalConfiguration) error {
			if a.ID != id {
				return errID
			}
			return a.check(c.Livemode())
		})
	if err != nil {
		return billing.PortalConfiguration{}, err
	}
	return a.body.known(), nil
}

func (c *Client) defaultConfiguration(ctx context.Context) (billing.PortalConfiguration, error) {
	query := &form.Values{}
	query.Add("is_default", "true")
	query.Add("limit", "1")
	a, err := do(ctx, c, call{op: opConfigurationList, method: http.MethodGet, path: "/v1/billing_portal/configurations", form: query.Encode()},
		func(a list[portalConfiguration]) error {
			return a.check(func(one portalConfiguration) error {
				if !one.IsDefault {
					return errObject
				}
				return one.check(c.Livemode())
			})
		})
	if err != nil {
		return billing.PortalConfiguration{}, err
	}
	if len(a.body.Data) == 0 {
		return billing.PortalConfiguration{}, problem.New(problem.NotFound, noConfiguration{})
	}
	return a.body.Data[0].known(), nil
}

// checkFlow wants the flow that was asked for, about the subscription that was named:
// another owner's would be shown to this one.
func checkFlow(got *billing.PortalFlow, sent catalog.Params) error {
	data, ok := sent["flow_data"].(catalog.Params)
	if !ok {
		return nil
	}
	kind, _ := data["type"].(string)
	part, _ := data[kind].(catalog.Params)
	want, _ := part["subscription"].(string)
	if got == nil || got.Type != kind || string(got.Subscription()) != want {
		return errFlow
	}
	return nil
}
