package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/idempotency"
	"till/internal/store"
)

func keysOf(t *testing.T, db *store.Store, reg prometheus.Registerer) *idempotency.Service {
	t.Helper()
	s, err := idempotency.New(db.Keys(), reg, idempotency.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// under is a request with an Idempotency-Key.
func (r request) under(key ...string) request {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header["Idempotency-Key"] = key
	return r
}

// buy is POST /checkout under a key.
func (h *house) buy(token, key, body string) response {
	h.t.Helper()
	return h.send(request{method: "POST", path: "/checkout", token: token, body: body}.under(key))
}

// repeated holds that r is first's session again, and says so.
func (r response) repeated(t *testing.T, first response) {
	t.Helper()
	want(t, r, http.StatusCreated, "")
	if got, session := r.text(t, "id"), first.text(t, "id"); got != session || r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %s, Idempotency-Replayed %q; want %s again", got, r.header.Get("Idempotency-Replayed"), session)
	}
}

// TestKeys sends every line of testdata/keys.txt.
func TestKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	sessions := map[string]string{}
	for _, line := range sortedLines(t, "testdata/keys.txt") {
		head, value, ok := strings.Cut(line, " | ")
		if !ok {
			t.Fatalf("cannot be read: %s", line)
		}
		values := strings.Split(wireBytes(value, ""), " // ")
		res := h.send(request{method: "POST", path: "/checkout", token: alice, body: `{"plan":"tshirt"}`}.under(values...))
		code := res.text(t, "code")
		if code == "" {
			code = "-"
			sessions[strings.NewReplacer(`"a\"b"`, `a"b`, `"a\\b"`, `a\b`).Replace(value)] = res.text(t, "id")
		}
		if got := fmt.Sprintf("%d %s", res.status, code); got != head {
			t.Errorf("%q\n got %s\nwant %s", value, got, head)
		}
	}
	different := map[string]bool{}
	for value, id := range sessions {
		different[id] = true
		if bare := strings.Trim(value, `"`); sessions[bare] != id && sessions[bare] != "" {
			t.Errorf("%s and %s are two sessions", value, bare)
		}
	}
	if created := h.stripeCalls("checkout.sessions.create"); len(different) != 8 || created != len(different)+6 {
		t.Errorf("%d sessions by %d calls, want 8 by 14", len(different), created)
	}
}

func TestTheSameRequestIsTheSameSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	first := h.buy(alice, "k", `{"plan":"pro","quantity":3,"metadata":{"a":"1","b":"\u00e9"}}`)
	want(t, first, http.StatusCreated, "")
	if got := first.header.Get("Idempotency-Replayed"); got != "" {
		t.Errorf("the first says that it was replayed: %q", got)
	}
	for _, same := range []string{
		`{"plan":"pro","quantity":3,"metadata":{"a":"1","b":"\u00e9"}}`,
		` { "metadata" : { "b" : "é" , "a" : "1" } ,` + "\n" + ` "quantity" : 3, "\u0070lan" : "pro" } `,
	} {
		h.buy(h.token("alice"), "k", same).repeated(t, first)
	}
	form := h.send(request{
		method: "POST", path: "/checkout", contentType: formType, body: "quantity=3&plan=pro&metadata[b]=%C3%A9&metadata[a]=1&locale=",
		header: proof{header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}.with(alice),
	}.under("k"))
	if form.status != http.StatusSeeOther || form.header.Get("Location") != first.text(t, "url") || form.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a form: got %d to %q", form.status, form.header.Get("Location"))
	}

	before := h.stripeCalls("")
	for _, other := range []string{
		`{"plan":"pro","quantity":4,"metadata":{"a":"1","b":"\u00e9"}}`, `{"plan":"pro"}`, `{"plan":"none"}`, `{"plan":"pro","quantity":-1}`,
	} {
		want(t, h.buy(alice, "k", other), http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
	want(t, h.buy(alice, "k", `{"plan":"pro","plan":"pro"}`), http.StatusBadRequest, "malformed_request")
	if calls := h.stripeCalls("") - before; calls != 0 {
		t.Errorf("%d calls for other bodies", calls)
	}
	if bob := h.buy(h.token("bob"), "k", `{"plan":"pro"}`); bob.status != http.StatusCreated || bob.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("another's key: %d %s", bob.status, bob.body)
	}
	want(t, h.send(request{method: "GET", path: "/checkout/" + first.text(t, "id"), token: alice}.under("", "two")), http.StatusOK, "")
}

