package sandbox

import "slices"

// listing is what a list operation does: which kind, which rows.
type listing struct {
	kind     string
	customer string             // only this customer's rows; "" for all
	match    func(*record) bool // nil: every row
}

// list answers with one page, newest first, ties in creation order.
func (c *call) list(l listing) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	rows := c.tables[l.kind].of(l.customer)
	page, more, err := c.page(l, rows, limit)
	if err != nil {
		return nil, err
	}
	var data []any
	for _, r := range page {
		data = append(data, c.show(l.kind, r))
	}
	return listOf(c.request.URL.Path, data, more), nil
}

// limit reads `limit`: 1 to 100, 10 if absent.
func (c *call) limit() (int, error) {
	if !c.params.has("limit") {
		return 10, nil
	}
	n := c.params.int("limit")
	if n < 1 {
		return 0, malformed("parameter_invalid_integer", "limit", "This value must be greater than or equal to 1.")
	}
	if n > 100 {
		return 0, malformed("parameter_invalid_integer", "limit", "This value must be less than or equal to 100 (it currently is '%d').", n)
	}
	return int(n), nil
}

func (c *call) page(l listing, rows []*record, limit int) (page []*record, more bool, err error) {
	after, before := c.params.str("starting_after"), c.params.str("ending_before")
	if after != "" && before != "" {
		return nil, false, malformed("", "", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	if before != "" {
		at, err := c.cursor(l.kind, "ending_before", before)
		if err != nil {
			return nil, false, err
		}
		page, more = c.take(l, rows[position(rows, at.seq+1):], limit, false)
		slices.Reverse(page)
		return page, more, nil
	}
	if after != "" {
		at, err := c.cursor(l.kind, "starting_after", after)
		if err != nil {
			return nil, false, err
		}
		rows = rows[:position(rows, at.seq)]
	}
	page, more = c.take(l, rows, limit, true)
	return page, more, nil
}

func (c *call) cursor(kind, param, id string) (*record, error) {
	return c.fromParam(kind, id, param)
}

// take collects up to limit matching rows from one end, and says whether more
// would have matched.
func (c *call) take(l listing, rows []*record, limit int, newestFirst bool) (page []*record, more bool) {
	for i := range rows {
		r := rows[i]
		if newestFirst {
			r = rows[len(rows)-1-i]
		}
		if !c.wanted(l, r) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, r)
	}
	return page, false
}

func (c *call) wanted(l listing, r *record) bool {
	if r.fields["deleted"] == true || !c.createdInRange(r) {
		return false
	}
	if l.match == nil {
		return true
	}
	c.refresh(l.kind, r)
	return l.match(r)
}

// createdInRange applies `created`: an exact second or gt, gte, lt, lte.
func (c *call) createdInRange(r *record) bool {
	if exact, ok := c.params["created"].(int64); ok {
		return r.created == exact
	}
	bounds := c.params.sub("created")
	for name, holds := range map[string]func(a, b int64) bool{
		"gt":  func(a, b int64) bool { return a > b },
		"gte": func(a, b int64) bool { return a >= b },
		"lt":  func(a, b int64) bool { return a < b },
		"lte": func(a, b int64) bool { return a <= b },
	} {
		if bounds.has(name) && !holds(r.created, bounds.int(name)) {
			return false
		}
	}
	return true
}

// equals matches rows whose fields equal the parameters of the same name,
// where the request has them.
func (c *call) equals(names ...string) func(*record) bool {
	return func(r *record) bool {
		for _, name := range names {
			if c.params.has(name) && r.fields[name] != c.params[name] {
				return false
			}
		}
		return true
	}
}
