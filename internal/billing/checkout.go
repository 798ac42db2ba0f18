package billing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
)

// CreateCheckout opens a Checkout Session from a plan for the caller.
func (s *Service) CreateCheckout(ctx context.Context, c Caller, req CheckoutRequest) (CheckoutSession, error) {
	plan, ask, err := s.judgeCheckout(req)
	if err != nil {
		return CheckoutSession{}, err
	}
	items, err := s.lineItems(plan, ask.quantity)
	if err != nil {
		return CheckoutSession{}, err
	}
	if ask.promotionCode != "" {
		if ask.promotionID, err = s.promotion(ctx, ask.promotionCode); err != nil {
			return CheckoutSession{}, err
		}
	}
	session, err := withCustomer(ctx, s, c, policy{}, func(customer customers.Customer) (CheckoutSession, error) {
		return s.o.Stripe.CreateCheckoutSession(ctx, NewSession{
			IdempotencyKey: rand.Text(),
			Params:         s.checkoutParams(c, customer, plan, items, ask),
			Customer:       customer.ID, IsAccount: customer.IsAccount, Livemode: c.owner.Livemode,
		})
	})
	if err != nil {
		return CheckoutSession{}, explainCheckout(err, ask)
	}
	s.metrics.sessions.WithLabelValues("checkout", string(plan.Mode)).Inc()
	return session, nil
}

// lineItems writes the plan's items with the prices of the moment.
func (s *Service) lineItems(plan catalog.Plan, quantity *int64) ([]any, error) {
	if len(plan.LineItems) > 0 && !s.o.Catalog.Resolved() {
		// An outage is not the plan's fault, and is over when Stripe answers.
		return nil, &problem.Error{
			Code: problem.DependencyUnavailable, RetryAfter: time.Second,
			Err: errors.New("the prices have not been read from Stripe yet"),
		}
	}
	items := make([]any, 0, len(plan.LineItems))
	for _, item := range plan.LineItems {
		price, ok := s.o.Catalog.Price(item.Price)
		if !ok {
			return nil, problem.New(problem.PlanUnavailable,
				fmt.Errorf("plan %s: no active price %s at Stripe", plan.Name, item.Price))
		}
		out := maps.Clone(item.Params)
		if out == nil {
			out = catalog.Params{}
		}
		out["price"] = price.ID
		switch {
		case item.Quantity != nil && quantity != nil:
			out["quantity"] = *quantity
		case item.Quantity != nil:
			out["quantity"] = item.Quantity.Default
		case !price.Metered:
			out["quantity"] = int64(1)
		}
		items = append(items, out)
	}
	return items, nil
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
