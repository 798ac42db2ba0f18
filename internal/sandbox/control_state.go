package sandbox

import (
	"net/http"
	"slices"
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

// readState counts the objects of each kind and shows the customers.
func (s *Sandbox) readState(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := object{}
	for kind, t := range s.state.tables {
		counts[strings.ReplaceAll(kind, ".", "_")+"s"] = len(t.rows)
	}
	return object{"now": s.now(), "counts": counts, "customers": s.shownCustomers()}, nil
}

// maxShown bounds the customers that one answer shows: the newest.
const maxShown = 1000

func (s *Sandbox) shownCustomers() []any {
	out := []any{}
	rows := s.state.tables["customer"].rows
	for _, r := range slices.Backward(rows[max(0, len(rows)-maxShown):]) {
		out = append(out, object{
			"id": r.id, "created": r.created, "deleted": r.fields["deleted"] == true,
			"email": nullable(r.str("email")), "metadata": metadataOf(r.fields),
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
