package auth

import (
	"bytes"
	"crypto"
	"slices"
)

// keyKind is what a key is, as far as it decides which algorithms fit.
type keyKind string

const (
	kindRSA     keyKind = "RSA"
	kindP256    keyKind = "P-256"
	kindP384    keyKind = "P-384"
	kindP521    keyKind = "P-521"
	kindEd25519 keyKind = "Ed25519"
	// kindSecret is configured and never read from a key set, so no set can bring one.
	kindSecret keyKind = "secret"
)

// key is one key of an issuer.
type key struct {
	id        string // "": the JWK has no kid
	kind      keyKind
	algorithm string // "": any that fits the kind
	public    interface{ Equal(crypto.PublicKey) bool }
	secret    []byte // of kindSecret, in place of public
}

// fits reports whether k may check signatures of alg. The key decides, not the token
// (RFC 8725 section 3.1).
func (k key) fits(alg string) bool {
	known, ok := algorithms[alg]
	return ok && known.kind == k.kind && (k.algorithm == "" || k.algorithm == alg)
}

// signed reports whether signature is k's over text; k must fit alg.
func (k key) signed(alg, text string, signature []byte) bool {
	if k.kind == kindSecret {
		return algorithms[alg].method.Verify(text, signature, k.secret) == nil
	}
	return algorithms[alg].method.Verify(text, signature, k.public) == nil
}

// same reports whether k is the other one: what the other has signed, k has.
func (k key) same(other key) bool {
	if k.kind == kindSecret {
		return bytes.Equal(k.secret, other.secret)
	}
	return k.public.Equal(other.public)
}

// ignored is why a member of a key set is not used.
type ignored string

const (
	ignoredMalformed   ignored = "malformed"
	ignoredUnsupported ignored = "unsupported" // kty, crv or alg that the issuer's policy does not use
	ignoredPurpose     ignored = "purpose"     // use or key_ops: not for checking signatures
	ignoredWeak        ignored = "weak"
	ignoredPrivate     ignored = "private"   // a key that everyone has, or a shared secret
	ignoredDuplicate   ignored = "duplicate" // one kid, several keys
)

// ignoredReasons is the closed list, for metrics.
func ignoredReasons() []ignored {
	return []ignored{
		ignoredMalformed, ignoredUnsupported, ignoredPurpose, ignoredWeak, ignoredPrivate, ignoredDuplicate,
	}
}

const maxKeyMembers = 64

// privateMembers are the members of RFC 7518 section 6 that no published key has.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// parseKey reads one member of a key set (RFC 7517 section 4). It returns the key, or why
// it is to be ignored. Certificates (x5c, x5t, x5u) are not looked at.
func parseKey(data []byte, policy []string) (key, ignored) {
	o, err := parseObject(data, maxKeyMembers)
	if err != nil {
		return key{}, ignoredMalformed
	}
	if slices.ContainsFunc(privateMembers, o.has) {
		return key{}, ignoredPrivate
	}
	if why := purpose(o); why != "" {
		return key{}, why
	}
	k, why := publicKey(o)
	if why != "" {
		return key{}, why
	}
	if k.id, _, err = o.text("kid"); err != nil || len(k.id) > maxName {
		return key{}, ignoredMalformed
	}
	if k.algorithm, _, err = o.text("alg"); err != nil {
		return key{}, ignoredMalformed
	}
	if !slices.ContainsFunc(policy, k.fits) {
		return key{}, ignoredUnsupported
	}
	return k, ""
}

// purpose refuses keys that are not for checking signatures (RFC 7517 sections 4.2, 4.3).
func purpose(o object) ignored {
	use, present, err := o.text("use")
	if err != nil {
		return ignoredMalformed
	}
	if present && use != "sig" {
		return ignoredPurpose
	}
	if !o.has("key_ops") {
		return ""
	}
	operations, err := texts(o["key_ops"], maxKeyMembers)
	if err != nil {
		return ignoredMalformed
	}
	if !slices.Contains(operations, "verify") {
		return ignoredPurpose
	}
	return ""
}
