package sandbox

import "net/http"

// controlSession plays the buyer of the session that the path names. It
// answers with the session as API version 2023-10-16 has it, or as the
// request's Stripe-Version says.
func (s *Sandbox) controlSession(act func(*call, *record) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := s.pageCall(r)
		c.version = orElse(r.Header.Get("Stripe-Version"), defaultVersion)
		session := c.find("checkout.session", r.PathValue("id"))
		if session == nil {
			return nil, notFound("checkout.session", r.PathValue("id"))
		}
		if err := act(c, session); err != nil {
			return nil, err
		}
		return c.show("checkout.session", session), nil
	}
}

func completeByOrder(c *call, r *record) error { return c.complete(r, buyer{}) }

// declineByOrder refuses the buyer's card: the session stays open and its
// page shows the refusal.
func declineByOrder(c *call, r *record) error { return c.decline(r) }

func expireByOrder(c *call, r *record) error {
	c.expireIfDue(r)
	if r.status() != "open" {
		return notOpen(r, "expired")
	}
	closeSession(r)
	return nil
}

const declined = "Your card was declined. Try another card."

func (c *call) decline(r *record) error {
	c.expireIfDue(r)
	if r.status() != "open" {
		return notOpen(r, "declined")
	}
	checkoutOf(r).declined = declined
	return nil
}

// pageCall is a call that no API request made. The caller holds mu.
func (s *Sandbox) pageCall(r *http.Request) *call {
	return &call{state: s.state, sandbox: s, request: r, params: params{}, version: defaultVersion, now: s.now()}
}
