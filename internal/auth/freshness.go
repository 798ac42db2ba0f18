package auth

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	minFresh     = time.Minute
	maxFresh     = time.Hour
	defaultFresh = 15 * time.Minute
)

// freshness returns how long a key set is taken as it is: the first max-age of
// Cache-Control (RFC 9111 section 5.2.2.1), held between a minute and an hour, so that
// the server can ask neither for a flood nor for keys that stay for ever.
func freshness(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			return clampSeconds(strings.Trim(value, `"`))
		}
	}
	return defaultFresh
}

func clampSeconds(value string) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return defaultFresh
	}
	return min(max(time.Duration(seconds)*time.Second, minFresh), maxFresh)
}
