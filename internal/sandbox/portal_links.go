package sandbox

// portalLinks finds a portal session by the secret in its URL. It remembers
// as many as there are sessions.
type portalLinks struct {
	byToken map[string]*record
	order   []string
}

func newPortalLinks() *portalLinks { return &portalLinks{byToken: map[string]*record{}} }

func (l *portalLinks) add(token string, r *record) {
	if len(l.order) >= maxSessions {
		delete(l.byToken, l.order[0])
		l.order = l.order[1:]
	}
	l.byToken[token] = r
	l.order = append(l.order, token)
}
