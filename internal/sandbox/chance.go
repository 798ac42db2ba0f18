package sandbox

import (
	"errors"
	"math/rand/v2"
)

// chance decides which of the requests that a fault is for it strikes. The same
// seed decides the same for the same sequence of requests.
type chance struct {
	probability float64
	random      *rand.Rand
}

var errProbability = errors.New("probability must be more than 0 and at most 1")

// newChance completes probability and seed as read from JSON. A seed that was not
// given is drawn and shown, so that every run can be played again.
func newChance(probability *float64, seed *uint64) (chance, *uint64, error) {
	if probability == nil {
		return chance{probability: 1}, seed, nil
	}
	if *probability <= 0 || *probability > 1 {
		return chance{}, nil, errProbability
	}
	if seed == nil {
		// As many bits as survive a JSON number.
		drawn := rand.Uint64() >> 11 //nolint:gosec // which faults strike is no secret
		seed = &drawn
	}
	return chance{*probability, rand.New(rand.NewPCG(*seed, 0))}, seed, nil //nolint:gosec // it must repeat
}

// strikes is asked once for each request; the owner holds Sandbox.mu.
func (c chance) strikes() bool { return c.random == nil || c.random.Float64() < c.probability }
