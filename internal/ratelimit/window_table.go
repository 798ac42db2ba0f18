package ratelimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// A table has 131,072 entries, 3 MB, all of them from the start: strangers choose
// the keys, so nothing may grow with their number.
const (
	setsPerTable  = 1 << 14
	entriesPerSet = 8
)

// table remembers who is ahead of the clock. An entry that is not can be forgotten
// without a difference, and at most rates few are: each is there as long as its
// requests cost. Should a set be full of others, the one that is least ahead makes room,
// which gives it less than anybody else would gain.
type table struct {
	seed  maphash.Seed
	start time.Time
	now   func() time.Time
	// evicted counts entries that were forgotten too early.
	evicted atomic.Uint64
	sets    [setsPerTable]set
}

type set struct {
	mu      sync.Mutex
	entries [entriesPerSet]entry
}

// entry is one caller. The zero value is nobody's.
type entry struct {
	// id is a hash of the key, with a seed that nobody outside knows.
	id uint64
	ahead
}

// ahead are the times at which a caller has caught up with the clock, since the start.
type ahead struct {
	// counted is by what all processes together have admitted, as far as is known for
	// certain: never more than what Redis has, had it lost nothing.
	counted time.Duration
	// shared is by what this one has admitted, each request at the price of its share.
	shared time.Duration
}

func newTable(now func() time.Time) *table {
	return &table{seed: maphash.MakeSeed(), start: now(), now: now}
}

// since is the present.
func (t *table) since() time.Duration { return t.now().Sub(t.start) }

func (t *table) id(key string) uint64 { return maphash.String(t.seed, key) }

// set returns the set of an id, locked.
func (t *table) set(id uint64) *set {
	s := &t.sets[id%setsPerTable]
	s.mu.Lock()
	return s
}

// take admits one request by the process's share, or returns how long to wait for that.
// Refused requests cost nothing.
func (t *table) take(id uint64, now time.Duration, whole, share rate) (wait time.Duration) {
	s := t.set(id)
	defer s.mu.Unlock()
	e := s.find(id)
	a := ahead{counted: now, shared: now}
	if e != nil {
		a.counted = max(e.counted, now)
		// What is known of all counts here too: ahead is ahead, in a share as in the whole.
		a.shared = max(e.shared, a.counted)
	}
	if wait = max(share.wait(a.shared-now), whole.wait(a.counted-now)); wait > 0 {
		return wait
	}
	a.counted += whole.cost
	a.shared += share.cost
	t.store(s, e, entry{id, a}, now)
	return 0
}

// debt is how far ahead the caller is known to be, of the clock of now.
func (t *table) debt(id uint64, now time.Duration) time.Duration {
	s := t.set(id)
	defer s.mu.Unlock()
	if e := s.find(id); e != nil {
		return max(e.counted-now, 0)
	}
	return 0
}

// learn remembers that the caller was ahead by debt at the time now.
func (t *table) learn(id uint64, now, debt time.Duration) {
	s := t.set(id)
	defer s.mu.Unlock()
	e := s.find(id)
	a := ahead{counted: now + debt}
	if e != nil {
		a = ahead{counted: max(e.counted, a.counted), shared: e.shared}
	}
	t.store(s, e, entry{id, a}, now)
}

func (s *set) find(id uint64) *entry {
	for i := range s.entries {
		if s.entries[i].id == id {
			return &s.entries[i]
		}
	}
	return nil
}

// store writes an entry over its old self, or over the one that is least ahead.
func (t *table) store(s *set, old *entry, e entry, now time.Duration) {
	if old == nil {
		old = &s.entries[0]
		for i := range s.entries {
			if s.entries[i].until() < old.until() {
				old = &s.entries[i]
			}
		}
		if old.until() > now {
			t.evicted.Add(1)
		}
	}
	*old = e
}

// until is when the entry can be forgotten.
func (a ahead) until() time.Duration { return max(a.counted, a.shared) }

// size counts the callers that are ahead.
func (t *table) size() (n int) {
	now := t.since()
	for i := range t.sets {
		s := &t.sets[i]
		s.mu.Lock()
		for _, e := range s.entries {
			if e.until() > now {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
