package customers

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// BadRecordError is a row that this program cannot have written: somebody edited
// it. Its owner is refused until it is put right, and nobody else.
type BadRecordError struct {
	// Row is the row's idempotency key, which names the row and nobody.
	Row string
	// Why says what is wrong with it.
	Why string
}

// Error implements error.
func (e *BadRecordError) Error() string {
	return fmt.Sprintf(`the row of the table customers with idempotency_key %q was edited: %s; docs/customers.md, "A row that was edited", says what to do`,
		e.Row, e.Why)
}

// Check judges a row that was read: a *BadRecordError, or nil. What it lets through can be acted upon
// without harm to anybody.
func (r Record) Check() error {
	why := ""
	switch {
	case r.Generation < 1:
		why = "its generation is not at least 1"
	case r.State != Reserved && r.State != Active:
		why = fmt.Sprintf("its state is %.20q", string(r.State))
	case r.State == Active && !isID(r.CustomerID):
		why = "it is active, and its customer is not an id of Stripe's"
	case r.State == Reserved && r.CustomerID != "":
		why = "it is reserved and has a customer"
	case r.State == Reserved && (r.IdempotencyKey == "" || len(r.IdempotencyKey) > 255):
		why = "its idempotency_key is not 1 to 255 bytes long"
	case r.State == Reserved && !r.speaksOfOwner():
		why = "its params do not name its owner"
	default:
		return nil
	}
	return r.bad(why)
}

func (r Record) bad(why string) *BadRecordError {
	row := r.IdempotencyKey
	if row == "" {
		row = r.Owner.idempotencyKey(max(1, r.Generation))
		why += " (the key is missing too; it would be this one)"
	}
	return &BadRecordError{Row: row, Why: why}
}

// speaksOfOwner reports whether the frozen parameters would make a customer of
// this owner and no other.
func (r Record) speaksOfOwner() bool {
	have, err := frozenMetadata(r.Params)
	if err != nil {
		return false
	}
	for _, form := range []SubjectForm{SubjectPlain, SubjectSHA256} {
		if carries(have, r.Owner.Metadata(form, r.Generation)) {
			return true
		}
	}
	return false
}

// isID is generous: Stripe's ids are opaque.
func isID(id string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '?' || r == '#' || r == '%' }
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, odd)
}

// frozenMetadata returns what a customer made with params carries. The frozen
// text counts, and not what would be written today: the form of subjects may
// have been configured otherwise meanwhile.
func frozenMetadata(params string) (map[string]string, error) {
	form, err := url.ParseQuery(params)
	if err != nil {
		// The error would quote the parameters.
		return nil, errors.New("the frozen parameters cannot be read")
	}
	m := map[string]string{}
	for name := range form {
		if key, ok := strings.CutPrefix(name, "metadata["); ok {
			m[strings.TrimSuffix(key, "]")] = form.Get(name)
		}
	}
	if len(m) == 0 {
		return nil, errors.New("the frozen parameters have no metadata to look for")
	}
	return m, nil
}
