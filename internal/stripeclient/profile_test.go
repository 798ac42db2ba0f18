package stripeclient_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/secret"
	"till/internal/stripeclient"
)

func TestWhatACustomersLifeIs(t *testing.T) {
	t.Parallel()
	missing := func(status int, kind, code string) http.HandlerFunc { return refuses(status, kind, code, "id") }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   customers.Life
		known  bool
	}{
		"whole":                        {answers(200, newCustomer), customers.Alive, true},
		"whole and not deleted":        {answers(200, with(newCustomer, "deleted", false)), customers.Alive, true},
		"deleted":                      {answers(200, deletedCustomer), customers.Deleted, true},
		"deleted, with more":           {answers(200, with(newCustomer, "deleted", true)), customers.Deleted, true},
		"never heard of":               {missing(404, "invalid_request_error", "resource_missing"), customers.Missing, true},
		"404 with another code":        {missing(404, "invalid_request_error", "url_invalid"), customers.Alive, false},
		"404 of a proxy":               {answers(404, "<html>resource_missing"), customers.Alive, false},
		"404 without an error":         {answers(404, object{"code": "resource_missing"}), customers.Alive, false},
		"400 that looks missing":       {missing(400, "invalid_request_error", "resource_missing"), customers.Alive, false},
		"403 that looks missing":       {missing(403, "invalid_request_error", "resource_missing"), customers.Alive, false},
		"500 that looks missing":       {missing(500, "api_error", "resource_missing"), customers.Alive, false},
		"200 that looks missing":       {missing(200, "invalid_request_error", "resource_missing"), customers.Alive, false},
		"deleted, of another id":       {answers(200, with(deletedCustomer, "id", "cus_2")), customers.Alive, false},
		"deleted, of another kind":     {answers(200, with(deletedCustomer, "object", "product")), customers.Alive, false},
		"deleted, in another mode":     {answers(200, with(deletedCustomer, "livemode", true)), customers.Alive, false},
		"deleted is not a yes":         {answers(200, with(deletedCustomer, "deleted", "true")), customers.Alive, false},
		"in another mode":              {answers(200, with(newCustomer, "livemode", true)), customers.Alive, false},
		"nothing at all":               {wire(""), customers.Alive, false},
		"half a customer, cut off":     {wire("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\":\"cus_1\","), customers.Alive, false},
		"a list, which is no customer": {answers(200, listOf(deletedCustomer)), customers.Alive, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := inBubble(t, tt.answer, stripeclient.Options{})
				got, err := c.CustomerLife(t.Context(), "cus_1")
				if got != tt.want || (err == nil) != tt.known {
					t.Errorf("the life is %d, %v; want %d, known %v", got, err, tt.want, tt.known)
				}
				wantSilence(t, err)
			})
		})
	}
}

// The deleted object has no mode, so that of the key must not be missed in it.
func TestACustomerDeletedInLiveModeIsDeleted(t *testing.T) {
	t.Parallel()
	life := func(answer object) (customers.Life, error) {
		c, _ := onLoopback(t, answers(http.StatusOK, answer), stripeclient.Options{Key: secret.New("rk_live_1")})
		return c.CustomerLife(t.Context(), "cus_1")
	}
	for name, answer := range map[string]object{
		"as Stripe has it":     deletedCustomer,
		"with its mode, maybe": with(deletedCustomer, "livemode", true),
	} {
		if got, err := life(answer); got != customers.Deleted || err != nil {
			t.Errorf("%s: the life is %d, %v", name, got, err)
		}
	}
	if got, err := life(newCustomer); err == nil {
		t.Errorf("a test customer is %d for a live key", got)
	}
}

