//go:build torture && linux

package torture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const stripeKey = "sk_test_torture_canary"

// stripe is a `till sandbox` process.
type stripe struct {
	*child
	base    string
	account string
}

var sandboxLine = regexp.MustCompile(`STRIPE_API_BASE=(http://\S+)`)

func startStripe(ctx context.Context) (*stripe, error) {
	path, err := program.get(ctx)
	if err != nil {
		return nil, err
	}
	c, err := launch("sandbox", []string{}, path, "sandbox", "--addr", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &stripe{child: c}
	said, err := c.await(sandboxLine)
	if err != nil {
		return nil, err
	}
	s.base = said[1]
	var account struct{ ID string }
	if err := s.call(ctx, http.MethodGet, "/v1/account", nil, &account); err != nil {
		return nil, err
	}
	s.account = account.ID
	return s, nil
}

// control is a client for the harness's own calls, apart from the callers'.
var control = &http.Client{Timeout: patience}

// call makes one call to the sandbox, control calls included.
func (s *stripe) call(ctx context.Context, method, path string, body, answer any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/v1/") {
		req.Header.Set("Authorization", "Bearer "+stripeKey)
	}
	res, err := control.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

type object = map[string]any

// fault orders one misbehaviour of the next call of the operation.
func (s *stripe) fault(ctx context.Context, operation string, f object) error {
	order := object{"operation": operation, "count": 1}
	for k, v := range f {
		order[k] = v
	}
	return s.call(ctx, http.MethodPost, "/sandbox/v1/faults", order, nil)
}

// heal ends all faults and returns how many had not struck.
func (s *stripe) heal(ctx context.Context) (unstruck map[string]int, err error) {
	var list struct{ Data []struct{ Kind string } }
	if err := s.call(ctx, http.MethodGet, "/sandbox/v1/faults", nil, &list); err != nil {
		return nil, err
	}
	unstruck = map[string]int{}
	for _, f := range list.Data {
		unstruck[f.Kind]++
	}
	return unstruck, s.call(ctx, http.MethodDelete, "/sandbox/v1/faults", nil, nil)
}

// memory returns how many idempotency keys the sandbox has forgotten before their time: with
// one it could make a customer twice, and nobody but the sandbox would be to blame.
func (s *stripe) memory(ctx context.Context) (forgotten int, err error) {
	var state struct {
		Forgotten int `json:"idempotency_keys_forgotten"`
	}
	err = s.call(ctx, http.MethodGet, "/sandbox/v1/state?limit=0", nil, &state)
	return state.Forgotten, err
}

// advance turns the sandbox's clock.
func (s *stripe) advance(ctx context.Context, d time.Duration) error {
	return s.call(ctx, http.MethodPost, "/sandbox/v1/clock", object{"advance": d.String()}, nil)
}

// now is what the sandbox's clock shows.
func (s *stripe) now(ctx context.Context) (time.Time, error) {
	var state struct{ Now int64 }
	err := s.call(ctx, http.MethodGet, "/sandbox/v1/state?limit=0", nil, &state)
	return time.Unix(state.Now, 0), err
}

// customer is one at Stripe, and whose it says it is.
type customer struct {
	ID       string
	Metadata map[string]string
}

func (c customer) owner() string {
	return strings.Join([]string{c.Metadata["till_issuer"], c.Metadata["till_kind"], c.Metadata["till_subject"]}, " ")
}

// customers lists them all, as an operator would.
func (s *stripe) customers(ctx context.Context) ([]customer, error) {
	var all []customer
	for {
		q := url.Values{"limit": {"100"}}
		if len(all) > 0 {
			q.Set("starting_after", all[len(all)-1].ID)
		}
		var page struct {
			Data    []customer
			HasMore bool `json:"has_more"`
		}
		if err := s.call(ctx, http.MethodGet, "/v1/customers?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = slices.Concat(all, page.Data)
		if !page.HasMore {
			return all, nil
		}
	}
}
