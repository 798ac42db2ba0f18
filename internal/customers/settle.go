package customers

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"till/internal/problem"
)

const (
	// Stripe prunes keys after at least 24 hours; an hour is left for what lies
	// between asking for the time and the arrival of a send.
	keyLife = 23 * time.Hour
	// A call sent before this may still be running somewhere.
	settleAfter = 60 * time.Second
	// What Stripe dates a customer by, and what it says the time is, differ by less.
	clockSlack = 5 * time.Minute
	// A settlement takes two or three steps, and a few more in company.
	maxSteps = 20
	// Stripe's time comes with every answer, to the second: after a shorter wait than
	// this, the next answer may put it back to where it was.
	shortestWait = 250 * time.Millisecond
	// What a reconciliation may spend on looking through Stripe's list.
	manyPages = 10_000
)

// effort is what a settlement may cost whoever waits for it.
type effort struct {
	// pages bounds the looking through Stripe's list.
	pages int
	// waits says that there is nothing better to do than to wait for what takes a
	// while, as long as there is time.
	waits bool
}

var (
	ofRequest = effort{pages: 20, waits: true}
	ofSweeper = effort{pages: manyPages}
)

// reservation is a new row for the owner, with everything frozen.
func (s *Service) reservation(owner Owner, generation int, now Moment) Record {
	return reservation(owner, generation, s.o.SubjectForm, s.o.Version, now.Latest)
}

func reservation(owner Owner, generation int, subjects SubjectForm, version string, now time.Time) Record {
	form := url.Values{}
	for k, v := range owner.Metadata(subjects, generation) {
		form.Set("metadata["+k+"]", v)
	}
	return Record{
		Owner: owner, Generation: generation, State: Reserved,
		IdempotencyKey: owner.idempotencyKey(generation),
		Params:         form.Encode(), Version: version, ReservedAt: now,
	}
}

// settle brings a reserved record to its customer: by sending the key while it
// can be trusted, by looking for what it made once it cannot.
func (s *Service) settle(ctx context.Context, rec Record, e effort) (Record, result, error) {
	timely := false // Stripe was asked for the time since this began
	steps := 0
	for wait := 50 * time.Millisecond; ; {
		if err := rec.Check(); err != nil {
			return rec, resultFailed, unavailable(err)
		}
		if rec.State == Active {
			return rec, resultStore, nil
		}
		next, res, err := s.step(ctx, rec, e, &timely)
		switch {
		case err == nil && next.State == Active:
			return next, res, nil
		case isKeyInUse(err):
			if !e.waits || !sleep(ctx, s.o.Jitter(wait)) {
				return rec, res, &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
			}
			wait = min(2*wait, time.Second)
		case err != nil && !errors.Is(err, ErrChanged) && !isKeySpent(err):
			return rec, res, unavailable(err)
		default:
			// Others may be quicker a few times, and not for ever.
			if steps++; steps > maxSteps {
				return rec, res, unavailable(errors.Join(errors.New("the record does not come to an end"), err))
			}
		}
		if rec, err = s.store.Find(ctx, rec.Owner); err != nil {
			return rec, resultFailed, unavailable(err)
		}
	}
}

// step does the next thing there is to do for a reserved record.
func (s *Service) step(ctx context.Context, rec Record, e effort, timely *bool) (Record, result, error) {
	if rec.FirstAttemptAt.IsZero() && !rec.KeySpent {
		return s.first(ctx, rec)
	}
	// A key must not be sent again once Stripe may have forgotten it, so its age is
	// taken from Stripe's own clock, now, and not from one that may have stood still.
	now, known := s.stripe.Now()
	if !*timely || !known {
		var err error
		if now, err = s.stripe.Time(ctx); err != nil {
			return rec, resultFailed, err
		}
		*timely = true
	}
	if rec.KeySpent || now.Latest.Sub(rec.FirstAttemptAt) >= keyLife {
		return s.lookUp(ctx, rec, now, e)
	}
	return s.send(ctx, rec, now)
}

// first is the step of a record that nobody has tried yet. A reconciliation may
// have found the owner's customer, of this generation or a later one.
func (s *Service) first(ctx context.Context, rec Record) (Record, result, error) {
	found, err := s.store.Found(ctx, rec.Owner, s.o.SubjectForm.Apply(rec.Owner.Subject))
	switch {
	case err == nil && found.Generation >= rec.Generation:
		s.metrics.orphans.Inc()
		rec, err := s.store.Activate(ctx, rec, found)
		return rec, resultAdopted, err
	case err != nil && !errors.Is(err, ErrNoRecord):
		return rec, resultFailed, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return rec, resultFailed, err
	}
	return s.send(ctx, rec, now)
}

// send makes one call with the frozen key. The time of it is committed first,
// so that a later look-up knows where to look.
func (s *Service) send(ctx context.Context, rec Record, now Moment) (Record, result, error) {
	noted, err := s.store.Attempt(ctx, rec, now)
	if err != nil {
		return rec, resultFailed, err
	}
	if noted.State != Reserved || noted.Generation != rec.Generation {
		// The record went on while the attempt was written down: it is of no key that
		// stands there now.
		return noted, resultStore, ErrChanged
	}
	rec = noted
	if later, ok := s.stripe.Now(); ok && later.Latest.Sub(now.Latest) > s.o.Deadline {
		// This process stood still since: what was true of the key may not be any more.
		return rec, resultFailed, problem.New(problem.UpstreamTimeout, errors.New("too late to send"))
	}
	created, err := s.create(ctx, rec)
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
	rec, err = s.store.Activate(ctx, rec, Customer{ID: created.ID, Generation: rec.Generation})
	return rec, res, err
}

