package billing_test

import (
	"strings"
	"testing"
	"time"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/problem"
)

var notFound = verdict{problem.NotFound, nil}

func TestACallerSeesHisOwnSession(t *testing.T) {
	t.Parallel()
	s := newService(t)
	made, err := s.CreateCheckout(t.Context(), s.caller(t, "alice"), request(t, `{"plan":"pro"}`))
	if err != nil {
		t.Fatal(err)
	}
	s.stripe.since()
	got, err := s.Checkout(t.Context(), s.caller(t, "alice"), string(made.ID))
	if err != nil {
		t.Fatal(err)
	}
	made.NextPollAfterMS = new(int64(2000))
	same(t, "session", got, made)
	same(t, "calls", s.stripe.since(), map[string]int{"read checkout": 1})
	if got.Location() != "/checkout/cs_test_1" {
		t.Errorf("got %s", got.Location())
	}
}

// Another's session and an unknown one cannot be told apart, and only somebody who
// could have a session is worth a call.
func TestWhatIsNotTheCallersIsNotFound(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.buys(t, "bob", request(t, `{"plan":"pro"}`))
	bob := s.caller(t, "bob")
	s.stripe.mu.Lock()
	own := s.stripe.sessions["cs_test_2"]
	own.ID, own.Livemode = "cs_test_other_mode", false
	s.stripe.sessions["cs_test_other_mode"] = own
	own.ID, own.Livemode, own.Customer = "cs_test_nobodys", true, ""
	s.stripe.sessions["cs_test_nobodys"] = own
	s.stripe.mu.Unlock()
	s.stripe.since()

	texts := map[string]bool{}
	for _, id := range []string{"cs_test_1", "cs_test_999", "cs_test_other_mode", "cs_test_nobodys"} {
		got, err := s.Checkout(t.Context(), bob, id)
		same(t, id, verdictOf(t, err), notFound)
		texts[err.Error()] = true
		same(t, id, got, billing.CheckoutSession{})
		same(t, id, s.stripe.since(), map[string]int{"read checkout": 1})
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	same(t, "foreign sessions", s.counted(t, "till_ownership_rejections_total"), map[string]float64{"": 3})

	// Without a customer there is nothing to compare with, and nothing to ask.
	_, err := s.Checkout(t.Context(), s.caller(t, "carol"), "cs_test_1")
	same(t, "no customer yet", verdictOf(t, err), notFound)
	if calls := s.stripe.since(); len(calls) != 0 {
		t.Errorf("Stripe was called: %v", calls)
	}
	if rows := s.store.Records(); len(rows) != 2 {
		t.Errorf("reading reserved somebody: %+v", rows)
	}
}

func TestAMemberDoesNotSeeThePersonsSessions(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	org, err := s.Caller(auth.Principal{
		Issuer: "https://id.example.com/", Subject: "alice", Org: &auth.Membership{ID: "alice", MayBill: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateCheckout(t.Context(), org, request(t, `{"plan":"pro"}`)); err != nil {
		t.Fatal(err)
	}
	sent := s.stripe.last(t)
	if sent.Customer != "cus_2" || sent.Params["metadata"].(params)["till_kind"] != "org" {
		t.Errorf("got %+v, want the organisation's own customer", sent)
	}
	_, err = s.Checkout(t.Context(), org, "cs_test_1")
	same(t, "the person's", verdictOf(t, err), notFound)
	if _, err = s.Checkout(t.Context(), org, "cs_test_2"); err != nil {
		t.Error(err)
	}
}

func TestMalformedIdsReachNobody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	s.stripe.since()
	alice := s.caller(t, "alice")
	for _, id := range []string{
		"", ".", "..", "cs_test_1/expire", "cs_test_1%2fexpire", "cs_test_1?x", "cs_test_1#x", "cs_test_1;x", "cs_test_1\x00",
		"cs_test_1 ", " cs_test_1", "cs_tést", "cs_test_1'", "cs-test-1", "{CHECKOUT_SESSION_ID}", strings.Repeat("c", 256),
	} {
		_, err := s.Checkout(t.Context(), alice, id)
		same(t, id, verdictOf(t, err), notFound)
	}
	if calls := s.stripe.since(); len(calls) != 0 {
		t.Errorf("Stripe was called: %v", calls)
	}
	_, err := s.Checkout(t.Context(), alice, strings.Repeat("c", 255))
	same(t, "255 characters", verdictOf(t, err), notFound)
	same(t, "255 characters", s.stripe.since(), map[string]int{"read checkout": 1})
}

func TestWhenToAskAgain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.buys(t, "alice", request(t, `{"plan":"pro"}`))
	for _, tc := range []struct {
		status  *string
		payment string
		want    *int64
	}{
		{new("open"), "unpaid", new(int64(2000))},
		{new("open"), "no_payment_required", new(int64(2000))},
		{nil, "unpaid", new(int64(2000))},
		{new("complete"), "paid", nil},
		{new("complete"), "no_payment_required", nil},
		{new("complete"), "unpaid", new(int64(30000))},
		{new("expired"), "unpaid", nil},
		{new("expired"), "paid", nil},
		{new("something_new"), "paid", new(int64(2000))},
	} {
		s.stripe.mu.Lock()
		session := s.stripe.sessions["cs_test_1"]
		session.Status, session.PaymentStatus = tc.status, tc.payment
		s.stripe.sessions["cs_test_1"] = session
		s.stripe.mu.Unlock()
		s.pass(time.Minute)
		got, err := s.Checkout(t.Context(), s.caller(t, "alice"), "cs_test_1")
		if err != nil {
			t.Fatal(err)
		}
		name := "no status"
		if tc.status != nil {
			name = *tc.status
		}
		same(t, name+", "+tc.payment, got.NextPollAfterMS, tc.want)
	}
}

func TestCallersWhoMayNotBillAreForbidden(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := s.Caller(auth.Principal{Issuer: "https://id.example.com/", Subject: "alice", Org: &auth.Membership{ID: "org_1", Role: "member"}})
	same(t, "a member", verdictOf(t, err), verdict{problem.Forbidden, nil})
	s.untouched(t)
}
