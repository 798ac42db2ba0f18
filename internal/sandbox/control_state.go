package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// listRequests shows the journal, oldest first. `total` counts the forgotten
// ones too.
func (s *Sandbox) listRequests(r *http.Request) (any, error) {
	operation := r.URL.Query().Get("operation")
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := []journalEntry{}
	for _, e := range s.state.journal.last() {
		if operation == "" || e.Operation == operation {
			rows = append(rows, e)
		}
	}
	return object{"object": "list", "data": rows, "total": s.state.journal.total}, nil
}

// readState counts the objects of each kind and the faults that struck, and shows
// the newest customers: a thousand, or as many as `limit` says.
func (s *Sandbox) readState(r *http.Request) (any, error) {
	limit := maxShown
	if given := r.URL.Query().Get("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 0 {
			return nil, malformed("", "limit", "limit must be a number of customers that is not negative.")
		}
		limit = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	counts, struck := object{}, object{}
	for kind, t := range s.state.tables {
		counts[strings.ReplaceAll(kind, ".", "_")+"s"] = len(t.rows)
	}
	for _, kind := range faultKinds {
		struck[kind] = s.state.struck[kind]
	}
	return object{
		"now": s.now(), "counts": counts, "faults_struck": struck,
		"idempotency_keys":           len(s.state.idem.slots),
		"idempotency_keys_forgotten": s.state.idem.forgotten,
		"customers":                  s.shownCustomers(limit),
	}, nil
}

// maxShown bounds the customers of an answer that was asked for no number.
const maxShown = 1000

// shownCustomer is a customer as it is, or as it was when it was deleted.
type shownCustomer struct {
	ID       string `json:"id"`
	Livemode bool   `json:"livemode"` // false: there is no live mode here
	Created  int64  `json:"created"`
	Deleted  bool   `json:"deleted"`
	Email    any    `json:"email"`
	Name     any    `json:"name"`
	Metadata object `json:"metadata"`
}

func (s *Sandbox) shownCustomers(limit int) []shownCustomer {
	rows := s.state.tables["customer"].rows
	rows = rows[max(0, len(rows)-limit):]
	out := make([]shownCustomer, 0, len(rows))
	for _, r := range slices.Backward(rows) {
		fields, deleted := r.fields, false
		if was, ok := r.hidden.(object); ok {
			fields, deleted = was, true
		}
		out = append(out, shownCustomer{
			ID: r.id, Created: r.created, Deleted: deleted,
			Email: nullable(stringOf(fields, "email")), Name: nullable(stringOf(fields, "name")), Metadata: metadataOf(fields),
		})
	}
	return out
}

// resetByOrder forgets everything but the seed; the clock returns to now.
func (s *Sandbox) resetByOrder(*http.Request) (any, error) {
	return object{"reset": true}, s.reset()
}

// addCustomerAccount registers an account (Accounts v2) that may stand in for
// a customer: {"id": "acct_..."}, or {} for a fresh id. Stripe makes these
// through an API that the sandbox does not have.
func (s *Sandbox) addCustomerAccount(r *http.Request) (any, error) {
	var body struct {
		ID string `json:"id"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	id := orElse(body.ID, newLongID("acct"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.state.accounts) >= maxObjects || len(id) > 255 {
		return nil, malformed("", "id", "Too many accounts, or too long an id.")
	}
	s.state.accounts[id] = true
	return object{"id": id, "object": "v2.core.account"}, nil
}
