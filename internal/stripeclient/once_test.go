package stripeclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/stripeclient"
)

// What a customer has bought, as the sandbox tells it after a session was paid.
func TestACustomersHistory(t *testing.T) {
	t.Parallel()
	c, do := inSandbox(t)
	created, err := c.CreateCustomer(t.Context(), createCustomer)
	if err != nil {
		t.Fatal(err)
	}
	open := func(key string) string {
		t.Helper()
		session, err := c.CreateCheckoutSession(t.Context(), billing.NewSession{
			IdempotencyKey: key, Customer: created.ID, Params: catalog.Params{
				"mode": "subscription", "customer": created.ID, "success_url": "https://app.example/ok",
				"line_items":        []any{catalog.Params{"price": "price_pro_monthly", "quantity": 1}},
				"metadata":          catalog.Params{"till_plan": "pro", "till_request": key},
				"subscription_data": catalog.Params{"trial_period_days": 14, "metadata": catalog.Params{"till_plan": "pro"}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(session.ID)
	}
	if had, err := c.PastSubscriptions(t.Context(), customers.Customer{ID: created.ID}, true); len(had) != 0 || err != nil {
		t.Errorf("of a new customer: %v, %v", had, err)
	}
	paid, left, closed := open("a"), open("b"), open("c")
	do(http.MethodPost, "/sandbox/v1/checkout/"+paid+"/complete", "{}")
	if err := c.CloseSession(t.Context(), closed, customers.Customer{ID: created.ID}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{paid, closed} {
		if err := c.CloseSession(t.Context(), id, customers.Customer{ID: created.ID}); !facetsOf(err).refused {
			t.Errorf("closing %s again: %v", id, err)
		}
	}
	sessions, err := c.OpenSessions(t.Context(), customers.Customer{ID: created.ID})
	if err != nil || len(sessions) != 1 || sessions[0].ID != left || sessions[0].Metadata["till_request"] != "b" ||
		time.Until(sessions[0].ExpiresAt).Round(time.Hour) != 24*time.Hour {
		t.Errorf("open: %+v, %v", sessions, err)
	}
	want := []billing.PastSubscription{{Status: "trialing", Plan: "pro", Prices: []string{"price_pro_monthly"}, HadTrial: true}}
	for _, ended := range []bool{false, true} {
		if had, err := c.PastSubscriptions(t.Context(), customers.Customer{ID: created.ID}, ended); err != nil || cmp.Diff(want, had) != "" {
			t.Errorf("got %+v, %v, want %+v", had, err, want)
		}
	}
}

var (
	aSubscription = object{
		"id": "sub_1", "object": "subscription", "livemode": false, "customer": "cus_1", "status": "active",
		"items": object{"data": []any{}},
	}
	anExpiredSession = with(checkoutSession, "status", "expired", "url", absent{})
)

// "None" is acted upon, so half an answer is no answer.
func TestHistoryThatIsNotBelieved(t *testing.T) {
	t.Parallel()
	more := func(o object) object { return with(o, "has_more", true) }
	for name, tt := range map[string]struct {
		answer any
		ask    func(*client) error
	}{
		"another customer's subscription": {listOf(with(aSubscription, "customer", "cus_2")), askSubscriptions},
		"a subscription of nobody":        {listOf(with(aSubscription, "customer", nil)), askSubscriptions},
		"a subscription of another mode":  {listOf(with(aSubscription, "livemode", true)), askSubscriptions},
		"a subscription without a status": {listOf(with(aSubscription, "status", absent{})), askSubscriptions},
		"another object":                  {listOf(with(aSubscription, "object", "customer")), askSubscriptions},
		"no list":                         {aSubscription, askSubscriptions},
		"a list without data":             {object{"object": "list", "has_more": false}, askSubscriptions},
		"an empty page with more":         {more(listOf()), askSubscriptions},
		"another customer's session":      {listOf(with(checkoutSession, "customer", "cus_2")), askSessions},
		"a session of another mode":       {listOf(with(checkoutSession, "livemode", true)), askSessions},
		"a session that is not open":      {listOf(with(checkoutSession, "status", "complete")), askSessions},
		"a session without a status":      {listOf(with(checkoutSession, "status", nil)), askSessions},
		"a session that stays open":       {checkoutSession, closeSession},
		"another session":                 {with(anExpiredSession, "id", "cs_test_b"), closeSession},
		"another's session":               {with(anExpiredSession, "customer", "cus_2"), closeSession},
		"a session of live mode":          {with(anExpiredSession, "livemode", true), closeSession},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := onLoopback(t, answers(http.StatusOK, tt.answer), stripeclient.Options{})
			err := tt.ask(c)
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != problem.UpstreamError {
				t.Errorf("got %v, want upstream_error", err)
			}
			if c.metric(t, "till_upstream_contract_violations_total") == 0 {
				t.Error("it is not counted")
			}
		})
	}
}

func askSubscriptions(c *client) error {
	_, err := c.PastSubscriptions(context.Background(), customers.Customer{ID: "cus_1"}, false)
	return err
}

func askSessions(c *client) error {
	_, err := c.OpenSessions(context.Background(), customers.Customer{ID: "cus_1"})
	return err
}

func closeSession(c *client) error {
	return c.CloseSession(context.Background(), "cs_test_a1", customers.Customer{ID: "cus_1"})
}

// All pages are seen, and nothing is sent for what is no id.
func TestHistoryIsSeenWhole(t *testing.T) {
	t.Parallel()
	pages, end := 0, 3
	c, f := onLoopback(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		answers(http.StatusOK, with(listOf(with(aSubscription, "id", fmt.Sprint("sub_", pages))), "has_more", pages < end))(w, r)
	}, stripeclient.Options{})
	had, err := c.PastSubscriptions(t.Context(), customers.Customer{ID: "cus_1"}, true)
	if len(had) != 3 || err != nil {
		t.Errorf("got %v, %v", had, err)
	}
	sent := f.requests()
	for i, want := range []string{"", "sub_1", "sub_2"} {
		q := sent[i].URL.Query()
		if q.Get("customer") != "cus_1" || q.Get("status") != "all" || q.Get("starting_after") != want {
			t.Errorf("page %d: %v", i, q)
		}
	}
	end = 1000
	_, err = c.PastSubscriptions(t.Context(), customers.Customer{ID: "cus_1"}, false)
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != problem.DependencyUnavailable {
		t.Errorf("without an end: got %v", err)
	}
	if n := len(f.requests()); n != 10 {
		t.Errorf("%d requests, want 10", n)
	}
	for _, id := range []string{"", "..", "cus_1/x", "cus_1&x=y"} {
		_, subscriptions := c.PastSubscriptions(t.Context(), customers.Customer{ID: id}, true)
		_, sessions := c.OpenSessions(t.Context(), customers.Customer{ID: id})
		if subscriptions == nil || sessions == nil || c.CloseSession(t.Context(), id, customers.Customer{ID: "cus_1"}) == nil {
			t.Errorf("%q was sent", id)
		}
	}
	if len(f.requests()) != 0 {
		t.Error("something was sent")
	}
}