func TestAKeyOfThePortal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	open := func(body string) response {
		return h.send(request{method: "POST", path: "/portal", token: h.token("alice"), body: body}.under("k"))
	}
	first := open("")
	want(t, first, http.StatusCreated, "")
	for _, same := range []string{"", "{}", " { } "} {
		open(same).repeated(t, first)
	}
	want(t, open(`{"locale":"de"}`), http.StatusUnprocessableEntity, "idempotency_key_reused")
}

func TestARepeatSaysWhatHasBecomeOfTheSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for _, end := range []string{"complete", "expired"} {
		first := h.buy(alice, end, `{"plan":"pro"}`)
		action := strings.TrimSuffix(end, "d")
		h.control(http.MethodPost, "checkout/"+first.text(t, "id")+"/"+action, "{}")
		again := h.buy(alice, end, `{"plan":"pro"}`)
		again.repeated(t, first)
		if again.text(t, "status") != end || again.member(t, "url") != nil {
			t.Errorf("%s: the repeat says %q, with %v to go to", end, again.text(t, "status"), again.member(t, "url"))
		}
	}
}

// What Stripe's accidents leave behind is one session, for the same request.
func TestAKeyThroughAccidents(t *testing.T) {
	t.Parallel()
	for kind, first := range map[string]struct {
		status int
		code   string
		more   string
		// free says that the key is as if it had never been used.
		free bool
	}{
		"rate_limit":           {503, "overloaded", "", true},
		"status":               {502, "upstream_error", `,"status":400`, true},
		"created_then_silence": {502, "upstream_error", "", false},
		"garbage_200":          {502, "upstream_error", "", false},
		"wrong_customer":       {502, "upstream_error", "", false},
		"failed_500":           {502, "upstream_error", "", false},
		"idempotency_error":    {502, "upstream_error", "", false},
		"key_in_use":           {409, "idempotency_in_progress", "", false},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, settings{requestTimeout: 2 * time.Second})
			alice := h.token("alice")
			h.control(http.MethodPost, "faults", `{"operation":"checkout.sessions.create","kind":"`+kind+`"`+first.more+`}`)
			res := h.buy(alice, "k", `{"plan":"pro"}`)
			want(t, res, first.status, first.code)
			if first.status == http.StatusConflict && res.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After: got %q", res.header.Get("Retry-After"))
			}
			h.control(http.MethodDelete, "faults", "")
			if other := h.buy(alice, "k", `{"plan":"tshirt"}`); (other.status == http.StatusCreated) != first.free {
				t.Errorf("another request: %d %s", other.status, other.body)
			} else if first.free {
				return
			}
			session := h.buy(alice, "k", `{"plan":"pro"}`)
			want(t, session, http.StatusCreated, "")
			h.buy(alice, "k", `{"plan":"pro"}`).repeated(t, session)
			if made := len(h.sessions(t)); made != 1 {
				t.Errorf("Stripe has %d sessions", made)
			}
		})
	}
}

// sessions are the ids of all sessions at Stripe.
func (h *house) sessions(t *testing.T) (ids []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.sandbox.URL+"/v1/checkout/sessions?limit=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page struct {
		Data []struct{ ID string } `json:"data"`
	}
	if err := decodeInto(res.Body, &page); err != nil {
		t.Fatal(err)
	}
	for _, s := range page.Data {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestWhileARequestRunsItsRepeatIsTold(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, settings{stripeBase: func(sandboxURL string) string {
		target, err := url.Parse(sandboxURL)
		if err != nil {
			t.Fatal(err)
		}
		proxy, once := httputil.NewSingleHostReverseProxy(target), sync.Once{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Path == "/v1/checkout/sessions" {
				once.Do(func() { close(arrived); <-release })
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}})
	alice := h.token("alice")
	ended := make(chan response)
	go func() { ended <- h.buy(alice, "k", `{"plan":"pro"}`) }()
	<-arrived
	again := h.buy(alice, "k", `{"plan":"pro"}`)
	want(t, again, http.StatusConflict, "idempotency_in_progress")
	if got := again.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: got %q", got)
	}
	close(release)
	first := <-ended
	want(t, first, http.StatusCreated, "")
	h.buy(alice, "k", `{"plan":"pro"}`).repeated(t, first)
}

func TestWhatIsRefusedLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.buy("", "k", `{"plan":"tshirt"}`), http.StatusUnauthorized, "unauthenticated")
	want(t, h.buy(alice, "k", `{"plan":"none"}`), http.StatusUnprocessableEntity, "catalog_not_allowed")
	want(t, h.buy(alice, "k", `{`), http.StatusBadRequest, "malformed_request")
	want(t, h.buy(alice, "k", `{"plan":"pro"}`), http.StatusCreated, "")
}
