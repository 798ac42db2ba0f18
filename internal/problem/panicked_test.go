package problem_test

import (
	"errors"
	"strings"
	"testing"

	"till/internal/problem"
)

func TestWhatAPanicHoldsIsNotSaid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		what func()
		want string
	}{
		{func() { _ = at(nil, 0) }, "panic: runtime error: index out of range [0] with length 0"},
		{func() { _ = number("canary") }, "panic: interface conversion: interface {} is string, not int"},
		{func() { panic("canary") }, "panic with a value of type string"},
		{func() { panic(errors.New("canary")) }, "panic with a value of type *errors.errorString"},
		{func() { panic([]byte("canary")) }, "panic with a value of type []uint8"},
	} {
		func() {
			defer func() {
				if got := problem.Panicked(recover()).Error(); got != row.want || strings.Contains(got, "canary") {
					t.Errorf("got %q, want %q", got, row.want)
				}
			}()
			row.what()
		}()
	}
}

func at(list []int, i int) int { return list[i] }

func number(value any) int { return value.(int) } //nolint:forcetypeassert // that is what is tried
