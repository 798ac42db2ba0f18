package sandbox

import (
	"container/list"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	keyLifetime = 24 * 60 * 60 // seconds of sandbox time
	maxKeys     = 50_000
)

// slot is what one idempotency key remembers.
type slot struct {
	key     string
	path    string
	request string // the parameters, canonically
	created int64
	done    bool
	stored  answer
	reqID   string
	place   *list.Element
}

// idempotency is the layer's memory, oldest key first. The owner holds
// Sandbox.mu.
type idempotency struct {
	slots map[string]*slot
	order *list.List
	// forgotten counts the keys that had to go before their time.
	forgotten int
}

func newIdempotency() *idempotency {
	return &idempotency{slots: map[string]*slot{}, order: list.New()}
}

// outcome is what a key that is known already leads to.
type outcome struct {
	stored   answer
	original string
	refused  *apiError
}

// claim takes a key for a new execution, or says what it stands for already:
// the stored answer, or a refusal (mismatch, in use, too long).
func (s *Sandbox) claim(key, path string, form *node) (*slot, *outcome) {
	if len(key) > 255 {
		return nil, &outcome{refused: malformed("", "", "Idempotency key is too long: it can have up to 255 characters.")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.state.idem.prune(now)
	fresh := &slot{key: key, path: path, request: canonical(form), created: now}
	if old := s.state.idem.slots[key]; old != nil {
		return nil, old.outcome(fresh)
	}
	s.state.idem.add(fresh)
	return fresh, nil
}

func (old *slot) outcome(fresh *slot) *outcome {
	switch {
	case old.path != fresh.path:
		return &outcome{refused: mismatch(fmt.Sprintf(
			"Keys for idempotent requests can only be used for the same endpoint they were first used for ('%s' vs '%s'). Try using a key other than '%s' if you meant to execute a different request.",
			fresh.path, old.path, old.key))}
	case old.request != fresh.request:
		return &outcome{refused: otherParameters(old.key)}
	case !old.done:
		return &outcome{refused: inUse(old.key)}
	}
	return &outcome{stored: old.stored, original: old.reqID}
}

func mismatch(message string) *apiError {
	return &apiError{Type: "idempotency_error", Message: message}
}

func otherParameters(key string) *apiError {
	return mismatch(fmt.Sprintf(
		"Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key))
}

func inUse(key string) *apiError {
	return &apiError{
		Status: http.StatusConflict, Code: "idempotency_key_in_use",
		Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): %s. Please try again later.", key),
	}
}

// settle stores the answer of an executed request, a 500 as well as a 200.
func (s *Sandbox) settle(sl *slot, got answer, requestID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.stored = answer{status: got.status, body: got.body}
	sl.reqID = requestID
	sl.done = true
}

// release frees the key of a request that was refused before it began.
func (s *Sandbox) release(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sl.done && s.state.idem.slots[sl.key] == sl {
		s.state.idem.remove(sl)
	}
}

func (i *idempotency) add(sl *slot) {
	if len(i.slots) >= maxKeys {
		i.remove(i.order.Front().Value.(*slot))
		i.forgotten++
	}
	i.slots[sl.key] = sl
	sl.place = i.order.PushBack(sl)
}

func (i *idempotency) remove(sl *slot) {
	delete(i.slots, sl.key)
	i.order.Remove(sl.place)
}

func (i *idempotency) prune(now int64) {
	for first := i.order.Front(); first != nil; first = i.order.Front() {
		sl := first.Value.(*slot)
		if now-sl.created < keyLifetime {
			return
		}
		i.remove(sl)
	}
}

// canonical writes the parameters in a fixed order.
func canonical(form *node) string {
	flat := form.flat()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		fmt.Fprintf(&b, "%q=%q\n", name, flat[name])
	}
	return b.String()
}
