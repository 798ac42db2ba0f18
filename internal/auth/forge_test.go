package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// The forger makes tokens from raw JSON, so that anything can be said in them. It uses
// crypto and none of the libraries under test.

// now is the time at which tokens are judged: 2026-01-01T00:00:00Z.
const now = 1767225600

const (
	baseHeader = `"alg":"RS256","typ":"at+jwt","kid":"rsa"`
	baseClaims = `"iss":"https://id.example.com/","sub":"alice","aud":"till","iat":1767225600,"exp":1767229200`
)

var b64 = base64.RawURLEncoding

// keyring is the private keys of all test issuers, made once.
type keyring struct {
	rsa, otherRSA *rsa.PrivateKey
	p256, other   *ecdsa.PrivateKey
	p384, p521    *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
}

var keys = sync.OnceValue(func() keyring {
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return keyring{
		rsa: must(rsa.GenerateKey(rand.Reader, 2048)), otherRSA: must(rsa.GenerateKey(rand.Reader, 2048)),
		p256: ec(elliptic.P256()), other: ec(elliptic.P256()), p384: ec(elliptic.P384()), p521: ec(elliptic.P521()),
		ed: must(ed, err),
	}
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// signer signs the text before the second dot.
type signer func(text string) []byte

func signers() map[string]signer {
	k := keys()
	return map[string]signer{
		"rsa":       rs(k.rsa, crypto.SHA256),
		"rsa384":    rs(k.rsa, crypto.SHA384),
		"rsa512":    rs(k.rsa, crypto.SHA512),
		"pss256":    ps(k.rsa, crypto.SHA256, 32),
		"pss384":    ps(k.rsa, crypto.SHA384, 48),
		"pss512":    ps(k.rsa, crypto.SHA512, 64),
		"pss-salt0": ps(k.rsa, crypto.SHA256, 20),
		"pss-salt1": ps(k.rsa, crypto.SHA256, 64),
		"other-rsa": rs(k.otherRSA, crypto.SHA256),
		"p256":      es(k.p256, crypto.SHA256),
		"p256/384":  es(k.p256, crypto.SHA384),
		"p256-flip": flipped(k.p256),
		"other-ec":  es(k.other, crypto.SHA256),
		"p384":      es(k.p384, crypto.SHA384),
		"p521":      es(k.p521, crypto.SHA512),
		"ed":        func(text string) []byte { return ed25519.Sign(k.ed, []byte(text)) },
		"zero":      func(string) []byte { return make([]byte, 64) },
		"order":     func(string) []byte { return slices.Concat(orderP256(), orderP256()) },
		"hmac-pem":  hs(publicPEM(&k.rsa.PublicKey)),
		"hmac-jwk":  hs([]byte(rsaJWK("rsa", &k.rsa.PublicKey, ""))),
		"hmac-n":    hs(k.rsa.N.Bytes()),
		"hmac-none": hs(nil),
		"secret":    hs([]byte(sharedSecret)),
		"secret384": hs384([]byte(sharedSecret)),
		"nothing":   func(string) []byte { return nil },
	}
}

func digest(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

func rs(k *rsa.PrivateKey, h crypto.Hash) signer {
	return func(text string) []byte { return must(rsa.SignPKCS1v15(nil, k, h, digest(h, text))) }
}

func ps(k *rsa.PrivateKey, h crypto.Hash, salt int) signer {
	return func(text string) []byte {
		return must(rsa.SignPSS(rand.Reader, k, h, digest(h, text), &rsa.PSSOptions{SaltLength: salt}))
	}
}

func es(k *ecdsa.PrivateKey, h crypto.Hash) signer {
	size := (k.Params().BitSize + 7) / 8
	return func(text string) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, k, digest(h, text))
		return must(slices.Concat(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))), err)
	}
}

// flipped signs with n-s for s, which is as valid.
func flipped(k *ecdsa.PrivateKey) signer {
	return func(text string) []byte {
		signature := es(k, crypto.SHA256)(text)
		s := new(big.Int).SetBytes(signature[32:])
		return slices.Concat(signature[:32], s.Sub(k.Params().N, s).FillBytes(make([]byte, 32)))
	}
}

