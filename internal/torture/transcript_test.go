//go:build torture && linux

package torture_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"till/internal/secret/secrettest"
)

// transcript keeps the beginning and the end of what a process says, and every line that
// tells of something that must not happen.
type transcript struct {
	mu         sync.Mutex
	head, tail []string
	bad        []string
	rest       []byte
}

// Write implements io.Writer.
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		text, rest, whole := bytes.Cut(s.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.line(string(text))
		s.rest = append([]byte(nil), rest...)
	}
}

// leaks knows the secrets of all processes: the key has the mark, and credentials are JWTs.
var leaks = secrettest.New(nil)

const kept = 40 // lines, at either end

func (s *transcript) line(text string) {
	if len(s.head) < kept {
		s.head = append(s.head, text)
	} else {
		s.tail = append(s.tail, text)
		s.tail = s.tail[max(0, len(s.tail)-kept):]
	}
	if secrets := leaks.Find(text); len(secrets) > 0 {
		s.bad = append(s.bad, fmt.Sprintf("it shows %v: %s", secrets, text))
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
		s.bad = append(s.bad, text)
	}
}

// String returns what is kept.
func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(append([]string(nil), s.head...), s.tail...), "\n")
}

func (s *transcript) alarms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bad...)
}
