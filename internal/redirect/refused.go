package redirect

import "strings"

// Reason says why a URL is refused. The list is closed: it is a metric label.
type Reason string

// The closed list.
const (
	Empty       Reason = "empty"
	TooLong     Reason = "too_long"
	Characters  Reason = "characters"  // not printable ASCII, or a backslash
	Syntax      Reason = "syntax"      // not scheme://host…, or a broken percent escape
	Scheme      Reason = "scheme"      // neither https nor an http origin on the list
	UserInfo    Reason = "userinfo"    // anything before an @ in the authority
	Host        Reason = "host"        // the origin is not on the list
	Path        Reason = "path"        // outside the prefix, or a path that could climb
	App         Reason = "app"         // an application that is not configured
	Placeholder Reason = "placeholder" // braces other than one {CHECKOUT_SESSION_ID} after the host
)

// Reasons returns the whole list.
func Reasons() []Reason {
	return []Reason{Empty, TooLong, Characters, Syntax, Scheme, UserInfo, Host, Path, App, Placeholder}
}

// Refused is the error of Policy.Check. Nothing of the URL's path, query or
// fragment is in it.
type Refused struct {
	Reason Reason
	// Host is the host that is not on the list, for the log; "" for other reasons
	// and for hosts with characters that hosts do not have.
	Host string
}

// Error implements error.
func (r *Refused) Error() string {
	if r.Host == "" {
		return "redirect refused: " + string(r.Reason)
	}
	return "redirect refused: " + string(r.Reason) + " " + r.Host
}

func refuse(why Reason) error { return &Refused{Reason: why} }

func refuseHost(host string) error {
	const inHosts = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]"
	if len(host) > 253 || strings.Trim(host, inHosts) != "" {
		host = ""
	}
	return &Refused{Reason: Host, Host: host}
}
