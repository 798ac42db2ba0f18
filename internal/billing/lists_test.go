package billing_test

import (
	"testing"

	"till/internal/billing"
	"till/internal/customers"
	"till/internal/problem"
)

// emptyPage is a list of nothing.
func emptyPage[T any]() billing.List[T] { return billing.List[T]{Object: "list", Data: []T{}} }

// withSessions is a service where alice has two sessions and bob one, and each of
// them a subscription.
func withSessions(t *testing.T) *service {
	t.Helper()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "bob", request(t, `{"plan":"pro"}`))
	s.stripe.existing.subscriptions = map[string]billing.Subscription{
		"sub_1": {ID: "sub_1", Customer: "cus_1", Plan: new("pro"), Items: []billing.SubscriptionItem{{ID: "si_1", PriceID: "price_pro"}}},
		"sub_2": {ID: "sub_2", Customer: "cus_2"},
		"sub_3": {ID: "sub_3", Customer: "cus_1", Items: []billing.SubscriptionItem{{ID: "si_3", PriceID: "price_of_old"}}},
	}
	s.stripe.since()
	return s
}

func TestAListIsTheCallersAlone(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	page, err := s.CheckoutSessions(t.Context(), s.caller(t, "alice"), billing.CheckoutQuery{
		Page:   billing.Page{Limit: new(int64(100)), StartingAfter: new("cs_test_2")},
		Status: new("open"), Created: &billing.Times{GT: new(int64(1)), GTE: new(int64(2)), LT: new(int64(9)), LTE: new(int64(8))},
		PaymentIntent: new("pi_1"), Subscription: new("sub_1"), PaymentLink: new("plink_1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "sent", s.stripe.existing.listings, []billing.Listing{{Customer: customers.Customer{ID: "cus_1"}, Livemode: true, Params: params{
		"limit": int64(100), "starting_after": "cs_test_2", "status": "open",
		"created":        params{"gt": int64(1), "gte": int64(2), "lt": int64(9), "lte": int64(8)},
		"payment_intent": "pi_1", "subscription": "sub_1", "payment_link": "plink_1",
	}}})
	if len(page.Data) != 2 || page.Data[0].ID != "cs_test_2" || page.Data[1].ID != "cs_test_1" || page.Object != "list" {
		t.Errorf("got %+v", page)
	}
	// The cursor is looked at before Stripe takes it: that is the second call.
	same(t, "calls", s.stripe.since(), map[string]int{"list checkouts": 1, "read checkout": 1})

	if _, err := s.CheckoutSessions(t.Context(), s.caller(t, "bob"), billing.CheckoutQuery{Created: &billing.Times{At: new(int64(7))}}); err != nil {
		t.Fatal(err)
	}
	same(t, "a moment", s.stripe.existing.listings[1], billing.Listing{
		Customer: customers.Customer{ID: "cus_2"}, Livemode: true, Params: params{"limit": int64(10), "created": int64(7)},
	})
}

