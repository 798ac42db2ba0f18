package customers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"till/internal/problem"
)

const (
	// Stripe prunes keys after at least 24 hours; an hour is left for clocks.
	keyLife = 23 * time.Hour
	// A call sent before this may still be running somewhere.
	settleAfter = 60 * time.Second
	// Clocks here and at Stripe differ by less than this.
	clockSlack = 5 * time.Minute
	// What a request may spend on looking through Stripe's list.
	maxPages = 20
)

// reservation is a new row for the owner, with everything frozen.
func (s *Service) reservation(owner Owner, generation int) Record {
	form := url.Values{}
	for k, v := range owner.Metadata(s.o.SubjectForm, generation) {
		form.Set("metadata["+k+"]", v)
	}
	return Record{
		Owner: owner, Generation: generation, State: Reserved,
		IdempotencyKey: owner.idempotencyKey(generation),
		Params:         form.Encode(), Version: s.o.Version, ReservedAt: s.o.Now(),
	}
}

// settle brings a reserved record to its customer: by sending the key while it
// can be trusted, by looking for what it made once it cannot.
func (s *Service) settle(ctx context.Context, rec Record) (Record, result, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if rec.State == Active {
			return rec, resultStore, nil
		}
		var (
			res result
			err error
		)
		if rec.KeySpent || !rec.FirstAttemptAt.IsZero() && s.o.Now().Sub(rec.FirstAttemptAt) >= keyLife {
			rec, res, err = s.lookUp(ctx, rec)
		} else {
			rec, res, err = s.send(ctx, rec)
		}
		if err == nil && rec.State == Active {
			return rec, res, nil
		}
		again := err == nil || errors.Is(err, ErrChanged) || isKeyInUse(err) || isKeySpent(err)
		if !again {
			return rec, res, unavailable(err)
		}
		if isKeyInUse(err) && !sleep(ctx, wait) {
			return rec, res, &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
		}
		fresh, err := s.store.Find(ctx, rec.Owner)
		if err != nil {
			return rec, res, unavailable(err)
		}
		rec = fresh
	}
}

// send makes one call with the frozen key. The time of it is committed first,
// so that a later look-up knows where to look.
func (s *Service) send(ctx context.Context, rec Record) (Record, result, error) {
	rec, err := s.store.Attempt(ctx, rec, s.o.Now())
	if err != nil {
		return rec, resultFailed, err
	}
	s.calling.Store(rec.Owner, true)
	defer s.calling.Delete(rec.Owner)
	created, err := s.stripe.CreateCustomer(ctx, NewCustomer{
		IdempotencyKey: rec.IdempotencyKey, Params: rec.Params, Version: rec.Version, Livemode: rec.Owner.Livemode,
	})
	if isKeySpent(err) {
		if _, storeErr := s.store.SpendKey(ctx, rec); storeErr != nil {
			return rec, resultFailed, storeErr
		}
		return rec, resultFailed, err
	}
	if err != nil {
		return rec, resultFailed, err
	}
	res := resultCreated
	if created.Replayed {
		res = resultReplayed
	}
	rec, err = s.store.Activate(ctx, rec, created.ID)
	return rec, res, err
}

// lookUp finds out what a key made that cannot be asked any more. It lists the
// customers created while the key was in use: a list is read-after-write at
// Stripe, a search is not.
func (s *Service) lookUp(ctx context.Context, rec Record) (Record, result, error) {
	if quiet := rec.LastAttemptAt.Add(settleAfter).Sub(s.o.Now()); quiet > 0 {
		return rec, resultFailed, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: quiet,
			Err: errors.New("waiting until the last attempt has surely ended"),
		}
	}
	from, to := rec.FirstAttemptAt.Add(-clockSlack), rec.LastAttemptAt.Add(s.o.Deadline+clockSlack)
	s.calling.Store(rec.Owner, true)
	defer s.calling.Delete(rec.Owner)
	id, err := s.orphan(ctx, rec, from, to)
	if err != nil {
		return rec, resultFailed, err
	}
	if id == "" {
		next, err := s.store.Supersede(ctx, rec, s.reservation(rec.Owner, rec.Generation+1))
		return next, resultFailed, err
	}
	rec, err = s.store.Activate(ctx, rec, id)
	return rec, resultAdopted, err
}

// orphan returns the oldest customer in the window that carries the record's
// metadata, or "" when there is surely none.
func (s *Service) orphan(ctx context.Context, rec Record, from, to time.Time) (string, error) {
	want, err := frozenMetadata(rec.Params)
	if err != nil {
		return "", err
	}
	found, after := "", ""
	for range maxPages {
		page, more, err := s.stripe.CustomersCreated(ctx, from, to, after)
		if err != nil {
			return "", err
		}
		for _, c := range page {
			if carries(c.Metadata, want) {
				found = c.ID
			}
			after = c.ID
		}
		switch {
		case !more:
			return found, nil
		case len(page) == 0:
			// Without an id to go on from, what follows cannot be seen.
			return "", problem.New(problem.UpstreamError, errors.New("an empty page of customers that says there are more"))
		}
	}
	return "", &problem.Error{
		Code: problem.DependencyUnavailable, RetryAfter: time.Minute,
		Err: errors.New("more customers in the window than a request may look through"),
	}
}

// frozenMetadata returns what a customer made with params carries. The frozen
// text counts, and not what would be written today: the form of subjects may
// have been configured otherwise meanwhile.
func frozenMetadata(params string) (map[string]string, error) {
	form, err := url.ParseQuery(params)
	if err != nil {
		return nil, fmt.Errorf("reading the frozen parameters: %w", err)
	}
	m := map[string]string{}
	for name := range form {
		if key, ok := strings.CutPrefix(name, "metadata["); ok {
			m[strings.TrimSuffix(key, "]")] = form.Get(name)
		}
	}
	if len(m) == 0 {
		return nil, errors.New("the frozen parameters have no metadata to look for")
	}
	return m, nil
}

func carries(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// sleep waits about d (full jitter) and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(rand.N(d)) //nolint:gosec // jitter, not a secret
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
