package stripeclient_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/stripeclient"
)

var (
	itemObject = object{
		"id": "li_1", "object": "item", "description": "Pro", "quantity": 3, "currency": "eur",
		"amount_subtotal": 6000, "amount_discount": 500, "amount_tax": 0, "amount_total": 5500, "price": priceObject,
	}
	subscriptionItem  = object{"id": "si_1", "object": "subscription_item", "quantity": 3, "price": priceObject, "current_period_end": 2000}
	shownSubscription = object{
		"id": "sub_1", "object": "subscription", "livemode": false, "customer": "cus_1", "status": "active", "created": 1000,
		"cancel_at": nil, "cancel_at_period_end": true, "plan": object{"id": "price_1"}, "metadata": object{"till_plan": "pro"},
		"items": listOf(subscriptionItem),
	}
	expiredSession = with(checkoutSession, "status", "expired", "url", absent{})
)

var (
	listing = billing.Listing{Customer: customers.Customer{ID: "cus_1"}, Params: catalog.Params{"limit": int64(7)}}
	update  = billing.Change{
		IdempotencyKey: "key-1", Session: "cs_test_a1", Customer: customers.Customer{ID: "cus_1"}, Params: catalog.Params{"metadata": catalog.Params{"a": ""}},
	}
	expiry = billing.Change{IdempotencyKey: "key-1", Session: "cs_test_a1", Customer: customers.Customer{ID: "cus_1"}}
)

func foreignSessions() []object {
	return []object{
		with(checkoutSession, "customer", "cus_"+foreign), with(checkoutSession, "customer", nil), with(checkoutSession, "customer", absent{}),
	}
}

func foreignSubscriptions() []object {
	return []object{
		with(shownSubscription, "customer", "cus_"+foreign), with(shownSubscription, "customer", nil),
		with(shownSubscription, "items", absent{}), with(shownSubscription, "items", object{"object": "list", "data": []any{}}),
		with(shownSubscription, "items", listOf(with(subscriptionItem, "id", "si/"+foreign))),
	}
}

// itemChanges are without the mode, which a line item does not have.
func itemChanges() [][]any {
	return [][]any{
		{"object", absent{}},
		{"data", nil},
		{"has_more", nil},
		{"data", []any{}, "has_more", true},
		{"data", []any{itemObject, with(itemObject, "id", absent{})}},
		{"data", []any{with(itemObject, "id", "li/"+foreign)}},
		{"data", []any{with(itemObject, "object", "line_item")}},
	}
}

func TestExistingObjectsOnTheWire(t *testing.T) {
	t.Parallel()
	full := listing
	full.Params = catalog.Params{
		"limit": int64(100), "ending_before": "cs_test_z", "status": "open", "created": catalog.Params{"gte": int64(1), "lt": int64(2)},
	}
	tests := []struct {
		name              string
		call              func(*client) error
		answer            any
		method, uri, body string
	}{
		{
			"list", func(c *client) error { _, err := c.CheckoutSessions(t.Context(), full); return err },
			listOf(checkoutSession), http.MethodGet,
			"/v1/checkout/sessions?created[gte]=1&created[lt]=2&customer=cus_1&ending_before=cs_test_z&limit=100&status=open", "",
		},
		{
			"a moment", func(c *client) error {
				_, err := c.CheckoutSessions(t.Context(), billing.Listing{Customer: customers.Customer{ID: "cus_1"}, Params: catalog.Params{"created": int64(5)}})
				return err
			},
			listOf(), http.MethodGet, "/v1/checkout/sessions?created=5&customer=cus_1", "",
		},
		{
			"the customer is no filter", func(c *client) error {
				_, err := c.Subscriptions(t.Context(), billing.Listing{Customer: customers.Customer{ID: "cus_1"}, Params: catalog.Params{"customer": "cus_2"}})
				return err
			},
			listOf(shownSubscription), http.MethodGet, "/v1/subscriptions?customer=cus_1", "",
		},
		{
			"items", func(c *client) error {
				_, err := c.CheckoutLineItems(t.Context(), "cs_test_a1", catalog.Params{"starting_after": "li_0"})
				return err
			},
			listOf(itemObject), http.MethodGet, "/v1/checkout/sessions/cs_test_a1/line_items?starting_after=li_0", "",
		},
		{
			"subscription", func(c *client) error { _, _, err := c.SubscriptionOwner(t.Context(), "sub_1", false); return err },
			shownSubscription, http.MethodGet, "/v1/subscriptions/sub_1", "",
		},
		{
			"expire", func(c *client) error { _, err := c.ExpireCheckoutSession(t.Context(), expiry); return err },
			expiredSession, http.MethodPost, "/v1/checkout/sessions/cs_test_a1/expire", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, stripe := onLoopback(t, answers(http.StatusOK, tt.answer), stripeclient.Options{})
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			got := only(t, stripe)
			if got.Method != tt.method || got.RequestURI != tt.uri || got.body != tt.body {
				t.Errorf("sent %s %s\n%s\nwant %s %s\n%s", got.Method, got.RequestURI, got.body, tt.method, tt.uri, tt.body)
			}
			wantHeaders(t, got)
		})
	}
}

