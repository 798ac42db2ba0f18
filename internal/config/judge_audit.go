package config

import (
	"time"

	"till/internal/audit"
)

// Rows that are gone within a day are more likely a slip of the pen than a wish.
const leastRetention = 24 * time.Hour

func (l *loader) judgeAudit() Audit {
	in := l.doc.Audit
	var modes []string
	for _, m := range audit.Modes() {
		modes = append(modes, string(m))
	}
	l.isOneOf("audit.mode", in.Mode, modes...)
	if in.Retention != 0 && in.Retention < leastRetention {
		l.rule("audit.retention", "is too short", "write a day or more, such as 400d, or 0 to keep rows for ever")
	}
	return Audit{Mode: audit.Mode(in.Mode), Retention: in.Retention}
}
