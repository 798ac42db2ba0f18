package auth

const (
	maxHeader        = 2 << 10
	maxHeaderMembers = 32
	maxName          = 255 // bytes of a kid, a subject, an organisation, a role, an e-mail address
)

// header is the protected header of a token, as far as it is used. Keys or addresses of
// keys in it (jwk, jku, x5u, x5c) are never looked at: whoever made the token made them.
type header struct {
	algorithm string
	keyID     string // "": absent
	typ       string // in the form of normalType; "": absent
}

// parseHeader reads the protected header and refuses what no issuer's policy could
// allow: Header, Algorithm, Critical or Type.
func parseHeader(data []byte) (header, error) {
	if len(data) > maxHeader {
		return header{}, reject(Header, "the header is longer than 2 KiB")
	}
	o, err := parseObject(data, maxHeaderMembers)
	if err != nil {
		return header{}, &Rejection{Reason: Header, Err: err}
	}
	if err := refuseExtensions(o); err != nil {
		return header{}, err
	}
	return readHeader(o)
}

// refuseExtensions refuses what would change the meaning of a token. We have no
// extensions, so any crit is one we do not understand (RFC 7515 section 4.1.11, which
// also forbids an empty list); b64 is RFC 7797, cty a nested token (RFC 7519 section 5.2).
func refuseExtensions(o object) error {
	switch {
	case o.has("crit"):
		return reject(Critical, "crit is present")
	case o.has("b64"):
		return reject(Critical, "b64 is present")
	case o.has("cty"):
		return reject(Type, "cty is present")
	default:
		return nil
	}
}

func readHeader(o object) (header, error) {
	alg, present, err := o.text("alg")
	if !present || err != nil {
		return header{}, reject(Algorithm, "alg is missing or not a string")
	}
	kid, present, err := o.text("kid")
	if err != nil || present && kid == "" || len(kid) > maxName {
		return header{}, reject(Header, "kid is not a string of 1 to 255 bytes")
	}
	typ, present, err := o.text("typ")
	if err != nil || present && normalType(typ) == "" {
		return header{}, reject(Type, "typ is not the name of a type")
	}
	return header{algorithm: alg, keyID: kid, typ: normalType(typ)}, nil
}