// An update needs a version that has it, and one that has its parameters.
func TestUpdatesHaveTheVersionTheyNeed(t *testing.T) {
	t.Parallel()
	metadata, collected := catalog.Params{"a": "b"}, catalog.Params{"shipping_details": catalog.Params{"name": "Ann"}}
	shipping, items := []any{catalog.Params{"shipping_rate": "shr_1"}}, []any{catalog.Params{"price": "price_1"}}
	for name, tt := range map[string]struct {
		configured string
		params     catalog.Params
		want       string
	}{
		"metadata":                   {"", catalog.Params{"metadata": metadata}, "2024-09-30.acacia"},
		"collected information":      {"", catalog.Params{"metadata": metadata, "collected_information": collected}, "2025-02-24.acacia"},
		"shipping options":           {"", catalog.Params{"collected_information": collected, "shipping_options": shipping}, "2025-03-31.basil"},
		"line items":                 {"", catalog.Params{"line_items": items, "metadata": metadata}, "2025-12-15.clover"},
		"an older one is not enough": {"2024-10-28.acacia", catalog.Params{"shipping_options": shipping}, "2025-03-31.basil"},
		"the configured one is":      {"2026-08-26.dahlia", catalog.Params{"line_items": items}, "2026-08-26.dahlia"},
	} {
		c, stripe := onLoopback(t, answers(http.StatusOK, checkoutSession), stripeclient.Options{Version: tt.configured})
		change := update
		change.Params = tt.params
		if _, err := c.UpdateCheckoutSession(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if got := only(t, stripe).Header["Stripe-Version"]; !cmp.Equal(got, []string{tt.want}) {
			t.Errorf("%s: Stripe-Version is %q, want %q", name, got, tt.want)
		}
	}
}

// ui_mode is spelled as by the configured version, whichever version an answer has.
func TestAnswersToUpdatesAreSpelledAsOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ configured, answered, want string }{
		{"", "hosted", "hosted"},
		{"", "embedded_page", "embedded"},
		{"", "elements", "custom"},
		{"2026-08-26.dahlia", "hosted", "hosted_page"},
		{"2026-08-26.dahlia", "custom", "elements"},
		{"2026-08-26.dahlia", "embedded_page", "embedded_page"},
		{"", "something_new", "something_new"},
	} {
		c, _ := onLoopback(t, answers(http.StatusOK, with(checkoutSession, "ui_mode", tt.answered)), stripeclient.Options{Version: tt.configured})
		got, err := c.UpdateCheckoutSession(t.Context(), update)
		if err != nil || got.UIMode == nil || *got.UIMode != tt.want {
			t.Errorf("%s as %q: %v, %v", tt.answered, tt.configured, got.UIMode, err)
		}
	}
}

