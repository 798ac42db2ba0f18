package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// History is what Stripe knows of a customer's earlier purchases. "None" is acted upon,
// so a look-up that fails, or does not see everything, is an error.
type History interface {
	// PastSubscriptions returns the customer's subscriptions: those that have not ended, or
	// all there ever were.
	PastSubscriptions(ctx context.Context, customer customers.Customer, ended bool) ([]PastSubscription, error)
	// OpenSessions returns the customer's Checkout Sessions that can still be paid,
	// newest first.
	OpenSessions(ctx context.Context, customer customers.Customer) ([]OpenSession, error)
	// CloseSession expires the customer's session. A refusal, as of one that is not open
	// any more, has a RefusedError in its chain.
	CloseSession(ctx context.Context, id string, customer customers.Customer) error
}

// PastSubscription is a subscription of which little matters.
type PastSubscription struct {
	Status string
	// Plan is the till_plan that it was bought as; "" if it was not bought here.
	Plan string
	// Prices are the ids of what it bills.
	Prices   []string
	HadTrial bool
}

// OpenSession is a session that can still be paid.
type OpenSession struct {
	ID        string
	ExpiresAt time.Time
	Metadata  map[string]string
}

// liveStatuses are those of subscriptions that bill, or can come to do so by themselves.
var liveStatuses = []string{"active", "trialing", "past_due", "unpaid", "incomplete", "paused"}

// keyRequest is the metadata by which a session says what was asked for.
const keyRequest = "till_request"

// soonOver is what is left of a session that is not handed out again.
const soonOver = 10 * time.Minute

// guarded holds params against the customer's history, as the plan wants it: it drops
// the trial of who has had one, refuses who has the subscription, and answers with the
// session that is open for the same already.
//
// Open sessions are listed first: one that is paid before the subscriptions are listed
// is seen among those, and one that is paid later cannot be closed.
func (s *Service) guarded(ctx context.Context, plan catalog.Plan, customer customers.Customer, params catalog.Params) (filled, error) {
	once := plan.Once && plan.Mode == catalog.ModeSubscription
	trial := plan.TrialOnce && hasTrial(params)
	if !once && !trial {
		return filled{params: params}, nil
	}
	var open []OpenSession
	var err error
	if once {
		if open, err = s.openSessions(ctx, plan, customer); err != nil {
			return filled{}, err
		}
	}
	had, err := s.o.Stripe.PastSubscriptions(ctx, customer, trial)
	if err != nil {
		return filled{}, err
	}
	if trial && slices.ContainsFunc(had, func(p PastSubscription) bool { return p.HadTrial }) {
		dropTrial(params)
	}
	if !once {
		return filled{params: params}, nil
	}
	if slices.ContainsFunc(had, func(p PastSubscription) bool { return s.isLive(plan, p) }) {
		return filled{}, problem.New(problem.AlreadySubscribed, nil)
	}
	sign(params)
	again, err := s.closeOthers(ctx, customer, open, params)
	return filled{params: params, session: again}, err
}

// openSessions are those of the plan.
func (s *Service) openSessions(ctx context.Context, plan catalog.Plan, customer customers.Customer) ([]OpenSession, error) {
	open, err := s.o.Stripe.OpenSessions(ctx, customer)
	return slices.DeleteFunc(open, func(o OpenSession) bool { return o.Metadata["till_plan"] != plan.Name }), err
}

// closeOthers closes the sessions that are not for params, and returns the id of one
// that is.
func (s *Service) closeOthers(ctx context.Context, customer customers.Customer, open []OpenSession, params catalog.Params) (same string, err error) {
	metadata, _ := params["metadata"].(map[string]any)
	for _, o := range open {
		signed := o.Metadata[keyRequest]
		if same == "" && signed != "" && signed == metadata[keyRequest] && time.Until(o.ExpiresAt) > soonOver {
			same = o.ID
			continue
		}
		err := s.o.Stripe.CloseSession(ctx, o.ID, customer)
		if isRefused(err) {
			// It may have been paid this moment. The next look will tell.
			return "", &problem.Error{Code: problem.DependencyUnavailable, RetryAfter: time.Second, Err: err}
		}
		if err != nil {
			return "", err
		}
	}
	return same, nil
}

// isLive reports whether p is a subscription of the plan that has not ended.
func (s *Service) isLive(plan catalog.Plan, p PastSubscription) bool {
	if !slices.Contains(liveStatuses, p.Status) {
		return false
	}
	return p.Plan == plan.Name || slices.ContainsFunc(plan.LineItems, func(item catalog.LineItem) bool {
		price, _ := s.o.Catalog.Price(item.Price)
		return price.ID != "" && slices.Contains(p.Prices, price.ID)
	})
}

// sign writes into the session what it was asked for, so that the next who asks for the
// same can be given it. When there is no room, nobody can.
func sign(params catalog.Params) {
	metadata, _ := params["metadata"].(map[string]any)
	asked := maps.Clone(params)
	// A moment that moves with the clock is no part of what is asked for.
	delete(asked, "expires_at")
	text, err := json.Marshal(asked)
	if err != nil || len(metadata) > catalog.MaxMetadataKeys+4 {
		return
	}
	sum := sha256.Sum256(text)
	metadata[keyRequest] = hex.EncodeToString(sum[:])
}

// trialParams are the parameters of subscription_data that make or shape a trial.
var trialParams = []string{"trial_period_days", "trial_end", "trial_settings"}

func hasTrial(params catalog.Params) bool {
	data, _ := params["subscription_data"].(map[string]any)
	return data["trial_period_days"] != nil || data["trial_end"] != nil
}

// dropTrial needs params of its own: they are written to.
func dropTrial(params catalog.Params) {
	data, _ := params["subscription_data"].(map[string]any)
	for _, name := range trialParams {
		delete(data, name)
	}
}
