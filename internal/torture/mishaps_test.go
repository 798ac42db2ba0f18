//go:build torture && linux

package torture_test

// onCreate are the faults F02 to F10, on the call that makes a customer.
var onCreate = []mishap{
	{name: "F02 lock_timeout", weight: 10, order: object{"kind": "lock_timeout"}},
	{name: "F03 created, then 500", weight: 8, order: object{"kind": "created_then_500"}},
	{name: "F04 500, not created", weight: 10, order: object{"kind": "status", "status": 500}},
	{name: "F06 502 of HTML", weight: 8, order: object{"kind": "html_502"}},
	{name: "F06 503", weight: 5, order: object{"kind": "status", "status": 503}},
	{name: "F06 504", weight: 5, order: object{"kind": "status", "status": 504}},
	{name: "F07 key in use", weight: 6, order: object{"kind": "key_in_use"}},
	{name: "F05 500 for ever, not created", weight: 6, order: object{"kind": "failed_500"}},
	{name: "F07 really in use", weight: 6, order: object{"kind": "delay", "delay": "600ms"}},
	{name: "F08 idempotency_error", weight: 4, order: object{"kind": "idempotency_error"}},
	{name: "F09 refused", weight: 6, order: object{"kind": "drop"}},
	{name: "F09 reset before", weight: 6, wire: resetBefore},
	{name: "F09 created, then reset", weight: 8, wire: resetAfter},
	{name: "F09 created, then half an answer", weight: 6, wire: halfAnswer},
	{name: "F09 created, then reset by Stripe", weight: 4, order: object{"kind": "created_then_reset"}},
	{name: "F09 created, then hung up", weight: 10, order: object{"kind": "created_then_silence"}},
	{name: "F09 created, then silence", weight: 1, wire: silence},
	{name: "F09 created, late", weight: 4, wire: late},
	{name: "F10 garbage", weight: 5, order: object{"kind": "garbage_200"}},
	{name: "F10 empty object", weight: 4, order: object{"kind": "empty_200"}},
	{name: "F10 truncated", weight: 4, order: object{"kind": "truncated"}},
	{name: "F10 wrong length", weight: 4, wire: wrongLength},
	{name: "F12 another's customer", weight: 4, order: object{"kind": "wrong_customer"}},
	{name: "F12 the other mode", weight: 3, order: object{"kind": "flip_livemode"}},
}

// onRead are faults of reads: answers that do not come, or cannot be read. A list that lies
// about what there is could not be told from the truth by anybody.
var onRead = []mishap{
	{name: "other: 500", weight: 4, order: object{"kind": "status", "status": 500}},
	{name: "other: 502 of HTML", weight: 3, order: object{"kind": "html_502"}},
	{name: "other: garbage", weight: 3, order: object{"kind": "garbage_200"}},
	{name: "other: rate_limit", weight: 2, order: object{"kind": "rate_limit"}},
	{name: "other: reset before", weight: 3, wire: resetBefore},
	{name: "other: reset after", weight: 3, wire: resetAfter},
	{name: "other: half an answer", weight: 2, wire: halfAnswer},
}

// onSession are faults of the calls that open a session.
var onSession = append([]mishap{
	{name: "other: lock_timeout", weight: 3, order: object{"kind": "lock_timeout"}},
	{name: "other: another's", weight: 2, order: object{"kind": "wrong_customer"}},
	// Stripe says that the customer is not there, and it is.
	{name: "other: customer missing", weight: 3, order: object{"kind": "missing"}},
}, onRead...)

// stormy is every fifth creation and every twelfth other call.
func stormy() map[string]plan {
	const others = 0.08
	return map[string]plan{
		"customers.create":               {0.20, onCreate},
		"customers.list":                 {others, onRead},
		"customers.retrieve":             {others, onRead},
		"checkout.sessions.create":       {others, onSession},
		"billing_portal.sessions.create": {others, onSession},
	}
}

// serene is a Stripe that works.
func serene() map[string]plan { return nil }
