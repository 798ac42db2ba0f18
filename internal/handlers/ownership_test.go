package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"till/internal/auth/devissuer"
)

// ofSessions are all routes with an id, in an order in which one can follow the other.
func ofSessions() []struct {
	method, below, body string
} {
	return []struct{ method, below, body string }{
		{"GET", "", ""},
		{"HEAD", "", ""},
		{"GET", "/line_items", ""},
		{"GET", "/line_items?limit=1", ""},
		{"HEAD", "/line_items", ""},
		{"PATCH", "", `{"metadata":{"ref":"1"}}`},
		{"PATCH", "", everyChange},
		{"PATCH", "", `{"metadata":{"till_plan":"pro"}}`},
		{"POST", "/expire", ""},
		{"POST", "/expire", "{}"},
	}
}

// TestOwnershipMatrix asks for sessions on every route as everybody: what is somebody
// else's looks as what never was, byte for byte, and what is no id costs no call.
func TestOwnershipMatrix(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	org := h.mint(devissuer.Claims{Subject: "alice", Org: "org_1", Role: "owner"})
	otherOrg := h.mint(devissuer.Claims{Subject: "alice", Org: "org_2", Role: "owner"})
	buy := func(token string) string { return h.post("/checkout", token, `{"plan":"boutique"}`).text(t, "id") }
	personal, ofOrg := buy(alice), buy(org)
	for _, token := range []string{h.token("bob"), otherOrg} {
		want(t, h.post("/checkout", token, `{"plan":"pro"}`), http.StatusCreated, "")
	}
	nobodys := h.stripeSession(t)
	unknown := "cs_test_" + strings.Repeat("a", 58)

	for who, row := range map[string]struct {
		token   string
		foreign map[string]string
	}{
		"another person":            {h.token("bob"), map[string]string{"a person's": personal, "an organisation's": ofOrg, "nobody's": nobodys}},
		"a person without customer": {h.token("dora"), map[string]string{"a person's": personal, "an organisation's": ofOrg, "nobody's": nobodys}},
		"the person":                {alice, map[string]string{"the organisation's": ofOrg, "nobody's": nobodys, "of the other mode": "cs_live_" + strings.Repeat("a", 58)}},
		"the organisation":          {org, map[string]string{"the person's": personal}},
		"another organisation":      {otherOrg, map[string]string{"the person's": personal, "an organisation's": ofOrg}},
	} {
		for _, route := range ofSessions() {
			ask := func(id string) response {
				res := h.send(request{
					method: route.method, path: "/checkout/" + id + route.below, token: row.token, body: route.body,
					header: http.Header{"X-Request-Id": {"same"}},
				})
				res.header.Del("Date")
				return res
			}
			never := ask(unknown)
			if never.status != http.StatusNotFound {
				t.Errorf("%s, %s %s: got %d for what never was", who, route.method, route.below, never.status)
			}
			for whose, id := range row.foreign {
				if diff := cmp.Diff(never, ask(id), cmp.AllowUnexported(response{})); diff != "" {
					t.Errorf("%s, %s %s: %s can be told from what never was (-never +this):\n%s", who, route.method, route.below, whose, diff)
				}
			}
			before := h.stripeCalls("")
			for _, id := range []string{"cs-1", "cs_test_a%00", "..", "%2e%2e", strings.Repeat("a", 256), "cs_test_a%20", "{CHECKOUT_SESSION_ID}"} {
				if res := ask(id); res.status != http.StatusNotFound {
					t.Errorf("%s, %s %q%s: got %d", who, route.method, id, route.below, res.status)
				}
			}
			if after := h.stripeCalls(""); after != before {
				t.Errorf("%s, %s %s: %d calls for what is no id", who, route.method, route.below, after-before)
			}
		}
	}

	for token, id := range map[string]string{alice: personal, org: ofOrg} {
		statuses := []int{200, 200, 200, 200, 200, 200, 200, 422, 200, 409}
		for i, route := range ofSessions() {
			res := h.send(request{method: route.method, path: "/checkout/" + id + route.below, token: token, body: route.body})
			if res.status != statuses[i] {
				t.Errorf("own, %s %s %s: got %d, want %d %s", route.method, route.below, route.body, res.status, statuses[i], res.body)
			}
		}
	}
}

// stripeSession makes a session at Stripe that Till knows nothing of.
func (h *house) stripeSession(t *testing.T) string {
	t.Helper()
	return h.stripePost(t, "checkout/sessions", url.Values{
		"mode": {"payment"}, "success_url": {"https://app.example.com/"},
		"line_items[0][price]": {"price_tshirt"}, "line_items[0][quantity]": {"1"},
	})
}

