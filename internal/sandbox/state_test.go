package sandbox_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"till/internal/sandbox"
)

// Stripe forgets whose a deleted customer was. A test that counts the customers
// that an owner ever had must not.
func TestTheStateRemembersWhoseADeletedCustomerWas(t *testing.T) {
	t.Parallel()
	s := start(t)
	gone := s.customer("metadata[till_subject]=ann", "email=ann@example.com", "name=Ann")
	s.must("/v1/customers/"+gone, "metadata[till_generation]=1")
	kept := s.customer("metadata[till_subject]=ann", "metadata[till_generation]=2")
	s.call("DELETE", "/v1/customers/"+gone, nil)

	got := s.get("/v1/customers/" + gone)
	if got.at("deleted") != true || len(got.body) != 3 {
		t.Errorf("a deleted customer is %s", got.raw)
	}
	state := s.control("GET", "/sandbox/v1/state", "")
	for i, want := range []object{
		{"id": kept, "deleted": false, "livemode": false, "email": nil, "name": nil},
		{"id": gone, "deleted": true, "livemode": false, "email": "ann@example.com", "name": "Ann"},
	} {
		row := state.at("customers", strconv.Itoa(i)).(object)
		for field, value := range want {
			if row[field] != value {
				t.Errorf("customer %d: %s is %v, want %v", i, field, row[field], value)
			}
		}
		if dig(row, "metadata", "till_subject") != "ann" || dig(row, "metadata", "till_generation") != strconv.Itoa(2-i) || row["created"] == nil {
			t.Errorf("customer %d: %v", i, row)
		}
	}
	if state.at("counts", "customers") != 2.0 {
		t.Errorf("counts: %v", state.at("counts"))
	}
}

func TestTheStateShowsAsManyCustomersAsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	var ids []string
	for range 1005 {
		ids = append(ids, s.customer())
	}
	for limit, want := range map[string]int{"": 1000, "?limit=": 1000, "?limit=3": 3, "?limit=0": 0, "?limit=1005": 1005, "?limit=100000": 1005} {
		got := s.control("GET", "/sandbox/v1/state"+limit, "")
		rows, _ := got.at("customers").([]any)
		if len(rows) != want || got.at("counts", "customers") != 1005.0 {
			t.Errorf("%q: %d customers shown", limit, len(rows))
		}
		for i, row := range rows {
			if dig(row, "id") != ids[len(ids)-1-i] {
				t.Fatalf("%q: customer %d is not the %d. newest", limit, i, i)
			}
		}
	}
	for _, bad := range []string{"-1", "all", "1.5"} {
		if got := s.control("GET", "/sandbox/v1/state?limit="+bad, ""); got.status != http.StatusBadRequest {
			t.Errorf("limit %s: %d", bad, got.status)
		}
	}
}

// A key that was forgotten early makes duplicates that are nobody's fault but the
// sandbox's.
func TestTheStateCountsKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 3 {
		s.call("POST", "/v1/customers", nil, key(strconv.Itoa(i)))
	}
	got := s.control("GET", "/sandbox/v1/state", "")
	if got.at("idempotency_keys") != 3.0 || got.at("idempotency_keys_forgotten") != 0.0 {
		t.Errorf("state: %v, %v", got.at("idempotency_keys"), got.at("idempotency_keys_forgotten"))
	}
	s.advance("25h")
	s.call("POST", "/v1/customers", nil, key("late"))
	got = s.control("GET", "/sandbox/v1/state", "")
	if got.at("idempotency_keys") != 1.0 || got.at("idempotency_keys_forgotten") != 0.0 {
		t.Errorf("state after a day: %v, %v", got.at("idempotency_keys"), got.at("idempotency_keys_forgotten"))
	}
}

func TestListsByTheTimeOfCreation(t *testing.T) {
	t.Parallel()
	now := int64(1_800_000_000)
	s := startWith(t, sandbox.Options{Now: func() time.Time { return time.Unix(now, 0) }})
	for range 5 { // at 0, 10, 20, 30 and 40
		s.customer()
		s.advance("10s")
	}
	at := func(op string, second int64) string { return fmt.Sprintf("created[%s]=%d", op, now+second) }
	for _, tt := range []struct {
		params []string
		want   string
	}{
		{nil, "4 3 2 1 0 "},
		{[]string{fmt.Sprintf("created=%d", now+20)}, "2 "},
		{[]string{fmt.Sprintf("created=%d", now+21)}, ""},
		{[]string{at("gte", 20)}, "4 3 2 "},
		{[]string{at("gt", 20)}, "4 3 "},
		{[]string{at("lte", 20)}, "2 1 0 "},
		{[]string{at("lt", 20)}, "1 0 "},
		{[]string{at("gte", 10), at("lte", 30)}, "3 2 1 "},
		{[]string{at("gt", 10), at("lt", 30)}, "2 "},
		{[]string{at("gte", 10), at("gt", 19), at("lt", 40), at("lte", 100)}, "3 2 "},
		{[]string{at("gte", 20), at("gt", 5), at("lt", 100), at("lte", 30)}, "3 2 "},
		{[]string{at("gte", 30), at("lte", 10)}, ""},
		{[]string{"created[gt]=9223372036854775807"}, ""},
		{[]string{"created[lt]=-9223372036854775808"}, ""},
		{[]string{"created[gte]=-9223372036854775808", "created[lte]=9223372036854775807"}, "4 3 2 1 0 "},
	} {
		got := ""
		rows, _ := s.get("/v1/customers", tt.params...).at("data").([]any)
		for _, row := range rows {
			created, _ := dig(row, "created").(float64)
			got += fmt.Sprintf("%d ", (int64(created)-now)/10)
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.params, got, tt.want)
		}
	}
}
