package sandbox

import (
	"math"
	"slices"
)

// listing is what a list operation does: which kind, which rows.
type listing struct {
	kind     string
	customer string             // only this customer's rows; "" for all
	match    func(*record) bool // nil: every row
	created  window
}

// list answers with one page, newest first, ties in creation order.
func (c *call) list(l listing) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	l.created = c.window()
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
	if !l.created.holds(r.created) || r.fields["deleted"] == true {
		return false
	}
	if l.match == nil {
		return true
	}
	c.refresh(l.kind, r)
	return l.match(r)
}

// window is a span of seconds, both ends included.
type window struct{ from, to int64 }

func (w window) holds(second int64) bool { return w.from <= second && second <= w.to }

// window reads `created`, an exact second or gt, gte, lt, lte: once for a list
// and not once for each row, since a test may have many thousands.
func (c *call) window() window {
	w := window{math.MinInt64, math.MaxInt64}
	if exact, ok := c.params["created"].(int64); ok {
		return window{exact, exact}
	}
	bounds := c.params.sub("created")
	if bounds.has("gte") {
		w.from = bounds.int("gte")
	}
	if bounds.has("lte") {
		w.to = bounds.int("lte")
	}
	if second := bounds.int("gt"); bounds.has("gt") {
		if second == math.MaxInt64 {
			return window{1, 0}
		}
		w.from = max(w.from, second+1)
	}
	if second := bounds.int("lt"); bounds.has("lt") {
		if second == math.MinInt64 {
			return window{1, 0}
		}
		w.to = min(w.to, second-1)
	}
	return w
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
