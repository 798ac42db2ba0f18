package sandbox

import (
	"slices"
	"sort"
)

// record is one stored object.
type record struct {
	id      string
	seq     int    // creation order within the table
	created int64  // unix seconds
	fields  object // what differs from the kind's template
	hidden  any    // what the sandbox knows besides: *checkout, *price, ...
}

func (r *record) str(field string) string { return stringOf(r.fields, field) }

// customer returns whose the object is, "" for nobody's.
func (r *record) customer() string { return r.str("customer") }

// table holds the objects of one kind in creation order.
type table struct {
	kind     string // Stripe's `object`
	noun     string // as error messages call it
	template object
	evicts   bool // when full, forget the oldest instead of refusing
	limit    int

	byID       map[string]*record
	rows       []*record
	byCustomer map[string][]*record
	next       int
}

// add stores a new object. It refuses when the table is full, unless the kind
// is one whose oldest objects may be forgotten.
func (t *table) add(id string, now int64, fields object, hidden any) (*record, error) {
	if len(t.rows) >= t.limit {
		if !t.evicts {
			return nil, invalid("", "", "The sandbox holds at most %d objects of this kind. POST /sandbox/v1/reset clears it.", t.limit)
		}
		t.evict()
	}
	r := &record{id: id, seq: t.next, created: now, fields: fields, hidden: hidden}
	t.next++
	fields["id"], fields["created"] = id, now
	t.byID[id] = r
	t.rows = append(t.rows, r)
	t.own(r)
	return r, nil
}

// own files r under its customer; called again when a session gets its
// customer only at completion.
func (t *table) own(r *record) {
	owner := r.customer()
	if owner == "" {
		return
	}
	rows := t.byCustomer[owner]
	at := position(rows, r.seq)
	if at < len(rows) && rows[at] == r {
		return
	}
	t.byCustomer[owner] = slices.Insert(rows, at, r)
}

func (t *table) evict() {
	oldest := t.rows[0]
	t.rows[0] = nil
	t.rows = t.rows[1:]
	delete(t.byID, oldest.id)
	owner := oldest.customer()
	if rows := t.byCustomer[owner]; len(rows) > 0 && rows[0] == oldest {
		t.byCustomer[owner] = rows[1:]
	}
	if len(t.byCustomer[owner]) == 0 {
		delete(t.byCustomer, owner)
	}
}

// of returns the rows of one customer, or all of them for "".
func (t *table) of(customer string) []*record {
	if customer == "" {
		return t.rows
	}
	return t.byCustomer[customer]
}

// position returns how many of rows were created before seq.
func position(rows []*record, seq int) int {
	return sort.Search(len(rows), func(i int) bool { return rows[i].seq >= seq })
}
