package sandbox

import (
	"net/http"
	"time"
)

// maxAdvance keeps the clock within the range of sensible dates.
const maxAdvance = 20 * 365 * 24 * time.Hour

func (s *Sandbox) readClock(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return object{"now": s.now()}, nil
}

// advanceClock moves the sandbox's time forward: {"advance": "25h"}.
func (s *Sandbox) advanceClock(r *http.Request) (any, error) {
	var body struct {
		Advance string `json:"advance"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	by, err := time.ParseDuration(body.Advance)
	if err != nil || by < 0 {
		return nil, malformed("", "advance", "advance must be a Go duration that is not negative, such as 25h.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by > maxAdvance-s.state.advanced {
		return nil, malformed("", "advance", "The clock can be advanced by 20 years in all.")
	}
	s.state.advanced += by
	return object{"now": s.now()}, nil
}
