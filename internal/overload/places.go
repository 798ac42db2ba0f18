package overload

import "math"

const (
	// baseline is what the program takes with nobody there, and perRequest what each one
	// under way adds at most: goroutines, buffers of two connections, one of them TLS, and
	// what the garbage collector has not fetched yet.
	baseline   = 48 << 20
	perRequest = 96 << 10
	// leastPlaces and mostPlaces bound what is made of a memory limit.
	leastPlaces, mostPlaces = 32, 2048
)

// PlacesFor is how many requests may wait for Stripe or the database in a process that has
// so many bytes of memory (math.MaxInt64 is no limit) and so many connections (0 is no
// limit): a quarter of the connections stays free for what needs neither.
func PlacesFor(memory int64, connections int) int {
	places := mostPlaces
	if memory < math.MaxInt64 {
		places = int(min(max((memory-baseline)/perRequest, leastPlaces), mostPlaces))
	}
	if connections > 0 {
		places = min(places, max(1, connections*3/4))
	}
	return places
}
