package stripeclient

import (
	"errors"
	"net/url"
	"slices"

	"till/internal/catalog"
)

// The texts of these errors name what was wrong and never the value: it may be
// another customer's.
var (
	errID       = errors.New("the id is not the one expected")
	errObject   = errors.New("the object is of another type")
	errLivemode = errors.New("the object is of another mode")
	errCustomer = errors.New("the object belongs to another customer")
	errMode     = errors.New("the session has another mode")
	errStatus   = errors.New("the session is not open")
	errExpired  = errors.New("the session has not expired")
	errURL      = errors.New("the session's URL cannot be read")
	errURLHost  = errors.New("the session's URL leads to a host that is neither Stripe's nor configured")
	errHTTP     = errors.New("the session's URL is not https")
	errList     = errors.New("the list is not whole")
	errCode     = errors.New("the promotion code is not the one asked for, or not active")
	errNoSecret = errors.New("the session has neither URL nor client secret")
	errFlow     = errors.New("the session's flow is not the one asked for")
	errMetadata = errors.New("the customer does not carry the metadata that was sent")
)

// object judges what every object has.
func object(id, gotObject, wantObject string, gotLive, wantLive bool) error {
	if !catalog.ValidID(id) {
		return errID
	}
	return kind(gotObject, wantObject, gotLive, wantLive)
}

func kind(gotObject, wantObject string, gotLive, wantLive bool) error {
	switch {
	case gotObject != wantObject:
		return errObject
	case gotLive != wantLive:
		return errLivemode
	default:
		return nil
	}
}

// list is a page of objects.
type list[T any] struct {
	Object  string `json:"object"`
	Data    []T    `json:"data"`
	HasMore *bool  `json:"has_more"`
}

// check judges the page and each object on it. "None" is an answer that is acted
// upon, so half a list must not pass for an empty one.
func (l list[T]) check(each func(T) error) error {
	if l.Object != "list" || l.Data == nil || l.HasMore == nil || (*l.HasMore && len(l.Data) == 0) {
		return errList
	}
	for _, one := range l.Data {
		if err := each(one); err != nil {
			return err
		}
	}
	return nil
}

// sessionHosts is where session URLs may lead: to each host, the schemes.
type sessionHosts map[string][]string

// newSessionHosts allows Stripe's hosts by https. The others may have http only
// if the API itself is called by http, which is a counterpart on this machine.
func newSessionHosts(base *url.URL, more []string) sessionHosts {
	schemes := []string{"https"}
	if base.Scheme == "http" {
		schemes = append(schemes, "http")
	}
	hosts := sessionHosts{}
	if base.Host != "api.stripe.com" {
		hosts[base.Host] = schemes
	}
	for _, h := range more {
		hosts[h] = schemes
	}
	hosts["checkout.stripe.com"] = []string{"https"}
	hosts["billing.stripe.com"] = []string{"https"}
	return hosts
}

// check judges where a session's URL leads.
func (h sessionHosts) check(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Host == "" {
		return errURL
	}
	schemes, ok := h[u.Host]
	if !ok {
		return errURLHost
	}
	if !slices.Contains(schemes, u.Scheme) {
		return errHTTP
	}
	return nil
}