// Subscriptions say what the portal's flows need, by the catalogue's names.
func TestSubscriptionsNameTheirPrices(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	page, err := s.Subscriptions(t.Context(), s.caller(t, "alice"), billing.SubscriptionQuery{
		Page: billing.Page{EndingBefore: new("sub_3")}, Status: new("all"),
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "sent", s.stripe.existing.listings, []billing.Listing{{
		Customer: customers.Customer{ID: "cus_1"}, Livemode: true, Params: params{"limit": int64(10), "ending_before": "sub_3", "status": "all"},
	}})
	same(t, "calls", s.stripe.since(), map[string]int{"list subscriptions": 1, "read subscription": 1})
	var names []any
	for _, sub := range page.Data {
		names = append(names, sub.ID, sub.Items[0].Price)
	}
	same(t, "names", names, []any{billing.ID("sub_1"), new("pro_monthly"), billing.ID("sub_3"), (*string)(nil)})
}

func TestLineItemsNameTheirPrices(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	s.stripe.existing.items = map[string][]billing.LineItem{"cs_test_1": {{ID: "li_1", PriceID: "price_mug"}, {ID: "li_2", PriceID: "price_x"}}}
	alice := s.caller(t, "alice")
	for range 2 {
		page, err := s.CheckoutLineItems(t.Context(), alice, "cs_test_1", billing.Page{StartingAfter: new("li_0"), Limit: new(int64(1))})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "names", []*string{page.Data[0].Price, page.Data[1].Price}, []*string{new("price_mug"), nil})
	}
	same(t, "sent", s.stripe.existing.pages[0], params{"limit": int64(1), "starting_after": "li_0"})
	same(t, "two pages", s.stripe.since(), map[string]int{"read checkout": 1, "list items": 2})

	for _, id := range []string{"cs_test_3", "cs_test_999"} {
		_, err := s.CheckoutLineItems(t.Context(), alice, id, billing.Page{})
		same(t, id, verdictOf(t, err), notFound)
		same(t, id, s.stripe.since(), reading(1))
	}
	_, err := s.CheckoutLineItems(t.Context(), alice, "..", billing.Page{})
	same(t, "..", verdictOf(t, err), notFound)
	same(t, "..", s.stripe.since(), map[string]int(nil))
}

func TestWhoHasNoCustomerHasEmptyLists(t *testing.T) {
	t.Parallel()
	s := newService(t)
	carol := s.caller(t, "carol")
	sessions, err := s.CheckoutSessions(t.Context(), carol, billing.CheckoutQuery{})
	same(t, "sessions", sessions, emptyPage[billing.CheckoutSession]())
	subscriptions, err2 := s.Subscriptions(t.Context(), carol, billing.SubscriptionQuery{})
	same(t, "subscriptions", subscriptions, emptyPage[billing.Subscription]())
	if err != nil || err2 != nil {
		t.Error(err, err2)
	}
	s.untouched(t)
}

