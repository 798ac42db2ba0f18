package stripeclient

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/catalog"
	"till/internal/problem"
)

type price struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Active     bool   `json:"active"`
	Livemode   bool   `json:"livemode"`
	LookupKey  string `json:"lookup_key"`
	Currency   string `json:"currency"`
	UnitAmount *int64 `json:"unit_amount"`
	Recurring  *struct {
		UsageType     string `json:"usage_type"`
		Interval      string `json:"interval"`
		IntervalCount int64  `json:"interval_count"`
	} `json:"recurring"`
}

func (p price) check(livemode bool) error {
	if !catalog.ValidPriceID(p.ID) {
		return errID
	}
	return kind(p.Object, "price", p.Livemode, livemode)
}

func (p price) known() catalog.Price {
	known := catalog.Price{
		ID: p.ID, LookupKey: p.LookupKey, Active: p.Active, Livemode: p.Livemode, Currency: p.Currency,
		HasUnitAmount: p.UnitAmount != nil, Recurring: p.Recurring != nil,
	}
	if p.UnitAmount != nil {
		known.UnitAmount = *p.UnitAmount
	}
	if r := p.Recurring; r != nil {
		known.Metered, known.Interval, known.IntervalCount = r.UsageType == "metered", r.Interval, r.IntervalCount
	}
	return known
}

// PriceByID implements catalog.PriceSource.
func (c *Client) PriceByID(ctx context.Context, id string) (catalog.Price, error) {
	if !catalog.ValidPriceID(id) {
		return catalog.Price{}, problem.New(problem.Internal, errID)
	}
	a, err := do(ctx, c, call{op: opPriceRetrieve, method: http.MethodGet, path: "/v1/prices/" + id},
		func(a price) error {
			if a.ID != id {
				return errID
			}
			return a.check(c.Livemode())
		})
	if err != nil {
		return catalog.Price{}, err
	}
	return a.body.known(), nil
}

// PricesByLookupKey implements catalog.PriceSource.
func (c *Client) PricesByLookupKey(ctx context.Context, keys []string) ([]catalog.Price, error) {
	query := &form.Values{}
	for i, key := range keys {
		query.Add("lookup_keys["+strconv.Itoa(i)+"]", key)
	}
	query.Add("active", "true")
	query.Add("limit", "100")
	a, err := do(ctx, c, call{op: opPriceList, method: http.MethodGet, path: "/v1/prices", form: query.Encode()},
		func(a list[price]) error {
			return a.check(func(p price) error { return p.check(c.Livemode()) })
		})
	if err != nil {
		return nil, err
	}
	var prices []catalog.Price
	for _, p := range a.body.Data {
		if slices.Contains(keys, p.LookupKey) {
			prices = append(prices, p.known())
		}
	}
	return prices, nil
}

type account struct {
	ID     string `json:"id"`
	Object string `json:"object"`
}

// AccountID implements billing.Stripe.
func (c *Client) AccountID(ctx context.Context) (string, error) {
	a, err := do(ctx, c, call{op: opAccount, method: http.MethodGet, path: "/v1/account"},
		func(a account) error {
			// An account has no mode of its own.
			return object(a.ID, a.Object, "account", false, false)
		})
	return a.body.ID, err
}

type promotionCode struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Livemode bool   `json:"livemode"`
	Active   bool   `json:"active"`
	Code     string `json:"code"`
}

// noPromotionCode says that no active promotion code is known by a name.
type noPromotionCode struct{}

// Error implements error.
func (noPromotionCode) Error() string { return "no active promotion code of that name" }

// Missing implements catalog.Missing.
func (noPromotionCode) Missing() bool { return true }

// PromotionCodeID implements billing.Stripe.
func (c *Client) PromotionCodeID(ctx context.Context, code string) (string, error) {
	query := &form.Values{}
	query.Add("code", code)
	query.Add("active", "true")
	query.Add("limit", "1")
	a, err := do(ctx, c, call{op: opPromotionList, method: http.MethodGet, path: "/v1/promotion_codes", form: query.Encode()},
		func(a list[promotionCode]) error {
			return a.check(func(p promotionCode) error {
				// Customers may type a code in any case.
				if !p.Active || !strings.EqualFold(p.Code, code) {
					return errCode
				}
				return object(p.ID, p.Object, "promotion_code", p.Livemode, c.Livemode())
			})
		})
	if err != nil {
		return "", err
	}
	if len(a.body.Data) == 0 {
		return "", problem.New(problem.NotFound, noPromotionCode{})
	}
	return a.body.Data[0].ID, nil
}
