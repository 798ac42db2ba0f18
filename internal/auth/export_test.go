package auth

import (
	"context"
	"errors"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// VerifyJWS checks a token with the keys and the algorithms of i as judgeJWT does, without
// its claims: test vectors have none.
func VerifyJWS(token string, i Issuer) error {
	i = i.withDefaults()
	keys, err := newKeySource(i, Options{}, unregistered())
	if err != nil {
		return err
	}
	jws, err := parseCompact(token)
	if err != nil {
		return err
	}
	h, err := parseHeader(jws.header)
	if err != nil {
		return err
	}
	if err := i.accepts(h); err != nil {
		return err
	}
	t := &trust{Issuer: i, keys: keys}
	_, err = t.signer(context.Background(), h, jws)
	return err
}

// ErrKeyIgnored is what SignedBy returns for a key that is never used.
var ErrKeyIgnored = errors.New("the key is ignored")

// SignedBy checks one signature with one key.
func SignedBy(jwk []byte, alg, text string, signature []byte) (bool, error) {
	k, why := parseKey(jwk, []string{alg})
	if why != "" {
		return false, ErrKeyIgnored
	}
	return k.signed(alg, text, signature), nil
}

// Reachable reports whether i's keys may be fetched at ip, for a host that i does not name.
func Reachable(i Issuer, ip netip.Addr) bool { return i.reach().allows(ip) }

func unregistered() *metrics {
	m, _ := newMetrics(nobody{}) // nobody has no errors
	return m
}

type nobody struct{ prometheus.Registerer }

func (nobody) Register(prometheus.Collector) error { return nil }
