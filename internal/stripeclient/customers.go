package stripeclient

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

type customer struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Livemode bool              `json:"livemode"`
	Deleted  bool              `json:"deleted"`
	Metadata map[string]string `json:"metadata"`
}

// CreateCustomer implements customers.Stripe.
func (c *Client) CreateCustomer(ctx context.Context, n customers.NewCustomer) (customers.Created, error) {
	body, err := reencode(n.Params)
	if err != nil {
		return customers.Created{}, problem.New(problem.Internal, err)
	}
	a, err := do(ctx, c, call{
		op: opCustomerCreate, method: http.MethodPost, path: "/v1/customers", form: body.Encode(),
		key: n.IdempotencyKey, version: n.Version,
	}, func(a customer) error { return checkCustomer(a, body, n.Livemode) })
	if err != nil {
		return customers.Created{}, err
	}
	return customers.Created{ID: a.body.ID, Replayed: a.replayed}, nil
}

func checkCustomer(a customer, sent *form.Values, livemode bool) error {
	if err := object(a.ID, a.Object, "customer", a.Livemode, livemode); err != nil {
		return err
	}
	for name, values := range sent.ToValues() {
		key, isMetadata := strings.CutPrefix(name, "metadata[")
		if isMetadata && a.Metadata[strings.TrimSuffix(key, "]")] != values[0] {
			return errMetadata
		}
	}
	return nil
}

// CustomersCreated implements customers.Stripe.
func (c *Client) CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]customers.Listed, bool, error) {
	query := &form.Values{}
	query.Add("created[gte]", strconv.FormatInt(from.Unix(), 10))
	query.Add("created[lte]", strconv.FormatInt(to.Unix()+1, 10))
	query.Add("limit", "100")
	if after != "" {
		query.Add("starting_after", after)
	}
	a, err := do(ctx, c, call{op: opCustomerList, method: http.MethodGet, path: "/v1/customers", form: query.Encode()},
		c.checkCustomers)
	if err != nil {
		return nil, false, err
	}
	listed := make([]customers.Listed, 0, len(a.body.Data))
	for _, one := range a.body.Data {
		listed = append(listed, customers.Listed{ID: one.ID, Metadata: one.Metadata})
	}
	return listed, *a.body.HasMore, nil
}

func (c *Client) checkCustomers(a list[customer]) error {
	return a.check(func(one customer) error {
		// Stripe lists no deleted customers; a page that shrinks to nothing would
		// look like the last one.
		if one.Deleted {
			return errList
		}
		return object(one.ID, one.Object, "customer", one.Livemode, c.Livemode())
	})
}

// CustomerLife implements customers.Stripe.
func (c *Client) CustomerLife(ctx context.Context, id string) (customers.Life, error) {
	if !catalog.ValidID(id) {
		return customers.Alive, problem.New(problem.Internal, errID)
	}
	a, err := do(ctx, c, call{op: opCustomerGet, method: http.MethodGet, path: "/v1/customers/" + id},
		func(a customer) error {
			if a.ID != id {
				return errID
			}
			// Of a deleted customer, only the id and the type are left.
			return kind(a.Object, "customer", a.Livemode || a.Deleted && c.Livemode(), c.Livemode())
		})
	failure, failed := errors.AsType[*Error](err)
	switch {
	case err == nil && a.body.Deleted:
		return customers.Deleted, nil
	case err == nil:
		return customers.Alive, nil
	case failed && failure.Status == http.StatusNotFound && failure.Missing():
		return customers.Missing, nil
	default:
		return customers.Alive, err
	}
}

// The longest e-mail address and name that Stripe takes, in characters.
const (
	maxEmail = 512
	maxName  = 256
)

// UpdateProfile implements customers.Stripe. What is too long for Stripe is left
// out: half an address is another person's.
func (c *Client) UpdateProfile(ctx context.Context, id string, p customers.Profile) error {
	if !catalog.ValidID(id) {
		return problem.New(problem.Internal, errID)
	}
	body := &form.Values{}
	if n := utf8.RuneCountInString(p.Email); n > 0 && n <= maxEmail {
		body.Add("email", p.Email)
	}
	if n := utf8.RuneCountInString(p.Name); n > 0 && n <= maxName {
		body.Add("name", p.Name)
	}
	if body.Empty() {
		return nil
	}
	_, err := do(ctx, c, call{
		op: opCustomerUpdate, method: http.MethodPost, path: "/v1/customers/" + id, form: body.Encode(),
		// The tries of this call are one; the next call may say something else.
		key: rand.Text(), personal: true,
	}, func(a customer) error {
		if a.ID != id || a.Deleted {
			return errID
		}
		return kind(a.Object, "customer", a.Livemode, c.Livemode())
	})
	return err
}