// stripePost makes a call as the operator's other software does, and returns the id of
// what it made.
func (h *house) stripePost(t *testing.T, path string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.sandbox.URL+"/v1/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var made struct {
		ID string `json:"id"`
	}
	if err := json.UnmarshalRead(res.Body, &made); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return made.ID
}

// TestListsAreTheCallersAlone: pages, cursors and filters of one never show what is
// another's.
func TestListsAreTheCallersAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice, bob := h.token("alice"), h.token("bob")
	var own []string
	for range 5 {
		own = append(own, h.post("/checkout", alice, `{"plan":"pro"}`).text(t, "id"))
		want(t, h.post("/checkout", bob, `{"plan":"pro"}`), http.StatusCreated, "")
	}
	for i := range own {
		h.control(http.MethodPost, "checkout/"+own[i]+"/complete", "{}")
	}
	bought := h.get("/checkout/"+own[0], alice).text(t, "subscription")
	ids := func(res response) (ids []string) {
		t.Helper()
		var page struct {
			Object  string           `json:"object"`
			Data    []map[string]any `json:"data"`
			HasMore *bool            `json:"has_more"`
		}
		if err := json.Unmarshal(res.body, &page); err != nil || page.Object != "list" || page.HasMore == nil || page.Data == nil {
			t.Fatalf("%d %s: %v", res.status, res.body, err)
		}
		for _, one := range page.Data {
			ids = append(ids, one["id"].(string))
		}
		if *page.HasMore {
			ids = append(ids, "…")
		}
		return ids
	}
	newest := func(n ...int) (some []string) {
		for _, i := range n {
			some = append(some, own[i])
		}
		return some
	}
	before := h.stripeCalls("checkout.sessions.list")
	for query, expect := range map[string][]string{
		"":                                  newest(4, 3, 2, 1, 0),
		"?limit=2":                          append(newest(4, 3), "…"),
		"?limit=2&starting_after=" + own[3]: append(newest(2, 1), "…"),
		"?limit=2&starting_after=" + own[1]: newest(0),
		"?limit=2&ending_before=" + own[2]:  newest(4, 3),
		"?limit=2&ending_before=" + own[0]:  append(newest(2, 1), "…"),
		"?status=open":                      nil,
		"?status=complete&limit=100":        newest(4, 3, 2, 1, 0),
		"?created[gte]=1":                   newest(4, 3, 2, 1, 0),
		"?created[lt]=1":                    nil,
		"?created=1":                        nil,
		"?created%5Bgt%5D=1&created[lte]=2": nil,
		"?payment_intent=pi_none":           nil,
		"?payment_link=plink_none":          nil,
		"?subscription=" + bought:           newest(0),
	} {
		if diff := cmp.Diff(expect, ids(h.get("/checkout"+query, alice))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if n := h.stripeCalls("checkout.sessions.list") - before; n != 15 {
		t.Errorf("%d pages were asked for, want one for each of 15 lists", n)
	}
	for _, query := range []string{"?subscription=" + bought, "?limit=1&created[gte]=1&status=complete"} {
		if got := ids(h.get("/checkout"+query, bob)); got != nil {
			t.Errorf("bob, %q: %v", query, got)
		}
	}
	for _, id := range []string{own[0], "cs_test_unknown", h.stripeSession(t)} {
		for _, cursor := range []string{"starting_after=", "ending_before="} {
			want(t, h.get("/checkout?"+cursor+id, bob), http.StatusUnprocessableEntity, "validation_failed")
			want(t, h.get("/checkout?"+cursor+id, h.token("dora")), http.StatusUnprocessableEntity, "validation_failed")
		}
	}
	if got := ids(h.get("/checkout", h.token("dora"))); got != nil {
		t.Errorf("without a customer: %v", got)
	}
	if n := len(h.customersOf("dora")); n != 0 {
		t.Errorf("%d customers were made for a list", n)
	}

	// A customer that was replaced takes its lists along.
	customer := h.get("/checkout/"+own[0], alice).text(t, "customer")
	h.stripeDelete(t, "customers/"+customer)
	want(t, h.post("/checkout", alice, `{"plan":"pro"}`), http.StatusCreated, "")
	want(t, h.get("/checkout?starting_after="+own[2], alice), http.StatusUnprocessableEntity, "validation_failed")
	if got := ids(h.get("/checkout", alice)); len(got) != 1 || got[0] == own[4] {
		t.Errorf("of the new customer: %v", got)
	}
}

func (h *house) stripeDelete(t *testing.T, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.sandbox.URL+"/v1/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, res.Status)
	}
}
