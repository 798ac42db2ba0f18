package sandbox

const maxJournal = 1000

// journalEntry tells what one API request was and came to.
type journalEntry struct {
	Operation      string            `json:"operation"`
	Method         string            `json:"method"`
	Path           string            `json:"path"`
	Params         map[string]string `json:"params"`
	IdempotencyKey string            `json:"idempotency_key"`
	StripeVersion  string            `json:"stripe_version"`
	RequestID      string            `json:"request_id"`
	Status         int               `json:"status"` // 0: no answer was sent
	Replayed       bool              `json:"replayed"`
	Fault          string            `json:"fault,omitempty"`
	Created        int64             `json:"created"`
}

// journal keeps the last requests. The owner holds Sandbox.mu.
type journal struct {
	entries []journalEntry
	total   int
}

// add keeps up to twice as many, so that forgetting costs little per request.
func (j *journal) add(e journalEntry) {
	j.total++
	if len(j.entries) == 2*maxJournal {
		j.entries = append(j.entries[:0], j.last()...)
	}
	j.entries = append(j.entries, e)
}

// last returns the newest entries, oldest of them first.
func (j *journal) last() []journalEntry {
	return j.entries[max(0, len(j.entries)-maxJournal):]
}