func TestWhatACustomerIsToldOfAPerson(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("é", n) }
	for name, tt := range map[string]struct {
		profile customers.Profile
		want    url.Values
	}{
		"both":                  {customers.Profile{Email: "a+b@c.example", Name: "Ann & Bob"}, url.Values{"email": {"a+b@c.example"}, "name": {"Ann & Bob"}}},
		"an address":            {customers.Profile{Email: "a@c.example"}, url.Values{"email": {"a@c.example"}}},
		"a name":                {customers.Profile{Name: "Ann"}, url.Values{"name": {"Ann"}}},
		"nothing":               {customers.Profile{}, nil},
		"longest":               {customers.Profile{Email: long(512), Name: long(256)}, url.Values{"email": {long(512)}, "name": {long(256)}}},
		"too long an address":   {customers.Profile{Email: long(513), Name: "Ann"}, url.Values{"name": {"Ann"}}},
		"too long a name":       {customers.Profile{Email: "a@c.example", Name: long(257)}, url.Values{"email": {"a@c.example"}}},
		"both of them too long": {customers.Profile{Email: long(513), Name: long(257)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stripe := inBubble(t, answers(http.StatusOK, newCustomer), stripeclient.Options{})
				if err := c.UpdateProfile(t.Context(), "cus_1", tt.profile); err != nil {
					t.Fatal(err)
				}
				if tt.want == nil {
					if got := stripe.requests(); len(got) != 0 {
						t.Errorf("%d requests reached Stripe", len(got))
					}
					return
				}
				got := only(t, stripe)
				sent, err := url.ParseQuery(got.body)
				if diff := cmp.Diff(tt.want, sent); diff != "" || err != nil || got.Method != http.MethodPost || got.RequestURI != "/v1/customers/cus_1" {
					t.Errorf("%s %s, %v (-want +got):\n%s", got.Method, got.RequestURI, err, diff)
				}
			})
		})
	}
}

// Tries share a key, so that Stripe counts them as one; calls do not, since Stripe
// would replay the first one's answer to a person who has been renamed back.
func TestEachUpdateHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stripe := inBubble(t, lock, stripeclient.Options{})
		keys := map[string]bool{}
		for range 2 {
			wantProblem(t, c.UpdateProfile(t.Context(), "cus_1", ann), problem.DependencyUnavailable, time.Second)
			tries := stripe.requests()
			if len(tries) != 3 {
				t.Fatalf("%d tries, want 3", len(tries))
			}
			for _, r := range tries {
				if key := r.Header.Get("Idempotency-Key"); len(key) < 20 || key != tries[0].Header.Get("Idempotency-Key") {
					t.Errorf("the key of a try is %q", key)
				}
			}
			keys[tries[0].Header.Get("Idempotency-Key")] = true
		}
		if len(keys) != 2 {
			t.Error("two calls have the same key")
		}
	})
}

// Stripe quotes what it refuses, and no pattern tells a person's name from a word.
func TestNothingOfAPersonIsInTheErrorOfAnUpdate(t *testing.T) {
	t.Parallel()
	quoting := func(status int, code, param, message string) http.HandlerFunc {
		return answers(status, object{"error": object{
			"type": "invalid_request_error", "code": code, "param": param, "message": message,
		}}, "Request-Id: req_1")
	}
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc
		refused bool
		missing bool
		text    string
	}{
		"address": {
			quoting(400, "email_invalid", "email", "Invalid email address: "+ann.Email), true, false,
			`upstream_error: stripe customers.update: refused type="invalid_request_error" code="email_invalid" param="email" request="req_1" status=400`,
		},
		"name": {
			quoting(400, "parameter_invalid_string", "name", "Invalid name: "+ann.Name), true, false,
			`upstream_error: stripe customers.update: refused type="invalid_request_error" code="parameter_invalid_string" param="name" request="req_1" status=400`,
		},
		"gone": {
			quoting(404, "resource_missing", "id", "No such customer: 'cus_1' ("+ann.Name+")"), true, true,
			`upstream_error: stripe customers.update: refused type="invalid_request_error" code="resource_missing" param="id" request="req_1" status=404`,
		},
		"a page of a proxy": {
			answers(400, "<html>"+ann.Name), false, false,
			`upstream_error: stripe customers.update: refused status=400: an error answer that is not Stripe's`,
		},
		"no answer": {wire(""), false, false, `upstream_error: stripe customers.update: network: EOF`},
		"garbage": {
			answers(200, `{"name":"`+ann.Name), false, false,
			`upstream_error: stripe customers.update: nonsense status=200: an answer that cannot be read`,
		},
		"another customer": {
			answers(200, with(newCustomer, "id", "cus_2", "name", ann.Name)), false, false,
			`upstream_error: stripe customers.update: disbelieved status=200: the id is not the one expected`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := inBubble(t, tt.answer, stripeclient.Options{})
				err := c.UpdateProfile(t.Context(), "cus_1", ann)
				wantSilence(t, err)
				if err == nil || err.Error() != tt.text {
					t.Errorf("the error is\n%v, want\n%s", err, tt.text)
				}
				if got := facetsOf(err); got.refused != tt.refused || catalog.IsMissing(err) != tt.missing {
					t.Errorf("refused: %v, missing: %v", got.refused, got.missing)
				}
			})
		})
	}
}
