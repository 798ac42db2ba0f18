package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

const (
	fetchTimeout = 5 * time.Second
	maxDocument  = 1 << 20
)

// errInvalid marks an answer that was given but cannot be used, as against none.
var errInvalid = errors.New("invalid answer")

// fetched is a key set as it came, and for how long its server calls it fresh.
type fetched struct {
	set   keySet
	fresh time.Duration
}

// fetcher gets the keys of one issuer over the network.
type fetcher struct {
	client *http.Client
	issuer Issuer
}

// fetch gets the key set, after discovery when the issuer has no JWKSURL. Errors wrap
// errInvalid when an answer was wrong and errBlocked when the address is not allowed.
func (f fetcher) fetch(ctx context.Context) (fetched, error) {
	address := f.issuer.JWKSURL
	if address == "" {
		var err error
		if address, err = f.discover(ctx); err != nil {
			return fetched{}, fmt.Errorf("discovery: %w", err)
		}
	}
	body, header, err := f.get(ctx, address)
	if err != nil {
		return fetched{}, fmt.Errorf("key set: %w", err)
	}
	set, err := parseKeySet(body, f.issuer.Algorithms)
	if err != nil {
		return fetched{set: set}, fmt.Errorf("%w: the key set %w", errInvalid, err)
	}
	return fetched{set: set, fresh: freshness(header)}, nil
}

const maxDiscoveryMembers = 1000

// discover returns jwks_uri of the issuer's metadata (OpenID Connect Discovery sections 4.1
// and 4.3). The issuer in it must be ours byte for byte: a document that differs by one
// slash belongs to someone else.
func (f fetcher) discover(ctx context.Context) (string, error) {
	body, _, err := f.get(ctx, strings.TrimSuffix(f.issuer.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	o, err := parseObject(body, maxDiscoveryMembers)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errInvalid, err)
	}
	if issuer, _, err := o.text("issuer"); err != nil || issuer != f.issuer.Issuer {
		return "", fmt.Errorf("%w: the issuer in the document is not the configured one, byte for byte", errInvalid)
	}
	address, _, err := o.text("jwks_uri")
	if err != nil {
		return "", fmt.Errorf("%w: jwks_uri is not a string", errInvalid)
	}
	u, err := checkURL(address)
	if err != nil {
		return "", fmt.Errorf("%w: jwks_uri %w", errInvalid, err)
	}
	if loopbackHost(u.Hostname()) && !f.issuer.reach().names(u.Hostname()) {
		return "", fmt.Errorf("jwks_uri: %w", errBlocked)
	}
	return address, nil
}

// get reads one document, whole, from exactly that address.
func (f fetcher) get(ctx context.Context, address string) ([]byte, http.Header, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // read gives it one
	if err != nil {
		return nil, nil, err
	}
	return read(ctx, f.client, request, maxDocument)
}

// read returns the whole answer to request, within the limits of time and size. Errors
// wrap errInvalid when there was an answer.
func read(ctx context.Context, client *http.Client, request *http.Request, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request = request.WithContext(ctx)
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, unquoted(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or it is not wanted
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%w: status %d", errInvalid, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, nil, unquoted(err)
	}
	if int64(len(body)) > limit {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", errInvalid, limit)
	}
	return body, response.Header, nil
}

// unquotedError is an error whose text has nothing of the answer in it.
type unquotedError struct {
	text string
	err  error
}

func (e *unquotedError) Error() string { return e.text }

func (e *unquotedError) Unwrap() error { return e.err }

// unquoted leaves out what net/http quotes of an answer that it cannot read: an issuer may
// repeat there what it was told, which is a token and the secret to ask about it.
func unquoted(err error) error {
	prefix, cause := "", err
	if u, ok := errors.AsType[*url.Error](err); ok {
		prefix, cause = u.Op+" "+u.URL+": ", u.Err
	}
	text, _, _ := strings.Cut(cause.Error(), `"`)
	if _, ok := errors.AsType[textproto.ProtocolError](cause); ok {
		text = "the answer's headers cannot be read"
	}
	return &unquotedError{prefix + strings.TrimRight(text, " :"), err}
}
