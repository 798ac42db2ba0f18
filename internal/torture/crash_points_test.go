//go:build torture && linux

package torture_test

import "time"

// situation is what an owner's row and Stripe know before the visit that dies.
type situation string

const (
	fresh     situation = "fresh"     // nothing
	slow      situation = "slow"      // nothing, and Stripe takes its time
	failed    situation = "failed"    // a key with which Stripe made a customer and said 500
	spent     situation = "spent"     // as failed, and the key is known to be of no use any more
	fruitless situation = "fruitless" // as spent, and no customer came of it
	deleted   situation = "deleted"   // a customer that somebody deleted at Stripe
	forgotten situation = "forgotten" // a send without an answer, and nobody came again
)

// crashPoint is a place in the protocol, and how a process comes to it.
type crashPoint struct {
	at   string
	from situation
	role string
	// within bounds the random moment, counted from the beginning of a step, at which the
	// process dies: in the step, or soon after it.
	within time.Duration
	// row and customers are what must be there right after the kill; "" and -1 where the
	// moment decides.
	row       string
	customers int
}

const (
	none     = "none"
	reserved = "reserved"
	active   = "active"
)

// crashPoints are all of them, along the way of an owner.
var crashPoints = []crashPoint{
	{"before reserve", fresh, "visit", 0, none, 0},
	{"in reserve", fresh, "visit", 2 * time.Millisecond, "", -1},
	{"after reserve", fresh, "visit", 0, reserved, 0},
	{"before attempt", fresh, "visit", 0, reserved, 0},
	{"in attempt", fresh, "visit", 2 * time.Millisecond, "", -1},
	{"after attempt", fresh, "visit", 0, reserved, 0},
	{"before call", fresh, "visit", 0, reserved, 0},
	{"request written", fresh, "visit", 0, reserved, -1},
	{"in call", fresh, "visit", 3 * time.Millisecond, "", -1},
	{"in call", slow, "visit", 30 * time.Millisecond, "", -1},
	{"answer arrived", fresh, "visit", 0, reserved, 1},
	{"after call", fresh, "visit", 0, reserved, 1},
	{"before record", fresh, "visit", 0, reserved, 1},
	{"in record", fresh, "visit", 2 * time.Millisecond, "", -1},
	{"after record", fresh, "visit", 0, active, 1},

	{"before spend", failed, "visit", 0, reserved, 1},
	{"in spend", failed, "visit", 2 * time.Millisecond, "", -1},
	{"after spend", failed, "visit", 0, reserved, 1},
	{"before record", spent, "visit", 0, reserved, 1},
	{"after record", spent, "visit", 0, active, 1},
	{"before supersede", fruitless, "visit", 0, reserved, 0},
	{"in supersede", fruitless, "visit", 2 * time.Millisecond, "", -1},
	{"after supersede", fruitless, "visit", 0, reserved, 0},
	{"after attempt", fruitless, "visit", 0, reserved, 0},
	{"after call", fruitless, "visit", 0, reserved, 1},

	{"before heal", deleted, "visit", 0, active, 0},
	{"in heal", deleted, "visit", 2 * time.Millisecond, "", -1},
	{"after heal", deleted, "visit", 0, reserved, 0},
	{"after attempt", deleted, "visit", 0, reserved, 0},
	{"answer arrived", deleted, "visit", 0, reserved, 1},
	{"before record", deleted, "visit", 0, reserved, 1},
	{"after record", deleted, "visit", 0, active, 1},

	{"before due", forgotten, "sweep", 0, "", -1},
	{"after due", forgotten, "sweep", 0, "", -1},
	{"before attempt", forgotten, "sweep", 0, "", -1},
	{"after attempt", forgotten, "sweep", 0, "", -1},
	{"answer arrived", forgotten, "sweep", 0, "", -1},
	{"before record", forgotten, "sweep", 0, "", -1},
	{"in record", forgotten, "sweep", 2 * time.Millisecond, "", -1},
	{"after record", forgotten, "sweep", 0, "", -1},
}
