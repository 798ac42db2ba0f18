package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"slices"
)

// publicKey reads the key itself, by its kty.
func publicKey(o object) (key, ignored) {
	kty, present, err := o.text("kty")
	if !present || err != nil {
		return key{}, ignoredMalformed
	}
	switch kty {
	case "RSA":
		return rsaKey(o)
	case "EC":
		return ecKey(o)
	case "OKP":
		return okpKey(o)
	default:
		return key{}, ignoredUnsupported
	}
}

// member returns the bytes of a base64url member; nil when it is missing or malformed.
func (o object) member(name string) []byte {
	text, _, err := o.text(name)
	if err != nil {
		return nil
	}
	decoded, _ := decodeBase64URL(text)
	return decoded
}

const (
	minRSABits = 2048
	maxRSABits = 4096 // beyond it, checking a signature costs a stranger's millisecond of ours
	// crypto/rsa refuses larger exponents, so such a key could never say yes.
	maxRSAExponent = 1<<31 - 1
)

func rsaKey(o object) (key, ignored) {
	n, e := new(big.Int).SetBytes(o.member("n")), new(big.Int).SetBytes(o.member("e"))
	if n.Sign() == 0 || e.Sign() == 0 {
		return key{}, ignoredMalformed
	}
	if n.BitLen() < minRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 || fingerprintedROCA(n) {
		return key{}, ignoredWeak
	}
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > maxRSAExponent || e.Bit(0) == 0 {
		return key{}, ignoredWeak
	}
	return key{kind: kindRSA, public: &rsa.PublicKey{N: n, E: int(e.Int64())}}, ""
}

var curves = map[string]elliptic.Curve{
	string(kindP256): elliptic.P256(),
	string(kindP384): elliptic.P384(),
	string(kindP521): elliptic.P521(),
}

// ecKey reads a point, whose coordinates have the full length of the field (RFC 7518
// section 6.2.1.2), and makes sure that it is on the curve.
func ecKey(o object) (key, ignored) {
	crv, _, err := o.text("crv")
	if err != nil {
		return key{}, ignoredMalformed
	}
	curve, known := curves[crv]
	if !known {
		return key{}, ignoredUnsupported
	}
	x, y := o.member("x"), o.member("y")
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size {
		return key{}, ignoredMalformed // else bytes of one could count for the other
	}
	const uncompressed = 4 // SEC 1 section 2.3.3, which leaves y what is behind x
	point := slices.Concat([]byte{uncompressed}, x, y)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return key{}, ignoredMalformed
	}
	return key{kind: keyKind(crv), public: public}, ""
}

func okpKey(o object) (key, ignored) {
	crv, _, err := o.text("crv")
	if err != nil {
		return key{}, ignoredMalformed
	}
	if crv != string(kindEd25519) {
		return key{}, ignoredUnsupported
	}
	x := o.member("x")
	if len(x) != ed25519.PublicKeySize {
		return key{}, ignoredMalformed
	}
	if smallOrder(x) {
		return key{}, ignoredWeak
	}
	return key{kind: kindEd25519, public: ed25519.PublicKey(x)}, ""
}
