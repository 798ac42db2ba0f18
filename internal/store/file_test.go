package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"till/internal/store/storetest"
)

// A file that is gone would take what is written into it along: the next start
// would make a new one, and every customer twice.
func TestNothingIsWrittenIntoAFileThatWasMovedAway(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.db")
	for name, tc := range map[string]struct{ away, back func(path string) error }{
		"moved": {
			func(path string) error { return os.Rename(path, elsewhere) },
			func(path string) error { return os.Rename(elsewhere, path) },
		},
		"deleted": {away: os.Remove},
		"replaced": {away: func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}},
		"the folder moved": {
			func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+"-elsewhere") },
			func(path string) error { return os.Rename(filepath.Dir(path)+"-elsewhere", filepath.Dir(path)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			s := open(t, path)
			if _, err := protocol(t.Context(), s, "alice", "cus_1"); err != nil {
				t.Fatal(err)
			}
			if err := tc.away(path); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("bob"), 1, "k"))
				if err == nil || !strings.Contains(err.Error(), "put that one back, or restart") {
					t.Fatalf("got %v, want an error that says what to do", err)
				}
			}
			if r, err := s.Find(t.Context(), storetest.Owner("alice")); err != nil || r.CustomerID != "cus_1" {
				t.Errorf("reading: got %+v, %v", r, err)
			}
			if tc.back == nil {
				return
			}
			if err := tc.back(path); err != nil {
				t.Fatal(err)
			}
			if _, err := protocol(t.Context(), s, "bob", "cus_2"); err != nil {
				t.Errorf("after it was put back: %v", err)
			}
		})
	}
}

func TestAFullDiskIsAnErrorUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	if _, err := protocol(t.Context(), s, "alice", "cus_1"); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.Writer().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	execAll(t, s.Writer(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2))
	written := 0
	for ; ; written++ {
		_, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner(fmt.Sprint("user", written)), 1, "k"))
		if err != nil {
			if !strings.Contains(err.Error(), "full") {
				t.Errorf("got %v, want that it is full", err)
			}
			break
		}
		if written > 1000 {
			t.Fatal("it is never full")
		}
	}
	if r, err := s.Find(t.Context(), storetest.Owner("alice")); err != nil || r.CustomerID != "cus_1" {
		t.Errorf("reading: got %+v, %v", r, err)
	}
	execAll(t, s.Writer(), "PRAGMA max_page_count = 1000000")
	if _, err := protocol(t.Context(), s, "bob", "cus_2"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := rows(t, s.DB(), "customers"); got != written+2 {
		t.Errorf("got %d rows, want %d", got, written+2)
	}
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}
