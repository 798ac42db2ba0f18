package auth

import (
	"crypto/sha256"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// MaxTokenCache is the most tokens that can be remembered.
const MaxTokenCache = 1_000_000

// usualEntry is the room, in bytes, that is reckoned for one token; one that takes more,
// because its names are long, counts for as many as it takes.
const usualEntry = 1 << 10

// tokenCache remembers tokens that were judged and found good, so that what never changes
// is judged once: the text of a token, its issuer's policy, and that the key has signed it.
// What may change is judged each time: the times, and whether the issuer still has that key
// and is believed. So a token is never good for longer than without the cache, and what the
// cache cannot answer is judged from the beginning: no refusal comes from here.
//
// Only tokens get in that an issuer has signed, and those that are used often stay before
// those that are not: neither made-up tokens nor one caller with many push out the others',
// who would lose a few microseconds and no more.
//
// A nil one remembers nothing.
type tokenCache struct {
	tokens *otter.Cache[place, *remembered]
}

// place is a token in the header it came in, since no other header's is taken in its stead.
// Of the token itself only the SHA-256 is kept: no memory of ours holds what still opens
// something.
type place struct {
	header string
	id     tokenID
}

// remembered is what was found out about a token.
type remembered struct {
	principal Principal
	validity  validity
	issuer    *trust
	header    header
	signer    key
	// generation is that of the key set in which signer was found last.
	generation atomic.Uint64
}

// newTokenCache returns a cache for n tokens; nil when that is none.
func newTokenCache(n int) (*tokenCache, error) {
	if n == 0 {
		return nil, nil
	}
	tokens, err := otter.New(&otter.Options[place, *remembered]{
		MaximumWeight: uint64(n) * usualEntry, //nolint:gosec // Options.check has seen to it
		Weigher:       func(_ place, r *remembered) uint32 { return r.size() },
	})
	if err != nil {
		return nil, err
	}
	return &tokenCache{tokens}, nil
}

// place is where the token would be remembered; false when it would not.
func (c *tokenCache) place(from credential) (place, bool) {
	if c == nil || len(from.token) > maxToken {
		return place{}, false
	}
	return place{from.header, sha256.Sum256([]byte(from.token))}, true
}

// find returns whom the token speaks for, if it was good before and still is.
func (c *tokenCache) find(at place, t clock) (Principal, bool) {
	r, found := c.tokens.GetIfPresent(at)
	if !found {
		return Principal{}, false
	}
	if r.validity.check(r.issuer.MaxLifetime, t) != nil || !r.issuer.keys.has(r) {
		// Judged from the beginning, it may be good once more, and is then remembered anew.
		c.tokens.Invalidate(at)
		return Principal{}, false
	}
	return r.principal, true
}

// has reports whether r's token would find the same key today.
func (s *keySource) has(r *remembered) bool {
	set, ok := s.usable()
	if !ok {
		return false
	}
	if r.generation.Load() == set.generation {
		return true
	}
	k, err := set.find(r.header)
	if err != nil || !k.same(r.signer) {
		return false
	}
	r.generation.Store(set.generation)
	return true
}

// size is about how many bytes r takes.
func (r *remembered) size() uint32 {
	p := r.principal
	n := len(p.Subject) + len(p.Email) + len(p.Name) + len(r.header.keyID)
	if p.Org != nil {
		n += len(p.Org.ID) + len(p.Org.Role)
	}
	return max(usualEntry, usualEntry/2+uint32(n)) //nolint:gosec // a few names of 255 bytes
}