func hs(secret []byte) signer {
	return func(text string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
}

func hs384(secret []byte) signer {
	return func(text string) []byte {
		m := hmac.New(sha512.New384, secret)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
}

func orderP256() []byte { return elliptic.P256().Params().N.Bytes() }

func publicPEM(k *rsa.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(k))})
}

// forge makes a token. header and claims are whole JSON texts.
func forge(header, claims string, sign signer) string {
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims))
	return text + "." + b64.EncodeToString(sign(text))
}

// edited returns base with the members of edit instead of its own, and without those that
// edit names as -name. An edit in braces, brackets or quotes is not one: it is returned as
// it is, with Go's escapes undone.
func edited(base, edit string) string {
	if strings.HasPrefix(edit, "=") {
		return unescape(edit[1:])
	}
	drop := map[string]bool{}
	var add []string
	for field := range strings.FieldsSeq(edit) {
		if !strings.HasPrefix(field, "-") {
			break
		}
		drop[field[1:]] = true
		edit = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(edit), field))
	}
	if edit != "" {
		edit = unescape(edit)
		for _, name := range names("{" + edit + "}") {
			drop[name] = true
		}
		add = append(add, edit)
	}
	var members []string
	for member := range strings.SplitSeq(base, ",") {
		if name := strings.Trim(member[:strings.Index(member, ":")], `"`); !drop[name] {
			members = append(members, member)
		}
	}
	return "{" + strings.Join(append(members, add...), ",") + "}"
}

var repetition = regexp.MustCompile(`\{\{(.+?)\*(\d+)\}\}`)

// unescape undoes \x00 and the like, and writes {{text*9}} out, {{members*9}} as so many
// members of an object; JSON's own \u escapes are left alone.
func unescape(s string) string {
	s = repetition.ReplaceAllStringFunc(s, func(found string) string {
		part := repetition.FindStringSubmatch(found)
		if part[1] == "members" {
			return manyMembers(must(strconv.Atoi(part[2])))
		}
		return strings.Repeat(part[1], must(strconv.Atoi(part[2])))
	})
	var out strings.Builder
	for n := 0; n < len(s); n++ {
		var c byte
		if s[n] != '\\' {
			out.WriteByte(s[n])
			continue
		}
		if _, err := fmt.Sscanf(s[n:], `\x%02x`, &c); err == nil {
			out.WriteByte(c)
			n += len(`\x00`) - 1
			continue
		}
		out.WriteByte(s[n])
	}
	return out.String()
}

// names returns the names of an object's members, as far as it can be read.
func names(object string) []string {
	d := jsontext.NewDecoder(strings.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	_, _ = d.ReadToken()
	var found []string
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			break
		}
		found = append(found, name.String())
		if d.SkipValue() != nil {
			break
		}
	}
	return found
}

// genuine returns a good token, with edits.
func genuine(headerEdit, claimsEdit, by string) string {
	return forge(edited(baseHeader, headerEdit), edited(baseClaims, claimsEdit), signers()[by])
}

// Key sets, as text.

func rsaJWK(kid string, k *rsa.PublicKey, more string) string {
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"%s}`, kid, b64.EncodeToString(k.N.Bytes()), more)
}

func ecJWK(kid string, k *ecdsa.PublicKey, more string) string {
	point := must(k.Bytes())[1:]
	half := len(point) / 2
	return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q%s}`, kid, k.Params().Name,
		b64.EncodeToString(point[:half]), b64.EncodeToString(point[half:]), more)
}

func edJWK(kid string, k ed25519.PrivateKey) string {
	public := k.Public().(ed25519.PublicKey)
	return fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q}`, kid, b64.EncodeToString(public))
}

func jwks(members ...string) []byte {
	return bytes.Join([][]byte{[]byte(`{"keys":[`), []byte(strings.Join(members, ",")), []byte(`]}`)}, nil)
}

// allKeys is the set of the issuer that has a key of each kind.
func allKeys() []byte {
	k := keys()
	return jwks(
		rsaJWK("rsa", &k.rsa.PublicKey, ""),
		rsaJWK("rsa-rs256", &k.rsa.PublicKey, `,"alg":"RS256","use":"sig"`),
		ecJWK("p256", &k.p256.PublicKey, ""), ecJWK("p384", &k.p384.PublicKey, ""), ecJWK("p521", &k.p521.PublicKey, ""),
		edJWK("ed", k.ed),
	)
}
