package problem

import (
	"fmt"
	"runtime"
)

// Panicked returns an error for what recover returned: the runtime's own words, or the
// type of any other value. Such a value may hold what was at hand when the code gave up, a
// token or a key, and the text is for a log. The stack says where to look.
func Panicked(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
