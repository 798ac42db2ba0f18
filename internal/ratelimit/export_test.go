package ratelimit

import "time"

// Patient makes Redis count as there for as long as a test on a busy machine may take.
func (r *Redis) Patient() *Redis {
	r.patience = time.Minute
	return r
}

// Rate is for properties of rates.
func Rate(limit, burst int) (cost, most time.Duration) {
	r := rateOf(limit, burst)
	return r.cost, r.most
}
