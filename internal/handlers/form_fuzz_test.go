package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"till/internal/billing"
)

// FuzzForm: what is accepted is a form by another reading too, and says the same.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"plan=pro", "plan=pro&quantity=3&metadata[ref]=42", "plan=pro&plan=x", "plan[x]=y", "metadata[a][b]=c", "a[[=b", "a]=b",
		"plan=%zz", "plan=%00", "plan=pro;x=y", "quantity=-0", "quantity=1e3", "metadata[a]=%E2%82%AC", "=", "&", "plan",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/checkout", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		var req billing.CheckoutRequest
		text, err := readForm(r, reflect.TypeOf(req))
		if err != nil || unmarshal(text, &req) != nil {
			return
		}
		values, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("accepted what is no form: %q", body)
		}
		if plan := values.Get("plan"); (req.Plan == nil) != (plan == "") || req.Plan != nil && *req.Plan != plan {
			t.Errorf("two readings of %q", body)
		}
		for key, value := range req.Metadata {
			if values.Get("metadata["+key+"]") != value {
				t.Errorf("metadata %q of %q", key, body)
			}
		}
	})
}
