package handlers_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHostileQueries sends every line of testdata/query.txt: the answer is the one that
// the line says, and Stripe hears of none.
func TestHostileQueries(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/checkout", alice, `{"plan":"pro"}`), http.StatusCreated, "")
	before, sent := h.stripeCalls(""), 0
	for _, line := range sortedLines(t, "testdata/query.txt") {
		head, query, ok := strings.Cut(line+" ", " | ")
		expect := strings.Fields(head)
		if !ok || len(expect) < 4 || len(expect) > 5 {
			t.Fatalf("cannot be read: %s", line)
		}
		paths := []string{"/checkout"}
		switch {
		case len(expect) == 5 && expect[4] == "all":
			paths = []string{"/checkout", "/subscriptions", "/checkout/cs_test_a/line_items"}
		case len(expect) == 5:
			paths = expect[4:]
		}
		for _, path := range paths {
			sent++
			res := h.get(path+"?"+wireBytes(strings.TrimSuffix(query, " "), ""), alice)
			if got, want := verdict(t, res, expect[1:4]); got != want {
				t.Errorf("%s %s %.200q\n got %s\nwant %s", expect[0], path, query, got, want)
			}
		}
	}
	if after := h.stripeCalls(""); after != before {
		t.Errorf("%d calls reached Stripe", after-before)
	}
	if sent < 200 {
		t.Errorf("only %d queries were sent", sent)
	}
	t.Logf("%d queries refused, as their lines say", sent)
}
