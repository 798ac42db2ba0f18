package customers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// tellDeadline bounds how long a request waits for something it can do without.
const tellDeadline = 3 * time.Second

// Tell sends what is new in p to the owner's customer c: e-mail and name follow in
// an update, because a create call with anything that changes could not be sent
// again. What is absent from p stays as it is at Stripe, and so does what p says
// no differently from the last time: the operator, or the customer in the portal,
// may have corrected it there. A failure is logged and harms nobody; unless Stripe
// refused the value, the next call tries again.
func (s *Service) Tell(ctx context.Context, owner Owner, c Customer, p Profile) {
	if c.IsAccount {
		return // what it says of the person is said where it was made
	}
	sent, news := c.Sent, Profile{}
	if differs(owner, p.Email, sent.Email) {
		sent.Email, news.Email = fingerprint(owner, p.Email), p.Email
	}
	if differs(owner, p.Name, sent.Name) {
		sent.Name, news.Name = fingerprint(owner, p.Name), p.Name
	}
	if sent != c.Sent {
		s.tellNews(ctx, owner, c, sent, news)
	}
}

func (s *Service) tellNews(ctx context.Context, owner Owner, c Customer, sent Sent, news Profile) {
	_, err := s.shared(ctx, owner, "tell", func(work context.Context) (Customer, error) {
		work, cancel := context.WithTimeout(work, tellDeadline)
		defer cancel()
		return c, s.tell(work, owner, c, sent, news)
	})
	if err != nil {
		s.o.Logger.WarnContext(ctx, "a customer's e-mail or name could not be brought up to date",
			"customer", c.ID, "error", err)
	}
}

func (s *Service) tell(ctx context.Context, owner Owner, c Customer, sent Sent, news Profile) error {
	err := s.update(ctx, c.ID, news)
	if err != nil && !isRefused(err) {
		return err
	}
	if noteErr := s.store.NoteSent(ctx, owner, c.ID, sent); noteErr != nil {
		return errors.Join(err, noteErr)
	}
	c.Sent = sent
	s.recache(owner, c)
	return err
}

// update sends each value alone when Stripe refuses the two together: what is wrong
// with the one is nothing against the other.
func (s *Service) update(ctx context.Context, id string, news Profile) error {
	err := s.stripe.UpdateProfile(ctx, id, news)
	if !isRefused(err) || news.Email == "" || news.Name == "" {
		return err
	}
	for _, alone := range []Profile{{Email: news.Email}, {Name: news.Name}} {
		if aloneErr := s.stripe.UpdateProfile(ctx, id, alone); aloneErr != nil && !isRefused(aloneErr) {
			return aloneErr
		}
	}
	return err
}

func isRefused(err error) bool {
	e, ok := errors.AsType[refusedError](err)
	return ok && e.Refused()
}

// refusedError is an error that says Stripe read the call and will always refuse it.
type refusedError interface {
	error
	Refused() bool
}

func differs(owner Owner, value, sent string) bool {
	return value != "" && fingerprint(owner, value) != sent
}

// fingerprint stands for a value that is nobody's business to keep. Two owners with
// one address do not have one fingerprint.
func fingerprint(owner Owner, value string) string {
	sum := sha256.Sum256([]byte("till-profile-v1\x00" + owner.Issuer + "\x00" + owner.Subject + "\x00" + value))
	return hex.EncodeToString(sum[:16])
}
