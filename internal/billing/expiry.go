package billing

import (
	"time"

	"till/internal/catalog"
)

// expire gives a session its end, in Stripe's seconds, if the plan has one.
func expire(params catalog.Params, after time.Duration, now time.Time) {
	if after > 0 {
		params["expires_at"] = now.Add(after).Unix()
	}
}
