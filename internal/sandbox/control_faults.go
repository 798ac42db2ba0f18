package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
)

// addFaults installs one fault or a list of them, after those there are.
func (s *Sandbox) addFaults(r *http.Request) (any, error) {
	fresh, err := readFaults(r)
	if err != nil {
		return nil, err
	}
	for _, f := range fresh {
		if err := f.check(s.knowsOperation); err != nil {
			return nil, malformed("", "", "%s", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.state.faults)+len(fresh) > maxFaults {
		return nil, malformed("", "", "At most %d faults can be installed.", maxFaults)
	}
	s.state.faults = append(s.state.faults, fresh...)
	return shownFaults(fresh), nil
}

// readFaults takes a list or a single object.
func readFaults(r *http.Request) ([]*fault, error) {
	var raw json.RawMessage
	if err := readJSON(r, &raw); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	var fresh []*fault
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&fresh); err != nil || slices.Contains(fresh, nil) {
		return nil, malformed("", "", "The body is no fault and no list of faults.")
	}
	return fresh, nil
}

func (s *Sandbox) knowsOperation(name string) bool { return s.shapes[name] != nil }

func shownFaults(faults []*fault) object {
	rows := []any{}
	for _, f := range faults {
		rows = append(rows, *f)
	}
	return object{"object": "list", "data": rows}
}

func (s *Sandbox) listFaults(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return shownFaults(s.state.faults), nil
}

func (s *Sandbox) clearFaults(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.faults = nil
	return shownFaults(nil), nil
}
