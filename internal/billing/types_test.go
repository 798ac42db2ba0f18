package billing_test

import (
	"encoding/json"
	"testing"

	"till/internal/billing"
)

func TestIDsAreReadInEveryFormAndWrittenInOne(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		id  billing.ID
		out string
	}{
		`"cus_1"`: {"cus_1", `"cus_1"`},
		`null`:    {"", `null`},
		`""`:      {"", `null`},
		`{"id":"cus_1","object":"customer","email":"secret@example.com"}`: {"cus_1", `"cus_1"`},
		` { "deleted": true, "id" : "cus_1" } `:                           {"cus_1", `"cus_1"`},
	} {
		var got struct{ Customer billing.ID }
		got.Customer = "before"
		if err := json.Unmarshal([]byte(`{"customer":`+in+`}`), &got); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		out, err := json.Marshal(got.Customer)
		if got.Customer != want.id || string(out) != want.out || err != nil {
			t.Errorf("%s: got %q, written as %s, %v", in, got.Customer, out, err)
		}
	}
	for _, in := range []string{`{}`, `{"id":""}`, `{"id":null}`, `{"id":7}`, `7`, `true`, `[]`, `["cus_1"]`} {
		var id billing.ID
		if err := json.Unmarshal([]byte(in), &id); err == nil {
			t.Errorf("%s: got %q, want an error", in, id)
		}
	}
}

func TestASessionIsShownWithoutWhatWasExpanded(t *testing.T) {
	t.Parallel()
	var s billing.CheckoutSession
	if err := json.Unmarshal([]byte(`{"id":"cs_1","customer":{"id":"cus_1","email":"secret@example.com"},"url":null,"metadata":{"a":"b"},"client_reference_id":"x"}`), &s); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	same(t, "session", got, map[string]any{
		"id": "cs_1", "object": "", "url": nil, "client_secret": nil, "ui_mode": nil, "mode": "", "status": nil, "payment_status": "",
		"currency": nil, "amount_subtotal": nil, "amount_total": nil, "created": 0.0, "expires_at": 0.0, "livemode": false,
		"locale": nil, "success_url": nil, "cancel_url": nil, "return_url": nil, "customer": "cus_1", "customer_account": nil,
		"subscription": nil, "payment_intent": nil, "setup_intent": nil, "invoice": nil, "metadata": map[string]any{"a": "b"},
	})
}
