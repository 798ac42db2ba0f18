package audit

import (
	"context"
	"time"
)

// Store keeps events.
type Store interface {
	Reader
	// AppendEvents writes all of the events, or none. One that stands already, by its
	// time and id, is left as it is: a batch whose answer was lost is sent again.
	AppendEvents(ctx context.Context, events []Event) error
	// DeleteEvents deletes the oldest events from before the time, at most limit of
	// them, and returns how many they were.
	DeleteEvents(ctx context.Context, before time.Time, limit int) (int, error)
}

// Reader reads events.
type Reader interface {
	// Events returns the first events, at most limit of them, that come after one
	// position and were before a time, in their order.
	Events(ctx context.Context, after Position, before time.Time, limit int) ([]Event, error)
}

// Position is a place in the order of events; without an ID it is the one before the
// first event of that time.
type Position struct {
	At time.Time
	ID string
}

// Position returns the place of the event.
func (e Event) Position() Position { return Position{e.At, e.ID} }
