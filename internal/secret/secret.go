// Package secret holds values that must not be printed. It decides only how a
// secret looks from outside; where it comes from and what it opens is not its
// business.
package secret

import "log/slog"

const redacted = "[redacted]"

// Secret is a value that every formatter, encoder and logger shows as
// "[redacted]". The zero value is an absent secret.
type Secret struct{ value string }

// New wraps value.
func New(value string) Secret { return Secret{value: value} }

// Reveal returns the value itself. Each call is a place to look at in review.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the secret is absent. Absent secrets must be refused
// before anything is compared with them.
func (s Secret) IsZero() bool { return s.value == "" }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer, so that %#v does not reach the field.
func (s Secret) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler (JSON, YAML).
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
