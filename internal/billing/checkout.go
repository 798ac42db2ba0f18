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
	p := maps.Clone(plan.Params)
	if p == nil {
		p = catalog.Params{}
	}
	p["mode"] = string(plan.Mode)
	p[customer.Param()] = customer.ID
	p["client_reference_id"] = s.clientReference(c)
	if len(items) > 0 {
		p["line_items"] = items
	}
	for name, value := range ask.set {
		p[name] = value
	}
	expire(p, plan.ExpiresAfter, time.Now())
	if ask.promotionID != "" {
		// Stripe refuses the two together even when the first is false.
		delete(p, "allow_promotion_codes")
		p["discounts"] = []any{catalog.Params{"promotion_code": ask.promotionID}}
	}
	ours := c.owner.Metadata(s.o.SubjectForm, customer.Generation)
	ours["till_plan"] = plan.Name
	p["metadata"] = merge(p["metadata"], ask.metadata, ours)
	// The object that outlives the session carries the owner too: it is what the
	// operator's webhooks see.
	carrier := map[catalog.Mode]string{
		catalog.ModeSubscription: "subscription_data",
		catalog.ModePayment:      "payment_intent_data",
		catalog.ModeSetup:        "setup_intent_data",
	}[plan.Mode]
	data := merge(p[carrier])
	data["metadata"] = merge(data["metadata"], ours)
	p[carrier] = data
	return p
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

// merge returns a new map; later arguments win.
func merge(base any, more ...map[string]string) catalog.Params {
	out := catalog.Params{}
	if m, ok := base.(map[string]any); ok {
		maps.Copy(out, m)
	}
	for _, m := range more {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}
