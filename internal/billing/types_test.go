package billing_test

import (
	"encoding/json"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"till/internal/billing"
)

// decoders are those that meet an ID.
var decoders = map[string]func([]byte, any) error{
	"encoding/json": json.Unmarshal,
	"json/v2":       func(data []byte, into any) error { return jsonv2.Unmarshal(data, into) },
}

func TestIDsAreReadInEveryFormAndWrittenInOne(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		id  billing.ID
		out string
	}{
		`"cus_1"`:           {"cus_1", `"cus_1"`},
		`null`:              {"", `null`},
		`""`:                {"", `null`},
		`"\u0063us\u005f1"`: {"cus_1", `"cus_1"`},
		`{"id":"cus_1","object":"customer","email":"secret@example.com"}`: {"cus_1", `"cus_1"`},
		` { "deleted": true, "id" : "cus_1" } `:                           {"cus_1", `"cus_1"`},
	} {
		for name, unmarshal := range decoders {
			var got struct {
				Customer billing.ID `json:"customer"`
			}
			got.Customer = "before"
			if err := unmarshal([]byte(`{"customer":`+in+`}`), &got); err != nil {
				t.Errorf("%s, %s: %v", name, in, err)
				continue
			}
			out, err := json.Marshal(got.Customer)
			if got.Customer != want.id || string(out) != want.out || err != nil {
				t.Errorf("%s, %s: got %q, written as %s, %v", name, in, got.Customer, out, err)
			}
		}
	}
	for _, in := range []string{`{}`, `{"id":""}`, `{"id":null}`, `{"id":7}`, `7`, `true`, `[]`, `["cus_1"]`} {
		for name, unmarshal := range decoders {
			var id billing.ID
			if err := unmarshal([]byte(in), &id); err == nil {
				t.Errorf("%s, %s: got %q, want an error", name, in, id)
			}
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
