package sandbox

import "time"

// renewIfDue lets a subscription's time pass: a trial becomes active, periods
// roll on, a scheduled end comes. Renewals are paid and make no invoices.
func (c *call) renewIfDue(r *record) {
	for range maxRenewals {
		end, _ := r.fields["current_period_end"].(int64)
		if r.status() == "canceled" || c.now < end {
			return
		}
		if r.fields["cancel_at_period_end"] == true {
			r.set(object{"status": "canceled", "ended_at": end})
			return
		}
		r.set(object{"status": "active"})
		setPeriod(r, end, nextPeriod(r, end))
	}
}

// maxRenewals bounds the work after the clock has jumped by years.
const maxRenewals = 4000

func nextPeriod(r *record, from int64) int64 {
	first, _ := subscriptionItems(r)[0].(object)
	price, _ := first["price"].(object)
	every, _ := price["recurring"].(object)
	return after(from, every)
}

func firstPeriodEnd(items []*lineItem, now int64) int64 {
	for _, item := range items {
		if every, ok := item.price.fields["recurring"].(object); ok {
			return after(now, every)
		}
	}
	return now
}

// after adds one billing interval.
func after(from int64, every object) int64 {
	n, _ := every["interval_count"].(int64)
	count := int(max(n, 1))
	t := time.Unix(from, 0).UTC()
	switch stringOf(every, "interval") {
	case "day":
		return t.AddDate(0, 0, count).Unix()
	case "week":
		return t.AddDate(0, 0, 7*count).Unix()
	case "year":
		return t.AddDate(count, 0, 0).Unix()
	}
	return t.AddDate(0, count, 0).Unix()
}
