package auth

import (
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"slices"
)

// smallOrderY are the y coordinates of the eight points of small order on edwards25519,
// in every encoding that fits 255 bits, little-endian. Signatures by such a "key" can be
// made by anyone (RFC 8032 section 5.1; the list is that of libsodium).
var smallOrderY = []string{
	"0000000000000000000000000000000000000000000000000000000000000000", // 0: order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // 1: order 1
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p-1: order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p: 0 again
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1: 1 again
}

// smallOrder reports whether an Ed25519 public key is of small order. The top bit is the
// sign of x, which does not matter here.
func smallOrder(x ed25519.PublicKey) bool {
	y := slices.Clone(x)
	y[len(y)-1] &= 0x7f
	return slices.Contains(smallOrderY, hex.EncodeToString(y))
}

// fingerprintedROCA reports whether n has the form that Infineon's library gave to its
// moduli, which can be factored (CVE-2017-15361): modulo each small prime they are a power
// of 65537. The paper's primes for 2048 bits and more end at 701; a random modulus passes
// as one with a probability of about 2^-154.
func fingerprintedROCA(n *big.Int) bool {
	const lastPrime = 701
	for p := int64(3); p <= lastPrime; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		residue := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		if !powerOf65537(residue, p) {
			return false
		}
	}
	return true
}

// powerOf65537 reports whether residue is a power of 65537 modulo the prime p.
func powerOf65537(residue, p int64) bool {
	const generator = 65537
	for power, n := int64(1), int64(0); n < p; n++ {
		if power == residue {
			return true
		}
		power = power * generator % p
	}
	return false
}
