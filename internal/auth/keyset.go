package auth

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

const maxKeys = 100

var (
	errNotKeySet   = errors.New("is not a JWK set: one JSON object with an array of keys")
	errTooManyKeys = errors.New("has more than 100 keys")
	errNoKeys      = errors.New("has no key that can be used with the issuer's algorithms")
	errUnknownKey  = &Rejection{Reason: UnknownKey, Err: errors.New("the issuer has no key of that kid")}
)

// keySet is the usable part of a JWK set. It never changes.
type keySet struct {
	keys    []key
	ignored map[ignored]int
	// shared is whether the only key is a secret shared with the issuer. Issuers name it
	// by kids of their own, which say nothing, since there is no other.
	shared bool
}

// secretSet is the set of an issuer that shares a secret with us.
func secretSet(value string) keySet {
	return keySet{shared: true, keys: []key{{kind: kindSecret, algorithm: secretAlgorithm, secret: []byte(value)}}}
}

// parseKeySet reads a JWK set (RFC 7517 section 5) and keeps the keys that fit one of the
// algorithms in policy. Members are read one by one, since section 5 wants those that are
// not understood ignored; a set that has nothing usable, or too much, is an error.
func parseKeySet(data []byte, policy []string) (keySet, error) {
	set := keySet{ignored: map[ignored]int{}}
	members, err := keyMembers(data)
	if errors.Is(err, errTooManyKeys) {
		return set, err
	}
	if err != nil {
		return set, errNotKeySet // the decoder's own error quotes the document
	}
	for _, member := range members {
		k, why := parseKey(member, policy)
		if why != "" {
			set.ignored[why]++
			continue
		}
		set.keys = append(set.keys, k)
	}
	set.dropContradictions()
	if len(set.keys) == 0 {
		return set, errNoKeys
	}
	return set, nil
}

// keyMembers returns the members of `keys` as they are. Duplicate names and bad UTF-8 are
// let through below the top, where they are one key's problem and parseKey's to judge.
func keyMembers(data []byte) ([]jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if opening, err := d.ReadToken(); err != nil || opening.Kind() != '{' {
		return nil, errNotKeySet
	}
	var members []jsontext.Value
	found := false
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		switch {
		case err != nil:
		case name.String() != "keys":
			err = d.SkipValue()
		case found:
			err = errNotKeySet
		default:
			found = true
			members, err = readArray(d)
		}
		if err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	if err != nil || !found || len(bytes.TrimSpace(data[d.InputOffset():])) > 0 {
		return nil, errNotKeySet
	}
	return members, nil
}

// readArray returns the raw members of the array that comes next, and stops counting at
// the limit.
func readArray(d *jsontext.Decoder) ([]jsontext.Value, error) {
	if opening, err := d.ReadToken(); err != nil || opening.Kind() != '[' {
		return nil, errNotKeySet
	}
	var members []jsontext.Value
	for d.PeekKind() != ']' {
		if len(members) == maxKeys {
			return nil, errTooManyKeys
		}
		member, err := d.ReadValue()
		if err != nil {
			return nil, errNotKeySet
		}
		members = append(members, member.Clone())
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, errNotKeySet
	}
	return members, nil
}

// dropContradictions removes every key whose kid also names another key: which of the two
// is meant cannot be told, and one of them may be a stranger's. The same key twice is one.
func (s *keySet) dropContradictions() {
	var kept []key
	for n, k := range s.keys {
		switch {
		case s.contradicted(k):
			s.ignored[ignoredDuplicate]++
		case !repeats(s.keys[:n], k):
			kept = append(kept, k)
		}
	}
	s.keys = kept
}

func (s *keySet) contradicted(k key) bool {
	for _, other := range s.keys {
		if k.id != "" && other.id == k.id && !other.public.Equal(k.public) {
			return true
		}
	}
	return false
}

func repeats(earlier []key, k key) bool {
	for _, other := range earlier {
		if other.id == k.id && other.algorithm == k.algorithm && other.public.Equal(k.public) {
			return true
		}
	}
	return false
}

// find returns the key that h names: by kid, or, without one, the only key that fits the
// algorithm. errUnknownKey is the one error that a newer set may not have.
func (s keySet) find(h header) (key, error) {
	if h.keyID == "" || s.shared {
		return s.only(h.algorithm)
	}
	named := false
	for _, k := range s.keys {
		if k.id != h.keyID {
			continue
		}
		if named = true; k.fits(h.algorithm) {
			return k, nil
		}
	}
	if named {
		return key{}, reject(Algorithm, "alg is not the algorithm of the key")
	}
	return key{}, errUnknownKey
}

func (s keySet) only(alg string) (key, error) {
	var fitting []key
	for _, k := range s.keys {
		if k.fits(alg) {
			fitting = append(fitting, k)
		}
	}
	if len(fitting) != 1 {
		return key{}, reject(UnknownKey, "kid is missing, and the issuer has not exactly one key for the algorithm")
	}
	return fitting[0], nil
}
