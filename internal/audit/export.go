package audit

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// Format is how events are written for others to read.
type Format string

// JSONL is one JSON object per line, CSV a table with a head (RFC 4180).
const (
	JSONL Format = "jsonl"
	CSV   Format = "csv"
)

// Formats returns the list.
func Formats() []Format { return []Format{JSONL, CSV} }

// Selection says which events to export.
type Selection struct {
	// Since is the time of the first events, Until the one that they end before.
	Since, Until time.Time
	// Names, when there are any, must have the event's subject, member or customer.
	Names []string
}

func (s Selection) has(e Event) bool {
	return len(s.Names) == 0 || slices.Contains(s.Names, e.Subject) || slices.Contains(s.Names, e.Member) || slices.Contains(s.Names, e.Customer)
}

// Export writes the selected events in their order and returns how many they were. It
// holds one page of them in memory. Each takes one line, whatever its texts hold.
func Export(ctx context.Context, from Reader, to io.Writer, s Selection, f Format) (int, error) {
	const page = 500
	out := bufio.NewWriter(to)
	write, err := writerOf(out, f)
	if err != nil {
		return 0, err
	}
	written := 0
	for after := (Position{At: s.Since}); ; {
		events, err := from.Events(ctx, after, s.Until, page)
		if err != nil {
			return written, err
		}
		for _, e := range events {
			after = e.Position()
			if !s.has(e) {
				continue
			}
			if err := write(e.columns()); err != nil {
				return written, err
			}
			written++
		}
		// Who reads along gets whole pages.
		if err := out.Flush(); err != nil || len(events) < page {
			return written, err
		}
	}
}

// writerOf returns what writes the columns of one event as a line.
func writerOf(out *bufio.Writer, f Format) (func([]column) error, error) {
	switch f {
	case JSONL:
		return func(columns []column) error {
			_, err := out.Write(append(object(columns), '\n'))
			return err
		}, nil
	case CSV:
		table := csv.NewWriter(out)
		row := func(cell func(column) string, columns []column) error {
			var cells []string
			for _, c := range columns {
				cells = append(cells, cell(c))
			}
			if err := table.Write(cells); err != nil {
				return err
			}
			table.Flush() // into out
			return table.Error()
		}
		head := row(func(c column) string { return c.name }, Event{}.columns())
		return func(columns []column) error { return row(cell, columns) }, head
	default:
		return nil, fmt.Errorf("there is no format %q", f)
	}
}

// column is one member of an exported event: a string, a bool or an int64.
type column struct {
	name  string
	value any
}

func (e Event) columns() []column {
	return []column{
		{"time", e.At.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
		{"unix_ms", e.At.UnixMilli()},
		{"id", e.ID},
		{"action", string(e.Action)},
		{"outcome", string(e.Outcome)},
		{"object", e.Object},
		{"customer", e.Customer},
		{"issuer", e.Issuer},
		{"kind", e.Kind},
		{"subject", e.Subject},
		{"member", e.Member},
		{"account", e.Account},
		{"livemode", e.Livemode},
		{"request_id", e.RequestID},
		{"client", e.Client},
		{"idempotency_key_sha256", e.KeyHash},
	}
}

// MarshalJSON returns the event as JSONL has it.
func (e Event) MarshalJSON() ([]byte, error) { return object(e.columns()), nil }

func object(columns []column) []byte {
	var b []byte
	for i, c := range columns {
		b = append(b, "{,"[min(i, 1)], '"')
		b = append(b, c.name...)
		b = append(b, '"', ':')
		if text, ok := c.value.(string); ok {
			b = append(b, '"')
			b = append(b, strings.ReplaceAll(escape(text), `"`, `\"`)...)
			b = append(b, '"')
		} else {
			b = fmt.Append(b, c.value)
		}
	}
	return append(b, '}')
}

// escape writes what does not print as \u and four digits, and a backslash as two, as JSON
// has it but for the quotation mark: control characters, those of terminals, line ends of
// every kind, and what turns the direction of a text.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// cell is the value for a program that calculates tables: what it would take for a
// formula gets an apostrophe in front.
func cell(c column) string {
	text, ok := c.value.(string)
	if !ok {
		return fmt.Sprint(c.value)
	}
	text = escape(text)
	if first := strings.TrimLeft(text, " "); first != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(first)[0]) {
		return "'" + text
	}
	return text
}
