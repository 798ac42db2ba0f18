package stripeclient

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// What a look at a customer's history may cost: beyond, it was not seen whole.
const maxHistoryPages = 10

var errHistory = &problem.Error{
	Code: problem.DependencyUnavailable, RetryAfter: time.Minute,
	Err: errors.New("the customer has more at Stripe than may be looked through"),
}

type pastSubscription struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Livemode   bool              `json:"livemode"`
	Customer   billing.ID        `json:"customer"`
	Account    billing.ID        `json:"customer_account"`
	Status     string            `json:"status"`
	TrialStart *int64            `json:"trial_start"`
	Metadata   map[string]string `json:"metadata"`
	Items      struct {
		Data []struct {
			Price struct {
				ID string `json:"id"`
			} `json:"price"`
		} `json:"data"`
	} `json:"items"`
}

func (s pastSubscription) past() billing.PastSubscription {
	p := billing.PastSubscription{Status: s.Status, Plan: s.Metadata["till_plan"], HadTrial: s.TrialStart != nil}
	for _, item := range s.Items.Data {
		p.Prices = append(p.Prices, item.Price.ID)
	}
	return p
}

// PastSubscriptions implements billing.History.
func (c *Client) PastSubscriptions(ctx context.Context, customer customers.Customer, ended bool) ([]billing.PastSubscription, error) {
	query := func() *form.Values {
		v := &form.Values{}
		if ended {
			v.Add("status", "all")
		}
		return v
	}
	found, err := ofCustomer(ctx, c, call{op: opSubscriptionList, path: "/v1/subscriptions"}, customer, query,
		func(s pastSubscription) (string, error) {
			if !customer.Has(string(s.Customer), string(s.Account)) {
				return "", errCustomer
			}
			if s.Status == "" {
				return "", errObject
			}
			return s.ID, object(s.ID, s.Object, "subscription", s.Livemode, c.Livemode())
		})
	if err != nil {
		return nil, err
	}
	past := make([]billing.PastSubscription, 0, len(found))
	for _, s := range found {
		past = append(past, s.past())
	}
	return past, nil
}

// OpenSessions implements billing.History.
func (c *Client) OpenSessions(ctx context.Context, customer customers.Customer) ([]billing.OpenSession, error) {
	query := func() *form.Values {
		v := &form.Values{}
		v.Add("status", "open")
		return v
	}
	found, err := ofCustomer(ctx, c, call{op: opCheckoutList, path: "/v1/checkout/sessions"}, customer, query,
		func(s billing.CheckoutSession) (string, error) {
			if !customer.Has(string(s.Customer), string(s.CustomerAccount)) {
				return "", errCustomer
			}
			if s.Status == nil || *s.Status != "open" {
				return "", errStatus
			}
			return string(s.ID), object(string(s.ID), s.Object, "checkout.session", s.Livemode, c.Livemode())
		})
	if err != nil {
		return nil, err
	}
	open := make([]billing.OpenSession, 0, len(found))
	for _, s := range found {
		open = append(open, billing.OpenSession{ID: string(s.ID), ExpiresAt: time.Unix(s.ExpiresAt, 0), Metadata: s.Metadata})
	}
	return open, nil
}

// ofCustomer lists all that the customer has. check judges one of it and returns its id.
func ofCustomer[T any](
	ctx context.Context, c *Client, k call, customer customers.Customer, query func() *form.Values, check func(T) (string, error),
) ([]T, error) {
	if !catalog.ValidID(customer.ID) {
		return nil, problem.New(problem.Internal, errCustomer)
	}
	k.version = c.versionFor(k.op, customer.IsAccount)
	var all []T
	for after, page := "", 0; page < maxHistoryPages; page++ {
		params := query()
		params.Add(customer.Param(), customer.ID)
		params.Add("limit", "100")
		if after != "" {
			params.Add("starting_after", after)
		}
		k.method, k.form = http.MethodGet, params.Encode()
		a, err := do(ctx, c, k, func(a list[T]) error {
			return a.check(func(one T) (err error) {
				after, err = check(one)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		all = append(all, a.body.Data...)
		if !*a.body.HasMore {
			return all, nil
		}
	}
	return nil, errHistory
}

// CloseSession implements billing.History.
func (c *Client) CloseSession(ctx context.Context, id string, customer customers.Customer) error {
	if !catalog.ValidID(id) {
		return problem.New(problem.Internal, errID)
	}
	_, err := do(ctx, c, call{
		op: opCheckoutExpire, method: http.MethodPost, path: "/v1/checkout/sessions/" + id + "/expire",
		key: rand.Text(), version: c.versionFor(opCheckoutExpire, customer.IsAccount),
	}, func(a billing.CheckoutSession) error {
		switch {
		case string(a.ID) != id:
			return errID
		case !customer.Has(string(a.Customer), string(a.CustomerAccount)):
			return errCustomer
		case a.Status == nil || *a.Status != "expired":
			return errExpired
		}
		return object(id, a.Object, "checkout.session", a.Livemode, c.Livemode())
	})
	return err
}