func TestWhatIsHandedOnOfExistingObjects(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, nil, stripeclient.Options{})
	stripe.set(answers(http.StatusOK, with(listOf(itemObject, with(itemObject, "price", object{"id": "price_2"}, "quantity", nil)), "has_more", true)))
	items, err := c.CheckoutLineItems(t.Context(), "cs_test_a1", nil)
	first := billing.LineItem{
		ID: "li_1", Object: "item", Description: new("Pro"), Quantity: new(int64(3)), Currency: new("eur"),
		AmountSubtotal: 6000, AmountDiscount: 500, AmountTotal: 5500, PriceID: "price_1",
	}
	second := first
	second.PriceID, second.Quantity = "price_2", nil
	if diff := cmp.Diff(billing.List[billing.LineItem]{Object: "list", HasMore: true, Data: []billing.LineItem{first, second}}, items); diff != "" || err != nil {
		t.Errorf("items, %v (-want +got):\n%s", err, diff)
	}

	// The period's end is on the subscription before 2025-03-31.basil and on its items
	// since then.
	old := with(shownSubscription, "id", "sub_2", "current_period_end", 3000, "metadata", object{}, "items", listOf())
	two := with(shownSubscription, "id", "sub_3", "items", listOf(with(subscriptionItem, "current_period_end", 2500), with(subscriptionItem, "quantity", nil)))
	stripe.set(answers(http.StatusOK, listOf(shownSubscription, old, two)))
	got, err := c.Subscriptions(t.Context(), listing)
	one := billing.Subscription{
		ID: "sub_1", Object: "subscription", Customer: "cus_1", Status: "active", Plan: new("pro"), Created: 1000,
		CurrentPeriodEnd: new(int64(2000)), CancelAtPeriodEnd: true,
		Items: []billing.SubscriptionItem{{ID: "si_1", PriceID: "price_1", Quantity: new(int64(3))}},
	}
	before, both := one, one
	before.ID, before.Plan, before.CurrentPeriodEnd, before.Items = "sub_2", nil, new(int64(3000)), []billing.SubscriptionItem{}
	both.ID, both.Items = "sub_3", []billing.SubscriptionItem{one.Items[0], {ID: "si_1", PriceID: "price_1"}}
	if diff := cmp.Diff(billing.List[billing.Subscription]{Object: "list", Data: []billing.Subscription{one, before, both}}, got); diff != "" || err != nil {
		t.Errorf("subscriptions, %v (-want +got):\n%s", err, diff)
	}
}

// An address that Stripe refuses is quoted in its message, and no pattern would find it.
func TestAddressesAreNotRepeated(t *testing.T) {
	t.Parallel()
	c, _ := onLoopback(t, answers(http.StatusBadRequest, object{"error": object{
		"type": "invalid_request_error", "param": "collected_information[shipping_details][address][country]", "message": "No such country: Canary Ann, Am Markt 1",
	}}), stripeclient.Options{})
	change := update
	change.Params = catalog.Params{"collected_information": catalog.Params{"shipping_details": catalog.Params{"name": "Canary Ann"}}}
	_, err := c.UpdateCheckoutSession(t.Context(), change)
	wantProblem(t, err, problem.UpstreamError, 0)
	wantSilence(t, err, "Am Markt")
}

// A list without a customer would be everybody's, and an empty id is another path.
func TestNobodysListsAreNotAskedFor(t *testing.T) {
	t.Parallel()
	c, stripe := onLoopback(t, answers(http.StatusOK, listOf()), stripeclient.Options{})
	for _, id := range []string{"", "..", "cs/1"} {
		_, sessions := c.CheckoutSessions(t.Context(), billing.Listing{Customer: customers.Customer{ID: id}})
		_, subscriptions := c.Subscriptions(t.Context(), billing.Listing{Customer: customers.Customer{ID: id}})
		_, expired := c.ExpireCheckoutSession(t.Context(), billing.Change{IdempotencyKey: "k", Session: id, Customer: customers.Customer{ID: "cus_1"}})
		_, updated := c.UpdateCheckoutSession(t.Context(), billing.Change{IdempotencyKey: "k", Session: "cs_1", Customer: customers.Customer{ID: id}})
		for _, err := range []error{sessions, subscriptions, expired, updated} {
			wantProblem(t, err, problem.Internal, 0)
		}
		_, items := c.CheckoutLineItems(t.Context(), id, nil)
		_, _, owner := c.SubscriptionOwner(t.Context(), id, false)
		wantProblem(t, items, problem.NotFound, 0)
		wantProblem(t, owner, problem.NotFound, 0)
	}
	if got := stripe.requests(); len(got) != 0 {
		t.Errorf("%d requests were sent", len(got))
	}
}
