package redirect

import (
	"regexp"
	"slices"
	"strings"
)

var (
	appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	appLink = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://([a-z0-9-]+(\.[a-z0-9-]+)*)(/[A-Za-z0-9._~-]+)*/?$`)
)

// notApps are schemes that browsers or systems act upon themselves.
var notApps = []string{
	"about", "blob", "chrome", "content", "data", "file", "filesystem", "ftp", "http", "https",
	"intent", "javascript", "mailto", "resource", "sms", "tel", "vbscript", "view-source", "ws", "wss",
}

// checkApp judges one application link.
func checkApp(name, link string) *mistake {
	if !appName.MatchString(name) {
		return &mistake{"the name of an application is 1 to 32 lower-case letters, digits, - and _", "rename it, for example ios"}
	}
	m := appLink.FindStringSubmatch(strings.ToLower(link))
	switch {
	case m == nil:
		return &mistake{"not an application link with a scheme and a host", "write one such as myapp://billing"}
	case slices.Contains(notApps, m[1]):
		return &mistake{"the scheme does not belong to an application", "write the application's own scheme, such as myapp://billing; web origins go into redirects.allow"}
	case strings.Contains(link, "/."):
		return &mistake{"the link's path has dot segments", "write the path without them"}
	}
	return nil
}