// Somebody else's cursor, an unknown one and one of nobody's shape cannot be told
// apart, and none of them reaches a list of Stripe's.
func TestForeignCursorsAreNoCursors(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	texts := map[string]bool{}
	for _, who := range []string{"alice", "carol"} {
		for _, id := range []string{"cs_test_3", "cs_test_999", "cs/../x", "sub_1"} {
			_, err := s.CheckoutSessions(t.Context(), s.caller(t, who), billing.CheckoutQuery{Page: billing.Page{StartingAfter: &id}})
			same(t, id, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/starting_after"}})
			texts[err.Error()] = true
		}
		for _, id := range []string{"sub_2", "sub_999", "..", "cs_test_1"} {
			_, err := s.Subscriptions(t.Context(), s.caller(t, who), billing.SubscriptionQuery{Page: billing.Page{EndingBefore: &id}})
			same(t, id, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/ending_before"}})
		}
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	if calls := s.stripe.since(); calls["list checkouts"]+calls["list subscriptions"] != 0 {
		t.Errorf("a list was asked for: %v", calls)
	}
}

func TestQueriesAreJudgedBeforeAnybodyIsAsked(t *testing.T) {
	t.Parallel()
	s := newService(t)
	alice := s.caller(t, "alice")
	times := func(v billing.Times) billing.CheckoutQuery { return billing.CheckoutQuery{Created: &v} }
	limit := func(n int64) billing.CheckoutQuery { return billing.CheckoutQuery{Page: billing.Page{Limit: &n}} }
	for name, tc := range map[string]struct {
		query    billing.CheckoutQuery
		pointers []string
	}{
		"limit 0":       {limit(0), []string{"/limit"}},
		"limit -1":      {limit(-1), []string{"/limit"}},
		"limit 101":     {limit(101), []string{"/limit"}},
		"both cursors":  {billing.CheckoutQuery{Page: billing.Page{StartingAfter: new("cs_1"), EndingBefore: new("cs_2")}}, []string{"/ending_before"}},
		"status":        {billing.CheckoutQuery{Status: new("OPEN")}, []string{"/status"}},
		"no id":         {billing.CheckoutQuery{PaymentIntent: new("pi_1/x")}, []string{"/payment_intent"}},
		"no ids":        {billing.CheckoutQuery{Subscription: new("a b"), PaymentLink: new("..")}, []string{"/subscription", "/payment_link"}},
		"before 1970":   {times(billing.Times{GTE: new(int64(-1))}), []string{"/created/gte"}},
		"moment":        {times(billing.Times{At: new(int64(-1))}), []string{"/created"}},
		"moment, bound": {times(billing.Times{At: new(int64(1)), LT: new(int64(1))}), []string{"/created"}},
	} {
		_, err := s.CheckoutSessions(t.Context(), alice, tc.query)
		same(t, name, verdictOf(t, err), verdict{problem.ValidationFailed, tc.pointers})
	}
	for _, status := range []string{"", "live", "Active"} {
		_, err := s.Subscriptions(t.Context(), alice, billing.SubscriptionQuery{Status: &status})
		same(t, status, verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/status"}})
	}
	s.untouched(t)
}

// What Stripe does not know is found as often as what is another's.
func TestFiltersTellNothingOfOthers(t *testing.T) {
	t.Parallel()
	for param, want := range map[string]bool{
		"payment_intent": true, "subscription": true, "payment_link": true, "customer": true, "price": false, "": false,
	} {
		s := withSessions(t)
		s.stripe.existing.listErr = refused(stripeError{text: "resource_missing", param: param, missing: true})
		page, err := s.CheckoutSessions(t.Context(), s.caller(t, "alice"), billing.CheckoutQuery{
			PaymentIntent: new("pi_x"), Subscription: new("sub_x"), PaymentLink: new("plink_x"),
		})
		if (err == nil) != want {
			t.Errorf("%s is missing: %v", param, err)
		}
		if want {
			same(t, param, page, emptyPage[billing.CheckoutSession]())
		}
	}
}

// With the key of another account, every customer is missing: that is no empty list.
func TestAListOfAnotherAccountIsNoList(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	s.stripe.existing.listErr = refused(stripeError{text: "resource_missing", param: "customer", missing: true})
	s.stripe.accountID = func() (string, error) { return "acct_2", nil }
	_, err := s.CheckoutSessions(t.Context(), s.caller(t, "alice"), billing.CheckoutQuery{})
	same(t, "answer", verdictOf(t, err), verdict{problem.DependencyUnavailable, nil})
}

func TestFailedListsAreNoEmptyLists(t *testing.T) {
	t.Parallel()
	s := withSessions(t)
	s.stripe.existing.listErr = refused(stripeError{text: "no answer", silent: true})
	alice := s.caller(t, "alice")
	_, err := s.CheckoutSessions(t.Context(), alice, billing.CheckoutQuery{})
	same(t, "sessions", verdictOf(t, err), verdict{problem.UpstreamError, nil})
	_, err = s.Subscriptions(t.Context(), alice, billing.SubscriptionQuery{})
	same(t, "subscriptions", verdictOf(t, err), verdict{problem.UpstreamError, nil})
	_, err = s.CheckoutLineItems(t.Context(), alice, "cs_test_1", billing.Page{})
	same(t, "line items", verdictOf(t, err), verdict{problem.UpstreamError, nil})

	s.stripe.existing.listErr = refused(stripeError{text: "resource_missing", param: "starting_after", missing: true})
	_, err = s.CheckoutLineItems(t.Context(), alice, "cs_test_1", billing.Page{StartingAfter: new("li_other")})
	same(t, "a cursor", verdictOf(t, err), verdict{problem.ValidationFailed, []string{"/starting_after"}})
	s.stripe.existing.listErr = refused(stripeError{text: "resource_missing", missing: true})
	_, err = s.CheckoutLineItems(t.Context(), alice, "cs_test_1", billing.Page{})
	same(t, "a session that has gone", verdictOf(t, err), notFound)
}