func (s *Service) create(ctx context.Context, rec Record) (Created, error) {
	s.calling.Store(rec.Owner, true)
	defer s.calling.Delete(rec.Owner)
	return s.stripe.CreateCustomer(ctx, NewCustomer{
		IdempotencyKey: rec.IdempotencyKey, Params: rec.Params, Version: rec.Version, Livemode: rec.Owner.Livemode,
	})
}

// lookUp finds out what a key made that cannot be asked any more. It lists the
// customers created while the key was in use: a list is read-after-write at
// Stripe, a search is not. What is found is adopted at once; that there is nothing
// counts only when nothing can come any more.
func (s *Service) lookUp(ctx context.Context, rec Record, now Moment, e effort) (Record, result, error) {
	if rec.FirstAttemptAt.IsZero() {
		// The key was spent by an attempt that the database has lost since.
		rec.FirstAttemptAt = rec.ReservedAt
	}
	from, to := rec.FirstAttemptAt.Add(-clockSlack), now.Latest.Add(clockSlack)
	if !rec.LastAttemptAt.IsZero() {
		to = rec.LastAttemptAt.Add(s.o.Deadline + clockSlack)
	}
	s.calling.Store(rec.Owner, true)
	defer s.calling.Delete(rec.Owner)
	id, err := s.orphan(ctx, rec, from, to, e.pages)
	if end := now.Latest.Add(clockSlack); err == nil && id == "" && to.Before(now.Latest) {
		// A database that was restored, or failed over, may have lost the last attempts.
		id, err = s.orphan(ctx, rec, to, end, e.pages)
	}
	if err != nil {
		return rec, resultFailed, err
	}
	if id != "" {
		s.metrics.orphans.Inc()
		rec, err = s.store.Activate(ctx, rec, Customer{ID: id, Generation: rec.Generation})
		return rec, resultAdopted, err
	}
	if quiet := quietFrom(rec).Add(settleAfter).Sub(now.Earliest); quiet > 0 {
		return rec, resultFailed, s.waitOut(ctx, quiet, e)
	}
	next, err := s.store.Supersede(ctx, rec, s.reservation(rec.Owner, rec.Generation+1, now))
	return next, resultFailed, err
}

// quietFrom is the moment from which on nothing new was sent. A replayed error
// says that the call it belongs to has ended, and that no send since then did
// anything: then the sends that met it do not count.
func quietFrom(rec Record) time.Time {
	if rec.KeySpent {
		return rec.FirstAttemptAt
	}
	return rec.LastAttemptAt
}

// waitOut is nil once d has passed, so that a new look is worth while.
func (s *Service) waitOut(ctx context.Context, d time.Duration, e effort) error {
	if w := max(d, shortestWait); e.waits && hasTimeFor(ctx, w) && sleep(ctx, w) {
		return nil
	}
	return &problem.Error{
		Code: problem.DependencyUnavailable, RetryAfter: d, Err: quietError{d},
	}
}

// quietError says that the last attempt may still be running for what is left.
type quietError struct{ left time.Duration }

// Error implements error.
func (quietError) Error() string { return "waiting until the last attempt has surely ended" }

// hasTimeFor reports whether after d enough of ctx's time is left for a call.
func hasTimeFor(ctx context.Context, d time.Duration) bool {
	const call = 2 * time.Second
	deadline, bounded := ctx.Deadline()
	return !bounded || time.Until(deadline) > d+call
}

// orphan returns the oldest customer in the window that carries the record's
// metadata, or "" when there is surely none.
func (s *Service) orphan(ctx context.Context, rec Record, from, to time.Time, pages int) (string, error) {
	want, err := frozenMetadata(rec.Params)
	if err != nil {
		return "", err
	}
	var matches []string
	err = eachCreated(ctx, s.stripe, from, to, pages, func(c Listed) {
		if carries(c.Metadata, want) {
			matches = append(matches, c.ID)
		}
	})
	if err != nil || len(matches) == 0 {
		return "", err
	}
	if len(matches) > 1 {
		s.metrics.duplicates.Add(float64(len(matches) - 1))
		s.o.Logger.ErrorContext(ctx, "an owner has more than one customer at Stripe; the oldest is taken",
			slog.String("row", rec.IdempotencyKey), slog.Any("customers", matches))
	}
	return matches[len(matches)-1], nil
}

var errTooMany = &problem.Error{
	Code: problem.DependencyUnavailable, RetryAfter: time.Minute,
	Err: errors.New("more customers in the window than may be looked through now"),
}

// eachCreated calls visit for every customer created in [from, to], newest first,
// and fails unless it has seen all of them on at most so many pages.
func eachCreated(ctx context.Context, stripe Stripe, from, to time.Time, pages int, visit func(Listed)) error {
	after := ""
	for range pages {
		page, more, err := stripe.CustomersCreated(ctx, from, to, after)
		if err != nil {
			return err
		}
		for _, c := range page {
			visit(c)
			after = c.ID
		}
		switch {
		case !more:
			return nil
		case len(page) == 0:
			// Without an id to go on from, what follows cannot be seen.
			return problem.New(problem.UpstreamError, errors.New("an empty page of customers that says there are more"))
		}
	}
	return errTooMany
}

func carries(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
