package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"till/internal/problem"
)

// statuses is what programs were promised: a code keeps its status for good.
var statuses = map[int][]problem.Code{
	400: {problem.MalformedRequest, problem.IdempotencyKeyInvalid},
	401: {problem.Unauthenticated},
	403: {problem.Forbidden, problem.CSRFRejected},
	404: {problem.NotFound},
	405: {problem.MethodNotAllowed},
	408: {problem.RequestTimeout},
	409: {problem.IdempotencyInProgress, problem.SessionNotOpen, problem.AlreadySubscribed, problem.NoCustomer},
	413: {problem.PayloadTooLarge},
	414: {problem.URITooLong},
	415: {problem.UnsupportedMediaType},
	422: {problem.ValidationFailed, problem.RedirectNotAllowed, problem.CatalogNotAllowed, problem.IdempotencyKeyReused},
	429: {problem.RateLimited},
	500: {problem.Internal},
	502: {problem.UpstreamError},
	503: {problem.Overloaded, problem.DependencyUnavailable, problem.PlanUnavailable},
	504: {problem.UpstreamTimeout},
}

func TestCodesKeepTheirStatus(t *testing.T) {
	t.Parallel()
	var want []problem.Code
	for status, codes := range statuses {
		want = append(want, codes...)
		for _, code := range codes {
			if got := code.Status(); got != status {
				t.Errorf("%s: got %d, want %d", code, got, status)
			}
		}
	}
	got := problem.Codes()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the list is\n%v, want\n%v", got, want)
	}
}

// Titles are sentences of ours, and each says something else: what differs is worth two codes.
func TestTitlesAreSentences(t *testing.T) {
	t.Parallel()
	sentence, snake := regexp.MustCompile(`^[A-Z][A-Za-z0-9,' -]+\.$`), regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]problem.Code{}
	for _, code := range problem.Codes() {
		title := code.Title()
		if !sentence.MatchString(title) || !snake.MatchString(string(code)) {
			t.Errorf("%s: %q", code, title)
		}
		if other, taken := seen[title]; taken {
			t.Errorf("%s and %s have one title", code, other)
		}
		seen[title] = code
	}
}

// A code that nobody listed is our mistake, and says nothing.
func TestUnlistedCodesAreInternal(t *testing.T) {
	t.Parallel()
	for _, code := range []problem.Code{"", "Internal", "not_found ", "teapot"} {
		if code.Status() != http.StatusInternalServerError || code.Title() != problem.Internal.Title() {
			t.Errorf("%q: %d %q", code, code.Status(), code.Title())
		}
	}
}

func TestErrorsNameTheirCodeAndCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("no answer from 192.0.2.1")
	for _, row := range []struct {
		err    *problem.Error
		text   string
		caused bool
	}{
		{problem.New(problem.UpstreamError, cause), "upstream_error: no answer from 192.0.2.1", true},
		{problem.New(problem.NotFound, nil), "not_found", false},
		{problem.At(problem.ValidationFailed, "/quantity", "must be 1 to 50"), "validation_failed", false},
	} {
		wrapped := fmt.Errorf("creating the session: %w", row.err)
		if found, ok := errors.AsType[*problem.Error](wrapped); !ok || found != row.err {
			t.Errorf("%s: not found again, but %v", row.text, found)
		}
		if row.err.Error() != row.text || errors.Is(wrapped, cause) != row.caused {
			t.Errorf("got %q, caused: %v; want %q, %v", row.err.Error(), errors.Is(wrapped, cause), row.text, row.caused)
		}
	}
}

func TestFieldsAreWhatCallersAreShown(t *testing.T) {
	t.Parallel()
	p := problem.At(problem.ValidationFailed, "/line_items/0/quantity", "must be 1 to 50")
	shown, err := json.Marshal(p.Fields)
	if want := `[{"pointer":"/line_items/0/quantity","detail":"must be 1 to 50"}]`; err != nil || string(shown) != want {
		t.Errorf("got %s, %v; want %s", shown, err, want)
	}
	if p.Code != problem.ValidationFailed || p.Err != nil || p.RetryAfter != 0 {
		t.Errorf("got %+v", p)
	}
}
