package handlers

import (
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"till/internal/billing"
)

// FuzzDecode: what is accepted is one JSON object by any reading, and reads the
// same a second time.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"plan":"pro"}`, `{"plan":"pro","quantity":3,"metadata":{"a":"b"}}`, `{}`, `{"plan":"a","plan":"b"}`, `[]`,
		`{"plan":"\u0070ro"}`, `{"line_items":[{"price":"x"}]}`, "\xef\xbb\xbf{}", `{"plan":null}`, strings.Repeat("[", 40), `{} {}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		read := func() (billing.CheckoutRequest, error) {
			r := httptest.NewRequest(http.MethodPost, "/checkout", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			var req billing.CheckoutRequest
			return req, decode(r, required, &req)
		}
		req, err := read()
		if err != nil {
			return
		}
		var object map[string]any
		if !utf8.ValidString(body) || stdjson.Unmarshal([]byte(body), &object) != nil {
			t.Errorf("accepted what is no JSON object: %q", body)
		}
		if plan, ok := object["plan"]; ok != (req.Plan != nil) || ok && plan != *req.Plan {
			t.Errorf("two readings of %q", body)
		}
	})
}
