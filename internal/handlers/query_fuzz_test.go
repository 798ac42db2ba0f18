package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"till/internal/billing"
)

// FuzzQuery: what is accepted has only names that are known, each once and none
// empty, by the standard library's reading too, and a limit means what it says.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "limit=1", "limit=1&status=open", "created=1", "created[gte]=1&created[lt]=2", "created%5Bgte%5D=1", "starting_after=cs_test_a",
		"limit=1&limit=1", "limit=1e2", "limit=%20", "created[at]=1", "customer=cus_other", "&", "=", "limit=%", "a;b", "limit", "created[gte]=1&created=2",
	} {
		f.Add(seed)
	}
	known := []string{
		"limit", "starting_after", "ending_before", "status", "created", "created[gt]", "created[gte]", "created[lt]", "created[lte]",
		"payment_intent", "subscription", "payment_link",
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest(http.MethodGet, "/checkout", nil)
		r.URL.RawQuery = raw
		var q billing.CheckoutQuery
		if decodeQuery(r, &q) != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("accepted what is no query: %q", raw)
		}
		for name, all := range values {
			if !slices.Contains(known, name) || len(all) != 1 || all[0] == "" {
				t.Errorf("accepted %q: %q", name, all)
			}
		}
		if limit, sent := values["limit"]; sent != (q.Limit != nil) || sent && limit[0] != fmt.Sprint(*q.Limit) && limit[0] != "-0" {
			t.Errorf("two readings of %q", raw)
		}
		if q.Status != nil && *q.Status != values.Get("status") {
			t.Errorf("two readings of %q", raw)
		}
	})
}
