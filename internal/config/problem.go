package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Problem is one thing wrong, and how to put it right.
type Problem struct {
	// Key is the place in till.yaml, plans.pro.params.automatic_tax, or the variable
	// of a setting that the file cannot hold; "" for the file as a whole.
	Key string
	// File is the file the value comes from, or the one it is missing from. Env is
	// the variable that the value comes from instead.
	File, Env string
	// Line and Column are 0 when the value is not in the file.
	Line, Column int
	// Text is the rule, Fix what to write. Neither shows a secret.
	Text, Fix string
}

// String returns "till.yaml:12:7: plans.pro.mode: must be …. Fix: …".
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Env != "" && p.Env != p.Key:
		b.WriteString(p.Env + ": ")
	case p.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	case p.File != "":
		b.WriteString(p.File + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	if p.Fix != "" {
		b.WriteString(". Fix: " + p.Fix)
	}
	return clean(b.String())
}

// Problems is everything wrong with a configuration.
type Problems []Problem

// Error implements error: a heading and one line for each problem.
func (p Problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problem", len(p))
	if len(p) != 1 {
		b.WriteByte('s')
	}
	for _, one := range p {
		b.WriteString("\n" + one.String())
	}
	return b.String()
}

// Warning is something that does not stop the start and must not pass unseen.
type Warning struct{ Key, Text string }

// String returns "stripe.account: …".
func (w Warning) String() string { return clean(w.Key + ": " + w.Text) }

// keyLike finds Stripe keys that were put into the wrong place.
var keyLike = regexp.MustCompile(`\b(sk|rk|whsec)_[A-Za-z0-9_]{6,}`)

// clean keeps a line a line, and Stripe keys out of it.
func clean(text string) string {
	text = keyLike.ReplaceAllString(text, "[redacted]")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
