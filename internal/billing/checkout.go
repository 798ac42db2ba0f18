package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/problem"
)

// keepCheckout is how long a key stands for its session: as long as Stripe keeps keys.
const keepCheckout = 24 * time.Hour

// CreateCheckout opens a Checkout Session from a plan for the caller.
func (s *Service) CreateCheckout(ctx context.Context, c Caller, req CheckoutRequest) (CheckoutSession, error) {
	session, err := open(ctx, s, c, opening[CheckoutSession]{
		route: idempotency.Checkout, keep: keepCheckout, version: s.o.Stripe.CheckoutVersion,
		judge: func(ctx context.Context) (order, error) { return s.orderCheckout(ctx, c, req) },
		send:  s.sendCheckout,
		read: func(ctx context.Context, id string, customer customers.Customer, repeated bool) (CheckoutSession, error) {
			return s.present(ctx, c.owner.Livemode, id, customer, repeated)
		},
	})
	if err != nil {
		return CheckoutSession{}, explainCheckout(err, req)
	}
	return session, nil
}

// orderCheckout judges the request and looks up what it names.
func (s *Service) orderCheckout(ctx context.Context, c Caller, req CheckoutRequest) (order, error) {
	plan, ask, err := s.judgeCheckout(c, req)
	if err != nil {
		return order{}, err
	}
	items, err := s.lineItems(plan, ask.items)
	if err != nil {
		return order{}, err
	}
	if ask.promotionCode != "" {
		if ask.promotionID, err = s.promotion(ctx, ask.promotionCode); err != nil {
			return order{}, err
		}
	}
	return order{fill: func(ctx context.Context, customer customers.Customer) (filled, error) {
		return s.guarded(ctx, plan, customer, s.checkoutParams(c, customer, plan, items, ask))
	}}, nil
}

// sendCheckout makes a session, or answers with the one that an earlier request made.
// Stripe replays it as it was then, and it may have been paid since: whoever followed
// its URL would be told that all is done. So it is read again.
func (s *Service) sendCheckout(ctx context.Context, n NewSession, repeated bool) (CheckoutSession, error) {
	session, err := s.o.Stripe.CreateCheckoutSession(ctx, n)
	if err != nil {
		return CheckoutSession{}, err
	}
	if repeated && session.Replayed {
		return s.present(ctx, n.Livemode, string(session.ID), n.customer(), true)
	}
	mode, _ := n.Params["mode"].(string)
	s.metrics.sessions.WithLabelValues("checkout", mode).Inc()
	session.Replayed = false
	return session, nil
}

// present is the customer's session as it is now.
func (s *Service) present(ctx context.Context, livemode bool, id string, customer customers.Customer, repeated bool) (CheckoutSession, error) {
	session, err := s.o.Stripe.CheckoutSession(ctx, id, livemode)
	if err != nil {
		return CheckoutSession{}, err
	}
	if !customer.Has(string(session.Customer), string(session.CustomerAccount)) {
		return CheckoutSession{}, problem.New(problem.UpstreamError, errors.New("the session is another customer's"))
	}
	session.Replayed = repeated
	return session, nil
}

func (s *Service) promotion(ctx context.Context, code string) (string, error) {
	id, err := s.o.Stripe.PromotionCodeID(ctx, code)
	if catalog.IsMissing(err) {
		return "", problem.At(problem.ValidationFailed, "/promotion_code", "is not an active promotion code")
	}
	return id, err
}

// checkoutParams fills the plan's template. The template itself is never
// written to: everything that is changed below the top level is cloned first.
func (s *Service) checkoutParams(c Caller, customer customers.Customer, plan catalog.Plan, items []any, ask checkoutAsk) catalog.Params {
	p := make(catalog.Params, len(plan.Params)+10)
	maps.Copy(p, plan.Params)
	p["mode"] = string(plan.Mode)
	p[customer.Param()] = customer.ID
	p["client_reference_id"] = s.clientReference(c)
	if len(items) > 0 {
		p["line_items"] = items
	}
	ask.replace(p)
	expire(p, plan.ExpiresAfter, time.Now())
	if ask.promotionID != "" {
		// Stripe refuses the two together even when the first is false.
		delete(p, "allow_promotion_codes")
		p["discounts"] = []any{catalog.Params{"promotion_code": ask.promotionID}}
	}
	ours := anyOf(c.owner.Metadata(s.o.SubjectForm, customer.Generation))
	ours["till_plan"] = plan.Name
	// The object that outlives the session carries the owner too: it is what the
	// operator's webhooks see.
	carrier := carrierOf(plan.Mode)
	data := merge(p[carrier], nil)
	data["metadata"] = merge(data["metadata"], ours)
	p[carrier] = data
	p["metadata"] = merge(merge(p["metadata"], anyOf(ask.metadata)), ours)
	return p
}

func carrierOf(mode catalog.Mode) string {
	switch mode {
	case catalog.ModePayment:
		return "payment_intent_data"
	case catalog.ModeSetup:
		return "setup_intent_data"
	default:
		return "subscription_data"
	}
}

// Stripe takes at most 200 characters; a longer subject is replaced by its hash.
const maxClientReference = 200

func (s *Service) clientReference(c Caller) string {
	subject := s.o.SubjectForm.Apply(c.owner.Subject)
	if len(subject) <= maxClientReference {
		return subject
	}
	sum := sha256.Sum256([]byte(c.owner.Subject))
	return hex.EncodeToString(sum[:])
}

// merge returns a new map, in which more wins.
func merge(base any, more catalog.Params) catalog.Params {
	m, _ := base.(map[string]any)
	if len(m) == 0 && len(more) == 0 {
		return catalog.Params{}
	}
	out := make(catalog.Params, len(m)+len(more))
	maps.Copy(out, m)
	maps.Copy(out, more)
	return out
}

func anyOf(texts map[string]string) catalog.Params {
	if len(texts) == 0 {
		return nil
	}
	out := make(catalog.Params, len(texts)+1)
	for name, text := range texts {
		out[name] = text
	}
	return out
}
