package auth_test

import (
	"bytes"
	"crypto/ed25519"
	_ "embed"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"

	"till/internal/auth"
)

//go:embed testdata/keys.txt
var keyLines string

// words returns what stands for the words with $ in testdata/keys.txt.
func words() *strings.Replacer {
	k := keys()
	point := must(k.other.PublicKey.Bytes())[1:]
	number := func(bits uint, more int64) string {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return b64.EncodeToString(n.Add(n, big.NewInt(more)).Bytes())
	}
	fromHex := func(s string) string { return b64.EncodeToString(must(hex.DecodeString(s))) }
	n := k.otherRSA.N.Bytes()
	return strings.NewReplacer(
		"$ROCA", b64.EncodeToString(roca().Bytes()),
		"$EVEN", number(2048, 2), "$512", number(512, 1), "$1024", number(1024, 1), "$2047", number(2047, 1), "$8192", number(8192, 1),
		"$ED0", b64.EncodeToString(make([]byte, 32)),
		"$ED1", fromHex("01"+strings.Repeat("00", 31)),
		"$ED8", fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
		"$EDS", fromHex("ec"+strings.Repeat("ff", 31)),
		"$ED", b64.EncodeToString(k.ed.Public().(ed25519.PublicKey)),
		"$X", b64.EncodeToString(point[:32]), "$Y", b64.EncodeToString(point[32:]),
		"$0N", b64.EncodeToString(append([]byte{0}, n...)), "$N", b64.EncodeToString(n),
	)
}

// roca returns a 2048-bit number of the form that CVE-2017-15361 gives to moduli: a power
// of 65537 modulo the product of the primes up to 701. Whether it has two prime factors is
// not what is looked at.
func roca() *big.Int {
	product := big.NewInt(1)
	for p := int64(2); p <= 701; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(p))
		}
	}
	power := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1234567), product)
	top := new(big.Int).Lsh(big.NewInt(1), 2047)
	top.Div(top, product).Add(top, big.NewInt(2))
	return top.Mul(top, product).Add(top, power)
}

func TestOneBadKeyDoesNotHideTheGoodOne(t *testing.T) {
	replace := words()
	for line := range strings.Lines(keyLines) {
		f := strings.SplitN(line, "|", 3)
		if len(f) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		id, state, member := strings.TrimSpace(f[0]), strings.TrimSpace(f[1]), unescape(replace.Replace(strings.TrimSpace(f[2])))
		t.Run(id, func(t *testing.T) { besideGood(t, state, member) })
	}
}

// besideGood puts member into a set with a good key and with one whose kid member may take.
func besideGood(t *testing.T, state, member string) {
	k, n := keys(), &network{}
	n.host("id.example.com", serving(jwks(
		member, rsaJWK("rsa", &k.rsa.PublicKey, ""), ecJWK("taken", &k.p256.PublicKey, ""),
	)))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, n, auth.Issuer{Issuer: "https://id.example.com/", Audience: []string{"till"}, JWKSURL: "https://id.example.com/jwks"})
		defer s.end(t)
		if _, err := s.Verify(t.Context(), genuine("", "", "rsa")); err != nil {
			t.Errorf("the good key does not work: %v", err)
		}
		_, err := s.Verify(t.Context(), genuine(`"alg":"ES256","kid":"taken"`, "", "p256"))
		if got, want := reasonOf(err), map[bool]string{true: "unknown_key", false: "ok"}[state == "duplicate"]; got != want {
			t.Errorf("the key whose kid may be taken: got %s, want %s", got, want)
		}
		want := map[string]float64{"usable": 2, state: 1}
		if state == "usable" {
			want["usable"] = 3
		}
		if state == "duplicate" {
			want = map[string]float64{"usable": 1, "duplicate": 2}
		}
		for state, count := range want {
			if got := s.metric(t, "till_jwks_keys", "issuer", "https://id.example.com/", "state", state); got != count {
				t.Errorf("%s: got %v keys, want %v", state, got, count)
			}
		}
	})
}

// Sets that cannot be used as a whole. An honest set is kept instead.
func unusableSets() map[string][]byte {
	k := keys()
	good := rsaJWK("rsa", &k.otherRSA.PublicKey, "")
	return map[string][]byte{
		"A149 no keys":    []byte(`{"keys":[]}`),
		"A149 HTML":       []byte(`<!doctype html><title>Maintenance</title>`),
		"A150 empty":      nil,
		"A150 null":       []byte(`null`),
		"A150 array":      []byte(`[]`),
		"A150 no member":  []byte(`{}`),
		"A150 keys null":  []byte(`{"keys":null}`),
		"A150 pairs":      []byte(`["keys",[` + good + `]]`),
		"A150 object":     []byte(`{"keys":{}}`),
		"A150 twice":      []byte(`{"keys":[` + good + `],"keys":[` + good + `]}`),
		"A150 truncated":  jwks(good)[:100],
		"A150 unclosed":   []byte(`{"keys":[` + good + `]`),
		"A150 trailing":   append(jwks(good), 'x'),
		"A150 BOM":        append([]byte("\xef\xbb\xbf"), jwks(good)...),
		"A150 useless":    jwks(`{"kty":"oct","k":"AAAA"}`),
		"A150 all double": jwks(good, rsaJWK("rsa", &k.rsa.PublicKey, "")),
		"A152":            jwks(strings.Split(strings.Repeat(good+"\n", 100)+good, "\n")...),
		"A152 junk":       jwks(strings.Split(strings.Repeat("1\n", 100000)+good, "\n")...),
		"A153 1 MiB":      append(jwks(good), bytes.Repeat([]byte(" "), 1<<20)...),
		"A153 deep":       []byte(`{"keys":[` + strings.Repeat("[", 20000)),
	}
}

// Some issuers publish a key under its old name and its new one.
func TestOneKeyOfTwoNamesIsTwo(t *testing.T) {
	k := keys()
	v, _ := static(t, auth.Issuer{StaticJWKS: jwks(rsaJWK("rsa", &k.rsa.PublicKey, ""), rsaJWK("new", &k.rsa.PublicKey, ""))})
	for _, token := range []string{genuine("", "", "rsa"), genuine(`"kid":"new"`, "", "rsa")} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
}

func TestTheSameKeyTwiceIsOne(t *testing.T) {
	k := keys()
	good := rsaJWK("rsa", &k.rsa.PublicKey, "")
	set := jwks(good, good)
	v, _ := static(t, auth.Issuer{StaticJWKS: set})
	for _, token := range []string{genuine("", "", "rsa"), genuine("-kid", "", "rsa")} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
}
