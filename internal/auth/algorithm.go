package auth

import (
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms below
	_ "crypto/sha512"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// algorithm is how one value of `alg` is checked, and with which kind of key only.
type algorithm struct {
	kind   keyKind
	method jwt.SigningMethod
}

// secretAlgorithm is the one for issuers that share a secret with us, and for no others.
const secretAlgorithm = "HS256"

// algorithms is all that is ever accepted: signatures of RFC 7518 section 3.1 and RFC 8037
// section 3.1. What is not in this table cannot be configured.
var algorithms = map[string]algorithm{
	"RS256": {kindRSA, jwt.SigningMethodRS256},
	"RS384": {kindRSA, jwt.SigningMethodRS384},
	"RS512": {kindRSA, jwt.SigningMethodRS512},
	"PS256": {kindRSA, strictPSS(jwt.SigningMethodPS256)},
	"PS384": {kindRSA, strictPSS(jwt.SigningMethodPS384)},
	"PS512": {kindRSA, strictPSS(jwt.SigningMethodPS512)},
	"ES256": {kindP256, jwt.SigningMethodES256},
	"ES384": {kindP384, jwt.SigningMethodES384},
	"ES512": {kindP521, jwt.SigningMethodES512},
	"EdDSA": {kindEd25519, jwt.SigningMethodEdDSA},

	secretAlgorithm: {kindSecret, jwt.SigningMethodHS256},
}

// strictPSS returns m with the salt as long as the hash, as RFC 7518 section 3.5 demands;
// the library's own verification takes any length.
func strictPSS(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA,
		Options:          m.Options,
		VerifyOptions:    &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.Hash},
	}
}

// publicAlgorithms are those whose keys may be published.
func publicAlgorithms() []string {
	names := slices.Sorted(maps.Keys(algorithms))
	return slices.DeleteFunc(names, func(name string) bool { return name == secretAlgorithm })
}
