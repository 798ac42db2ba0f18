package auth_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"till/internal/auth"
	"till/internal/secret"
)

// vectors is one file of Wycheproof, as far as it is read.
type vectors struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		Comment string         `json:"comment"`
		Public  jsontext.Value `json:"public"`
		Private jsontext.Value `json:"private"`
		// Of the files with plain signatures.
		PublicKeyJWK jsontext.Value `json:"publicKeyJwk"`
		KeyJWK       jsontext.Value `json:"keyJwk"`
		PublicKey    struct {
			Uncompressed string `json:"uncompressed"`
		} `json:"publicKey"`
		Tests []vector `json:"tests"`
	} `json:"testGroups"`
}

type vector struct {
	TcID    int    `json:"tcId"`
	Comment string `json:"comment"`
	JWS     string `json:"jws"`
	Msg     string `json:"msg"`
	Sig     string `json:"sig"`
	Result  string `json:"result"`
}

func readVectors(t *testing.T, name string) vectors {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name+"_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil || v.NumberOfTests == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// jwsExceptions are the vectors of json_web_signature_test.json whose verdict is not ours.
var jwsExceptions = map[int]string{
	259: "an empty payload is no claims set", 264: "likewise", 268: "likewise",
	272: "likewise", 320: "likewise", 325: "likewise",
	346: "RFC 7520: the key's alg is PS256 and the token's PS384",
	347: "RFC 7520: the key's alg is ES521, which does not exist",
	350: "as 346, with key_ops", 351: "as 347, with key_ops",
	367: "byte for byte the valid vector 357: its padding was lost", 370: "likewise",
	372: "calls a ? within base64url valid", 373: "likewise",
}

// jwkExceptions are those of json_web_key_test.json.
var jwkExceptions = map[int]string{
	2:  "a set of several secrets: an issuer shares one with us, which no set brings",
	14: "HS384 is not offered", 15: "HS512 is not offered",
}

func TestWycheproofTokens(t *testing.T) {
	for name, exceptions := range map[string]map[int]string{
		"json_web_signature": jwsExceptions, "json_web_key": jwkExceptions,
	} {
		t.Run(name, func(t *testing.T) {
			judged, accepted := 0, 0
			for _, g := range readVectors(t, name).TestGroups {
				for _, v := range g.Tests {
					got := auth.VerifyJWS(v.JWS, issuerOf(g.Public, g.Private)) == nil
					_, excepted := exceptions[v.TcID]
					if want := v.Result == "valid"; got != want != excepted {
						t.Errorf("%d %s %s: accepted is %t, the vector is %s, excepted: %q", v.TcID, g.Comment, v.Comment, got, v.Result, exceptions[v.TcID])
					}
					judged++
					if got {
						accepted++
					}
				}
			}
			t.Logf("%d vectors, %d accepted, %d exceptions", judged, accepted, len(exceptions))
		})
	}
}

// issuerOf returns the issuer whose keys a group has, every algorithm allowed. A group
// without public keys has secrets, of which the only one of the right length is ours.
func issuerOf(public, private jsontext.Value) auth.Issuer {
	i := auth.Issuer{
		Issuer: "https://id.example.com/", Audience: []string{"till"},
		Algorithms: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"},
	}
	i.StaticJWKS = keySetOf(public)
	if public != nil {
		return i
	}
	i.StaticJWKS = keySetOf(private)
	var only octet
	var set struct {
		Keys []octet `json:"keys"`
	}
	if json.Unmarshal(private, &set) == nil && len(set.Keys) == 1 {
		only = set.Keys[0]
	} else if json.Unmarshal(private, &only) != nil {
		return i
	}
	value, err := b64.DecodeString(only.K)
	if only.Kty != "oct" || only.Alg != "HS256" || err != nil {
		return i
	}
	shared := i
	shared.StaticJWKS, shared.Algorithms, shared.Secret = nil, nil, secret.New(string(value))
	if len(value) == 0 || len(shared.Check()) > 0 {
		return i // such a secret cannot be configured
	}
	return shared
}

type octet struct {
	Kty string `json:"kty"`
	Alg string `json:"alg"`
	K   string `json:"k"`
}

func keySetOf(keys jsontext.Value) []byte {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if json.Unmarshal(keys, &set) == nil && set.Keys != nil {
		return keys
	}
	return jwks(string(keys))
}

var curves = map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

// pointJWK is the JWK of an uncompressed point, where the vectors have none.
func pointJWK(curve string, point []byte) jsontext.Value {
	half := (len(point) + 1) / 2
	return jsontext.Value(fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q}`, curve,
		b64.EncodeToString(point[1:half]), b64.EncodeToString(point[half:])))
}

func TestWycheproofSignatures(t *testing.T) {
	for name, alg := range map[string]string{
		"rsa_signature_2048_sha256": "RS256", "rsa_signature_3072_sha256": "RS256", "rsa_signature_4096_sha256": "RS256",
		"rsa_signature_2048_sha384": "RS384", "rsa_signature_3072_sha384": "RS384", "rsa_signature_4096_sha384": "RS384",
		"rsa_signature_2048_sha512": "RS512", "rsa_signature_3072_sha512": "RS512", "rsa_signature_4096_sha512": "RS512",
		"rsa_pss_2048_sha256_mgf1_32": "PS256", "rsa_pss_3072_sha256_mgf1_32": "PS256", "rsa_pss_4096_sha256_mgf1_32": "PS256",
		"rsa_pss_2048_sha384_mgf1_48": "PS384", "rsa_pss_4096_sha384_mgf1_48": "PS384", "rsa_pss_4096_sha512_mgf1_64": "PS512",
		"ecdsa_secp256r1_sha256_p1363": "ES256", "ecdsa_secp384r1_sha384_p1363": "ES384", "ecdsa_secp521r1_sha512_p1363": "ES512",
		"ed25519": "EdDSA",
	} {
		t.Run(name, func(t *testing.T) {
			judged, keyless := 0, 0
			for _, g := range readVectors(t, name).TestGroups {
				jwk := g.PublicKeyJWK
				switch {
				case jwk == nil && g.KeyJWK != nil:
					jwk = g.KeyJWK
				case jwk == nil:
					jwk = pointJWK(curves[alg], must(hex.DecodeString(g.PublicKey.Uncompressed)))
				}
				for _, v := range g.Tests {
					signature := must(hex.DecodeString(v.Sig))
					got, err := auth.SignedBy(jwk, alg, string(must(hex.DecodeString(v.Msg))), signature)
					if errors.Is(err, auth.ErrKeyIgnored) {
						keyless++
						continue
					}
					if v.Result != "acceptable" && got != (v.Result == "valid") {
						t.Errorf("%d %s: %t, want %s", v.TcID, v.Comment, got, v.Result)
					}
					judged++
				}
			}
			if judged == 0 {
				t.Errorf("no vector has a key we use")
			}
			t.Logf("%d vectors, %d of ignored keys", judged, keyless)
		})
	}
}
